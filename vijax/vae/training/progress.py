"""What a training run has come to, and how it is saved and taken up again."""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from vijax import checkpoint, optimize
from vijax.types import Key, LossFn
from vijax.vae.models.losses import Batch
from vijax.validate import check

Save = Callable[["Progress", int, bool], None]


class Progress(NamedTuple):
    """The state of the optimisation and its history so far."""

    state: optimize.State
    loss: np.ndarray  # (epochs,), each epoch's mean; NaN where not yet run
    terms: dict[str, np.ndarray]  # the loss function's terms, as `loss`
    stopped: np.ndarray  # (), whether a callback ended the run early


def begin(
    state: optimize.State, loss_fn: LossFn, batch: Batch, epochs: int
) -> Progress:
    """Return the progress before the first epoch."""
    params, key = state.params, jax.random.key(0)
    _, metrics = jax.eval_shape(loss_fn, params, key, batch)
    blank = np.full(epochs, np.nan, np.float32)
    return Progress(
        state, blank, {name: blank for name in as_dict(metrics)}, np.array(False)
    )


def advance(
    progress: Progress, state: optimize.State, chunk: optimize.History, epoch: int
) -> Progress:
    """Add an epoch, counted from 1."""

    def put(history: np.ndarray, steps: np.ndarray) -> np.ndarray:
        history = history.copy()
        history[epoch - 1] = np.mean(steps)
        return history

    terms = as_dict(chunk.metrics)
    return progress._replace(
        state=state,
        loss=put(progress.loss, chunk.loss),
        terms={name: put(old, terms[name]) for name, old in progress.terms.items()},
    )


def last_terms(progress: Progress, epoch: int) -> dict[str, float]:
    """Return the loss and its terms at an epoch, counted from 1."""
    history = {"loss": progress.loss} | progress.terms
    return {name: float(values[epoch - 1]) for name, values in history.items()}


def take_up(
    folder: Path | None, progress: Progress, about: dict[str, str], *, seconds: float
) -> tuple[Progress, Save]:
    """Return the saved progress where there is one, and the function that saves more.

    Args:
        folder: of the run's checkpoints; None saves nothing.
        progress: before the first epoch.
        about: what a run must have in common with this one to be gone on with.
        seconds: the least time between two saves; the last epoch is always saved.

    Raises:
        ValueError: the saved progress is another run's, or has come further.
    """
    if folder is None:
        return progress, lambda progress, epoch, final: None
    epochs, done = len(progress.loss), checkpoint.latest(folder)
    if done is not None:
        remedy = f"{folder} has a run of {done}: give as many or more"
        check(done <= epochs, "epochs", epochs, remedy)
        _, saved = checkpoint.restore(folder, _first(progress, done), about=about)
        progress = _padded(saved, epochs)
    saved_at = time.monotonic()

    def save(progress: Progress, epoch: int, final: bool) -> None:
        nonlocal saved_at
        if final or time.monotonic() - saved_at >= seconds:
            # No more than has been run, so that more may follow.
            checkpoint.save(folder, _first(progress, epoch), step=epoch, about=about)
            saved_at = time.monotonic()

    return progress, save


def _first(progress: Progress, epochs: int) -> Progress:
    """Keep the history of so many epochs."""
    loss, terms = jax.tree.map(lambda h: h[:epochs], (progress.loss, progress.terms))
    return progress._replace(loss=loss, terms=terms)


def _padded(progress: Progress, epochs: int) -> Progress:
    """Fill the history up with NaN."""

    def fill(history: np.ndarray) -> np.ndarray:
        blank = np.full(epochs - len(history), np.nan, np.float32)
        return np.concatenate([history, blank])

    loss, terms = jax.tree.map(fill, (progress.loss, progress.terms))
    return progress._replace(loss=loss, terms=terms)


def about_run(
    loss_fn: LossFn, key: Key, arrays: PyTree, **settings: Any
) -> dict[str, str]:
    """Say what makes a run this run: with any of it changed it would be another.

    Args:
        loss_fn: known by the name that its constructor gave it.
        key: of the run.
        arrays: images and first parameters, known by a checksum.
        **settings: known by their values.
    """
    checksum = 0
    for leaf in jax.tree.leaves(arrays):
        checksum = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), checksum)
    described = {name: repr(value) for name, value in settings.items()}
    return described | {
        "loss": loss_fn.__qualname__,
        "key": str(jax.random.key_data(key).tolist()),
        "images and first parameters": f"CRC-32 {checksum:08x}",
    }


def as_dict(metrics: Any) -> dict[str, Any]:
    """Return a loss function's terms by name, from a NamedTuple or a dict."""
    return metrics._asdict() if hasattr(metrics, "_asdict") else dict(metrics)
