"""Figure of rate against distortion: the best of a decoder, and what its VAE does."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREY, RED


class CodePoints(NamedTuple):
    """Rate, distortion and excess of codes, in nats per example, with their errors."""

    rate: ArrayLike
    rate_error: ArrayLike
    distortion: ArrayLike
    distortion_error: ArrayLike
    excess: ArrayLike  # of rate + distortion over the least sum
    excess_error: ArrayLike


@style.styled
def rate_against_distortion(
    best: CodePoints, beta: ArrayLike, vae: CodePoints
) -> Figure:
    """Draw the best that a decoder can do at every rate, and what its VAE does.

    Args:
        best: along the curve.
        beta: of its points, rising from 0.
        vae: the VAE's own point, each field a number.
    """
    fig, axes = style.figure(1, 2, width=6.8, height=3.0)
    left, right = axes[0]
    rate, distortion = np.asarray(best.rate), np.asarray(best.distortion)
    at = [int(np.argmin(np.abs(np.asarray(beta) - b))) for b in (0, 0.1, 0.3, 1)]
    left.plot(rate, distortion, color=BLUE, label="best for this decoder")
    left.errorbar(
        rate[at],
        distortion[at],
        xerr=1.96 * np.asarray(best.rate_error)[at],
        yerr=1.96 * np.asarray(best.distortion_error)[at],
        fmt="o",
        color=BLUE,
        markersize=4,
        elinewidth=1,
    )
    for index in at:
        left.annotate(
            f"β = {np.asarray(beta)[index]:.1g}",
            (rate[index], distortion[index]),
            xytext=(7, 5),
            textcoords="offset points",
            fontsize=8,
        )
    left.errorbar(
        [vae.rate],
        [vae.distortion],
        xerr=1.96 * np.asarray(vae.rate_error),
        yerr=1.96 * np.asarray(vae.distortion_error),
        fmt="s",
        color=RED,
        markersize=5,
        elinewidth=1,
        label="the VAE",
    )
    total = rate[-1] + distortion[-1]
    ends = np.array([0.55 * rate[-1], 1.3 * rate[-1]])
    left.plot(ends, total - ends, color=GREY, lw=1, ls="--", label="sum = −log p(x)")
    left.set(
        xlabel="rate, nats per image",
        ylabel="distortion, nats per image",
        title="Distortion against rate",
    )
    left.legend(loc="upper right")

    excess, error = np.asarray(best.excess), 1.96 * np.asarray(best.excess_error)
    right.plot(rate, excess, color=BLUE)
    right.fill_between(
        rate, excess - error, excess + error, color=BLUE, alpha=0.25, lw=0
    )
    right.errorbar(
        [vae.rate],
        [vae.excess],
        yerr=1.96 * np.asarray(vae.excess_error),
        fmt="s",
        color=RED,
        markersize=5,
        elinewidth=1,
    )
    right.axhline(0, color=BLACK, linewidth=1, linestyle=":")
    top = 3 * max(float(np.asarray(vae.excess)), 1.0)
    shown = rate[excess < top]
    right.set(
        xlim=(shown.min(), max(shown.max(), 1.1 * float(np.asarray(vae.rate)))),
        ylim=(-0.1 * top, top),
        xlabel="rate, nats per image",
        ylabel="nats per image",
        title="Their sum, above −log p(x)",
    )
    return fig
