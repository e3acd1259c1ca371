"""Figure of many priors: what each concludes from the same data, as maps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK

_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.7}
PLAIN = StrMethodFormatter("{x:g}")
# Pale versions of the style's orange, green and pink: text on them stays readable.
REGION_COLOURS = ("#B3D9F2", "#F7DDA6", "#EBC9DC", "#B2DFD3")


class PriorPlane(NamedTuple):
    """The plane of priors: how strong they are, where they are centred."""

    strength: ArrayLike  # (strengths,), ascending, drawn on a logarithmic axis
    centre: ArrayLike  # (centres,), ascending
    strength_label: str
    centre_label: str
    marks: Mapping[str, tuple[float, float]]  # name -> (strength, centre)
    log_centre: bool = False


class PriorMap(NamedTuple):
    """One quantity over the plane."""

    title: str
    values: ArrayLike  # (strengths, centres)
    scale: str = "linear"  # or "log", or "signed": two colours around zero
    limit: float | None = None  # if signed: |values| beyond it share the last colour


class ConclusionRegions(NamedTuple):
    """Which conclusion holds where, with the boundaries of another quantity."""

    title: str
    codes: ArrayLike  # (strengths, centres), index into names
    names: Sequence[str]  # what is concluded in each region
    boundary: ArrayLike  # (strengths, centres)
    levels: Mapping[float, str]  # value of `boundary` -> its line's name


@style.styled
def prior_maps(
    plane: PriorPlane, maps: Sequence[PriorMap], regions: ConclusionRegions
) -> Figure:
    """Draw quantities over the plane of priors, then the regions of conclusions.

    Args:
        plane: the priors' grid and the priors to mark.
        maps: three quantities, one a panel.
        regions: the last panel.
    """
    fig, axes = style.figure(2, 2, width=8.0, height=6.6, sharex=True, sharey=True)
    for axis, quantity in zip(axes.flat, maps, strict=False):
        image = axis.pcolormesh(
            plane.strength,
            plane.centre,
            np.asarray(quantity.values).T,
            cmap=style.SIGNED_COLOURMAP if quantity.scale == "signed" else None,
            norm=_norm(quantity),
            shading="nearest",
            rasterized=True,
        )
        extend = "both" if quantity.limit else "neither"
        bar = fig.colorbar(image, ax=axis, extend=extend)
        bar.ax.spines["outline"].set_visible(False)
        if quantity.scale == "log":
            bar.ax.yaxis.set_major_formatter(PLAIN)
            bar.ax.yaxis.set_minor_formatter(NullFormatter())
        axis.set_title(quantity.title)
    _draw_regions(axes[-1, -1], plane, regions)
    for axis in axes.flat:
        _mark(axis, plane)
    for axis in axes[-1]:
        axis.set_xlabel(plane.strength_label)
    for axis in axes[:, 0]:
        axis.set_ylabel(plane.centre_label)
    return fig


def _norm(quantity: PriorMap) -> Normalize:
    values = np.asarray(quantity.values)
    if quantity.scale == "signed":
        limit = quantity.limit or float(np.nanmax(np.abs(values)))
        return Normalize(-limit, limit)
    normalize = LogNorm if quantity.scale == "log" else Normalize
    return normalize(np.nanmin(values), np.nanmax(values))


def _draw_regions(axis: Axes, plane: PriorPlane, regions: ConclusionRegions) -> None:
    """Fill each region, name it where it is widest, draw the boundaries' lines."""
    codes = np.asarray(regions.codes)
    count = len(regions.names)
    axis.pcolormesh(
        plane.strength,
        plane.centre,
        codes.T,
        cmap=ListedColormap(REGION_COLOURS[:count]),
        vmin=-0.5,
        vmax=count - 0.5,
        shading="nearest",
        rasterized=True,
    )
    styles = dict(zip(regions.levels, ("-", "--", ":"), strict=False))
    for level, line in styles.items():
        boundary = np.asarray(regions.boundary)
        if np.nanmin(boundary) < level < np.nanmax(boundary):
            axis.contour(
                plane.strength,
                plane.centre,
                boundary.T,
                [level],
                colors=BLACK,
                linewidths=1,
                linestyles=line,
            )
    axis.legend(
        [Line2D([], [], color=BLACK, lw=1, ls=line) for line in styles.values()],
        regions.levels.values(),
        loc="lower left",
        handlelength=2.2,
        frameon=True,
        framealpha=0.7,
        edgecolor="none",
    )
    blocked = _taken(plane)
    for code, name in enumerate(regions.names):
        place = _middle((codes == code) & ~blocked)
        if place is not None:
            strength, centre = place
            axis.text(
                np.asarray(plane.strength)[strength],
                np.asarray(plane.centre)[centre],
                name,
                fontsize=8,
                ha="center",
                va="center",
                bbox=_PAPER,
            )
    axis.set_title(regions.title)


def _taken(plane: PriorPlane) -> np.ndarray:
    """Say where a region's name would cover a mark's name or the legend."""
    strength, centre = (
        np.linspace(0, 1, np.size(axis)) for axis in (plane.strength, plane.centre)
    )
    taken = (strength[:, None] < 0.3) & (centre < 0.25)
    for place in plane.marks.values():
        row = strength[np.argmin(np.abs(np.asarray(plane.strength) - place[0]))]
        column = centre[np.argmin(np.abs(np.asarray(plane.centre) - place[1]))]
        taken |= (np.abs(strength[:, None] - row - 0.1) < 0.15) & (
            np.abs(centre - column - 0.02) < 0.06
        )
    return taken


def _middle(inside: np.ndarray) -> tuple[int, int] | None:
    """Return the grid point with the most room for a text, four times as wide as high.

    The region is peeled layer by layer; the last point left is the middle.
    """
    if not inside.any():
        return None
    wide = 4
    depth = np.zeros(inside.shape, int)
    layer = inside
    while layer.any():
        depth += layer
        padded = np.pad(layer, wide)
        middle = slice(wide, -wide)
        layer = (
            layer
            & padded[: -2 * wide, middle]
            & padded[2 * wide :, middle]
            & padded[middle, wide + 1 : -wide + 1 or None]
            & padded[middle, wide - 1 : -wide - 1]
        )
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)


def _mark(axis: Axes, plane: PriorPlane) -> None:
    """Mark the priors that have a name, and set the plane's axes."""
    for name, (strength, centre) in plane.marks.items():
        axis.plot(strength, centre, "o", color=BLACK, mfc="white", markersize=6)
        axis.annotate(
            name,
            (strength, centre),
            xytext=(6, 6),
            textcoords="offset points",
            fontsize=8,
            bbox=_PAPER,
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(PLAIN)
    if plane.log_centre:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(PLAIN)
    across, up = np.asarray(plane.strength), np.asarray(plane.centre)
    axis.set_xlim(float(across.min()), float(across.max()))
    axis.set_ylim(float(up.min()), float(up.max()))
