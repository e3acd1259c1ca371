"""What models, training and evaluation refuse, by name and with what to give."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import checkpoint, optimize
from vijax.vae import training
from vijax.vae.evaluation import (
    annealed_sampling,
    elbo,
    latent_gaps,
    latent_maps,
    latent_usage,
    log_evidence,
)
from vijax.vae.models import (
    autoencoders,
    gradient_estimators,
    likelihoods,
    losses,
)

KEY = jax.random.key(0)
MODEL = autoencoders.vae((4, 4), hidden=(8,))
OTHER = autoencoders.vae((4, 4), hidden=(9,))
AUTOENCODER = autoencoders.autoencoder((4, 4), hidden=(8,))
PARAMS = autoencoders.init(MODEL, KEY)
IMAGES = np.ones((20, 4, 4), np.float32)
ROWS = np.arange(20).reshape(2, 10)
Q, Z = autoencoders.Posterior(jnp.zeros(2), jnp.zeros(2)), jnp.ones((5, 2))
DECODED = latent_gaps.DecodedData(jnp.zeros((1, 1)), jnp.ones(3))


def fit(images: Any = IMAGES, **settings: Any) -> Any:
    return training.fit(
        MODEL, KEY, images, **{"epochs": 1, "batch_size": 10} | settings
    )


def importance(**settings: Any) -> Any:
    return log_evidence.importance_log_evidence(MODEL, PARAMS, KEY, IMAGES, **settings)


def many(rows: Any = ROWS, **settings: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 5} | settings
    return training.fit_ensemble(training.masked(MODEL), KEY, IMAGES, rows, **settings)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no images": (lambda: fit(IMAGES[:0]), "shape (0, 4, 4): give (n, 4, 4), n >= 1"),
    "one image": (lambda: fit(IMAGES[:1]), "batch_size = 10 "),
    "NaN pixels": (lambda: fit(np.nan * IMAGES), "images = nan (at index 0, 0, 0)"),
    "wrong shape": (lambda: fit(IMAGES[:, :3]), "shape (20, 3, 4): give (n, 4, 4)"),
    "large batch": (lambda: fit(batch_size=21), "batch_size = 21 "),
    "half a batch": (lambda: fit(batch_size=2.5), "batch_size = 2.5 "),
    "half an epoch": (lambda: fit(epochs=1.5), "epochs = 1.5 "),
    "endless rate": (lambda: training.Adam(np.inf), "learning_rate = inf "),
    "loss of another kind": (
        lambda: losses.mean_squared_error(MODEL),
        "model is not an autoencoder",
    ),
    "loss without a likelihood": (
        lambda: losses.negative_elbo(AUTOENCODER),
        "model is not a VAE",
    ),
    "loss of another model": (
        lambda: fit(loss=losses.negative_elbo(OTHER)),
        "params are not this network's",
    ),
    "no latents": (lambda: autoencoders.vae((4, 4), latent=0), "latent = 0 "),
    "half a latent": (
        lambda: autoencoders.autoencoder((4,), latent=1.5),
        "latent = 1.5 ",
    ),
    "a number for a shape": (lambda: autoencoders.vae(16), "shape = 16 is not a shape"),
    "a number for widths": (lambda: autoencoders.vae((4,), hidden=8), "hidden = 8 "),
    "unknown dtype": (lambda: autoencoders.vae((4,), dtype="bf17"), "dtype = 'bf17'"),
    "grey data": (
        lambda: elbo.held_out_elbo(MODEL, PARAMS, KEY, 0.5 * IMAGES),
        "x = 0.5 (at index 0, 0, 0) is not valid: bernoulli data are 0 or 1",
    ),
    "one test image": (
        lambda: elbo.held_out_elbo(MODEL, PARAMS, KEY, IMAGES[:1]),
        "give (n, 4, 4), n >= 2",
    ),
    "ELBO of an autoencoder": (
        lambda: elbo.held_out_elbo(AUTOENCODER, PARAMS, KEY, IMAGES),
        "model is not a VAE",
    ),
    "parameters of another model": (
        lambda: elbo.held_out_elbo(OTHER, PARAMS, KEY, IMAGES),
        "params are not this network's",
    ),
    "batches of none": (
        lambda: latent_usage.aggregate_posterior(
            MODEL, PARAMS, KEY, IMAGES, batch_size=0
        ),
        "batch_size = 0 ",
    ),
    "chunks of none": (lambda: importance(chunk_size=0), "chunk_size = 0 "),
    "one draw": (lambda: importance(num_samples=1), "num_samples = 1 "),
    "inverted grid": (
        lambda: log_evidence.quadrature_log_evidence(MODEL, PARAMS, IMAGES, width=-1.0),
        "width = -1.0 ",
    ),
    "z of other images": (
        lambda: annealed_sampling.annealed_upper_bound(
            MODEL, PARAMS, KEY, IMAGES, np.zeros((3, 2))
        ),
        "z's shape = [3 2] is not valid: give (20, 2)",
    ),
    "z of another size": (
        lambda: latent_maps.decoded_means(MODEL, PARAMS, np.zeros((3, 5))),
        "z's last axis = 5 is not valid: the model has 2 latents",
    ),
    "no z": (
        lambda: latent_maps.decoded_means(MODEL, PARAMS, np.zeros((0, 2))),
        "rows = 0 ",
    ),
    "grid of nothing": (lambda: latent_maps.quantile_grid(0), "side = 0 "),
    "grid of a line": (lambda: latent_maps.quantile_grid(3, 1), "latent = 1 "),
    "no such dimension": (
        lambda: latent_maps.latent_traversal(jnp.zeros(2), 2, jnp.zeros(3)),
        "dimension = 2 is not valid: give 0 to 1",
    ),
    "half a line": (
        lambda: latent_maps.latent_line(jnp.zeros(2), jnp.ones(2), 1),
        "steps = 1 ",
    ),
    "ends that differ": (
        lambda: latent_maps.latent_line(jnp.zeros(2), jnp.ones(3), 5),
        "end's length = 3 ",
    ),
    "rows of one run": (lambda: many(ROWS[0]), "rows' axes = 1 "),
    "rows that are not there": (lambda: many(ROWS + 1), "rows = 20 (at index 1, 9)"),
    "a rate that climbs": (
        lambda: training.Muon(learning_rate=-1.0),
        "learning_rate = -1.0 ",
    ),
    "masks of other runs": (
        lambda: many(masks=np.ones((3, 2))),
        "masks' shape = [3 2] is not valid: give (runs, latents), (2, 2)",
    ),
    "words for images": (lambda: fit(np.array(["a"])), "images' dtype = <U1 "),
    "objects for pixels": (
        lambda: fit(IMAGES.astype(object)),
        "images' dtype = object",
    ),
    "no model": (
        lambda: training.fit(None, KEY, IMAGES, epochs=1),
        "model = None is none",
    ),
    "a truth for epochs": (lambda: fit(epochs=True), "epochs = True "),
    "a word for a loss": (
        lambda: fit(loss="elbo"),
        "loss = 'elbo' is no loss function",
    ),
    "a loss without its model": (
        lambda: fit(loss=losses.negative_elbo),
        "give, for instance, losses.negative_elbo(model)",
    ),
    "a path for a callback": (lambda: fit(on_epoch="a.csv"), "on_epoch = a.csv "),
    "parameters that are NaN": (
        lambda: fit(params=jax.tree.map(lambda leaf: np.nan * leaf, PARAMS)),
        "params.encoder['Dense_0']['bias'] = nan (at index 0)",
    ),
    "a word for a likelihood": (
        lambda: autoencoders.vae((4,), likelihood="bernoulli"),
        "likelihood = 'bernoulli' is none",
    ),
    "half a level": (lambda: likelihoods.beta_binomial(2.5), "num_levels = 2.5 "),
    "endless beta": (lambda: losses.negative_elbo(MODEL, beta=np.inf), "beta = inf "),
    "mean of an autoencoder": (
        lambda: autoencoders.init_at_mean(AUTOENCODER, KEY, IMAGES),
        "not a VAE of Bernoulli pixels",
    ),
    "mean of other images": (
        lambda: autoencoders.init_at_mean(MODEL, KEY, IMAGES[:, :3]),
        "images have shape (20, 3, 4): give (n, 4, 4)",
    ),
    "mean of a convolution": (
        lambda: autoencoders.init_at_mean(
            autoencoders.vae((4, 4), channels=(2,)), KEY, IMAGES
        ),
        "no bias for each pixel",
    ),
    "half a draw": (
        lambda: elbo.held_out_elbo(MODEL, PARAMS, KEY, IMAGES, num_samples=2.5),
        "num_samples = 2.5 ",
    ),
    "threshold of NaN": (
        lambda: latent_usage.active_units(MODEL, PARAMS, IMAGES, threshold=np.nan),
        "threshold = nan ",
    ),
    "rows of half images": (lambda: many(0.5 * ROWS), "rows' dtype = float64 "),
    "no such run": (lambda: training.take_run(PARAMS, 99), "index = 99 "),
    "a batch beyond the rows": (
        lambda: training.num_epochs(100, 10, 128),
        "batch_size = 128 is not valid: give 1 to the number of rows, 100",
    ),
    "mask of nothing": (lambda: training.masks((2, 0)), "latents = 0 (at index 1)"),
    "no gradients": (
        lambda: gradient_estimators.reparametrised(sum, Q, KEY, num_samples=0),
        "num_samples = 0 ",
    ),
    "no nodes": (
        lambda: gradient_estimators.exact(sum, Q, num_nodes=0),
        "num_nodes = 0 ",
    ),
    "uniform draws of none": (
        lambda: latent_maps.uniform_in_box(KEY, Z, num_samples=-1),
        "num_samples = -1 ",
    ),
    "no projections": (
        lambda: latent_maps.sliced_wasserstein(Z, KEY, num_projections=0),
        "num_projections = 0 ",
    ),
    "half a dimension": (
        lambda: latent_maps.latent_traversal(jnp.zeros(2), 0.5, jnp.zeros(3)),
        "dimension = 0.5 ",
    ),
    "distances of nothing": (
        lambda: latent_gaps.share_off_data(jnp.ones(0), DECODED, KEY),
        "number of distances = 0 ",
    ),
    "one bootstrap": (
        lambda: latent_gaps.share_off_data(jnp.ones(3), DECODED, KEY, num_resamples=1),
        "num_resamples = 1 ",
    ),
    "near to nothing": (
        lambda: latent_gaps.nearest_distance(jnp.ones((2, 3)), jnp.ones((0, 3))),
        "references (0, 3)",
    ),
    "a word for a callback": (lambda: fit(stopping="soon"), "stopping = soon "),
    "an optimiser that nobody knows": (
        lambda: fit(optimizer="sgd"),
        "optimizer = 'sgd' is not known: choose from adam, muon, or give an Optax",
    ),
    "a number for an optimiser": (lambda: fit(optimizer=0.1), "optimizer = 0.1 is not"),
    "saved before it began": (
        lambda: training.Checkpoint("runs", seconds=-1.0),
        "seconds = -1.0 ",
    ),
    "no runs": (lambda: many(ROWS[:0]), "runs = 0 "),
    "half an epoch's patience": (
        lambda: training.EarlyStopping(len, patience=1.5),
        "patience = 1.5 ",
    ),
    "a folder for a history": (lambda: training.csv_log("."), "path = . is not valid"),
    "no chunks": (
        lambda: optimize.minimize(
            sum, None, KEY, optimizer=None, num_chunks=0, chunk_size=1
        ),
        "num_chunks = 0 ",
    ),
    "binarised NaN": (
        lambda: likelihoods.binarize(KEY, np.array([0.5, np.nan])),
        "images = nan (at index 1)",
    ),
}


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_a_remedy(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(ValueError, match=re.escape(says)):
        call()


def test_lists_are_as_good_as_tuples():
    assert autoencoders.vae([4, 4], hidden=[8]) is autoencoders.vae((4, 4), hidden=(8,))


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    tree = {"a": jnp.zeros(1000, jnp.float32)}
    checkpoint.save(tmp_path, tree, step=1)
    usage = checkpoint.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        checkpoint.shutil, "disk_usage", lambda folder: usage._replace(free=4000)
    )
    with pytest.raises(
        OSError, match=r"No space left .* 104000 bytes are needed, 4000"
    ):
        checkpoint.save(tmp_path, tree, step=2)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert checkpoint.restore(tmp_path, tree)[0] == 1
