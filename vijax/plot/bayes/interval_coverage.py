"""Figure of coverage: how often confidence intervals contain the truth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK

LIMIT = 10.0  # percentage points beyond which all share the last colour


@style.styled
def coverage_maps(
    trials: ArrayLike,
    probs: ArrayLike,
    coverage: Mapping[str, ArrayLike],
    *,
    level: float = 0.95,
    experiment: tuple[float, float] | None = None,
    labels: tuple[str, str] = ("trials n", "true probability p"),
) -> Figure:
    """Draw coverage minus the promised level over n and p, a panel for each method.

    Args:
        trials: (sizes,), the numbers of trials n, ascending.
        probs: (probs,), the true probabilities p, ascending.
        coverage: by the method's name, (sizes, probs).
        level: what the intervals promise.
        experiment: an (n, p) to mark.
        labels: of both axes, where they are not trials and probabilities.
    """
    columns = 2
    rows = -(-len(coverage) // columns)
    fig, axes = style.figure(
        rows, columns, width=7.6, height=2.5 * rows + 0.3, sharex=True, sharey=True
    )
    image: Any = None
    for axis, (name, values) in zip(axes.flat, coverage.items(), strict=False):
        excess = 100 * (np.asarray(values) - level)
        image = axis.pcolormesh(
            trials,
            probs,
            excess.T,
            cmap="RdBu",  # red: less than promised
            vmin=-LIMIT,
            vmax=LIMIT,
            shading="nearest",
            rasterized=True,
        )
        enough = np.mean(excess >= -1e-9)
        axis.set_title(f"{name}: enough on {100 * enough:.0f} %")
        if experiment:
            axis.plot(*experiment, "o", color=BLACK, mfc="white", markersize=6)
    for axis in axes[-1]:
        axis.set_xlabel(labels[0])
    for axis in axes[:, 0]:
        axis.set_ylabel(labels[1])
    bar = fig.colorbar(image, ax=axes, extend="min", shrink=0.8)
    bar.set_label(f"coverage − {100 * level:g} %, percentage points")
    bar.ax.spines["outline"].set_visible(False)
    return fig
