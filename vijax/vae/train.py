"""Training: the data stay on the device, an epoch is one compiled scan.

    trained = fit(model, key, images, epochs=30)

A second run with the same shapes compiles nothing, other learning rates, numbers of
epochs and KL weights included: they are numbers in the state, not in the program.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from vijax import optimize
from vijax.types import Key, LossFn, Scalar
from vijax.vae import likelihoods, losses, models
from vijax.vae.losses import Batch
from vijax.vae.models import VAE, Autoencoder, ModelParams
from vijax.validate import check

OnEpoch = Callable[[ModelParams, dict[str, float]], bool | None]


class Trained(NamedTuple):
    """A trained model."""

    params: ModelParams
    loss: np.ndarray  # (epochs,), mean over each epoch
    terms: Any  # the loss function's terms by name, each (epochs,)
    num_rejected: int  # steps rolled back because they were not finite


class CosineState(NamedTuple):
    """Where the learning rate stands on its way from the peak to the final one."""

    step: Array
    num_steps: Array
    learning_rate: Array  # at the first step
    final_fraction: Array  # of the learning rate, at the last step


def fit(
    model: Autoencoder | VAE,
    key: Key,
    images: ArrayLike,
    *,
    epochs: int,
    loss: LossFn | None = None,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    final_fraction: float = 0.0,
    kl_warm_up: int = 0,
    on_epoch: OnEpoch | None = None,
    description: str = "train",
) -> Trained:
    """Train a model by Adam on shuffled batches.

    Args:
        model: from `models.autoencoder` or `models.vae`.
        key: for the parameters' start, the shuffling and every draw.
        images: (n, *shape): grey levels in [0, 1], or what the likelihood accepts;
            rows of a table for a model of such a shape.
        epochs: passes over the images; the last, incomplete batch of each is left.
        loss: from `losses`; by default the mean squared error of an autoencoder, the
            negative ELBO of a VAE.
        batch_size: images in a step.
        learning_rate: Adam's, at the first step.
        final_fraction: of the learning rate at the last step, reached along half a
            cosine; 1 keeps it constant.
        kl_warm_up: epochs over which the KL's weight rises linearly to its full value.
        on_epoch: called with the parameters and the epoch's mean terms (a host
            synchronisation an epoch); returns True to stop early.
        description: shown at the progress bar.

    Example:
        >>> model = models.autoencoder((3,), hidden=(), output="identity")
        >>> x = np.ones((8, 3), np.float32)
        >>> fit(model, jax.random.key(0), x, epochs=2, batch_size=4).loss.shape
        (2,)
    """
    images = check_images(model, images)
    _check_settings(len(images), epochs, batch_size, learning_rate, kl_warm_up)
    init_key, run_key = jax.random.split(key)
    state = start(
        models.init(model, init_key),
        num_steps=epochs * (len(images) // batch_size),
        learning_rate=learning_rate,
        final_fraction=final_fraction,
    )

    def on_chunk(state: optimize.State, history: optimize.History) -> bool | None:
        if on_epoch is None:
            return None
        return on_epoch(state.params, _mean_terms(history))

    minimize = partial(
        optimize.minimize,
        loss or default_loss(model),
        optimizer=adam_cosine(),
        chunk_size=len(images) // batch_size,
        make_batches=batches(batch_size),
        on_chunk=on_chunk,
        description=description,
    )
    histories = []
    for weight, num_epochs in _kl_weights(epochs, kl_warm_up):
        data = Batch(images, jnp.asarray(weight, images.dtype))
        state, history = minimize(state, run_key, data, num_chunks=num_epochs)
        histories.append(history)
    history = jax.tree.map(lambda *parts: np.concatenate(parts), *histories)
    num_batches = len(images) // batch_size
    epoch_means = jax.tree.map(
        lambda steps: steps.reshape(-1, num_batches).mean(axis=1), history
    )
    return Trained(
        state.params, epoch_means.loss, epoch_means.metrics, int(state.num_rejected)
    )


def default_loss(model: Autoencoder | VAE) -> LossFn:
    """Return the loss that the lecture trains this kind of model with."""
    if isinstance(model, Autoencoder):
        return losses.mean_squared_error(model)
    return losses.negative_elbo(model)


def check_images(model: Autoencoder | VAE, images: ArrayLike) -> Float[Array, "..."]:
    """Put images on the device, or raise a ValueError that says why not."""
    array = np.asarray(images)
    if array.shape[1:] != model.shape or not len(array):
        raise ValueError(
            f"images have shape {array.shape}: give (n, *{model.shape}) with n >= 1"
        )
    array = array.astype(np.result_type(array, np.float32))
    if isinstance(model, VAE):
        likelihoods.check_images(model.likelihood, array)
    else:
        check(np.isfinite(array), "images", array, "remove NaN and infinities")
    return jnp.asarray(array)


@lru_cache
def batches(batch_size: int) -> optimize.MakeBatches:
    """Return the function that shuffles images into an epoch's batches."""

    def make_batches(key: Key, data: Batch) -> Batch:
        images = optimize.shuffled_batches(key, data.images, batch_size=batch_size)
        return Batch(images, jnp.broadcast_to(data.kl_weight, len(images)))

    return make_batches


@lru_cache
def adam_cosine() -> optax.GradientTransformation:
    """Return Adam with a learning rate that `start` puts into its state."""
    return optax.chain(optax.scale_by_adam(), _scale_by_cosine())


def start(
    params: ModelParams,
    *,
    num_steps: int,
    learning_rate: float,
    final_fraction: float = 0.0,
) -> optimize.State:
    """Return the state before the first step of `adam_cosine`."""
    state = optimize.init(params, adam_cosine())
    schedule = CosineState(
        jnp.zeros((), jnp.int32),
        jnp.asarray(num_steps, jnp.int32),
        jnp.asarray(learning_rate, jnp.float32),
        jnp.asarray(final_fraction, jnp.float32),
    )
    return state._replace(opt_state=(state.opt_state[0], schedule))


def _scale_by_cosine() -> optax.GradientTransformation:
    """Scale by -learning_rate(step); the numbers are state, so none recompiles."""

    def init(params: Any) -> CosineState:
        zero = jnp.zeros(())
        return CosineState(
            jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32), zero, zero
        )

    def update(
        updates: Any, state: CosineState, params: Any = None
    ) -> tuple[Any, CosineState]:
        rate = -learning_rate_at(state)
        updates = jax.tree.map(lambda u: (rate * u).astype(u.dtype), updates)
        return updates, state._replace(step=state.step + 1)

    return optax.GradientTransformation(init, update)


def learning_rate_at(state: CosineState) -> Scalar:
    """Half a cosine from learning_rate to final_fraction × learning_rate."""
    progress = jnp.minimum(state.step / state.num_steps, 1.0)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
    return state.learning_rate * (
        state.final_fraction + (1 - state.final_fraction) * cosine
    )


def _kl_weights(epochs: int, warm_up: int) -> list[tuple[float, int]]:
    """Return (KL weight, number of epochs) in order."""
    rising = [((epoch + 1) / warm_up, 1) for epoch in range(min(epochs, warm_up))]
    full = epochs - len(rising)
    return rising + ([(1.0, full)] if full else [])


def _mean_terms(history: optimize.History) -> dict[str, float]:
    terms = history.metrics
    terms = terms._asdict() if hasattr(terms, "_asdict") else terms
    return {"loss": float(history.loss.mean())} | {
        name: float(np.mean(values)) for name, values in terms.items()
    }


def _check_settings(
    num_images: int, epochs: int, batch_size: int, learning_rate: float, warm_up: int
) -> None:
    check(epochs >= 1, "epochs", epochs, "give 1 or more")
    check(
        1 <= batch_size <= num_images,
        "batch_size",
        batch_size,
        f"give 1 to the number of images, {num_images}",
    )
    check(learning_rate > 0, "learning_rate", learning_rate, "give a number above 0")
    check(warm_up >= 0, "kl_warm_up", warm_up, "give 0 or more epochs")
