"""Figures of the three uses of a VAE: anomalies, compression, generation."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, COLOURS, GREEN, GREY, MARKERS, ORANGE, RED


@style.styled
def classes_left_out(
    false_positive_rates: ArrayLike,
    true_positive_rates: ArrayLike,
    values: Mapping[str, ArrayLike],
    errors: Mapping[str, ArrayLike],
    *,
    names: Sequence[str],
    shown: str,
) -> Figure:
    """Draw one ROC curve for each class left out, and the areas of every score.

    Args:
        false_positive_rates: (classes, points), of the score `shown`.
        true_positive_rates: (classes, points).
        values: score -> AUC of each class left out.
        errors: score -> its standard error.
        names: of the classes.
        shown: the score whose curves are drawn.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.4)
    left, right = axes[0]
    colours = mpl.colormaps[style.CLASS_COLOURMAP]
    curves = zip(
        np.asarray(false_positive_rates),
        np.asarray(true_positive_rates),
        np.asarray(values[shown]),
        names,
        strict=True,
    )
    for index, (x, y, area, name) in enumerate(curves):
        # Ten colours and two dashes, so that no pair hangs on a hue alone.
        dashes = "-" if index % 2 == 0 else (0, (4, 1.5))
        label = f"{name}   {area:.2f}"
        left.plot(x, y, linestyle=dashes, color=colours(index % 10), label=label)
    style.roc_axes(left, title=f"ROC of the {shown}")
    left.legend(
        title="left out, AUC",
        fontsize=7,
        title_fontsize=7,
        loc="lower right",
        frameon=True,  # curves that fall below the diagonal end behind it
        framealpha=0.9,
        edgecolor="none",
    )

    place = np.arange(len(names))
    for index, (score, areas) in enumerate(values.items()):
        shift = 0.16 * (index - (len(values) - 1) / 2)
        right.errorbar(
            place + shift,
            areas,
            yerr=1.96 * np.asarray(errors[score]),
            fmt=MARKERS[index],
            color=COLOURS[index],
            markersize=4,
            elinewidth=1,
            label=f"{score}, mean {np.mean(np.asarray(areas)):.2f}",
        )
    right.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    right.set(
        xticks=place,
        xticklabels=names,
        ylim=(0, 1.48),
        yticks=np.linspace(0, 1, 6),
        xlabel="class left out",
        ylabel="AUC",
        title="Areas with 95 % intervals",
    )
    right.legend(loc="upper left", fontsize=7, ncols=1)
    return fig


@style.styled
def lossy_and_lossless(
    points: Mapping[str, tuple[ArrayLike, ArrayLike]],
    lossless: Mapping[str, float],
    *,
    bound: str,
    bound_error: float,
) -> Figure:
    """Draw rate against distortion, and the rates of lossless codes.

    Args:
        points: method -> (bits per pixel, PSNR in dB) of all its settings.
        lossless: code -> bits per pixel of the binarised test images.
        bound: the entry of `lossless` that is a model's bound.
        bound_error: its standard error.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.0, width_ratios=(1.25, 1))
    left, right = axes[0]
    looks = zip(points.items(), (BLUE, RED), ("o", "s"), strict=False)
    for (method, (rate, psnr)), colour, marker in looks:
        rate, psnr = np.asarray(rate), np.asarray(psnr)
        left.scatter(rate, psnr, s=9, marker=marker, color=colour, alpha=0.4, lw=0)
        order = np.argsort(rate)
        best = np.maximum.accumulate(psnr[order])
        left.step(rate[order], best, where="post", color=colour, label=method)
    left.set(
        xscale="log",
        xlabel="rate, bits per pixel",
        ylabel="PSNR of held-out images, dB",
        title="Lossy: latents quantised and coded",
    )
    left.legend(loc="upper left")

    names = list(lossless)
    rates = np.array([lossless[name] for name in names])
    colours = [GREEN if name == bound else GREY for name in names]
    place = np.arange(len(names))[::-1]
    errors = [bound_error if name == bound else 0.0 for name in names]
    right.barh(place, rates, xerr=errors, color=colours, height=0.65)
    for y, rate in zip(place, rates, strict=True):
        right.text(rate + 0.02 * rates.max(), y, f"{rate:.3f}", va="center", fontsize=8)
    right.set(
        yticks=place,
        yticklabels=names,
        xlim=(0, 1.22 * rates.max()),
        xlabel="rate, bits per pixel",
        title="Lossless: binarised images",
    )
    return fig


@style.styled
def samples_and_distances(
    images: Mapping[str, ArrayLike],
    distances: Mapping[str, float],
    distance_errors: Mapping[str, float],
    accuracies: Mapping[str, float],
    accuracy_errors: Mapping[str, float],
    *,
    floor: tuple[float, float],
) -> Figure:
    """Draw examples of each generator beside its distance from real images.

    Args:
        images: generator -> (columns, height, width), the first row real images.
        distances: generator -> Fréchet distance.
        distance_errors: their standard errors.
        accuracies: generator -> accuracy of the two-sample classifier.
        accuracy_errors: their standard errors.
        floor: mean and standard deviation of the distance, real against real.
    """
    names = list(images)
    rows = [np.concatenate(list(np.asarray(images[name])), axis=1) for name in names]
    mosaic = np.concatenate(rows)
    ratios = (2.3, 1.25, 0.85)
    fig, axes = style.figure(
        1, 3, width=6.8, height=0.65 + 0.4 * len(names), width_ratios=ratios
    )
    picture, middle, right = axes[0]
    picture.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1)
    height = rows[0].shape[0]
    for row in range(1, len(names)):
        picture.axhline(row * height - 0.5, color="white", linewidth=3)
    picture.set(
        xticks=[],
        yticks=(np.arange(len(names)) + 0.5) * height - 0.5,
        yticklabels=names,
        title="samples",
    )
    picture.tick_params(left=False)
    picture.spines[:].set_visible(False)

    place = np.arange(len(names)) + 0.5
    mean, spread = floor
    panels = (
        (middle, distances, distance_errors, BLUE, "Fréchet distance"),
        (right, accuracies, accuracy_errors, ORANGE, "told apart"),
    )
    for ratio, (ax, values, errors, colour, title) in zip(
        ratios[1:], panels, strict=True
    ):
        points = [values[name] for name in names]
        bars = [1.96 * errors[name] for name in names]
        ax.errorbar(points, place, xerr=bars, fmt="o", color=colour, markersize=4)
        ax.set(ylim=(len(names), 0), yticks=[], title=title)
        ax.spines["left"].set_visible(False)
        # As high as the picture, so that the rows stand beside their images.
        ax.set_box_aspect(mosaic.shape[0] / mosaic.shape[1] * ratios[0] / ratio)
    middle.axvspan(
        max(mean - 2 * spread, 0.1 * mean),
        mean + 2 * spread,
        color=GREY,
        alpha=0.3,
        linewidth=0,
    )
    middle.text(
        mean, len(names) - 0.05, "noise floor", ha="center", va="bottom", fontsize=7
    )
    middle.set(
        xscale="log",
        xlim=(0.1 * mean, 2 * max(distances.values())),
        xlabel="squared feature units",
    )
    right.axvline(0.5, color=BLACK, linewidth=1, linestyle=":")
    right.set(xlim=(0.4, 1.03), xlabel="share correct")
    return fig
