"""What happens between the epochs of a training: early stopping, a log, your own.

    fit(…, on_epoch=csv_log("run.csv"))
    fit(…, stopping=EarlyStopping(held_out, patience=10))

A callback is a function of the epoch's number (from 1), the parameters and the epoch's
mean loss and terms by name. It returns True to end the training. Parameters and terms
of an ensemble have a leading axis of runs.
"""

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from vijax.vae.models.autoencoders import ModelParams
from vijax.validate import check, is_whole

OnEpoch = Callable[[int, ModelParams, dict[str, Any]], bool | None]


class Best(NamedTuple):
    """The parameters at the epoch whose held-out value was highest."""

    epoch: Any  # counted from 1; 0 where none was evaluated yet; (runs,) of many
    value: Any  # -inf where none was
    params: ModelParams


@dataclass(frozen=True)
class EarlyStopping:
    """End a training when held-out data have not improved for some epochs.

    The best parameters so far belong to the run: `Trained.best` has them, and a run
    that is resumed from a checkpoint keeps them. An ensemble ends when every one of its
    runs has waited in vain.

    Args:
        held_out: of one run's parameters, what should be high on data that training
            does not see. It should use the same random key each time: chance would
            otherwise choose the epoch.
        patience: epochs without a new highest value, after which training ends. NaN is
            no value: where no other came within the patience, training is refused.
        every: epochs between two evaluations.

    Raises:
        ValueError: patience or every is not a whole number of 1 or more.

    Example:
        >>> EarlyStopping(lambda params: 0.0, patience=10).every
        1
    """

    held_out: Callable[[ModelParams], ArrayLike]
    patience: int
    every: int = 1

    def __post_init__(self) -> None:
        remedy = "give a function of the parameters"
        check(callable(self.held_out), "held_out", self.held_out, remedy)
        for name in ("patience", "every"):
            value = getattr(self, name)
            check(is_whole(value) and value >= 1, name, value, "give 1 epoch or more")


def no_best(params: ModelParams, num_runs: int | None) -> Best:
    """Return what stands for the best before any epoch was evaluated.

    Example:
        >>> no_best(ModelParams({}, {}), num_runs=2).value.tolist()
        [-inf, -inf]
    """
    runs = () if num_runs is None else (num_runs,)
    copy = jax.tree.map(np.array, params)
    return Best(np.zeros(runs, np.int32), np.full(runs, -np.inf, np.float32), copy)


def evaluate(stopping: EarlyStopping, params: ModelParams, best: Best) -> np.ndarray:
    """Return the held-out value, or one for each run of an ensemble.

    Example:
        >>> params = ModelParams({"a": np.array([2.0, 5.0])}, {})
        >>> stopping = EarlyStopping(lambda params: -params.encoder["a"], patience=1)
        >>> evaluate(stopping, params, no_best(params, num_runs=2)).tolist()
        [-2.0, -5.0]
    """
    if not best.epoch.ndim:
        return np.asarray(stopping.held_out(params), np.float32)
    runs = [jax.tree.map(itemgetter(i), params) for i in range(len(best.epoch))]
    return np.array([np.asarray(stopping.held_out(run)) for run in runs], np.float32)


def better(best: Best, epoch: int, value: np.ndarray, params: ModelParams) -> Best:
    """Return the best with an epoch more, for each run by itself.

    Example:
        >>> params = ModelParams({"a": np.array([2.0, 5.0])}, {})
        >>> found = better(no_best(params, 2), 3, np.array([np.nan, 1.0]), params)
        >>> found.epoch.tolist(), found.value.tolist()
        ([0, 3], [-inf, 1.0])
    """
    new = value > best.value  # never true of NaN

    def choose(old: Any, other: Any) -> np.ndarray:
        # The axes of a leaf beyond the runs'.
        mask = new.reshape(new.shape + (1,) * (np.ndim(old) - new.ndim))
        return np.where(mask, np.asarray(other), old)

    return Best(
        np.where(new, epoch, best.epoch).astype(np.int32),
        np.where(new, value, best.value).astype(np.float32),
        jax.tree.map(choose, best.params, params),
    )


def is_over(stopping: EarlyStopping, best: Best, epoch: int) -> bool:
    """Say whether patience is over: every run has an epoch that was the best.

    Example:
        >>> best = no_best(ModelParams({}, {}), None)._replace(epoch=np.array(2))
        >>> stopping = EarlyStopping(lambda params: 0.0, patience=3)
        >>> is_over(stopping, best, 4), is_over(stopping, best, 5)
        (False, True)
    """
    waited = epoch - best.epoch >= stopping.patience
    return bool(np.all((best.epoch > 0) & waited))


def check_held_out(stopping: EarlyStopping, best: Best, epoch: int) -> None:
    """Raise a ValueError where a run's held-out value has never been a number.

    Example:
        >>> best = no_best(ModelParams({}, {}), None)
        >>> check_held_out(EarlyStopping(lambda params: 0.0, patience=3), best, 3)
        Traceback (most recent call last):
        ...
        ValueError: held_out = nan is not valid: it was so in all of 3 epochs...
    """
    never = (best.epoch == 0) & (epoch >= max(stopping.patience, stopping.every))
    remedy = (
        f"it was so in all of {epoch} epochs: return a finite number, high where "
        "held-out data fit"
    )
    check(~np.asarray(never), "held_out", np.where(never, np.nan, best.value), remedy)


def call_all(
    on_epoch: Sequence[OnEpoch], epoch: int, params: ModelParams, terms: dict[str, Any]
) -> bool:
    """Call every callback; say whether any asked to end the training.

    Example:
        >>> ask, go_on = (lambda *epoch: True), (lambda *epoch: None)
        >>> call_all((ask, go_on), 1, ModelParams({}, {}), {})
        True
    """
    return any([bool(call(epoch, params, terms)) for call in on_epoch])


def csv_log(path: Path | str) -> OnEpoch:
    """Return the callback that keeps a CSV file, one row for each epoch, as it runs.

    The columns are the epoch, the loss and its terms, and the processor's seconds so
    far; of an ensemble each run has its own, `loss[0]` and so on. Where a run is
    resumed its file goes on: rows of epochs that are run once more are replaced, and
    the seconds add up.

    Args:
        path: of the file; its folder is made if missing.

    Returns:
        The callback; it never ends the training.

    Raises:
        ValueError: the path is a folder.
        OSError: from the callback, the file cannot be written; it names the file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.csv"
        >>> log = csv_log(path)
        >>> log(1, ModelParams({}, {}), {"loss": 2.5})
        >>> path.read_text().splitlines()
        ['epoch,loss,cpu_seconds', '1,2.5,...']
    """
    path = Path(path)
    check(not path.is_dir(), "path", path, "it is a folder: give a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, before, start = _read(path), math.nan, time.process_time()

    def log(epoch: int, params: ModelParams, terms: dict[str, Any]) -> None:
        nonlocal rows, before
        if math.isnan(before):  # the first epoch here: the file may have come further
            rows = [row for row in rows if int(row["epoch"]) < epoch]
            before = float(rows[-1]["cpu_seconds"]) if rows else 0.0
        seconds = round(before + time.process_time() - start, 2)
        rows.append({"epoch": epoch} | _columns(terms) | {"cpu_seconds": seconds})
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
            partial.replace(path)  # a run that is killed here loses nothing
        except OSError as error:
            raise OSError(
                error.errno, f"cannot write {path}: {error.strerror}"
            ) from error

    return log


def _columns(terms: dict[str, Any]) -> dict[str, float]:
    columns = {}
    for name, value in terms.items():
        for index, number in np.ndenumerate(value):
            columns[f"{name}[{index[0]}]" if index else name] = float(number)
    return columns


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
