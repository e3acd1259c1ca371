"""Figures of tables under a VAE: columns and their reconstructions, traversals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style


@style.styled
def reconstructed_columns(
    columns: Mapping[str, tuple[ArrayLike, ArrayLike]],
) -> Figure:
    """Draw each column's reconstructions against its values, one panel a column.

    Args:
        columns: name -> (values, reconstructions), each (rows,).
    """
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    fig, axes = style.figure(down, across, width=6.8, height=0.3 + 6.6 / 4 * down)
    for ax, (name, (values, found)) in zip(axes.flat, columns.items(), strict=False):
        values, found = np.asarray(values), np.asarray(found)
        ax.scatter(values, found, s=3, linewidths=0, alpha=0.5)
        # A few wild rows would hide the others.
        low, high = np.quantile(values, [0.005, 0.995])
        margin = 0.05 * (high - low) or 1.0
        limits = low - margin, high + margin
        ax.plot(limits, limits, color=style.GREY, linewidth=1, linestyle=":")
        ax.set(xlim=limits, ylim=limits)
        ax.set_title(name, fontsize=8)
    for ax in list(axes.flat)[len(columns) :]:
        ax.set_visible(False)
    fig.supxlabel("value", fontsize=9)
    fig.supylabel("reconstruction", fontsize=9)
    return fig


@style.styled
def column_traversals(
    at: ArrayLike, columns: Mapping[str, ArrayLike], names: Sequence[str]
) -> Figure:
    """Draw how each column follows single latents, one panel a column.

    Args:
        at: (latents, steps), the values that each latent takes while others stay.
        columns: name -> (latents, steps), the decoded column.
        names: of the latents.
    """
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    fig, axes = style.figure(down, across, width=6.8, height=0.6 + 6.0 / 4 * down)
    x = np.asarray(at)
    for ax, (title, lines) in zip(axes.flat, columns.items(), strict=False):
        for index, (name, line) in enumerate(
            zip(names, np.asarray(lines), strict=True)
        ):
            ax.plot(
                x[index], line, color=style.COLOURS[index], linewidth=1.3, label=name
            )
        ax.set_title(title, fontsize=8)
    for ax in list(axes.flat)[len(columns) :]:
        ax.set_visible(False)
    fig.supxlabel("value of the latent", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(names))
    return fig
