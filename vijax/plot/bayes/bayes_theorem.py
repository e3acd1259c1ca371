"""Figures of probability: relative frequencies that settle, Bayes' theorem of coins."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREY, RED


@style.styled
def relative_frequencies(
    frequencies: ArrayLike,
    sizes: ArrayLike,
    rms_errors: ArrayLike,
    *,
    probability: float,
    slope: float,
    slope_standard_error: float,
) -> Figure:
    """Draw relative frequencies that settle, and how fast: as 1/sqrt(N).

    Args:
        frequencies: (sequences, N), the frequency after 1, 2, …, N tosses.
        sizes: (points,), numbers of tosses at which the error was measured.
        rms_errors: (points,), root mean squared error of the frequency there.
        probability: the event's true probability.
        slope: of log error against log N, fitted.
        slope_standard_error: its uncertainty.
    """
    frequencies, sizes = np.asarray(frequencies), np.asarray(sizes)
    fig, axes = style.figure(1, 2)
    left, right = axes[0]

    tosses = np.arange(1, frequencies.shape[1] + 1)
    spread = np.sqrt(probability * (1 - probability) / tosses)
    left.fill_between(
        tosses,
        probability - spread,
        probability + spread,
        color=GREY,
        alpha=0.3,
        linewidth=0,
        label="±1 standard deviation",
    )
    left.axhline(probability, color=BLACK, linewidth=1)
    for sequence in frequencies:
        left.plot(tosses, sequence, linewidth=1)
    left.set(
        xscale="log",
        xlim=(1, tosses[-1]),
        ylim=(0, 1),
        xlabel="tosses N",
        ylabel="relative frequency of tail",
        title="Each sequence settles…",
    )
    left.legend(loc="lower right")

    exact = np.sqrt(probability * (1 - probability) / sizes)
    right.plot(sizes, exact, color=BLACK, label=r"exact $\sqrt{p(1-p)/N}$", zorder=1)
    right.plot(
        sizes,
        rms_errors,
        "o",
        color=BLUE,
        label=f"simulated: slope {slope:.3f} ± {slope_standard_error:.3f}".replace(
            "-", "−"
        ),
    )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="tosses N",
        ylabel="root mean squared error",
        title="…with an error that falls as 1/√N",
    )
    right.legend(loc="lower left")
    return fig


@style.styled
def ten_coins(
    prior: ArrayLike,
    likelihood: ArrayLike,
    posterior: ArrayLike,
    simulated: ArrayLike,
    simulated_standard_error: ArrayLike,
    *,
    repeated: ArrayLike,
    repeated_simulated: ArrayLike,
    repeated_standard_error: ArrayLike,
) -> Figure:
    """Draw Bayes' theorem for coins of which one has two tails.

    The panels show probabilities as areas, the posterior after one toss, and the
    posterior after several. The last hypothesis is the unfair coin.

    Args:
        prior: (hypotheses,), P(A_i).
        likelihood: (hypotheses,), P(B | A_i).
        posterior: (hypotheses,), P(A_i | B).
        simulated: (hypotheses,), the posterior by simulation.
        simulated_standard_error: (hypotheses,), its uncertainty.
        repeated: (draws + 1,), P(unfair | 0, 1, …, draws tails in a row).
        repeated_simulated: (draws + 1,), the same by simulation.
        repeated_standard_error: (draws + 1,), its uncertainty.
    """
    prior, likelihood = np.asarray(prior), np.asarray(likelihood)
    posterior, repeated = np.asarray(posterior), np.asarray(repeated)
    colours = [BLUE] * (len(prior) - 1) + [RED]
    fig, axes = style.figure(1, 3, width=9.0, height=2.8)
    square, bars, draws = axes[0]

    edges = np.concatenate([[0.0], np.cumsum(prior)[:-1]])
    square.bar(edges, np.ones_like(prior), prior, align="edge", color="#EEEEEE")
    square.bar(edges, likelihood, prior, align="edge", color=colours, edgecolor="white")
    square.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="the coins, each as wide as its prior P(A$_i$)",
        ylabel="P(tail | A$_i$)",
        title=f"P(tail) = coloured area = {prior @ likelihood:.3g}",
    )
    middle = {"color": "white", "ha": "center", "va": "center"}
    fair = float(prior[:-1].sum())
    square.text(fair / 2, 0.25, "fair", **middle)
    square.text((fair + 1) / 2, 0.5, "two tails", rotation=90, **middle)

    coins = np.arange(1, len(prior) + 1)
    bars.bar(coins, posterior, color=colours, width=0.8, label="P(A$_i$ | tail)")
    bars.step(
        np.append(coins - 0.5, coins[-1] + 0.5),
        np.append(prior, prior[-1]),
        where="post",
        color=BLACK,
        linewidth=1,
        linestyle="--",
        label="prior P(A$_i$)",
    )
    _draw_simulated(bars, coins, simulated, simulated_standard_error)
    bars.set(
        xticks=coins,
        xlabel="coin",
        ylabel="probability",
        ylim=(0, 1.35 * posterior.max()),
        title=f"After one tail: P(unfair) = {posterior[-1]:.4f}",
    )
    bars.legend(loc="upper left")

    count = np.arange(len(repeated))
    draws.plot(count, repeated, "-o", color=RED, markersize=4, label="exact")
    _draw_simulated(draws, count, repeated_simulated, repeated_standard_error)
    draws.set(
        xlabel="tosses of the same coin, all tails",
        ylabel="P(unfair | all tails)",
        ylim=(0, 1.02),
        title="Each posterior is the next prior",
    )
    draws.xaxis.set_major_locator(MaxNLocator(integer=True))
    draws.legend(loc="lower right")
    return fig


def _draw_simulated(ax: Axes, x: ArrayLike, y: ArrayLike, error: ArrayLike) -> None:
    ax.errorbar(
        np.asarray(x),
        np.asarray(y),
        np.asarray(error),
        fmt="o",
        color=BLACK,
        markersize=3,
        label="simulated",
    )
