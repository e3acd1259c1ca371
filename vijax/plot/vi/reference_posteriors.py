"""Figures of fits against reference posteriors: their errors, their marginals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, styled

SMALLEST, LARGEST = 1e-4, 1.8  # errors beyond are drawn here, not left out
KINDS = (
    ("q", "o", "q itself"),
    ("corrected", "D", "importance-weighted"),
    ("response", "x", "linear response"),
)


@styled
def posterior_errors(
    rows: Sequence[Mapping[str, Any]], mean_limit: float, sd_limit: float
) -> Figure:
    """Draw the largest error of a mean and of an sd, one line a posterior.

    Args:
        rows: name, family, trusted, correctable, and for q, corrected and response:
            mean_error in sds and sd_error as a fraction.
        mean_limit: error of a mean that is called wrong.
        sd_limit: error of an sd that is called wrong.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    families = list(dict.fromkeys(row["family"] for row in rows))
    colours = dict(zip(families, (ORANGE, BLUE, GREEN, RED), strict=False))
    height = 1.6 + 0.3 * len(names)
    fig, axes = style.figure(1, 2, width=9.4, height=height, sharey=True)
    offsets = np.linspace(0.18, -0.18, len(families)) if len(families) > 1 else [0.0]
    for row in rows:
        index = len(names) - 1 - names.index(row["name"])
        y = index + offsets[families.index(row["family"])]
        colour = colours[row["family"]]
        for kind, marker, _ in KINDS:
            good = row["trusted"] if kind == "q" else row["correctable"]
            for ax, error in zip(axes[0], ("mean_error", "sd_error"), strict=True):
                if kind == "response" and (
                    error == "mean_error" or row["response"] == row["q"]
                ):
                    continue
                face = colour if good or marker == "x" else "white"
                ax.plot(
                    min(max(row[kind][error], SMALLEST), LARGEST),
                    y,
                    marker,
                    ms=5.5 if kind == "q" else 4,
                    mec=colour,
                    mfc=face,
                    mew=1.1,
                )
    for ax, limit, label in (
        (axes[0, 0], mean_limit, "largest error of a mean / sd"),
        (axes[0, 1], sd_limit, "largest relative error of an sd"),
    ):
        ax.axvline(limit, color=BLACK, lw=1, ls="--")
        ax.set(xscale="log", xlim=(0.7 * SMALLEST, 1.15 * LARGEST), xlabel=label)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_yticks(range(len(names)), [short_name(name) for name in names[::-1]])
        ax.grid(color=GREY, alpha=0.2)
    handles = [
        Line2D([], [], ls="", marker="s", color=colours[f], label=f.replace("_", " "))
        for f in families
    ]
    handles += [
        Line2D([], [], ls="", marker=marker, color=BLACK, label=label)
        for _, marker, label in KINDS
    ]
    handles.append(
        Line2D([], [], ls="", marker="o", mec=BLACK, mfc="white", label="not trusted")
    )
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig


@styled
def posterior_marginals(panels: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw marginals of q over the truth, one panel an unknown.

    Args:
        panels: title, label (of the unknown); x and densities (points,) by family in
            `fits`; `edges` and `histogram` of reference draws.
    """
    columns = min(5, len(panels))
    rows = -(-len(panels) // columns)
    fig, axes = style.figure(rows, columns, width=2.1 * columns, height=1.75 * rows)
    flat = axes.ravel()
    for ax, panel in zip(flat, panels, strict=False):
        _marginal(ax, panel)
    for ax in flat[len(panels) :]:
        ax.set_axis_off()
    handles, labels = flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return fig


def _marginal(ax: Axes, panel: Mapping[str, Any]) -> None:
    ax.stairs(
        panel["histogram"],
        panel["edges"],
        fill=True,
        color=GREY,
        alpha=0.35,
        label="reference draws",
    )
    for (family, density), colour, line in zip(
        panel["fits"].items(), (ORANGE, BLUE, GREEN), ("-", "--", ":"), strict=False
    ):
        ax.plot(
            panel["x"],
            density,
            line,
            color=colour,
            lw=1.4,
            label=family.replace("_", " "),
        )
    ax.set_title(panel["title"], fontsize=7)
    ax.set_xlabel(panel["label"], fontsize=7, labelpad=1)
    tallest = float(np.max(panel["histogram"]))
    ax.set(yticks=[], ylim=(0, 1.9 * tallest))
    ax.set_xlim(float(panel["x"][0]), float(panel["x"][-1]))
    ax.tick_params(labelsize=6)
    ax.locator_params(axis="x", nbins=3)
    ax.spines["left"].set_visible(False)


def short_name(name: str) -> str:
    """Return posteriordb's model name, with its data where the model has a few."""
    data, _, model = name.partition("-")
    return f"{model} ({data[3:]})" if model == "nes" else model
