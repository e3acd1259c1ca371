"""Figures of the verdict: what became of many fits, and errors against seconds."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, SKY, styled

# What can become of a fit, in the order that it is drawn.
OUTCOMES = {
    "right and used": GREEN,
    "wrong and used": RED,
    "right but refused": ORANGE,
    "wrong and refused": GREY,
    "no answer": SKY,
}
LEAST, MOST = 0.01, 100.0  # errors beyond are drawn here, not left out
TITLE_WIDTH = 26  # letters in a line of a panel's title


@styled
def outcomes(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draw a bar for each system: what became of its fits.

    Args:
        counts: system -> outcome (a key of OUTCOMES) -> number of models.
    """
    names = list(counts)
    fig, axes = style.figure(1, 1, width=7.2, height=0.9 + 0.32 * len(names))
    ax, start = axes[0, 0], np.zeros(len(names))
    places = np.arange(len(names))[::-1]
    for outcome, colour in OUTCOMES.items():
        widths = np.array([counts[name].get(outcome, 0) for name in names])
        ax.barh(places, widths, left=start, color=colour, height=0.7, label=outcome)
        for y, left, width in zip(places, start, widths, strict=True):
            if width:
                ax.text(left + width / 2, y, f"{width}", ha="center", va="center")
        start = start + widths
    ax.set_yticks(places, [name.replace("_", " ") for name in names])
    ax.set_xlabel("models")
    ax.set_xlim(0, float(start.max()))
    fig.legend(loc="outside upper center", ncols=len(OUTCOMES))
    return fig


@styled
def error_against_seconds(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each fit's worst error over the limit against its processor seconds.

    Args:
        rows: system, seconds, error (1 is the limit between right and wrong), and
            whether the answer is `used`, or told not to be.
    """
    names = list(dict.fromkeys(row["system"] for row in rows))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    fig, axes = style.figure(
        lines, columns, width=8.6, height=0.5 + 2.0 * lines, sharex=True, sharey=True
    )
    flat = axes.ravel()
    for ax, name in zip(flat, names, strict=False):
        mine = [row for row in rows if row["system"] == name]
        for used, face, label in (
            (True, BLUE, "told to use"),
            (False, "white", "told not to use"),
        ):
            chosen = [row for row in mine if row["used"] == used]
            ax.plot(
                [row["seconds"] for row in chosen],
                [float(np.clip(row["error"], LEAST, MOST)) for row in chosen],
                "o",
                ms=4,
                mec=BLUE,
                mfc=face,
                alpha=0.8,
                label=label,
            )
        ax.axhline(1.0, color=BLACK, lw=1, ls="--")
        ax.set(xscale="log", yscale="log", ylim=(0.7 * LEAST, 1.4 * MOST))
        ax.set_title(textwrap.fill(name.replace("_", " "), TITLE_WIDTH), fontsize=8)
        ax.grid(color=GREY, alpha=0.2)
    for ax in flat[len(names) :]:
        ax.set_axis_off()
    for ax in flat[max(0, len(names) - columns) : len(names)]:  # each column's lowest
        ax.set_xlabel("processor seconds, cold")
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel("worst error / limit")
    handles, labels = flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig
