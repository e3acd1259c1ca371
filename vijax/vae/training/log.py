"""A training run's history as a CSV file, a row for each epoch, to be read as it runs.

    trained = fit(model, key, images, epochs=30, on_epoch=log.csv_file("run.csv"))

The columns are the epoch, the loss and its terms, and the processor's seconds so far.
Where a run is taken up again its file goes on: rows of epochs that are run once more
are replaced, and the seconds add up.
"""

import csv
import time
from pathlib import Path
from typing import Any

from vijax.vae.models.autoencoders import ModelParams
from vijax.vae.training.train import OnEpoch
from vijax.validate import check


def csv_file(path: Path | str, also: OnEpoch | None = None) -> OnEpoch:
    """Return the callback of `fit` that writes a CSV file.

    Args:
        path: of the file; its folder is made if missing.
        also: another callback, called after the row is written, which decides whether
            to stop.

    Raises:
        ValueError: the path is a folder.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.csv"
        >>> on_epoch = csv_file(path)
        >>> on_epoch(1, ModelParams({}, {}), {"loss": 2.5})  # False: go on
        False
        >>> path.read_text().splitlines()
        ['epoch,loss,cpu_seconds', '1,2.5,...']
    """
    path = Path(path)
    check(not path.is_dir(), "path", path, "it is a folder: give a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, before, start = _read(path), None, time.process_time()

    def on_epoch(epoch: int, params: ModelParams, terms: dict[str, float]) -> bool:
        nonlocal rows, before
        if before is None:  # the first epoch here: the file may have come further
            rows = [row for row in rows if int(row["epoch"]) < epoch]
            before = float(rows[-1]["cpu_seconds"]) if rows else 0.0
        seconds = before + time.process_time() - start
        rows.append({"epoch": epoch} | terms | {"cpu_seconds": round(seconds, 2)})
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(path)  # a run that is killed here loses nothing
        return bool(also and also(epoch, params, terms))

    return on_epoch


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
