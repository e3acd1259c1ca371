"""Training: the data stay on the device, an epoch is one compiled scan.

    trained = fit(model, key, images, epochs=30)

A second run with the same shapes compiles nothing, other learning rates, numbers of
epochs and KL weights included: they are numbers in the state, not in the program.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax import optimize
from vijax.types import Key, LossFn
from vijax.vae.models import autoencoders, likelihoods, losses
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.vae.models.losses import Batch
from vijax.vae.training import optimizers, sharding
from vijax.vae.training import progress as resume
from vijax.validate import check, is_whole

OnEpoch = Callable[[int, ModelParams, dict[str, float]], bool | None]


CONSTRUCTORS = (losses.negative_elbo, losses.negative_iwae, losses.mean_squared_error)


class Trained(NamedTuple):
    """A trained model."""

    params: ModelParams
    loss: np.ndarray  # (epochs,), mean over each epoch
    terms: dict[str, np.ndarray]  # the loss function's terms by name, as `loss`
    num_rejected: int  # steps rolled back because they were not finite


def fit(
    model: Autoencoder | VAE,
    key: Key,
    images: ArrayLike,
    *,
    epochs: int,
    loss: LossFn | None = None,
    params: ModelParams | None = None,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    final_fraction: float = 0.0,
    kl_warm_up: int = 0,
    on_epoch: OnEpoch | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 10.0,
    mesh: Mesh | None = None,
    description: str = "train",
) -> Trained:
    """Train a model on shuffled batches.

    Args:
        model: from `models.autoencoder` or `models.vae`.
        key: for the parameters' start, the shuffling and every draw.
        images: (n, *shape): grey levels in [0, 1], or what the likelihood accepts;
            rows of a table for a model of such a shape.
        epochs: passes over the images; the last, incomplete batch of each is left.
        loss: from `losses`; by default the mean squared error of an autoencoder, the
            negative ELBO of a VAE.
        params: to start from; by default drawn by `models.init`.
        batch_size: images in a step.
        learning_rate: the optimiser's, at the first step.
        optimizer: "adam", or "muon" (see `vijax.vae.muon`), which takes far fewer
            epochs for networks of dense layers, at batches of several hundred and a
            learning rate of 0.02 to 0.1.
        final_fraction: of the learning rate at the last step, reached along half a
            cosine; 1 keeps it constant.
        kl_warm_up: epochs over which the KL's weight rises linearly to its full value.
        on_epoch: called after each epoch with its number (from 1), the parameters
            (copy them to keep them) and the mean terms; returns True to stop.
        checkpoint: folder to save the run in, and to take it up from if it is there:
            the end is the uninterrupted run's, bit for bit. At a constant learning
            rate (`final_fraction` 1) a finished run can go on to more epochs; one
            whose rate has fallen to its end cannot.
        checkpoint_seconds: the least time between two saves.
        mesh: of devices, in one process or many, over whose first axis each batch is
            split; the result is that of one device but for rounding.
        description: shown at the progress bar.

    Raises:
        ValueError: a setting, the images or a checkpoint do not fit.
        OSError: a checkpoint cannot be written.

    Example:
        >>> model = models.autoencoder((3,), hidden=(), output="identity")
        >>> x = np.ones((8, 3), np.float32)
        >>> fit(model, jax.random.key(0), x, epochs=2, batch_size=4).loss.shape
        (2,)
    """
    images = check_images(model, images)
    _check_settings(len(images), epochs, batch_size, learning_rate, kl_warm_up)
    remedy = "give a number of 0 or more"
    check(0 <= final_fraction < math.inf, "final_fraction", final_fraction, remedy)
    num_batches = len(images) // batch_size
    loss = loss or default_loss(model)
    if not callable(loss) or loss in CONSTRUCTORS:
        raise ValueError(
            f"loss = {loss!r} is no loss function: give, for instance, "
            "losses.negative_elbo(model)"
        )
    remedy = "give a function of epoch, parameters and terms"
    check(on_epoch is None or callable(on_epoch), "on_epoch", on_epoch, remedy)
    init_key, run_key = jax.random.split(key)
    if params is None:
        params = autoencoders.init(model, init_key)
    else:
        _check_params(model, params)
    state = optimizers.start(
        params,
        num_steps=epochs * num_batches,
        learning_rate=learning_rate,
        final_fraction=final_fraction,
        name=optimizer,
    )
    one = jnp.ones((), images.dtype)
    if checkpoint is not None and jax.process_count() > 1:
        raise ValueError("checkpoint is for runs of one process: leave it out")
    if mesh is not None:
        mesh = sharding.automatic(mesh)
        num_parts = mesh.devices.shape[0]
        remedy = f"give a multiple of the mesh's first axis, {num_parts}"
        check(batch_size % num_parts == 0, "batch_size", batch_size, remedy)
        images, state, one = sharding.replicate(mesh, (images, state, one))
    progress = resume.begin(state, loss, Batch(images[:1], one), epochs=epochs)
    about = {}
    if checkpoint is not None:
        about = resume.about_run(
            loss,
            key,
            (images, state.params),
            batch_size=batch_size,
            learning_rate=learning_rate,
            final_fraction=final_fraction,
            kl_warm_up=kl_warm_up,
            optimizer=optimizer,
        )
        if final_fraction != 1:
            about["learning rate's fall"] = f"over {epochs} epochs"
    progress, save = resume.take_up(
        checkpoint, progress, about, seconds=checkpoint_seconds
    )

    def on_chunk(state: optimize.State, chunk: optimize.History) -> bool:
        nonlocal progress
        epoch = int(state.step) // num_batches
        progress = resume.advance(progress, state, chunk, epoch)
        if on_epoch is not None:
            terms = resume.last_terms(progress, epoch)
            stop = bool(on_epoch(epoch, state.params, terms))
            progress = progress._replace(stopped=np.array(stop))
        save(progress, epoch, epoch == epochs or bool(progress.stopped))
        return bool(progress.stopped)

    for weight, last_epoch in _kl_weights(epochs, kl_warm_up):
        done = int(progress.state.step) // num_batches
        if done < last_epoch and not progress.stopped:
            optimize.minimize(
                loss,
                progress.state,
                run_key,
                Batch(images, weight * one),
                optimizer=optimizers.optimizer(optimizer),
                num_chunks=last_epoch - done,
                chunk_size=num_batches,
                make_batches=shuffled_rows(batch_size),
                select=select(mesh),
                on_chunk=on_chunk,
                description=description,
            )
    done = int(progress.state.step) // num_batches
    return Trained(
        progress.state.params,
        progress.loss[:done],
        {name: values[:done] for name, values in progress.terms.items()},
        int(progress.state.num_rejected),
    )


def default_loss(model: Autoencoder | VAE) -> LossFn:
    """Return the loss that the lecture trains this kind of model with.

    Example:
        >>> default_loss(models.vae((1,), hidden=())).__qualname__
        'negative_elbo(num_samples=1, beta=1.0, free_bits=0.0)'
    """
    if isinstance(model, Autoencoder):
        return losses.mean_squared_error(model)
    return losses.negative_elbo(model)


def check_images(model: Autoencoder | VAE, images: ArrayLike) -> Float[Array, "..."]:
    """Put images on the device, or raise a ValueError that says why not.

    Example:
        >>> check_images(models.vae((2,), hidden=()), np.array([[0.0, 1.5]]))
        Traceback (most recent call last):
        ...
        ValueError: images = 1.5 (at index 0, 1) is not valid: ...
    """
    if not isinstance(model, Autoencoder | VAE):
        raise ValueError(
            f"model = {model!r} is none: give models.autoencoder(…) or models.vae(…)"
        )
    array = np.asarray(images)
    numbers = array.dtype == bool or np.issubdtype(array.dtype, np.number)
    check(numbers, "images' dtype", array.dtype, "give numbers")
    if array.shape[1:] != model.shape or not len(array):
        expected = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"images have shape {array.shape}: give ({expected}), n >= 1")
    array = array.astype(np.result_type(array, np.float32))
    if isinstance(model, VAE):
        likelihoods.check_images(model.likelihood, array)
    else:
        check(np.isfinite(array), "images", array, "remove NaN and infinities")
    return jnp.asarray(array)


@lru_cache
def shuffled_rows(batch_size: int) -> optimize.MakeBatches:
    """Return the function that shuffles the numbers of images into batches."""

    def make_batches(key: Key, data: Batch) -> Int[Array, "batches batch"]:
        rows = jnp.arange(len(data.images))
        return optimize.shuffled_batches(key, rows, batch_size=batch_size)

    return make_batches


@lru_cache
def select(mesh: Mesh | None = None) -> optimize.Select:
    """Return the function that takes a step's images, split over a mesh's devices."""

    def take(data: Batch, rows: Int[Array, " batch"]) -> Batch:
        images = data.images[rows]
        if mesh is not None:
            images = sharding.split_batch(mesh, images)
        return Batch(images, data.kl_weight)

    return take


def _check_params(model: Autoencoder | VAE, params: ModelParams) -> None:
    expected = jax.eval_shape(partial(autoencoders.init, model), jax.random.key(0))
    shapes = [
        {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in flat}
        for flat in map(jax.tree_util.tree_leaves_with_path, (params, expected))
    ]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        given, wanted = (table.get(name, "absent") for table in shapes)
        if given != wanted:
            raise ValueError(
                f"params{name} is {given}, the model's is {wanted}: give parameters of "
                "this model, as models.init draws them"
            )
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = f"params{jax.tree_util.keystr(path)}"
        check(np.isfinite(leaf), name, leaf, "give finite numbers")


def _kl_weights(epochs: int, warm_up: int) -> list[tuple[float, int]]:
    """Return (KL weight, last epoch that has it), in order."""
    rising = [((i + 1) / (warm_up + 1), i + 1) for i in range(min(warm_up, epochs))]
    return [*rising, (1.0, epochs)]


def _check_settings(
    num_images: int, epochs: int, batch_size: int, learning_rate: float, warm_up: int
) -> None:
    check(is_whole(epochs) and epochs >= 1, "epochs", epochs, "give 1 or more")
    check(
        is_whole(batch_size) and 1 <= batch_size <= num_images,
        "batch_size",
        batch_size,
        f"give 1 to the number of images, {num_images}",
    )
    remedy = "give a number above 0"
    check(0 < learning_rate < math.inf, "learning_rate", learning_rate, remedy)
    remedy = "give 0 or more epochs"
    check(is_whole(warm_up) and warm_up >= 0, "kl_warm_up", warm_up, remedy)
