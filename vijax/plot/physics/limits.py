"""CLs over the signal strength, with what background alone would give."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vijax.plot.style import BLACK, GREEN, GREY, YELLOW, figure, styled


@styled
def brazil_band(
    mu: Any,
    cls: Any,
    expected_cls: Any,
    *,
    level: float = 0.95,
    name: str = "signal strength μ",
) -> Figure:
    """Draw CLs observed and expected, with bands of 1 and 2 sigmas of the background.

    Where a curve crosses the line 1 − level, the strength is excluded at that level.

    Args:
        mu: signal strengths, (points,), rising.
        cls: observed, (points,).
        expected_cls: at −2, −1, 0, 1, 2 sigmas, (points, 5).
        level: of confidence.
        name: of the horizontal axis.
    """
    bands = np.asarray(expected_cls)
    drawn, axes = figure(width=4.4, height=3.2)
    axis = axes[0, 0]
    labels = {"2": "expected ± 2 σ", "1": "expected ± 1 σ"}
    axis.fill_between(
        mu, bands[:, 0], bands[:, 4], color=YELLOW, label=labels["2"], lw=0
    )
    axis.fill_between(
        mu, bands[:, 1], bands[:, 3], color=GREEN, label=labels["1"], lw=0
    )
    axis.plot(mu, bands[:, 2], color=BLACK, ls="--", label="expected")
    axis.plot(mu, cls, color=BLACK, label="observed")
    axis.axhline(1 - level, color=GREY, lw=1)
    axis.annotate(
        f"{1 - level:.2g}",
        (1.0, 1 - level),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY,
    )
    axis.set(xlabel=name, ylabel="CLs", ylim=(0, 1.02), xlim=(np.min(mu), np.max(mu)))
    handles, texts = axis.get_legend_handles_labels()
    order = [3, 2, 1, 0]
    axis.legend([handles[n] for n in order], [texts[n] for n in order])
    return drawn
