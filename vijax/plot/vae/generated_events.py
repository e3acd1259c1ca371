"""Figure of generated events: how far their columns are from those of real ones."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vijax.plot import style
from vijax.plot.style import BLACK, COLOURS, MARKERS


@style.styled
def event_distances(
    generators: Mapping[str, Mapping[str, Any]], columns: Sequence[str], *, floor: str
) -> Figure:
    """Draw every generator's distances from real events, real from real as a line.

    Args:
        generators: name -> "by_column" and "by_pair" distances, and of each the
            "…_standard_error".
        columns: their names.
        floor: the generator that is real events.
    """
    columns = [name.split(" [")[0] for name in columns]  # scaled: without units
    pairs = [f"{a}, {b}" for a, b in combinations(columns, 2)]
    ratios = (len(columns), max(len(pairs), len(columns)))
    fig, axes = style.figure(
        1, 2, width=6.8, height=3.4, sharey=True, width_ratios=ratios
    )
    parts = (("by_column", columns, "One column"), ("by_pair", pairs, "Two columns"))
    for ax, (part, names, title) in zip(axes[0], parts, strict=True):
        place = np.arange(len(names))
        for index, (name, values) in enumerate(generators.items()):
            mean = np.asarray(values[part])
            error = 1.96 * np.asarray(values[f"{part}_standard_error"])
            if name == floor:
                ax.plot(place, mean, color=BLACK, linewidth=1, label=name)
                ax.fill_between(
                    place, mean - error, mean + error, color=BLACK, alpha=0.15, lw=0
                )
                continue
            ax.errorbar(
                place,
                mean,
                yerr=error,
                fmt=MARKERS[index],
                color=COLOURS[index],
                markersize=4,
                elinewidth=1,
                label=name,
            )
        ax.set(xticks=place, yscale="log", title=title)
        ax.set_xticklabels(names, rotation=60, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="x", labelsize=7)
    axes[0, 0].set(ylabel="W₁, standard deviations")
    axes[0, 1].legend(fontsize=7, loc="upper left", ncols=2)
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low, 3 * high)
    return fig
