"""How far a training run has come, and how it is saved and resumed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vijax import checkpoint, optimize, processes
from vijax.types import LossFn
from vijax.vae.models.losses import Batch
from vijax.vae.training.callbacks import Best
from vijax.validate import check

Save = Callable[["Progress", int, bool], None]


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is saved, and how often.

    Args:
        folder: of one run; made if missing. If a run is there already it is resumed,
            and ends with the same bits as one that was never interrupted.
        seconds: the least time between two saves; the last epoch is always saved.

    Raises:
        ValueError: seconds is below 0.

    Example:
        >>> Checkpoint("results/mine", seconds=60.0).seconds
        60.0
    """

    folder: Path | str
    seconds: float = 10.0

    def __post_init__(self) -> None:
        remedy = "give a number of 0 or more"
        check(self.seconds >= 0, "seconds", self.seconds, remedy)


class Progress(NamedTuple):
    """The state of the optimisation and its history so far; many runs stand beside."""

    state: optimize.State
    loss: np.ndarray  # (epochs,) or (epochs, runs), each epoch's mean; NaN if not run
    loss_se: np.ndarray  # as `loss`, the standard error of the mean over its steps
    first_loss: np.ndarray  # () or (runs,), of the first step: nothing is learned yet
    terms: dict[str, np.ndarray]  # the loss function's terms, as `loss`
    stopped: np.ndarray  # (), whether the run was ended early
    held_out: Any = ()  # as `loss`, where early stopping asks for it
    best: Any = ()  # a Best, likewise


def begin(
    state: optimize.State, loss_fn: LossFn, batch: Batch, epochs: int, best: Any = ()
) -> Progress:
    """Return the progress before the first epoch; the state may be many runs'."""
    runs = state.step.shape
    one = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[len(runs) :], leaf.dtype),
        state.params,
    )
    _, metrics = jax.eval_shape(loss_fn, one, jax.random.key(0), batch)
    blank = np.full((epochs, *runs), np.nan, np.float32)
    terms = {name: blank for name in as_dict(metrics)}
    held_out = blank if isinstance(best, Best) else ()
    first = np.full(runs, np.nan, np.float32)
    return Progress(state, blank, blank, first, terms, np.array(False), held_out, best)


def done(progress: Progress) -> int:
    """Return the steps taken, the same for all runs."""
    return int(np.max(progress.state.step))


def advance(
    progress: Progress, state: optimize.State, chunk: optimize.History, epoch: int
) -> Progress:
    """Add an epoch, counted from 1; its means are over the steps that were finite."""
    terms = as_dict(chunk.metrics)
    finite = np.isfinite(chunk.loss)
    error = _deviation(chunk.loss, finite) / np.sqrt(np.maximum(finite.sum(axis=0), 1))
    first = progress.first_loss
    return progress._replace(
        state=state,
        loss=put(progress.loss, epoch, _mean(chunk.loss, finite)),
        loss_se=put(progress.loss_se, epoch, error),
        first_loss=np.asarray(chunk.loss[0] if epoch == 1 else first, np.float32),
        terms={
            name: put(old, epoch, _mean(terms[name], finite))
            for name, old in progress.terms.items()
        },
    )


def _mean(values: np.ndarray, finite: np.ndarray) -> Any:
    """Return the mean of each run's finite steps, NaN where there is none."""
    if finite.all():
        return np.mean(values, axis=0)
    number = finite.sum(axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.sum(values, axis=0, where=finite, dtype=values.dtype)
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _deviation(values: np.ndarray, finite: np.ndarray) -> Any:
    values = values.astype(float)  # a loss may be large, and its square too large
    centred = np.where(finite, values, 0.0) - _mean(values, finite)
    return np.sqrt(_mean(centred**2, finite))


def put(history: np.ndarray, epoch: int, value: Any) -> np.ndarray:
    """Return the history with the value of an epoch, counted from 1."""
    history = history.copy()
    history[epoch - 1] = value
    return history


def last_terms(progress: Progress, epoch: int) -> dict[str, Any]:
    """Return the loss and its terms at an epoch, counted from 1."""
    history = {"loss": progress.loss} | progress.terms
    if isinstance(progress.best, Best):
        history["held_out"] = progress.held_out
    return {
        name: float(values[epoch - 1]) if values.ndim == 1 else values[epoch - 1]
        for name, values in history.items()
    }


def resume(
    where: Checkpoint | None, progress: Progress, about: dict[str, str]
) -> tuple[Progress, Save]:
    """Return the saved progress where there is one, and the function that saves more.

    Args:
        where: the run's checkpoints are; None saves nothing.
        progress: before the first epoch.
        about: what a saved run must have in common with this one.

    Raises:
        ValueError: the saved progress is another run's, or has come further.
    """
    if where is None:
        return progress, lambda progress, epoch, final: None
    folder = Path(where.folder)
    epochs, saved = len(progress.loss), _latest(folder)
    if saved is not None:
        remedy = f"{folder} has a run of {saved}: give as many or more"
        check(saved <= epochs, "epochs", epochs, remedy)
        found = _restored(folder, _first(progress, saved), about)
        progress = _padded(found, epochs)
    saved_at = time.monotonic()

    def save(progress: Progress, epoch: int, final: bool) -> None:
        nonlocal saved_at
        if not processes.is_first():
            return
        if final or time.monotonic() - saved_at >= where.seconds:
            # No more than has been run, so that more may follow.
            checkpoint.save(folder, _first(progress, epoch), step=epoch, about=about)
            saved_at = time.monotonic()

    return progress, save


def _latest(folder: Path) -> int | None:
    """Return the epochs of the saved run; the first process looks, for all."""

    def look() -> bytes:
        saved = checkpoint.latest(folder)
        return b"" if saved is None else str(saved).encode()

    found = processes.from_first(look)
    return int(found) if found else None


def _restored(folder: Path, like: Progress, about: dict[str, str]) -> Progress:
    """Return the saved progress; the first process reads it, for all."""
    if jax.process_count() == 1:
        return checkpoint.restore(folder, like, about=about)[1]

    def read() -> bytes:
        _, found = checkpoint.restore(folder, like, about=about)
        return b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(found))

    content, start, leaves = processes.from_first(read), 0, []
    for leaf in jax.tree.leaves(like):
        kind = np.asarray(leaf)
        part = np.frombuffer(content, kind.dtype, kind.size, start)
        start += part.nbytes
        array = part.reshape(kind.shape)
        leaves.append(jnp.asarray(array) if isinstance(leaf, jax.Array) else array)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _change_history(progress: Progress, change: Callable[[Any], Any]) -> Progress:
    names = ("loss", "loss_se", "terms", "held_out")
    history = {name: getattr(progress, name) for name in names}
    return progress._replace(**jax.tree.map(change, history))


def _first(progress: Progress, epochs: int) -> Progress:
    """Keep the history of so many epochs."""
    return _change_history(progress, lambda history: history[:epochs])


def _padded(progress: Progress, epochs: int) -> Progress:
    """Fill the history up with NaN."""

    def fill(history: np.ndarray) -> np.ndarray:
        missing = (epochs - len(history), *history.shape[1:])
        return np.concatenate([history, np.full(missing, np.nan, np.float32)])

    return _change_history(progress, fill)


def as_dict(metrics: Any) -> dict[str, Any]:
    """Return a loss function's terms by name, from a NamedTuple or a dict."""
    return metrics._asdict() if hasattr(metrics, "_asdict") else dict(metrics)
