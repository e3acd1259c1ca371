"""Pulls of nuisance parameters, and what each moves the signal strength by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vijax.plot.style import BLACK, BLUE, GREY, ORANGE, figure, styled

MOST = 30  # rows


@styled
def pulls_and_impacts(
    names: Sequence[str],
    pulls: Any,
    pull_errors: Any,
    up: Any,
    down: Any,
    *,
    strength: str = "μ",
) -> Figure:
    """Draw pulls with their errors, and impacts as bars, the largest on top.

    Args:
        names: of the parameters, by falling impact; the first 30 are drawn.
        pulls: (θ̂ − a)/σ; NaN where there is no constraint: nothing is drawn.
        pull_errors: of the fit, over σ.
        up: change of the strength's estimate, with the parameter one error up.
        down: one error down.
        strength: symbol of the parameter of interest.
    """
    number = min(len(names), MOST)
    rows = np.arange(number)[::-1]
    pulls, pull_errors, up, down = (
        np.asarray(x, float)[:number] for x in (pulls, pull_errors, up, down)
    )
    drawn, ((left, right),) = figure(
        1, 2, width=6.6, height=0.9 + 0.26 * number, sharey=True
    )
    left.axvspan(-1, 1, color="#E8E8E8", lw=0)
    left.axvline(0, color=GREY, lw=0.8)
    left.errorbar(pulls, rows, xerr=pull_errors, fmt="o", color=BLACK, ms=3.5, lw=1.2)
    reach = np.nanmax([1.5, *(np.abs(pulls) + pull_errors)]) * 1.1
    left.set(
        xlim=(-reach, reach),
        ylim=(-0.7, number - 0.3),
        xlabel="pull, (fitted − measured) / error before",
    )
    left.set_yticks(rows, list(names[:number]))
    left.tick_params(axis="y", length=0)
    right.axvline(0, color=GREY, lw=0.8)
    right.barh(rows, up, height=0.62, color=BLUE, label="parameter one error up")
    hatched = {"color": "none", "edgecolor": ORANGE, "hatch": "////", "lw": 1.2}
    right.barh(rows, down, height=0.62, label="one error down", **hatched)
    widest = np.nanmax(np.abs([up, down])) * 1.15
    right.set(xlim=(-widest, widest), xlabel=f"impact on {strength}")
    right.tick_params(axis="y", length=0)
    drawn.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return drawn
