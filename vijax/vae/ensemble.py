"""Many trainings of one architecture in one compiled program: `vmap` over runs.

    params = fit(model, key, images, rows, epochs=10)      rows (runs, rows per run)
    jax.vmap(lambda p: latent.encode(model, p, x))(params)

Runs may differ in the images they see (one class left out in each), in their random
numbers (error bars), and in a setting that the loss reads (a KL weight, a mask).
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from tqdm import tqdm

from vijax import optimize
from vijax.types import Key, LossFn
from vijax.vae import models, schedule, train
from vijax.vae.losses import Batch
from vijax.vae.models import VAE, Autoencoder, Images, ModelParams
from vijax.validate import check

MakeBatch = Callable[[Images, Any], Any]


def fit(
    model: Autoencoder | VAE,
    key: Key,
    images: Any,
    rows: Int[Any, "runs rows"],
    *,
    epochs: int,
    loss: LossFn | None = None,
    settings: PyTree = None,
    make_batch: MakeBatch = Batch,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    description: str = "train",
) -> ModelParams:
    """Train one model per row of `rows`, all at once, by Adam along half a cosine.

    Args:
        model: the architecture that all runs share.
        key: for every run's start, shuffling and draws.
        images: (n, *shape), shared by all runs and stored once.
        rows: which images each run sees; all runs have equally many.
        epochs: passes over a run's rows; the last, incomplete batch of each is left.
        loss: from `losses`; by default the model's own.
        settings: what `make_batch` gets besides the images, each leaf (runs, ...); by
            default the KL weight 1.
        make_batch: (images, setting) -> the loss function's batch.
        batch_size: images in a step of each run.
        learning_rate: Adam's, at the first step.
        description: shown at the progress bar.

    Returns:
        The parameters, each leaf with a leading axis of runs.
    """
    images = train.check_images(model, images)
    rows = jnp.asarray(rows)
    check(epochs >= 1, "epochs", epochs, "give 1 or more")
    check(
        (rows >= 0) & (rows < len(images)), "rows", rows, f"give 0 to {len(images) - 1}"
    )
    remedy = f"give 1 to the number of rows of a run, {rows.shape[1]}"
    check(1 <= batch_size <= rows.shape[1], "batch_size", batch_size, remedy)
    if settings is None:
        settings = jnp.ones(len(rows), images.dtype)
    init_keys, run_keys = jax.random.split(key, (2, len(rows)))
    start = partial(
        schedule.start,
        num_steps=epochs * (rows.shape[1] // batch_size),
        learning_rate=learning_rate,
        final_fraction=0.0,
    )
    states = jax.vmap(start)(_init(model, init_keys))
    run_epoch = _epoch(loss or train.default_loss(model), make_batch, batch_size)
    with tqdm(total=epochs, desc=description, disable=None) as bar:
        for _ in range(epochs):
            states, loss_mean = run_epoch(states, run_keys, images, rows, settings)
            bar.update()
            bar.set_postfix(loss=f"{np.mean(loss_mean):.4g}", refresh=False)
    return states.params


@partial(jax.jit, static_argnums=(0,))
def _init(model: Autoencoder | VAE, keys: Key) -> ModelParams:
    return jax.vmap(partial(models.init, model))(keys)


@lru_cache
def _epoch(loss_fn: LossFn, make_batch: MakeBatch, batch_size: int) -> Callable:
    """Return the compiled epoch of all runs; images are gathered batch by batch."""
    optimizer = schedule.adam_cosine()

    def one_run(
        state: optimize.State,
        key: Key,
        images: Images,
        rows: Int[Array, " rows"],
        setting: PyTree,
    ) -> tuple[optimize.State, Float[Array, ""]]:
        shuffle_key, loss_key = jax.random.split(key)
        batches = optimize.shuffled_batches(
            jax.random.fold_in(shuffle_key, state.step), rows, batch_size=batch_size
        )

        def body(state: optimize.State, rows: Array) -> tuple[optimize.State, Any]:
            batch = make_batch(images[rows], setting)
            return optimize.step(loss_fn, optimizer, state, loss_key, batch)

        state, (loss, _) = jax.lax.scan(body, state, batches)
        return state, jnp.mean(loss)

    over_runs = jax.vmap(one_run, in_axes=(0, 0, None, 0, 0))
    return jax.jit(over_runs, donate_argnums=(0,))


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
