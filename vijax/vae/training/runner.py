"""The runner that one training and an ensemble share: an ensemble is its `vmap`.

The images stay on the device, and an epoch is one compiled scan. A second run with the
same shapes compiles nothing, even with another learning rate, number of epochs or KL
weight, because these are arrays that the program is given.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax import checkpoint, fingerprint, optimize
from vijax.types import Key, LossFn, Scalar
from vijax.vae.models import likelihoods, losses
from vijax.vae.models.autoencoders import VAE, Autoencoder, Images
from vijax.vae.models.losses import Batch
from vijax.vae.training import (
    callbacks,
    optimizers,
    progress,
    sharding,
    verdict,
    wild,
)
from vijax.vae.training.callbacks import EarlyStopping, OnEpoch
from vijax.vae.training.optimizers import Adam, Muon, Optimizer
from vijax.vae.training.progress import Checkpoint, Progress, Save
from vijax.vae.training.trained import Trained
from vijax.validate import check, is_whole, unmasked

CONSTRUCTORS = (losses.negative_elbo, losses.negative_iwae, losses.mean_squared_error)


class Data(NamedTuple):
    """What a run trains on."""

    images: Images  # all of them, shared by the runs of an ensemble
    rows: Int[Array, "... rows"]  # which of them a run sees
    kl_weight: Scalar  # multiplies β: below 1 while the KL warms up


DATA_AXES = Data(images=None, rows=0, kl_weight=None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Plan:
    """How a run goes: the settings that one training and an ensemble share.

    Raises:
        ValueError: a setting is out of its range, or of another kind.
    """

    loss: LossFn
    num_rows: int
    epochs: int
    batch_size: int
    optimizer: Optimizer
    kl_warm_up: int
    on_epoch: OnEpoch | tuple[OnEpoch, ...]  # one, some or none: ()
    stopping: EarlyStopping | None
    checkpoint: Checkpoint | str | Any | None
    description: str
    baseline: float | None = None  # the loss of a model without latents

    def __post_init__(self) -> None:
        remedy = "give 1 or more"
        check(is_whole(self.epochs) and self.epochs >= 1, "epochs", self.epochs, remedy)
        size, warm_up = self.batch_size, self.kl_warm_up
        remedy = f"give 1 to the number of images in a run, {self.num_rows}"
        check(is_whole(size) and 1 <= size <= self.num_rows, "batch_size", size, remedy)
        remedy = "give 0 or more epochs"
        check(is_whole(warm_up) and warm_up >= 0, "kl_warm_up", warm_up, remedy)
        if not callable(self.loss) or self.loss in CONSTRUCTORS:
            raise ValueError(
                f"loss = {self.loss!r} is no loss function: give, for instance, "
                "losses.negative_elbo(model)"
            )
        remedy = "give a function of epoch, parameters and terms, or a tuple of them"
        for call in self.callbacks:
            check(callable(call), "on_epoch", call, remedy)
        remedy = "give a training.EarlyStopping"
        valid = self.stopping is None or isinstance(self.stopping, EarlyStopping)
        check(valid, "stopping", self.stopping, remedy)
        optimizers.as_optimizer(self.optimizer)

    @property
    def callbacks(self) -> tuple[OnEpoch, ...]:
        """The callbacks, however many were given."""
        given = self.on_epoch
        return tuple(given) if isinstance(given, tuple | list) else (given,)

    @property
    def num_batches(self) -> int:
        """Steps in an epoch; the last, incomplete batch is left."""
        return self.num_rows // self.batch_size

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.num_batches

    @property
    def where(self) -> Checkpoint | None:
        """Where checkpoints are kept, if they are."""
        if self.checkpoint is None or isinstance(self.checkpoint, Checkpoint):
            return self.checkpoint
        return Checkpoint(self.checkpoint)


def run(
    plan: Plan, state: optimize.State, key: Key, data: Data, mesh: Mesh | None = None
) -> Trained:
    """Train from a state on, or from the plan's checkpoint if there is one.

    Args:
        plan: the settings.
        state: before the first step; of an ensemble each leaf has an axis of runs.
        key: of the run, or (runs,).
        data: rows are (rows,), or (runs, rows).
        mesh: of devices, for one run.

    Raises:
        ValueError: the checkpoint is another run's, or another is writing there; no
            step was finite, or no held-out value for as long as patience lasts.
        OSError: a checkpoint cannot be written.
    """
    wild.warn_of_scale(data.images)
    if plan.where is None:
        return _run(plan, state, key, data, mesh)
    with checkpoint.writer(Path(plan.where.folder)):
        return _run(plan, state, key, data, mesh)


def _run(
    plan: Plan, state: optimize.State, key: Key, data: Data, mesh: Mesh | None
) -> Trained:
    about = about_run(plan, key, data, state) if plan.where else {}
    so_far, save = progress.resume(plan.where, _begin(plan, state, data), about)

    def on_chunk(state: optimize.State, chunk: optimize.History) -> bool:
        nonlocal so_far
        so_far = _after_epoch(plan, so_far, state, chunk, save, data.images)
        return bool(so_far.stopped)

    for weight, last_epoch in _kl_weights(plan.epochs, plan.kl_warm_up):
        epochs_done = progress.done(so_far) // plan.num_batches
        if epochs_done < last_epoch and not so_far.stopped:
            optimize.minimize(
                plan.loss,
                so_far.state,
                key,
                data._replace(kl_weight=weight * data.kl_weight),
                optimizer=optimizers.transformation(plan.optimizer),
                num_chunks=last_epoch - epochs_done,
                chunk_size=plan.num_batches,
                make_batches=shuffled_rows(plan.batch_size),
                select=select(mesh),
                data_axes=DATA_AXES if state.step.ndim else None,
                on_chunk=on_chunk,
                description=plan.description,
            )
    trained = _trained(plan, so_far)
    found = trained.verdict
    if found is not None and found.word in (verdict.DIVERGED, verdict.NOTHING):
        found = found._replace(advice=found.advice + wild.because(data.images))
        trained = trained._replace(verdict=found)
    if np.any(trained.num_rejected):
        wild.warn_of_rejected(trained.num_rejected, progress.done(so_far), data.images)
    return trained


def _begin(plan: Plan, state: optimize.State, data: Data) -> Progress:
    best: Any = ()
    if plan.stopping is not None:
        num_runs = len(data.rows) if data.rows.ndim == 2 else None
        best = callbacks.no_best(state.params, num_runs)
    batch = Batch(data.images[:1], data.kl_weight)
    return progress.begin(state, plan.loss, batch, plan.epochs, best)


def _after_epoch(
    plan: Plan,
    so_far: Progress,
    state: optimize.State,
    chunk: optimize.History,
    save: Save,
    images: Images,
) -> Progress:
    epoch = int(np.max(state.step)) // plan.num_batches
    before = np.asarray(so_far.state.num_rejected)
    rejected = np.asarray(state.num_rejected)
    if np.all(rejected == epoch * plan.num_batches):
        raise ValueError(wild.no_step_was_finite(plan.optimizer, images))
    so_far = progress.advance(so_far, state, chunk, epoch)
    # An epoch without a step is the last: no other would take one.
    stop = bool(np.all(rejected - before == plan.num_batches))
    if plan.stopping is not None:
        if epoch % plan.stopping.every == 0:
            value = callbacks.evaluate(plan.stopping, state.params, so_far.best)
            so_far = so_far._replace(
                held_out=progress.put(so_far.held_out, epoch, value),
                best=callbacks.better(so_far.best, epoch, value, state.params),
            )
            callbacks.check_held_out(plan.stopping, so_far.best, epoch)
        stop = stop or callbacks.is_over(plan.stopping, so_far.best, epoch)
    terms = progress.last_terms(so_far, epoch)
    stop = callbacks.call_all(plan.callbacks, epoch, state.params, terms) or stop
    so_far = so_far._replace(stopped=np.array(stop))
    save(so_far, epoch, epoch == plan.epochs or stop)
    return so_far


def _trained(plan: Plan, so_far: Progress) -> Trained:
    num_epochs = progress.done(so_far) // plan.num_batches
    rejected = np.asarray(so_far.state.num_rejected)
    stopping = plan.stopping is not None
    patience_over = plan.stopping is not None and callbacks.is_over(
        plan.stopping, so_far.best, num_epochs
    )
    found = verdict.judge_all(
        so_far.loss[:num_epochs],
        so_far.loss_se[:num_epochs],
        so_far.first_loss,
        {name: values[:num_epochs] for name, values in so_far.terms.items()},
        num_batches=plan.num_batches,
        warm_up=plan.kl_warm_up,
        baseline=plan.baseline,
        patience_over=patience_over,
    )
    return Trained(
        params=so_far.state.params,
        loss=so_far.loss[:num_epochs],
        terms={name: values[:num_epochs] for name, values in so_far.terms.items()},
        num_rejected=rejected if rejected.ndim else int(rejected),
        stopped=bool(so_far.stopped),
        held_out=so_far.held_out[:num_epochs] if stopping else None,
        best=so_far.best if stopping else None,
        verdict=found,
    )


def about_run(
    plan: Plan, key: Key, data: Data, state: optimize.State
) -> dict[str, str]:
    """Say what makes a run this run: with any of it changed it would be another."""
    about = fingerprint.about(
        loss=plan.loss,
        key=key,
        batch_size=plan.batch_size,
        kl_warm_up=plan.kl_warm_up,
        optimizer=plan.optimizer,
        stopping=plan.stopping,
    )
    arrays = jax.tree.map(np.asarray, (data, state.params))
    about |= fingerprint.about(**{"images and first parameters": arrays})
    optimizer = optimizers.as_optimizer(plan.optimizer)
    if isinstance(optimizer, Adam | Muon) and optimizer.final_fraction != 1:
        about["learning rate's fall"] = f"over {plan.epochs} epochs"
    return about


def default_loss(model: Autoencoder | VAE) -> LossFn:
    """Return the loss that the lecture trains this kind of model with.

    Example:
        >>> from vijax.vae import models
        >>> default_loss(models.vae((1,), hidden=())).__qualname__
        'negative_elbo(num_samples=1, beta=1.0, free_bits=0.0)'
    """
    if isinstance(model, Autoencoder):
        return losses.mean_squared_error(model)
    return losses.negative_elbo(model)


def check_images(model: Autoencoder | VAE, images: ArrayLike) -> Float[Array, "..."]:
    """Put images on the device, or raise a ValueError that says why not.

    Raises:
        ValueError: there is no model, or the images have another shape than the
            model's, are not numbers, or are not what its likelihood accepts.

    Example:
        >>> from vijax.vae import models
        >>> check_images(models.vae((2,), hidden=()), np.array([[0.0, 1.5]]))
        Traceback (most recent call last):
        ...
        ValueError: images = 1.5 (at index 0, 1) is not valid: ...
    """
    if not isinstance(model, Autoencoder | VAE):
        raise ValueError(
            f"model is not valid: it is of type {type(model).__name__}; give one of "
            "models.autoencoder(…) or models.vae(…)"
        )
    array = np.asarray(unmasked("images", images))
    numbers = array.dtype == bool or np.issubdtype(array.dtype, np.number)
    check(numbers, "images' dtype", array.dtype, "give numbers")
    if array.shape[1:] != model.shape or not len(array):
        expected = ", ".join(["n", *map(str, model.shape)])
        made = getattr(model, "num_covariates", 0)
        how = ", which models.with_covariates(images, covariates) makes" if made else ""
        raise ValueError(
            f"images have shape {array.shape}: give ({expected}), n >= 1{how}"
        )
    array = array.astype(np.result_type(array, np.float32))
    if isinstance(model, VAE):
        likelihoods.check_images(model.likelihood, array)
    else:
        check(np.isfinite(array), "images", array, "remove NaN and infinities")
        if model.output == "sigmoid":
            remedy = "sigmoid outputs are in [0, 1]: divide by the highest level"
            check((array >= 0) & (array <= 1), "images", array, remedy)
    return jnp.asarray(array)


@lru_cache
def shuffled_rows(batch_size: int) -> optimize.MakeBatches:
    """Return the function that shuffles a run's rows into batches."""

    def make_batches(key: Key, data: Data) -> Int[Array, "batches batch"]:
        return optimize.shuffled_batches(key, data.rows, batch_size=batch_size)

    return make_batches


@lru_cache
def select(mesh: Mesh | None = None) -> optimize.Select:
    """Return the function that takes a step's images, split over a mesh's devices."""

    def take(data: Data, rows: Int[Array, " batch"]) -> Batch:
        images = data.images[rows]
        if mesh is not None:
            images = sharding.split_batch(mesh, images)
        return Batch(images, data.kl_weight)

    return take


def _kl_weights(epochs: int, warm_up: int) -> list[tuple[float, int]]:
    """Return (KL weight, last epoch that has it), in order."""
    rising = [((i + 1) / (warm_up + 1), i + 1) for i in range(min(warm_up, epochs))]
    return [*rising, (1.0, epochs)]
