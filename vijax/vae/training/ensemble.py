"""Many trainings of one architecture in one compiled program: `vmap` over runs.

    trained = fit_ensemble(model, key, images, rows, epochs=10)   rows (runs, rows)
    jax.vmap(lambda p: models.latent_mean(model, p, x))(trained.params)

Runs differ in their random numbers (error bars), in the images they see (one class
left out in each), and, for a `masked` model, in how many latents they have.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from vijax import optimize
from vijax.types import Key, LossFn
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.vae.models.memoize import cached
from vijax.vae.models.networks import Network
from vijax.vae.training import baseline, optimizers, runner
from vijax.vae.training.callbacks import EarlyStopping, OnEpoch
from vijax.vae.training.optimizers import Optimizer
from vijax.vae.training.progress import Checkpoint
from vijax.vae.training.runner import Data, Plan
from vijax.vae.training.trained import Trained
from vijax.validate import check, is_whole

Model = TypeVar("Model", Autoencoder, VAE)


def fit_ensemble(
    model: Autoencoder | VAE,
    key: Key,
    images: Any,
    rows: Int[Any, "runs rows"],
    *,
    epochs: int,
    masks: Float[Any, "runs latent"] | None = None,
    loss: LossFn | None = None,
    batch_size: int = 128,
    optimizer: Optimizer = "adam",
    kl_warm_up: int = 0,
    on_epoch: OnEpoch | tuple[OnEpoch, ...] = (),
    stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | Path | str | None = None,
    description: str = "train",
) -> Trained:
    """Train one model per row of `rows`, all at once; else as `fit`.

    Args:
        model: the architecture that all runs share.
        key: for every run's start, shuffling and draws.
        images: (n, *shape), shared by all runs and stored once.
        rows: which images each run sees; all runs have equally many.
        epochs: passes over a run's rows; the last, incomplete batch of each is left.
        masks: 1 for the latents that a run keeps, 0 for the others, where the model is
            `masked`.
        loss: from `losses`; by default the model's own.
        batch_size: images in a step of each run.
        optimizer: as for `fit`.
        kl_warm_up: as for `fit`.
        on_epoch: as for `fit`; parameters and terms have a leading axis of runs.
        stopping: as for `fit`; training ends when no run improves any more, and
            `Trained.best` has each run's best parameters.
        checkpoint: as for `fit`.
        description: shown at the progress bar.

    Returns:
        The parameters, each leaf with a leading axis of runs, and the history,
        (epochs, runs).

    Raises:
        ValueError: as `fit`; rows that are not there; masks of other runs.
        OSError: a checkpoint cannot be written.

    Example:
        >>> from vijax.vae import models
        >>> model = models.autoencoder((3,), latent=1, hidden=())
        >>> rows = np.array([[0, 1, 2], [1, 2, 3]])  # the second run never sees image 0
        >>> trained = fit_ensemble(
        ...     model, jax.random.key(0), np.eye(4, 3, dtype=np.float32), rows,
        ...     epochs=1, batch_size=3,
        ... )
        >>> trained.params.encoder["output"]["kernel"].shape  # runs × pixels × latent
        (2, 3, 1)
        >>> trained.loss.shape
        (1, 2)
    """
    images, rows = runner.check_images(model, images), np.asarray(rows)
    _check_rows(rows, len(images))
    if masks is not None:
        remedy = f"give (runs, latents), {(len(rows), model.latent)}"
        given = np.shape(masks)
        check(given == (len(rows), model.latent), "masks' shape", given, remedy)
    loss = loss or runner.default_loss(model)
    plan = Plan(
        loss=loss,
        num_rows=rows.shape[1],
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        kl_warm_up=kl_warm_up,
        on_epoch=on_epoch,
        stopping=stopping,
        checkpoint=checkpoint,
        description=description,
        baseline=baseline.loss_without_latents(model, loss, images),
    )
    params, run_keys = _draw(model, len(rows), key, masks)
    state = _start(optimizer, plan.num_steps, params)
    data = Data(images, jnp.asarray(rows), jnp.ones((), images.dtype))
    return runner.run(plan, state, run_keys, data)


@partial(jax.jit, static_argnums=(0, 1))
def _draw(
    model: Autoencoder | VAE,
    num_runs: int,
    key: Key,
    masks: Float[Any, "runs latent"] | None,
) -> tuple[ModelParams, Key]:
    """Return every run's first parameters, and its key."""
    init_keys, run_keys = jax.random.split(key, (2, num_runs))
    # One after the other: the program is one run's, which compiles sooner.
    params = jax.lax.map(partial(autoencoders.init, model), init_keys)
    if masks is not None:
        params = _with_masks(params, jnp.asarray(masks, jnp.float32))
    return params, run_keys


def _start(optimizer: Optimizer, num_steps: int, params: ModelParams) -> optimize.State:
    one = partial(optimizers.start, optimizer=optimizer, num_steps=num_steps)
    return jax.vmap(one)(params)


def _check_rows(rows: np.ndarray, num_images: int) -> None:
    check(rows.ndim == 2, "rows' axes", rows.ndim, "give (runs, rows of each run)")
    whole = np.issubdtype(rows.dtype, np.integer)
    check(whole, "rows' dtype", rows.dtype, "give whole numbers of images")
    check(len(rows) >= 1, "runs", len(rows), "give the rows of 1 run or more")
    remedy = f"give 0 to {num_images - 1}"
    check((rows >= 0) & (rows < num_images), "rows", rows, remedy)


def masked(model: Model) -> Model:
    """Return the model whose parameters hold a mask of its latents.

    A masked latent is zero for the decoder, and for the encoder it is the prior's:
    its KL is zero. So models of fewer latents live in the same shapes, one `vmap`
    trains them all, and everything that takes a model and its parameters takes these.

    Raises:
        ValueError: a VAE with another prior than N(0, I) or another q than the default.

    Example:
        >>> from vijax.vae import models
        >>> model = masked(models.autoencoder((3,), latent=2, hidden=()))
        >>> params = models.init(model, jax.random.key(0))
        >>> params.encoder["mask"] = jnp.array([1.0, 0.0])
        >>> abs(models.latent_mean(model, params, jnp.ones((1, 3)))[0, 1]).item()
        0.0
    """
    if isinstance(model, VAE) and not autoencoders.is_plain(model):
        raise ValueError(
            f"the model's prior is {model.prior.name}, its q {model.posterior.name}: "
            "masks are for N(0, I) and a diagonal covariance"
        )
    latent = model.latent
    return model._replace(
        encoder=masked_encoder(model.encoder, latent=latent),
        decoder=masked_decoder(model.decoder, latent=latent),
    )


@cached
def masked_encoder(network: Network, *, latent: int) -> Network:
    """Return the encoder whose outputs for masked latents are zero."""

    def apply(params: Any, x: Array) -> Array:
        mask = jax.lax.stop_gradient(params["mask"])
        return mask * network.apply(params["network"], x)

    return Network(partial(_init_masked, network, latent), apply)


@cached
def masked_decoder(network: Network, *, latent: int) -> Network:
    """Return the decoder that sees zero for masked latents."""

    def apply(params: Any, z: Array) -> Array:
        mask = jax.lax.stop_gradient(params["mask"])
        return network.apply(params["network"], mask * z)

    return Network(partial(_init_masked, network, latent), apply)


def _init_masked(network: Network, latent: int, key: Key) -> dict[str, Any]:
    return {"network": network.init(key), "mask": jnp.ones(latent)}


def _with_masks(params: ModelParams, masks: Float[Array, "runs latent"]) -> ModelParams:
    if "mask" not in params.encoder:
        raise ValueError("masks need a model from training.masked")
    encoder, decoder = (part | {"mask": masks} for part in params[:2])
    return params._replace(encoder=encoder, decoder=decoder)


def masks(latents: Sequence[int]) -> Float[np.ndarray, "runs latent"]:
    """Return the masks of runs that have so many latents each.

    Raises:
        ValueError: no numbers, or one that is not whole and 1 or more.

    Example:
        >>> masks((1, 3)).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    valid = np.array([is_whole(n) and n >= 1 for n in latents], bool)
    check(len(valid) and valid, "latents", latents, "give numbers of 1 or more")
    kept = np.arange(max(latents)) < np.asarray(latents)[:, None]
    return kept.astype(np.float32)


def take_run(params: PyTree, index: int) -> PyTree:
    """Return one run's parameters; -1 is the last.

    Raises:
        ValueError: there is no such run.

    Example:
        >>> take_run({"bias": jnp.array([[1.0], [2.0]])}, 1)["bias"].tolist()
        [2.0]
    """
    runs = len(jax.tree.leaves(params)[0])
    remedy = f"there are {runs} runs, numbered from 0"
    check(is_whole(index) and -runs <= index < runs, "index", index, remedy)
    return jax.tree.map(lambda leaf: leaf[index], params)


def num_epochs(num_rows: int, steps: int, batch_size: int) -> int:
    """Return how many passes over the rows make at least so many steps.

    Raises:
        ValueError: a number is not whole and 1 or more, or the batch is larger than
            the rows.

    Example:
        >>> num_epochs(1000, 100, 128)  # 7 batches in a pass
        15
    """
    for name, value in (("num_rows", num_rows), ("steps", steps)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    remedy = f"give 1 to the number of rows, {num_rows}"
    valid = is_whole(batch_size) and 1 <= batch_size <= num_rows
    check(valid, "batch_size", batch_size, remedy)
    return math.ceil(steps / (num_rows // batch_size))


def rows_without(
    labels: Any, key: Key, *, num_images: int | None = None
) -> Int[np.ndarray, "classes rows"]:
    """Return for each class the rows of all others, equally many for every class.

    Where the others of one class are more than those of another, a random part of
    them is taken.

    Args:
        labels: (n,), the class of each image.
        key: which of the others are taken.
        num_images: n, where it is to be checked: fewer labels than images would leave
            the last ones out without a word.

    Raises:
        ValueError: there are fewer than two classes, or not as many labels as images.

    Example:
        >>> rows_without(np.array([0, 0, 1, 1, 2]), jax.random.key(0)).shape
        (3, 3)
    """
    labels = np.asarray(labels)
    fits = labels.shape == (len(labels) if num_images is None else num_images,)
    remedy = "give one label for each image"
    check(fits, "labels' shape", labels.shape, remedy)
    classes = np.unique(labels)
    check(len(classes) >= 2, "labels", classes, "give two classes or more")
    left_out = labels == classes[:, None]
    size = len(labels) - left_out.sum(axis=1).max()
    # Random order, the class left out last.
    order = np.asarray(jax.random.uniform(key, left_out.shape)) + left_out
    return np.sort(np.argsort(order, axis=1)[:, :size], axis=1)
