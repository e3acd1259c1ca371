"""Histograms in ROOT files, by uproot: TH1, TH2 and TH3, with their variances."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vijax.data.files import root_files
from vijax.data.files.open_tables import FileContentError, listed, named_errors
from vijax.data.files.whole_files import replaced
from vijax.data.histograms import Histogram, from_hist, with_flow
from vijax.extras import require

Path_ = str | os.PathLike[str]
KINDS = re.compile("TH[123][CSILFD]")


def histogram_names(path: Path_) -> tuple[str, ...]:
    """Return the names of the histograms in a ROOT file.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: no such file.
        ImportError: uproot is not installed.
        ValueError: a damaged or foreign file.
    """
    path = _file(path)
    with root_files.open_root(path) as file, named_errors(path, root_files.KIND):
        kinds = file.classnames(cycle=False).items()
        return tuple(name for name, kind in kinds if KINDS.fullmatch(kind))


def read_histogram(
    path: Path_, name: str | None = None, *, flow: bool = False
) -> Histogram:
    """Return a histogram of a ROOT file: a TH1, TH2 or TH3.

    Args:
        path: of the file.
        name: of the histogram, "folder/name"; None where there is one only.
        flow: whether what lies outside of the axes is there, as bins to -inf and inf.

    Returns:
        `Histogram` in float64.

    Raises:
        FileNotFoundError: no such file.
        ImportError: uproot is not installed.
        ValueError: a damaged or foreign file; no such histogram, or several.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "counts.root"
        >>> counts = Histogram((np.array([0.0, 1.0, 4.0]),), np.ones(2), np.ones(2))
        >>> print(read_histogram(write_histograms(path, {"counts": counts})))
        histogram of 2 bins from 0 to 4: 2 ± 1.41421
    """
    path = _file(path)
    with root_files.open_root(path) as file:
        with named_errors(path, root_files.KIND):
            kinds = file.classnames(cycle=False)
        there = [key for key, kind in kinds.items() if KINDS.fullmatch(kind)]
        if name is None and len(there) != 1:
            raise FileContentError(
                f"{path}: expected one histogram, found {listed(there)}: name it"
            )
        name = (name or there[0]).strip("/")
        if name.partition(";")[0] not in there:
            raise FileContentError(
                f"{path}: there is no histogram {name!r}: give one of {listed(there)}"
            )
        with named_errors(path, root_files.KIND):
            return from_hist(file[name], flow=flow)


def write_histograms(path: Path_, histograms: Mapping[str, Histogram]) -> Path:
    """Write histograms to a ROOT file, as TH1D, TH2D or TH3D with their variances.

    Args:
        path: of the file; one that is there is replaced when the new one is whole.
        histograms: by name, "folder/name" too.

    Returns:
        The file's path.

    Raises:
        ImportError: uproot is not installed.
        ValueError: no histogram, shapes that do not fit, edges that do not rise, more
            than three axes.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "counts.root"
        >>> counts = Histogram((np.array([0.0, 1.0, 4.0]),), np.ones(2), np.ones(2))
        >>> histogram_names(write_histograms(path, {"channel/counts": counts}))
        ('channel/counts',)
    """
    uproot = require("uproot", extra="root", purpose="data.write_histograms")
    if not histograms:
        raise ValueError(f"histograms = {histograms!r} is not valid: give one or more")
    path = Path(path).expanduser()
    written = {name: _to_root(uproot, h, name) for name, h in histograms.items()}
    with replaced(path) as new, uproot.recreate(new) as file:
        for name, content in written.items():
            file[name] = content
    return path


def _file(path: Path_) -> Path:
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    return path


def _to_root(uproot: Any, histogram: Histogram, name: str) -> Any:
    """Return uproot's model of a histogram."""
    inner, values, variances = with_flow(histogram)
    if len(inner) > 3:
        raise ValueError(f"histogram {name!r} has {len(inner)} axes: ROOT has up to 3")
    identify = uproot.writing.identify
    axes = [
        identify.to_TAxis(
            fName=axis_name,
            fTitle="",
            fNbins=len(edges) - 1,
            fXmin=edges[0],
            fXmax=edges[-1],
            fXbins=edges,
        )
        for axis_name, edges in zip(("xaxis", "yaxis", "zaxis"), inner, strict=False)
    ]
    # ROOT's order: the first axis runs fastest.
    contents, squares = values.ravel(order="F"), variances.ravel(order="F")
    within = (slice(1, -1),) * len(inner)
    sums = _moments(inner, values[within], variances[within])
    make = (identify.to_TH1x, identify.to_TH2x, identify.to_TH3x)[len(inner) - 1]
    title = name.rpartition("/")[2]
    return make(title, title, contents, values.sum(), *sums, squares, *axes)


def _moments(
    edges: list[np.ndarray], values: np.ndarray, variances: np.ndarray
) -> list[float]:
    """Return the sums that ROOT keeps: of w, w², w x, w x², w y, w y², w x y."""
    centres = [(e[1:] + e[:-1]) / 2 for e in edges]
    grid = np.meshgrid(*centres, indexing="ij")
    found = [values.sum(), variances.sum()]
    for index, x in enumerate(grid):
        found += [(values * x).sum(), (values * x**2).sum()]
        found += [(values * x * y).sum() for y in grid[:index]]
    return [float(value) for value in found]
