"""Figure of discoveries: what a claim is worth, and which signals are within reach."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style

LIMIT = 1.0  # sigmas beyond which all share the last colour


@style.styled
def discovery_claims(
    backgrounds: ArrayLike,
    ratios: ArrayLike,
    true_sigmas: Mapping[str, ArrayLike],
    reach: Mapping[str, ArrayLike],
    *,
    claimed: float,
    reach_label: str,
) -> Figure:
    """Draw the true significance of a claim over b and τ, and signals within reach.

    Args:
        backgrounds: (sizes,), the true backgrounds b, ascending.
        ratios: (ratios,), of the off region's exposure to the on region's, ascending.
        true_sigmas: by the test's name, (sizes, ratios).
        reach: by the name of what is known of b, (sizes,), signals.
        claimed: sigmas, whose difference from the true ones is drawn.
        reach_label: title of the last panel.
    """
    panels = len(true_sigmas)
    fig, axes = style.figure(1, panels + 1, width=2.9 * (panels + 1), height=2.9)
    *maps, last = axes[0]
    image: Any = None
    for axis, (name, values) in zip(maps, true_sigmas.items(), strict=True):
        image = axis.pcolormesh(
            backgrounds,
            ratios,
            (np.asarray(values) - claimed).T,
            cmap="RdBu",  # red: less than claimed
            vmin=-LIMIT,
            vmax=LIMIT,
            shading="nearest",
            rasterized=True,
        )
        axis.set(xscale="log", yscale="log", title=name, xlabel="true background b")
    maps[0].set_ylabel("off / on exposure τ")
    bar = fig.colorbar(image, ax=maps, extend="both", shrink=0.9)
    bar.set_label(f"true − claimed {claimed:g} σ")
    bar.ax.spines["outline"].set_visible(False)
    for (name, values), dash in zip(
        reach.items(), ("-", "--", ":", "-."), strict=False
    ):
        last.plot(backgrounds, np.asarray(values), dash, label=name)
    last.set(xscale="log", xlabel="true background b", ylabel="signal s")
    last.set_title(reach_label)
    last.set_ylim(bottom=0)
    last.legend()
    return fig
