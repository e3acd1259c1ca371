"""Figures of a coin flipped n times: test, posteriors, Bayes factors."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, SKY

MAX_BARS = 60  # more counts than this are drawn as one filled curve
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # behind a text


class Belief(NamedTuple):
    """One prior, turned into its posterior by the data."""

    name: str  # for example "uniform prior, Beta(1, 1)"
    prior: ArrayLike  # density at each grid point
    posterior: ArrayLike
    interval: tuple[float, float]  # the credible interval to shade
    draws: ArrayLike | None = None  # a sampler's draws from the posterior


class Answer(NamedTuple):
    """One line of a table of answers: a point and an interval around it."""

    name: str
    point: float
    interval: tuple[float, float]
    colour: str = BLUE


@style.styled
def frequentist_and_bayesian(
    k: ArrayLike,
    null_probabilities: ArrayLike,
    p: ArrayLike,
    beliefs: Sequence[Belief],
    answers: Sequence[Answer],
    *,
    successes: int,
    null: float,
    p_value: float,
    significance: float,
) -> Figure:
    """Draw the frequentist test, the Bayesian posteriors and the answers of both.

    Args:
        k: (counts,), the numbers of heads to draw, ascending.
        null_probabilities: (counts,), P(K = k) under the null hypothesis.
        p: (points,), grid of the probability of heads.
        beliefs: whose posteriors are drawn.
        answers: the intervals to compare, top to bottom.
        successes: the observed k.
        null: the null hypothesis's p.
        p_value: P(K >= successes) under the null hypothesis.
        significance: the same in one-sided Gaussian sigmas.
    """
    k, probabilities = np.asarray(k), np.asarray(null_probabilities)
    fig, axes = style.figure(1, 3, width=10.2, height=3.0)
    test, densities, table = axes[0]

    _masses(test, k, probabilities, SKY)
    _masses(test, k[k >= successes], probabilities[k >= successes], RED)
    test.text(
        0.98,
        0.97,
        f"P(K ≥ {successes}) = {100 * p_value:.3g} %\n{significance:.2f} σ",
        color=RED,
        fontsize=9,
        ha="right",
        va="top",
        transform=test.transAxes,
    )
    test.set(
        xlabel="heads K",
        ylabel=f"P(K | p = {null:g})",
        ylim=(0, 1.3 * probabilities.max()),
        title="Frequentist: how odd are the data\nif the coin is fair?",
    )
    test.xaxis.set_major_locator(MaxNLocator(integer=True))

    for belief, colour in zip(beliefs, (BLUE, ORANGE, GREEN), strict=False):
        _shaded(densities, p, belief.posterior, belief.interval, colour, belief.name)
    densities.set(
        xlim=(0, 1),
        xlabel="probability of heads p",
        ylabel="density of p given the data",
        title="Bayesian: what do the data say\nabout p?",
    )
    top = densities.dataLim.ymax
    densities.vlines(null, 0, top, color=BLACK, linewidth=1, linestyle=":")
    densities.set_ylim(0, 1.35 * top)
    densities.legend(loc="upper left")

    rows = np.arange(len(answers))[::-1]
    for row, answer in zip(rows, answers, strict=True):
        lower, upper = answer.interval
        table.plot([lower, upper], [row, row], color=answer.colour, linewidth=3)
        table.plot(answer.point, row, "o", color=answer.colour)
        line = {"fontsize": 8, "va": "bottom", "bbox": _PAPER}
        table.text(0, row + 0.2, answer.name, color=answer.colour, **line)
        table.text(1, row + 0.2, " to ".join(_digits(lower, upper)), ha="right", **line)
    table.axvline(null, color=BLACK, linewidth=1, linestyle=":", zorder=0)
    table.set(
        xlim=(0, 1),
        ylim=(-0.5, len(answers) - 0.2),
        yticks=[],
        xlabel="probability of heads p",
        title="The answers: point and\n95 % interval",
    )
    table.spines["left"].set_visible(False)
    return fig


@style.styled
def prior_to_posterior(
    p: ArrayLike, likelihood: ArrayLike, beliefs: Sequence[Belief]
) -> Figure:
    """Draw prior, likelihood and posterior with its interval, one panel a prior.

    Args:
        p: (points,), grid of the parameter.
        likelihood: (points,), scaled to unit area, so that all share one axis.
        beliefs: the priors with their posteriors.
    """
    fig, axes = style.figure(1, len(beliefs), height=3.0, sharey=True)
    for axis, belief in zip(axes[0], beliefs, strict=True):
        if belief.draws is not None:
            axis.hist(
                np.asarray(belief.draws).ravel(),
                bins=50,
                range=(0, 1),
                density=True,
                histtype="stepfilled",
                color="#DDDDDD",
                label="NUTS draws",
            )
        axis.plot(p, belief.prior, "--", color=GREEN, label="prior")
        axis.plot(p, likelihood, ":", color=BLACK, label="likelihood (unit area)")
        _shaded(axis, p, belief.posterior, belief.interval, BLUE, "posterior")
        ends = ", ".join(_digits(*belief.interval))
        axis.set(
            xlim=(0, 1),
            xlabel="probability of heads p",
            title=f"{belief.name}\n95 % in ({ends})",
        )
    axes[0, 0].set_ylabel("density of p")
    axes[0, 0].set_ylim(0, 1.08 * max(np.asarray(b.posterior).max() for b in beliefs))
    axes[0, 0].legend(loc="upper left")
    return fig


@style.styled
def bayes_factors(
    k: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    bayes_factors: ArrayLike,
    *,
    successes: int,
) -> Figure:
    """Draw what two models predict for each k, and the Bayes factor of each k.

    Args:
        k: (counts,), the numbers of heads to draw, ascending.
        predictions: for each of two models (its name) P(k | model), (counts,).
        bayes_factors: (counts,), the first model over the second, for each k.
        successes: the observed k, one of the counts.
    """
    k, factors = np.asarray(k), np.asarray(bayes_factors)
    fig, axes = style.figure(1, 2, height=2.9)
    left, right = axes[0]
    for (name, prediction), offset, colour in zip(
        predictions.items(), (-0.2, 0.2), (ORANGE, BLUE), strict=True
    ):
        _masses(left, k, prediction, colour, offset=offset, width=0.4, label=name)
    left.set(
        xlabel="heads k",
        ylabel="P(k | model)",
        title="What each model expected to see",
    )
    top = left.dataLim.ymax
    left.vlines(successes, 0, top, color=BLACK, linewidth=1, linestyle=":", zorder=0)
    left.set_ylim(0, 1.45 * top)
    left.legend(loc="upper left")

    first, second = predictions
    observed = float(factors[k == successes][0])
    right.axhline(1, color=BLACK, linewidth=1)
    right.axhspan(
        1 / 3, 3, color="#DDDDDD", linewidth=0, label="1/3 < K < 3: barely a difference"
    )
    right.plot(k, factors, "-", color=GREY, linewidth=1)
    if len(k) <= MAX_BARS:
        right.plot(k, factors, "o", color=GREY, markersize=4)
    right.plot(
        successes,
        observed,
        "o",
        color=RED,
        markersize=8,
        label=f"observed k = {successes}: K = {observed:.3g}",
    )
    right.set(
        yscale="log",
        xlabel="heads k",
        ylabel=f"Bayes factor K\n({first} over {second})",
        title="What the data say of the models",
    )
    right.legend(loc="lower center")
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig


def _shaded(
    axis: Axes,
    x: ArrayLike,
    density: ArrayLike,
    interval: tuple[float, float],
    colour: Any,
    label: str,
) -> None:
    """Draw a density with the part inside the interval filled."""
    x, density = np.asarray(x), np.asarray(density)
    axis.plot(x, density, color=colour, label=label)
    inside = (x >= interval[0]) & (x <= interval[1])
    axis.fill_between(x[inside], density[inside], color=colour, alpha=0.25, linewidth=0)


def _digits(lower: float, upper: float) -> tuple[str, str]:
    """Write an interval's ends with two digits of its width, at least two decimals."""
    decimals = 2
    while upper > lower and upper - lower < 10.0 ** (1 - decimals):
        decimals += 1
    return f"{lower:.{decimals}f}", f"{upper:.{decimals}f}"


def _masses(
    axis: Axes,
    k: np.ndarray,
    probabilities: ArrayLike,
    colour: str,
    *,
    offset: float = 0.0,
    width: float = 0.8,
    label: str | None = None,
) -> None:
    """Draw probabilities of counts: as bars, or as one filled curve if many."""
    heights = np.asarray(probabilities)
    if len(k) <= MAX_BARS:
        axis.bar(k + offset, heights, width, color=colour, label=label)
    else:
        axis.fill_between(k, heights, color=colour, alpha=0.7, linewidth=0, label=label)
