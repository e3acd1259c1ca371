"""Figures of compression: rates of lossless codes, rates and errors of bounded ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, COLOURS, GREEN, GREY, MARKERS, ORANGE


@style.styled
def lossless_rates(
    rates: Mapping[str, float],
    growth: Mapping[str, ArrayLike],
    *,
    bound: tuple[float, float],
    weights_bits: float,
) -> Figure:
    """Draw the rates of all codes, and from when on a model's weights pay off.

    Args:
        rates: code -> bits per pixel of all test images; "VAE, file" is ours.
        growth: "images", and of as many "bits_per_pixel" of the VAE's file and of the
            "best_other".
        bound: the VAE's bound in bits per pixel, and its standard error.
        weights_bits: of the model, divided by the pixels of one image.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.0, width_ratios=(1, 1.1))
    left, right = axes[0]
    names = sorted(rates, key=lambda name: -rates[name])
    values = np.array([rates[name] for name in names])
    place = np.arange(len(names))[::-1]
    colours = [GREEN if name.startswith("VAE") else GREY for name in names]
    left.barh(place, values, color=colours, height=0.65)
    for y, value in zip(place, values, strict=True):
        text = f"{value:.3f}"
        left.text(value + 0.02 * values.max(), y, text, va="center", fontsize=8)
    value, error = bound
    left.axvline(value, color=BLACK, linewidth=1, linestyle="--")
    left.axvspan(
        value - 1.96 * error, value + 1.96 * error, color=BLACK, alpha=0.15, lw=0
    )
    left.set(
        yticks=place,
        yticklabels=names,
        xlim=(0, 1.2 * values.max()),
        xlabel="rate, bits per pixel",
        title="All test images (dashed: the bound)",
    )

    images, rate, best = (
        np.asarray(growth[name], float)
        for name in ("images", "bits_per_pixel", "best_other")
    )
    many = np.geomspace(images[0], 1000 * images[-1], 300)
    within = many <= images[-1]
    alone = np.interp(np.log(many), np.log(images), rate)
    others = np.interp(np.log(many), np.log(images), best)
    right.plot(images, rate, "o-", color=GREEN, markersize=4, label="VAE, file")
    right.plot(images, best, "s-", color=GREY, markersize=4, label="best other")
    total = alone + weights_bits / many
    right.plot(many[within], total[within], color=BLUE, label="file and weights")
    right.plot(many[~within], total[~within], color=BLUE, linestyle=":")
    right.plot(many[~within], others[~within], color=GREY, linestyle=":")
    right.set(
        xscale="log",
        yscale="log",
        ylim=(0.6 * rate.min(), 100 * rate.min()),
        xlabel="images in the file (dotted: at the last rate)",
        ylabel="bits per pixel",
        title="What the receiver needs counts too",
    )
    right.legend()
    return fig


@style.styled
def bounded_errors(
    bounds: Sequence[float],
    rates: Mapping[str, ArrayLike],
    errors: Mapping[str, ArrayLike],
    *,
    shown: float,
) -> Figure:
    """Draw the rate against the bound on errors, and the errors at one bound.

    Args:
        bounds: relative errors allowed.
        rates: code -> bits per number at each bound.
        errors: quantity -> relative error of every event at the bound `shown`.
        shown: that bound.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.0)
    left, right = axes[0]
    looks = zip(rates.items(), (GREEN, BLUE, GREY, ORANGE), MARKERS, strict=False)
    for (name, rate), colour, marker in looks:
        left.plot(
            100 * np.asarray(bounds),
            rate,
            marker=marker,
            color=colour,
            markersize=5,
            label=name,
        )
    left.set(xscale="log")
    left.set_xticks([100 * b for b in bounds], [f"{100 * b:g}" for b in bounds])
    left.minorticks_off()
    left.set(
        ylim=(0, None),
        xlabel="greatest relative error, %",
        ylabel="bits per number",
        title="Held-out events (float32 takes 32)",
    )
    left.legend(loc="upper right")
    edges = np.linspace(-2.2, 2.2, 89) * shown * 100
    for index, (name, error) in enumerate(errors.items()):
        right.hist(
            100 * np.asarray(error),
            bins=edges,
            histtype="step",
            density=True,
            color=COLOURS[index],
            linewidth=1.4,
            label=name,
        )
    right.axvspan(-100 * shown, 100 * shown, color=GREY, alpha=0.15, lw=0)
    top = right.get_ylim()[1]
    right.set(
        ylim=(0, 1.5 * top),
        xlabel="relative error, %",
        ylabel="density, 1/%",
        title=f"Errors at a bound of {100 * shown:g} %",
    )
    right.legend(loc="upper center", fontsize=7, ncols=2)
    return fig
