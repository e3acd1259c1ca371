"""Figures of a posterior over two parameters: surfaces, contours, updates with data."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, ORANGE, RED

MAX_FACETS = 80  # of a surface, each way


class LandscapePanel(NamedTuple):
    """A density over two parameters after some data."""

    title: str  # for example "N = 5"
    density: ArrayLike  # (x, y), density[i, j] at (x[i], y[j])
    levels: tuple[float, ...] = ()  # densities at which contour lines are drawn
    mean: tuple[float, float] | None = None


class PosteriorTrack(NamedTuple):
    """How one parameter's posterior moves and narrows with the data."""

    name: str  # the prior's name
    mean: ArrayLike  # (sizes,)
    lower: ArrayLike  # (sizes,), ends of the credible interval
    upper: ArrayLike


@style.styled
def landscape_surfaces(
    x: ArrayLike,
    y: ArrayLike,
    rows: Mapping[str, Sequence[LandscapePanel]],
    *,
    labels: tuple[str, str],
    truth: tuple[float, float],
) -> Figure:
    """Draw landscapes as surfaces: a row a prior, a column a number of data.

    Args:
        x: (points,), grid of the first parameter.
        y: (points,), grid of the second parameter.
        rows: for each prior (its name) its landscapes.
        labels: the two parameters' names.
        truth: where the data came from, marked by an upright line.
    """
    fig, axes = _grid(rows, height=2.75, subplot_kw={"projection": "3d"})
    # Thinned here: matplotlib's own thinning leaves polygons with unset corners.
    coarse = tuple(
        slice(None, None, max(1, round((np.size(values) - 1) / MAX_FACETS)))
        for values in (x, y)
    )
    mesh = np.meshgrid(
        np.asarray(x)[coarse[0]], np.asarray(y)[coarse[1]], indexing="ij"
    )
    for row, (name, landscapes) in zip(axes, rows.items(), strict=True):
        for axis, landscape in zip(row, landscapes, strict=True):
            density = np.asarray(landscape.density)
            top = float(density.max())
            axis.plot_surface(
                *mesh,
                density[coarse],
                cmap=style.DENSITY_COLOURMAP,
                vmin=0,
                vmax=top,
                rstride=1,
                cstride=1,
                linewidth=0,
                antialiased=False,
            )
            axis.plot(
                *[[value, value] for value in truth],
                [0, 1.15 * top],
                color=RED,
                linewidth=1.2,
                zorder=10,
            )
            axis.set(
                zlim=(0, 1.15 * top),
                xlabel=labels[0],
                ylabel=labels[1],
                title=f"{name}\n{landscape.title}",
            )
            axis.title.set_y(0.98)
            axis.view_init(elev=28, azim=-62)
            axis.tick_params(labelsize=7, pad=-3)
            axis.xaxis.labelpad = axis.yaxis.labelpad = -7
            # A z label would lie outside of the figure; this one is above the axis.
            axis.text2D(
                1, 0.9, "density", ha="right", fontsize=8, transform=axis.transAxes
            )
            axis.locator_params(nbins=4)
            axis.set_box_aspect((1, 1, 0.75), zoom=1.1)
    return fig


@style.styled
def landscape_contours(
    x: ArrayLike,
    y: ArrayLike,
    rows: Mapping[str, Sequence[LandscapePanel]],
    *,
    labels: tuple[str, str],
    truth: tuple[float, float],
) -> Figure:
    """Draw the same landscapes from above, with contour lines and the true point.

    Args:
        x: (points,), grid of the first parameter, equally spaced.
        y: (points,), grid of the second parameter, equally spaced.
        rows: for each prior (its name) its landscapes.
        labels: the two parameters' names.
        truth: where the data came from, marked by a star.
    """
    fig, axes = _grid(rows, height=2.6, sharex=True, sharey=True)
    for row, (name, landscapes) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(labels[1])
        for axis, landscape in zip(row, landscapes, strict=True):
            _from_above(axis, x, y, landscape, truth)
            axis.set(
                xlim=(np.asarray(x).min(), np.asarray(x).max()),
                ylim=(np.asarray(y).min(), np.asarray(y).max()),
                title=f"{name}\n{landscape.title}",
                aspect="equal",
            )
            _zoom(axis, x, y, landscape, truth)
    for axis in axes[-1]:
        axis.set_xlabel(labels[0])
    handles, names = axes[-1, -1].get_legend_handles_labels()
    legend = fig.legend(handles, names, loc="outside lower center", ncols=4)
    legend.get_frame().set(facecolor="#888888", edgecolor="none")
    return fig


def _from_above(
    axis: Axes, x: ArrayLike, y: ArrayLike, landscape: LandscapePanel, truth: Any
) -> None:
    """Draw a density as colours, its contour lines, its mean and the true point."""
    density = np.asarray(landscape.density).T
    (left, right), (bottom, top) = (
        (values[0] - half, values[-1] + half)
        for values in (np.asarray(x), np.asarray(y))
        for half in (0.5 * (values[1] - values[0]),)
    )
    axis.imshow(
        density,
        origin="lower",
        extent=(left, right, bottom, top),
        vmin=0,
        interpolation="bilinear",
    )
    if landscape.levels:
        axis.contour(
            x,
            y,
            density,
            sorted(landscape.levels),
            colors="white",
            linewidths=1,
            linestyles=("--", "-"),
        )
    if landscape.mean is not None:
        axis.plot(
            *landscape.mean,
            "X",
            color=ORANGE,
            mec=BLACK,
            mew=0.6,
            label="posterior mean",
        )
    axis.plot(*truth, "*", color=RED, mec="white", ms=11, mew=0.6, label="true value")


def _zoom(
    axis: Axes, x: ArrayLike, y: ArrayLike, landscape: LandscapePanel, truth: Any
) -> None:
    """Add an enlarged inset where the outermost contour is small in the panel."""
    x, y, density = (np.asarray(part) for part in (x, y, landscape.density))
    rows, columns = np.nonzero(density >= min(landscape.levels, default=np.inf))
    if not len(rows):
        return
    corners = [
        (min(values[np.min(index)], value), max(values[np.max(index)], value))
        for values, index, value in zip((x, y), (rows, columns), truth, strict=True)
    ]
    half = 0.65 * max(high - low for low, high in corners)
    if half > 0.15 * min(np.ptp(x), np.ptp(y)):
        return
    inset = axis.inset_axes((0.42, 0.46, 0.53, 0.53))
    _from_above(inset, x, y, landscape, truth)
    centre = [(low + high) / 2 for low, high in corners]
    inset.set(
        xlim=(centre[0] - half, centre[0] + half),
        ylim=(centre[1] - half, centre[1] + half),
        aspect="equal",
    )
    inset.tick_params(labelsize=7, colors="white")
    for spine in inset.spines.values():
        spine.set(visible=True, color="white")
    axis.indicate_inset_zoom(inset, edgecolor="white")


@style.styled
def posterior_updates(
    sizes: ArrayLike,
    tracks: Mapping[str, Sequence[PosteriorTrack]],
    *,
    truth: Sequence[float],
) -> Figure:
    """Draw posterior means and intervals against the number of data.

    Args:
        sizes: (sizes,), numbers of data; 0 is the prior.
        tracks: for each parameter (its name) one track a prior.
        truth: each parameter's true value.
    """
    fig, axes = style.figure(1, len(tracks), height=2.8)
    sizes = np.asarray(sizes)
    for axis, (parameter, lines), value in zip(
        axes[0], tracks.items(), truth, strict=True
    ):
        for track, colour in zip(lines, (BLUE, ORANGE), strict=True):
            axis.plot(sizes, track.mean, color=colour, label=track.name)
            axis.fill_between(
                sizes, track.lower, track.upper, color=colour, alpha=0.2, linewidth=0
            )
        axis.axhline(value, color=BLACK, linewidth=1, linestyle=":", label="true value")
        axis.set_xscale("symlog", linthresh=1, linscale=0.5)
        axis.set(
            xlim=(0, sizes[-1]),
            xlabel="number of data N",
            ylabel=f"{parameter}: mean and 95 % interval",
        )
        axis.set_ylim(0, 3.5 * value)
        axis.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    axes[0, 0].legend(loc="upper right")
    return fig


def _grid(
    rows: Mapping[str, Sequence[LandscapePanel]], *, height: float, **subplots: Any
) -> tuple[Figure, Any]:
    """Return axes for every landscape, a little narrower than the default column."""
    columns = max(len(landscapes) for landscapes in rows.values())
    return style.figure(
        len(rows), columns, width=2.5 * columns, height=height * len(rows), **subplots
    )
