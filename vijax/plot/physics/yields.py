"""Expected yields of all samples, stacked, before and after the fit, with the data."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vijax.plot.style import BLACK, COLOURS, GREY, figure, styled


class Yields(NamedTuple):
    """One channel's expected counts, and how well they are known."""

    title: str
    samples: Mapping[str, Any]  # name -> counts, (bins,), from the bottom
    error: Any  # of the total, (bins,)


@styled
def stacked_yields(
    panels: Sequence[Yields], counts: Any, *, bins: str = "bin"
) -> Figure:
    """Draw one channel before and after a fit: stacks with errors, data, and ratios.

    The hatched band is the error of the total; the points' bars are √n. The lower
    panels are the data over the total.

    Args:
        panels: side by side, before and after the fit say; samples alike.
        counts: observed, (bins,).
        bins: name of the horizontal axis.
    """
    counts = np.asarray(counts, float)
    drawn, axes = figure(
        2,
        len(panels),
        width=3.3 * len(panels),
        height=3.6,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": (3, 1)},
    )
    for (title, samples, error), (top, below) in zip(panels, axes.T, strict=True):
        total = _draw_stack(top, samples, np.asarray(error, float), counts)
        top.set_title(title)
        _draw_ratio(below, total, np.asarray(error, float), counts)
        below.set(xlabel=bins)
        below.use_sticky_edges = False  # a band ends before the frame does
        if len(counts) <= 12:
            below.set_xticks(np.arange(len(counts)) + 0.5, range(1, len(counts) + 1))
    top_of_all = max(float(np.max(counts + np.sqrt(counts))), axes[0, 0].get_ylim()[1])
    axes[0, 0].set(ylabel="events per bin", ylim=(0, 1.1 * top_of_all))
    axes[1, 0].set(ylabel="data / total")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles[::-1], labels[::-1], loc="outside right upper")
    return drawn


def _draw_stack(
    axis: Axes, samples: Mapping[str, Any], error: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    edges = np.arange(len(counts) + 1)
    total = np.zeros(len(counts))
    for number, (name, expected) in enumerate(samples.items()):
        above = total + np.asarray(expected, float)
        colour = COLOURS[number % len(COLOURS)]
        axis.stairs(
            above,
            edges,
            baseline=total,
            fill=True,
            color=colour,
            alpha=0.75,
            label=name,
        )
        total = above
    _band(axis, total - error, total + error, edges, "error of the total")
    axis.errorbar(
        edges[:-1] + 0.5,
        counts,
        np.sqrt(counts),
        fmt="o",
        color=BLACK,
        ms=4,
        label="data",
    )
    return total


def _draw_ratio(
    axis: Axes, total: np.ndarray, error: np.ndarray, counts: np.ndarray
) -> None:
    edges = np.arange(len(counts) + 1)
    safe = np.where(total > 0, total, np.nan)
    axis.axhline(1, color=GREY, lw=0.8)
    _band(axis, 1 - error / safe, 1 + error / safe, edges, None)
    axis.errorbar(
        edges[:-1] + 0.5,
        counts / safe,
        np.sqrt(counts) / safe,
        fmt="o",
        color=BLACK,
        ms=4,
    )


def _band(axis: Axes, low: Any, high: Any, edges: Any, label: str | None) -> None:
    axis.stairs(
        high,
        edges,
        baseline=low,
        fill=True,
        facecolor="none",
        edgecolor=GREY,
        hatch="/////",
        lw=0,
        label=label,
    )
