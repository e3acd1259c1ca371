"""One look for every figure: size, colours, fonts."""

import io
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe & Ito (2008), "Color Universal Design": told apart by colour-blind readers.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, RED, PINK = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
COLOURS = (BLUE, RED, GREEN, ORANGE, PINK, SKY, BLACK)
GREY = "#707070"
MARKERS = "osD^vP"  # of as many scores, codes or generators
# Ten classes need ten colours: matplotlib's tab10 order, made distinct in lightness.
CLASS_COLOURMAP = "tab10"
DENSITY_COLOURMAP = "viridis"
SIGNED_COLOURMAP = "RdBu_r"
COLUMN = 3.4  # inches; two columns make a page

RC: Any = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "image.cmap": DENSITY_COLOURMAP,
    "savefig.dpi": 160,
}
# Of every function that draws: titles and legends take their size from the settings
# at the time of the call.
styled = mpl.rc_context(RC)


class _Figure(Figure):
    """A figure that a notebook shows, though pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=150)
        return picture.getvalue()


@styled
def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float | None = None,
    height: float | None = None,
    **subplots: Any,
) -> tuple[Figure, Any]:
    """Return a figure and its array of axes (rows, columns), without pyplot's state.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        width: inches of the whole figure; by default 3.4 a column.
        height: inches of the whole figure; by default 2.6 a row.
        **subplots: passed to `Figure.subplots` (sharex, subplot_kw, …).
    """
    size = (width or COLUMN * columns, height or 2.6 * rows)
    fig = _Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, squeeze=False, **subplots)


def roc_axes(ax: Axes, *, title: str) -> None:
    """Make axes those of ROC curves: a square, the diagonal of chance, labels."""
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1.01),
        xlabel="background called anomalous",
        ylabel="anomalies found",
        title=title,
    )
    ax.set_aspect("equal")
