"""Figures of latent spaces: where data are mapped, decoded images, gaps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style

Extent = tuple[float, float, float, float]  # left, right, bottom, top
IMAGE: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1}


class GapMap(NamedTuple):
    """The latent plane, and how far from the data it decodes."""

    ratio: ArrayLike  # distance / threshold on a grid, its first row at the top
    extent: Extent
    data: ArrayLike  # latents of data (n, 2 or more), drawn as dots
    prior: bool  # draw the 1, 2 and 3 sd circles of N(0, I)


@style.styled
def latent_scatter(
    maps: Mapping[str, ArrayLike],
    labels: ArrayLike | None,
    *,
    circles: Sequence[str] = (),
) -> Figure:
    """Draw the latents of data as dots coloured by class, one panel a model.

    Args:
        maps: title -> latents (n, 2 or more); the first two dimensions are drawn.
        labels: class of each point, numbers or text, or None.
        circles: titles of the maps that get N(0, I)'s 1, 2 and 3 sd circles, which
            hold 39 %, 86 % and 99 % of its mass.
    """
    fig, axes = style.figure(1, len(maps), height=3.2, width=0.6 + 3.1 * len(maps))
    colours: dict[str, Any] = {"color": style.GREY}
    if labels is not None:
        names, numbers = _classes(labels)
        cmap = mpl.colormaps[style.CLASS_COLOURMAP]
        if len(names) > 10:
            cmap = mpl.colormaps["turbo"].resampled(len(names))
        top = len(names) - 0.5
        colours = {"c": numbers, "cmap": cmap, "vmin": -0.5, "vmax": max(top, 9.5)}
    for ax, (title, z) in zip(axes[0], maps.items(), strict=True):
        z = np.asarray(z)
        points = ax.scatter(z[:, 0], z[:, 1], s=4, linewidths=0, alpha=0.7, **colours)
        if title in circles:
            _prior_circles(ax)
        ax.set(title=title, xlabel="z₁", ylabel="z₂")
        ax.set_aspect("equal", adjustable="datalim")
    if labels is not None:
        ticks = range(0, len(names), -(-len(names) // 30))  # room for thirty
        bar = fig.colorbar(points, ax=axes[0], ticks=ticks, pad=0.01, aspect=25)
        bar.ax.set_yticklabels([names[tick] for tick in ticks])
        bar.ax.set_ylim(-0.5, len(names) - 0.5)
        bar.set_label("class")
        bar.ax.spines["outline"].set_visible(False)
        bar.set_alpha(1)
    return fig


def _classes(labels: ArrayLike) -> tuple[list[str], np.ndarray]:
    """Return the classes' names, and the number of each label's class among them."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() <= 9:
        return [str(digit) for digit in range(10)], labels  # a digit keeps its colour
    names, numbers = np.unique(labels.astype(str), return_inverse=True)
    if labels.dtype.kind in "iuf":  # in their order, not the alphabet's
        values, numbers = np.unique(labels, return_inverse=True)
        names = values.astype(str)
    return names.tolist(), numbers


@style.styled
def image_rows(rows: Mapping[str, ArrayLike]) -> Figure:
    """Draw rows of images, each (n, height, width), with a name at the left."""
    count = len(np.asarray(next(iter(rows.values()))))
    height = 0.2 + 5.9 / count * len(rows)
    fig, axes = style.figure(len(rows), count, width=6.8, height=height)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(row, np.asarray(images), strict=True):
            ax.imshow(image, **IMAGE)
            _bare(ax)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return fig


@style.styled
def image_grid(
    images: ArrayLike, extent: Extent | None = None, *, unit: str = ""
) -> Figure:
    """Draw a grid of images (rows, columns, height, width) as one picture.

    Args:
        images: grey, or (…, 3) of colours in [0, 1]; the first row is drawn at the top.
        extent: what the grid spans in latent units; None for images without a place.
        unit: of the axes, set behind z₁ and z₂.
    """
    images = np.asarray(images)
    rows, columns, height, width, *colours = images.shape
    # A blank line between images: small ones fill their frame.
    blank = ((0, 0), (0, 0), (0, 1), (0, 1), *((0, 0) for _ in colours))
    images = np.pad(images, blank, constant_values=1.0 if colours else 0.0)
    shape = rows * (height + 1), columns * (width + 1), *colours
    mosaic = images.swapaxes(1, 2).reshape(shape)
    aspect = mosaic.shape[0] / mosaic.shape[1]
    size = 4.6 if extent else 6.0
    fig, axes = style.figure(width=size, height=0.2 + size * aspect)
    ax = axes[0, 0]
    ax.imshow(mosaic, extent=extent, aspect="auto", **IMAGE)
    ax.set_box_aspect(aspect)
    if extent is None:
        _bare(ax)
    else:
        ax.set(xlabel=f"z₁{unit}", ylabel=f"z₂{unit}")
    return fig


@style.styled
def gap_maps(panels: Mapping[str, GapMap]) -> Figure:
    """Draw how far from the data the latent plane decodes, one panel a model."""
    fig, axes = style.figure(1, len(panels), height=3.2, width=0.7 + 3.1 * len(panels))
    # Paler below the threshold, so that the dots of the data are seen.
    norm = TwoSlopeNorm(0, vmin=-8, vmax=3)
    for ax, (title, panel) in zip(axes[0], panels.items(), strict=True):
        ratio, z = np.asarray(panel.ratio), np.asarray(panel.data)
        picture = ax.imshow(
            np.log2(np.clip(ratio, 2.0**-3, 2.0**3)),
            extent=panel.extent,
            cmap=style.SIGNED_COLOURMAP,
            norm=norm,
            aspect="auto",
        )
        ax.scatter(z[:, 0], z[:, 1], s=2, color=style.BLACK, linewidths=0, alpha=0.5)
        if panel.prior:
            _prior_circles(ax)
        left, right, bottom, top = panel.extent
        ax.set(xlim=(left, right), ylim=(bottom, top))
        ax.set(title=title, xlabel="z₁", ylabel="z₂")
    bar = fig.colorbar(picture, ax=axes[0], ticks=range(-3, 4), pad=0.01, aspect=25)
    bar.ax.set_ylim(-3, 3)
    bar.ax.set_yticklabels(["≤ ⅛", "¼", "½", "1", "2", "4", "≥ 8"])
    bar.set_label("distance / threshold; red is off the data")
    bar.ax.spines["outline"].set_visible(False)
    return fig


def _prior_circles(ax: Axes) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2, 3):
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        ax.plot(x, y, color=style.BLACK, linewidth=0.8, linestyle=(0, (4, 3)))


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
