"""Histograms as three arrays, to and from `hist`; `root_histograms` has files.

    mass = from_hist(h)                                     hist, boost-histogram
    to_hist(mass)                                           a hist.Hist

Variances are sums of squared weights; of unweighted counts they are the counts. What
lies outside of the axes is left out, unless `flow=True` asks for it: then the first and
last bins of each axis reach to -inf and inf, and go back to where they came from.
"""

from typing import Any, NamedTuple

import numpy as np

from vijax.extras import require


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
    inner, values, variances = with_flow(histogram)
    axes = [hist.axis.Variable(edges) for edges in inner]
    found = hist.Hist(*axes, storage=hist.storage.Weight())
    view = found.view(flow=True)
    view.value, view.variance = values, variances
    return found


def _checked(histogram: Histogram) -> Histogram:
    """Return the histogram, whose arrays fit each other.

    Raises:
        ValueError: they do not.
    """
    if not isinstance(histogram, Histogram):
        raise ValueError(
            f"histogram = {type(histogram).__name__} is not valid: give a "
            "vijax.data.Histogram, as from_hist returns"
        )
    shape = tuple(len(edges) - 1 for edges in histogram.edges)
    for name in ("values", "variances"):
        found = np.shape(getattr(histogram, name))
        if found != shape or not shape:
            raise ValueError(
                f"histogram.{name} has shape {found}: give {shape}, one for each bin"
            )
    for edges in map(np.asarray, histogram.edges):
        if not (edges[1:] > edges[:-1]).all() or not np.isfinite(edges[1:-1]).all():
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


def with_flow(
    histogram: Histogram,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return finite edges, and the contents with a bin outside at each end.

    Raises:
        ValueError: shapes that do not fit, edges that do not rise, no finite bin.
    """
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
