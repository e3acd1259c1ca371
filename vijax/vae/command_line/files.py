"""Examples out of files and folders, what a model is trained on, and back into files.

A file holds a table (rows, columns) or images (n, height, width), or with colours.
`prepared` says how a model sees them, and what must be kept to undo it.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from vijax.data import event_files, own_files, own_tables
from vijax.data.files.whole_files import replaced
from vijax.extras import require
from vijax.vae import event_tables
from vijax.vae.anomaly import table_columns
from vijax.vae.anomaly.table_columns import Columns
from vijax.vae.models import likelihoods
from vijax.vae.models.autoencoders import VAE

OUTPUTS = (".npy", ".npz", ".csv", ".root", ".h5", ".hdf5", ".parquet", ".feather")


@dataclass(frozen=True)
class Choice:
    """What is read of a file of data."""

    columns: tuple[str, ...] = ()
    """of a table; by default all, or those that the model or detector knows"""
    leave_out: tuple[str, ...] = ()
    """columns of a table that are not read: numbers of rows, names, dates"""
    table: str | None = None
    """tree of a ROOT file, group or data set of an HDF5 file"""
    select: str | None = None
    """rows of a table to keep, such as 'pt > 20 and abs(eta) < 2.5'"""
    label: str | None = None
    """column of classes, which no model sees; by default the one called label"""
    part: Literal["train", "test", "valid"] | None = None
    """of a file that has such parts"""


ALL = Choice()


class Examples(NamedTuple):
    """Examples in the order of their file."""

    x: np.ndarray  # (rows, columns), or images
    labels: np.ndarray | None  # (rows,), int
    names: tuple[str, ...] | None  # of a table's columns
    label_names: tuple[str, ...] | None


def read_examples(
    path: Path,
    choice: Choice,
    *,
    default_part: str | None = None,
    names: tuple[str, ...] | None = None,
    missing: bool = False,
) -> Examples:
    """Return the examples of a file or of a folder of images, in its own types.

    Args:
        path: of the file, or the folder.
        choice: what is read.
        default_part: where the file has parts and none is chosen.
        names: of the columns that a model knows.
        missing: whether a table may hold NaN.

    Raises:
        ImportError: what reads such a file is not installed.
        FileNotFoundError: no such file.
        ValueError: as `data.load`; several parts of which none is chosen.
    """
    content = own_files.read(path, _of_file(path, choice, names), missing=missing)
    parts = [part for part in own_tables.PARTS if part in content.arrays]
    part = choice.part or (parts[0] if len(parts) == 1 else default_part)
    if part not in parts:
        raise ValueError(
            f"{path} has the parts {', '.join(parts)}: choose one by --part"
        )
    labels = content.arrays.get(f"{part}_labels")
    found = Examples(content.arrays[part], labels, content.names, content.label_names)
    if names is not None and found.names is not None and found.names != names:
        raise ValueError(
            f"{path}: expected the columns {', '.join(names)} as in training, found "
            f"{', '.join(found.names)}"
        )
    return found


def read_raw(path: Path, choice: Choice, known: Columns | None = None) -> Any:
    """Return what a detector takes: columns by name, text and NaN too, or an array.

    Args:
        path: of the file, or the folder.
        choice: what is read.
        known: columns of the detector; text among them stays text, 01 too.

    Raises:
        ImportError: what reads such a file is not installed.
        FileNotFoundError: no such file.
        ValueError: as `data.load`.
    """
    names = None if known is None else known.names
    if names is not None and choice.label in names:
        choice = replace(choice, label=None)  # it is a column of the detector
    text = () if known is None else table_columns.text_columns(known)
    table = own_tables.read_mixed(path, _of_file(path, choice, names), text)
    if table is not None:
        return table
    return read_examples(path, choice, default_part="train", missing=True).x


def _of_file(
    path: Path, choice: Choice, names: tuple[str, ...] | None
) -> own_tables.Choice:
    columns = choice.columns or own_tables.source_columns(path, names, choice.table)
    if choice.leave_out:
        there = own_tables.column_names(path, choice.table)
        unknown = [name for name in choice.leave_out if name not in there]
        if unknown:
            raise ValueError(
                f"{path}: there is no column {unknown[0]!r} to leave out: it has "
                f"{', '.join(there)}"
            )
        columns = tuple(n for n in columns or there if n not in choice.leave_out)
    chosen = None if columns is None else event_files.checked_names(columns)
    return own_tables.Choice(chosen, choice.table, choice.select, choice.label)


def prepared(examples: Examples) -> tuple[np.ndarray, dict[str, Any], Any]:
    """Return what a model is trained on, how that was made, and its likelihood."""
    x = examples.x
    extra: dict[str, Any] = {"scale": None, "dtype": x.dtype.name, "columns": None}
    if x.ndim == 2:
        scale = event_tables.fit_scale(x)
        names = None if examples.names is None else list(examples.names)
        extra |= {"scale": scale, "num_levels": 0, "columns": names}
        extra["whole"] = np.all(x == np.rint(x), axis=0)
        extra["range"] = np.stack([x.min(axis=0), x.max(axis=0)]).astype(float)
        likelihood = likelihoods.gaussian(None, min_scale=0.05)
        return event_tables.to_scaled(x, scale), extra, likelihood
    if x.dtype == np.uint8:
        extra["num_levels"] = 256
        return as_images(x), extra, likelihoods.discretised_logistic(256)
    extra["num_levels"] = 2
    return as_images(x), extra, likelihoods.bernoulli()


def of_images(model: VAE) -> dict[str, Any] | None:
    """Return what `prepared` keeps, for a model that `vae.save` wrote alone.

    None where its data were no images of two or of 256 levels in [0, 1].
    """
    common = {"scale": None, "columns": None}
    likelihood = model.likelihood
    settings = dict(likelihood.recipe.arguments) if likelihood.recipe else {}
    if len(model.shape) < 2:
        return None
    if likelihood.name == "bernoulli":
        return common | {"dtype": "float32", "num_levels": 2}
    if settings.get("num_levels") == 256:
        return common | {"dtype": "uint8", "num_levels": 256}
    return None


def as_seen(examples: Examples, extra: dict[str, Any]) -> np.ndarray:
    """Return examples as a model sees them, by what was kept at its training."""
    if extra["scale"] is not None:
        return event_tables.to_scaled(examples.x, extra["scale"])
    return as_images(examples.x)


def as_images(array: np.ndarray) -> np.ndarray:
    """Return images as float32 in [0, 1]."""
    scale = 255 if array.dtype == np.uint8 else 1
    return np.asarray(array / scale, np.float32)


def restored(x: np.ndarray, extra: dict[str, Any]) -> np.ndarray:
    """Return a model's examples in the units and the type of its data."""
    if extra["scale"] is not None:
        return event_tables.from_scaled(x.astype(float), extra["scale"])
    if extra["num_levels"] == 256:
        return np.rint(255 * x).astype(np.uint8)
    return x.astype(extra.get("dtype", "float32"))


def as_drawn(x: np.ndarray, extra: dict[str, Any]) -> np.ndarray:
    """Return drawn examples as data are: counts are whole, constants as they were.

    A model's density is Gaussian in every column, and its draws are real numbers.
    """
    x = restored(x, extra)
    if "range" not in extra:  # images, or a file of an earlier version
        return x
    low, high = extra["range"]
    return np.where(low == high, low, np.where(extra["whole"], np.rint(x), x))


def write_examples(path: Path, x: np.ndarray, extra: dict[str, Any]) -> str:
    """Write examples to a file by its suffix, or images to a folder; say where.

    Args:
        path: ends in one of `OUTPUTS`; one without a suffix is a folder of PNGs.
        x: (n, …).
        extra: of the model's training: names of a table's columns, and which are
            whole numbers, and are written as such.

    Raises:
        ImportError: what writes such a file is not installed.
        ValueError: another suffix, images for a table's file, a table for a folder.
        OSError: the file cannot be written; what was there before is intact.
    """
    names = extra.get("columns")
    if not path.suffix:
        _write_images(path, x)
    elif path.suffix.lower() in (".npy", ".npz", ".h5", ".hdf5") and (
        x.ndim > 2 or names is None or path.suffix.lower() in (".npy", ".npz")
    ):
        _write_array(path, x)
    elif x.ndim == 2:
        names = names or [f"column_{i}" for i in range(1, x.shape[1] + 1)]
        whole = extra.get("whole", np.zeros(x.shape[1], bool))
        columns = zip(names, x.T, np.asarray(whole).tolist(), strict=True)
        write_table(path, {name: _typed(c, is_whole) for name, c, is_whole in columns})
    else:
        raise ValueError(
            f"{path}: images are written as .npy, .npz, .h5, or as a folder of PNGs, "
            "a path without a suffix"
        )
    return f"{len(x)} examples in {path}"


def _typed(column: np.ndarray, whole: bool) -> np.ndarray:
    return column.astype(np.int64) if whole and (column % 1 == 0).all() else column


def write_table(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns to a table's file, .csv, .root, .h5, .parquet or .feather.

    Raises:
        ImportError: what writes such a file is not installed.
        ValueError: another suffix.
        OSError: the file cannot be written; what was there before is intact.
    """
    suffix = path.suffix.lower()
    if suffix not in OUTPUTS[2:]:
        raise ValueError(
            f"{path}: a table is written as {', '.join(OUTPUTS[2:])}: give one of them"
        )
    with replaced(path) as new:
        if suffix == ".csv":
            _write_csv(new, columns)
        elif suffix == ".root":
            uproot = require("uproot", extra="root", purpose=f"writing {path.name}")
            with uproot.recreate(new) as file:
                file.mktree("events", columns)
        elif suffix in (".h5", ".hdf5"):
            h5py = require("h5py", extra="hdf5", purpose=f"writing {path.name}")
            with h5py.File(new, "w", track_order=True) as file:
                for name, array in columns.items():
                    text = array.dtype == object
                    kind = h5py.string_dtype() if text else array.dtype
                    file.create_dataset(name, data=array, dtype=kind)
        else:
            given = {"extra": "parquet", "purpose": f"writing {path.name}"}
            table = require("pyarrow", **given).table(columns)
            if suffix == ".parquet":
                require("pyarrow.parquet", **given).write_table(table, new)
            else:
                require("pyarrow.feather", **given).write_feather(table, str(new))


def _write_csv(path: Path, columns: dict[str, np.ndarray]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        lists = [array.tolist() for array in columns.values()]
        writer.writerows(zip(*lists, strict=True))


def _write_array(path: Path, x: np.ndarray) -> None:
    with replaced(path) as new:
        if path.suffix.lower() in (".h5", ".hdf5"):
            h5py = require("h5py", extra="hdf5", purpose=f"writing {path.name}")
            with h5py.File(new, "w") as file:
                file["x"] = x
            return
        with new.open("wb") as file:
            if path.suffix.lower() == ".npz":
                np.savez_compressed(file, x=x)
            else:
                np.save(file, x)


def _write_images(folder: Path, x: np.ndarray) -> None:
    is_image = x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))
    if not is_image:
        raise ValueError(
            f"{folder}: examples of shape {x.shape[1:]} are no images: give a path "
            f"that ends in one of {', '.join(OUTPUTS)}"
        )
    image = require("PIL.Image", extra="data", purpose=f"writing {folder}")
    levels = x if x.dtype == np.uint8 else np.rint(255.0 * x).astype(np.uint8)
    levels = levels[..., 0] if levels.shape[3:] == (1,) else levels
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give a new folder")
    digits = len(str(len(x)))
    for number, pixels in enumerate(levels, 1):
        image.fromarray(pixels).save(folder / f"{number:0{digits}}.png")
