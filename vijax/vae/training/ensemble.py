"""Many trainings of one architecture in one compiled program: `vmap` over runs.

    params = fit(model, key, images, rows, epochs=10)      rows (runs, rows per run)
    jax.vmap(lambda p: latent.encode(model, p, x))(params)

Runs differ in their random numbers (error bars), in the images they see (one class
left out in each), and, for a `masked` model, in how many latents they have.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from tqdm import tqdm

from vijax import optimize
from vijax.types import Key, LossFn
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    Images,
    ModelParams,
)
from vijax.vae.models.losses import Batch
from vijax.vae.models.networks import Network
from vijax.vae.training import optimizers, train
from vijax.validate import check, is_whole

Model = TypeVar("Model", Autoencoder, VAE)


def fit(
    model: Autoencoder | VAE,
    key: Key,
    images: Any,
    rows: Int[Any, "runs rows"],
    *,
    epochs: int,
    masks: Float[Any, "runs latent"] | None = None,
    loss: LossFn | None = None,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    description: str = "train",
) -> ModelParams:
    """Train one model per row of `rows`, all at once, along half a cosine.

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
        learning_rate: the optimiser's, at the first step.
        optimizer: "adam" or "muon", as for `train.fit`.
        description: shown at the progress bar.

    Returns:
        The parameters, each leaf with a leading axis of runs.

    Raises:
        ValueError: as `train.fit`; rows that are not there; masks of other runs.

    Example:
        >>> model = models.autoencoder((3,), latent=1, hidden=())
        >>> rows = np.array([[0, 1, 2], [1, 2, 3]])  # the second run never sees image 0
        >>> params = fit(model, jax.random.key(0), np.eye(4, 3, dtype=np.float32), rows,
        ...              epochs=1, batch_size=3)
        >>> params.encoder["output"]["kernel"].shape  # runs × pixels × latent
        (2, 3, 1)
    """
    images, rows = train.check_images(model, images), np.asarray(rows)
    check(is_whole(epochs) and epochs >= 1, "epochs", epochs, "give 1 or more")
    check(rows.ndim == 2, "rows' axes", rows.ndim, "give (runs, rows of each run)")
    whole = np.issubdtype(rows.dtype, np.integer)
    check(whole, "rows' dtype", rows.dtype, "give whole numbers of images")
    remedy = "give a number above 0"
    check(0 < learning_rate < math.inf, "learning_rate", learning_rate, remedy)
    if masks is not None:
        remedy = f"give (runs, latents), {(len(rows), model.latent)}"
        given = np.shape(masks)
        check(given == (len(rows), model.latent), "masks' shape", given, remedy)
    check(
        (rows >= 0) & (rows < len(images)), "rows", rows, f"give 0 to {len(images) - 1}"
    )
    remedy = f"give 1 to the number of rows of a run, {rows.shape[1]}"
    valid = is_whole(batch_size) and 1 <= batch_size <= rows.shape[1]
    check(valid, "batch_size", batch_size, remedy)
    num_steps = epochs * (rows.shape[1] // batch_size)
    states, run_keys = _start(
        model, len(rows), optimizer, num_steps, learning_rate, key, masks
    )
    indices = jnp.asarray(rows)
    run_epoch = _epoch(loss or train.default_loss(model), batch_size, optimizer)
    with tqdm(total=epochs, desc=description, disable=None) as bar:
        for _ in range(epochs):
            states, loss_mean = run_epoch(states, run_keys, images, indices)
            bar.update()
            bar.set_postfix(loss=f"{np.mean(loss_mean):.4g}", refresh=False)
    return states.params


@partial(jax.jit, static_argnums=(0, 1, 2))
def _start(
    model: Autoencoder | VAE,
    num_runs: int,
    name: str,
    num_steps: int | Array,
    learning_rate: float | Array,
    key: Key,
    masks: Float[Any, "runs latent"] | None,
) -> tuple[optimize.State, Key]:
    """Return every run's state before its first step, and its key."""
    init_keys, run_keys = jax.random.split(key, (2, num_runs))
    # One after the other: the program is one run's, which compiles sooner.
    params = jax.lax.map(partial(autoencoders.init, model), init_keys)
    if masks is not None:
        params = _with_masks(params, jnp.asarray(masks, jnp.float32))
    one = partial(
        optimizers.start,
        num_steps=num_steps,
        learning_rate=learning_rate,
        final_fraction=0.0,
        name=name,
    )
    return jax.vmap(one)(params), run_keys


@lru_cache
def _epoch(loss_fn: LossFn, batch_size: int, name: str) -> Callable:
    """Return the compiled epoch of all runs; images are gathered batch by batch."""
    optimizer = optimizers.optimizer(name)

    def one_run(
        state: optimize.State,
        key: Key,
        images: Images,
        rows: Int[Array, " rows"],
    ) -> tuple[optimize.State, Float[Array, ""]]:
        shuffle_key, loss_key = jax.random.split(key)
        batches = optimize.shuffled_batches(
            jax.random.fold_in(shuffle_key, state.step), rows, batch_size=batch_size
        )

        def body(state: optimize.State, rows: Array) -> tuple[optimize.State, Any]:
            batch = Batch(images[rows], jnp.ones((), images.dtype))
            return optimize.step(loss_fn, optimizer, state, loss_key, batch)

        state, (loss, _) = jax.lax.scan(body, state, batches)
        return state, jnp.mean(loss)

    over_runs = jax.vmap(one_run, in_axes=(0, 0, None, 0))
    return jax.jit(over_runs, donate_argnums=(0,))


@lru_cache
def masked(model: Model) -> Model:
    """Return the model whose parameters hold a mask of its latents.

    A masked latent is zero for the decoder, and for the encoder it is the prior's:
    its KL is zero. So models of fewer latents live in the same shapes, one `vmap`
    trains them all, and everything that takes a model and its parameters takes these.

    Example:
        >>> model = masked(models.autoencoder((3,), latent=2, hidden=()))
        >>> params = models.init(model, jax.random.key(0))
        >>> params.encoder["mask"] = jnp.array([1.0, 0.0])
        >>> abs(models.latent_mean(model, params, jnp.ones((1, 3)))[0, 1]).item()
        0.0
    """

    def encoder(params: Any, x: Array) -> Array:
        mask = jax.lax.stop_gradient(params["mask"])
        return mask * model.encoder.apply(params["network"], x)

    def decoder(params: Any, z: Array) -> Array:
        mask = jax.lax.stop_gradient(params["mask"])
        return model.decoder.apply(params["network"], mask * z)

    def init(network: Network, key: Key) -> dict[str, Any]:
        return {"network": network.init(key), "mask": jnp.ones(model.latent)}

    return model._replace(
        encoder=Network(partial(init, model.encoder), encoder),
        decoder=Network(partial(init, model.decoder), decoder),
    )


def _with_masks(params: ModelParams, masks: Float[Array, "runs latent"]) -> ModelParams:
    if "mask" not in params.encoder:
        raise ValueError("masks need a model from ensemble.masked")
    encoder, decoder = params
    return ModelParams(encoder | {"mask": masks}, decoder | {"mask": masks})


def masks(latents: Sequence[int]) -> Float[np.ndarray, "runs latent"]:
    """Return the masks of runs that have so many latents each.

    Example:
        >>> masks((1, 3)).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    valid = np.array([is_whole(n) and n >= 1 for n in latents], bool)
    check(len(valid) and valid, "latents", latents, "give numbers of 1 or more")
    kept = np.arange(max(latents)) < np.asarray(latents)[:, None]
    return kept.astype(np.float32)


def run(params: PyTree, index: int) -> PyTree:
    """Return one run's parameters; -1 is the last.

    Example:
        >>> run({"bias": jnp.array([[1.0], [2.0]])}, 1)["bias"].tolist()
        [2.0]
    """
    runs = len(jax.tree.leaves(params)[0])
    remedy = f"there are {runs} runs, numbered from 0"
    check(is_whole(index) and -runs <= index < runs, "index", index, remedy)
    return jax.tree.map(lambda leaf: leaf[index], params)


def epochs(num_rows: int, steps: int, batch_size: int) -> int:
    """Return how many passes over the rows make at least so many steps.

    Example:
        >>> epochs(1000, 100, 128)  # 7 batches in a pass
        15
    """
    for name, value in (("num_rows", num_rows), ("steps", steps)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    remedy = f"give 1 to the number of rows, {num_rows}"
    valid = is_whole(batch_size) and 1 <= batch_size <= num_rows
    check(valid, "batch_size", batch_size, remedy)
    return math.ceil(steps / (num_rows // batch_size))


def rows_without(labels: Any, key: Key) -> Int[np.ndarray, "classes rows"]:
    """Return for each class the rows of all others, equally many for every class.

    Where the others of one class are more than those of another, a random part of
    them is taken.

    Example:
        >>> rows_without(np.array([0, 0, 1, 1, 2]), jax.random.key(0)).shape
        (3, 3)
    """
    labels = np.asarray(labels)
    classes = np.unique(labels)
    check(len(classes) >= 2, "labels", classes, "give two classes or more")
    left_out = labels == classes[:, None]
    size = len(labels) - left_out.sum(axis=1).max()
    # Random order, the class left out last.
    order = np.asarray(jax.random.uniform(key, left_out.shape)) + left_out
    return np.sort(np.argsort(order, axis=1)[:, :size], axis=1)
