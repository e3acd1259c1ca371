"""Histograms as three arrays, to and from ROOT files and `hist`.

    mass = read_histogram("fit.root", "channel/mass")       uproot: TH1, TH2, TH3
    mass = from_hist(h)                                     hist, boost-histogram
    to_hist(mass), write_histograms("new.root", {"mass": mass})

Variances are sums of squared weights; of unweighted counts they are the counts. What
lies outside of the axes is left out, unless `flow=True` asks for it: then the first and
last bins of each axis reach to -inf and inf, and go back to where they came from.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vijax.data.files import root_files
from vijax.data.files.open_tables import FileContentError, listed, named_errors
from vijax.data.files.whole_files import replaced
from vijax.extras import require

Path_ = str | os.PathLike[str]
KINDS = re.compile("TH[123][CSILFD]")


class Histogram(NamedTuple):
    """A histogram of one or more axes."""

    edges: tuple[np.ndarray, ...]  # of each axis, (bins + 1,), rising
    values: np.ndarray  # (bins, …), sums of weights
    variances: np.ndarray  # (bins, …), sums of squared weights

    def __str__(self) -> str:
        """Return the axes and the sum, in one line."""
        axes = " × ".join(
            f"{len(edges) - 1} bins from {edges[0]:g} to {edges[-1]:g}"
            for edges in self.edges
        )
        total, error = self.values.sum(), self.variances.sum() ** 0.5
        return f"histogram of {axes}: {total:g} ± {error:g}"


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


def from_hist(histogram: Any, *, flow: bool = False) -> Histogram:
    """Return what a histogram object holds: of hist, boost-histogram or uproot.

    Args:
        histogram: an object of the Unified Histogram Interface, of counts.
        flow: as for `read_histogram`.

    Returns:
        `Histogram` in float64.

    Raises:
        ValueError: another object, a profile, an axis of categories, weights whose
            squares were not kept.

    Example:
        >>> import hist
        >>> h = hist.Hist(hist.axis.Regular(2, 0, 4), storage=hist.storage.Weight())
        >>> found = from_hist(h.fill([1.0, 3.0, 3.5], weight=[1.0, 2.0, 1.0]))
        >>> found.values.tolist(), found.variances.tolist()
        ([1.0, 3.0], [1.0, 5.0])
    """
    kind = getattr(histogram, "kind", None)
    if kind is None or not hasattr(histogram, "axes"):
        raise ValueError(
            f"histogram = {type(histogram).__name__} is not valid: give an object of "
            "hist, boost_histogram or uproot"
        )
    if kind != "COUNT":
        raise ValueError(
            f"histogram holds {str(kind).lower()}s: give one of counts or weights"
        )
    variances = histogram.variances(flow=flow)
    if variances is None or _lost_squares(histogram):
        raise ValueError(
            "histogram has weights, but not the sums of their squares: fill one with "
            "storage=hist.storage.Weight(), or call ROOT's Sumw2() before"
        )
    edges, padding = [], []
    for axis in histogram.axes:
        traits = axis.traits
        if not getattr(traits, "ordered", True):
            raise ValueError(f"axis {axis} has categories: give axes of numbers")
        inner = axis.edges() if callable(axis.edges) else axis.edges
        # Where an axis has no flow bins, they are empty.
        below, above = (
            not getattr(traits, side, True) for side in ("underflow", "overflow")
        )
        outer = [-np.inf, *inner, np.inf] if flow else inner
        edges.append(np.asarray(outer, np.float64))
        padding.append((int(flow and below), int(flow and above)))
    values = np.pad(np.asarray(histogram.values(flow=flow), np.float64), padding)
    variances = np.pad(np.asarray(variances, np.float64), padding)
    return _checked(Histogram(tuple(edges), values, variances))


def to_hist(histogram: Histogram) -> Any:
    """Return a histogram as a `hist.Hist` that keeps weights and their squares.

    Args:
        histogram: of `from_hist`, `read_histogram` or your own.

    Raises:
        ImportError: hist is not installed.
        ValueError: shapes that do not fit, edges that do not rise.

    Example:
        >>> counts = Histogram((np.array([0.0, 1.0, 4.0]),), np.ones(2), np.ones(2))
        >>> to_hist(counts).sum().value
        2.0
    """
    hist = require("hist", extra="hist", purpose="data.to_hist")
    inner, values, variances = _with_flow(histogram)
    axes = [hist.axis.Variable(edges) for edges in inner]
    found = hist.Hist(*axes, storage=hist.storage.Weight())
    view = found.view(flow=True)
    view.value, view.variance = values, variances
    return found


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


def _checked(histogram: Histogram) -> Histogram:
    """Return the histogram, whose arrays fit each other.

    Raises:
        ValueError: they do not.
    """
    shape = tuple(len(edges) - 1 for edges in histogram.edges)
    for name in ("values", "variances"):
        found = np.shape(getattr(histogram, name))
        if found != shape or not shape:
            raise ValueError(
                f"histogram.{name} has shape {found}: give {shape}, one for each bin"
            )
    for edges in histogram.edges:
        if not (np.diff(edges) > 0).all() or not np.isfinite(edges[1:-1]).all():
            raise ValueError(f"histogram.edges = {edges}: give numbers that rise")
    if not (np.asarray(histogram.variances) >= 0).all():
        raise ValueError("histogram.variances: give numbers of 0 or more")
    return histogram


def _lost_squares(histogram: Any) -> bool:
    """Say whether a ROOT histogram has weights, but no sums of squares by bin."""
    if not hasattr(histogram, "member"):
        return False
    if len(histogram.member("fSumw2", none_if_missing=True) or ()):
        return False
    total, squares = histogram.member("fTsumw"), histogram.member("fTsumw2")
    return not np.isclose(total, squares, rtol=1e-6, atol=0)


def _with_flow(
    histogram: Histogram,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return finite edges, and the contents with a bin outside at each end."""
    _checked(histogram)
    inner, padding = [], []
    for edges in histogram.edges:
        finite = np.isfinite(edges)
        inner.append(np.asarray(edges, np.float64)[finite])
        if len(inner[-1]) < 2:
            raise ValueError(f"histogram.edges = {edges}: give one finite bin or more")
        padding.append((int(finite[0]), int(finite[-1])))
    values, variances = (
        np.pad(np.asarray(array, np.float64), padding)
        for array in (histogram.values, histogram.variances)
    )
    return inner, values, variances


def _to_root(uproot: Any, histogram: Histogram, name: str) -> Any:
    """Return uproot's model of a histogram."""
    inner, values, variances = _with_flow(histogram)
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
