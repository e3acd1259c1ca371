"""Figures of predictions: held against new data, and against the model's own.

predictive_intervals(vi.predict(fit, key, x_new, None), "y", y_new)
predictive_checks(vi.posterior_predictive_check(fit, key))
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREY, RED, styled
from vijax.plot.vi.fit_entries import INNER, OUTER, label_of
from vijax.validate import check
from vijax.vi import CheckedStatistic, PredictiveCheck

MAX_CHECKS = 12
MAX_WHOLE = 60  # whole numbers that have a bin each
LONG = 16  # letters of a legend's word


@styled
def predictive_intervals(
    predicted: Mapping[str, Any],
    site: str,
    observed: ArrayLike | Sequence[float],
    *,
    x: ArrayLike | Sequence[float] | None = None,
    label: str | None = None,
    x_label: str = "row, by predicted median",
) -> Figure:
    r"""Draw predictive intervals of rows with what was observed there.

    Left the 50 and 95 % intervals, each row's, in order of `x` or of their medians.
    Right where the observed values fall among the draws, P(y_new < y) + ½ P(=): evenly
    between 0 and 1 where the predictions are right; the band holds 95 % of the heights
    that chance gives.

    Args:
        predicted: by `vi.predict`, or draws by site.
        site: that was observed, one number a row.
        observed: (rows,).
        x: (rows,), an input to draw them against.
        label: of the site, with its unit; by default its name.
        x_label: of `x`.

    Returns:
        The figure, 7.2 inches wide; its title counts the rows inside.

    Raises:
        ValueError: a site that is not there; observed values or x of another shape.

    Example:
        >>> from vijax import plot
        >>> draws = {"y": np.random.default_rng(0).normal(size=(1000, 3))}
        >>> figure = plot.predictive_intervals(draws, "y", [0.1, -0.5, 9.0])
        >>> figure.axes[0].get_title()
        '2 of 3 rows in their 95 % interval, 2 in that of 50 %'
    """
    if site not in predicted:
        raise ValueError(
            f"site = {site!r} is not valid: give one of {', '.join(predicted)}"
        )
    draws = np.asarray(predicted[site], float)
    seen = np.asarray(observed, float)
    if draws.ndim != 2 or seen.shape != draws.shape[1:]:
        raise ValueError(
            f"observed has shape {seen.shape} and is not valid: {site!r} has "
            f"{draws.shape}; give one number for each of its rows"
        )
    places = _places(draws, x)
    trusted = bool(getattr(predicted, "trusted", True))
    who = label_of(getattr(predicted, "source", "draws"), trusted=trusted)
    fig, axes = style.figure(1, 2, width=7.2, height=3.0, width_ratios=(2.4, 1))
    ax = axes[0, 0]
    counts = []
    thick = float(np.clip(220 / len(seen), 1.2, 3.0))
    for mass, width in ((OUTER, 0.4 * thick), (INNER, thick)):
        low, high = np.quantile(draws, ((1 - mass) / 2, (1 + mass) / 2), axis=0)
        counts.append((seen >= low) & (seen <= high))
        word = f"{who}: {100 * mass:.0f} % interval"
        colour = style.SKY if mass == OUTER else BLUE
        ax.vlines(places, low, high, color=colour, lw=width, label=word)
    outside = ~counts[0]
    ax.plot(places[~outside], seen[~outside], "o", ms=3, color=BLACK, label="observed")
    if outside.any():
        word = "observed, outside 95 %"
        ax.plot(places[outside], seen[outside], "X", ms=5, color=RED, label=word)
    if x is None:
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set(
        xlabel=x_label,
        ylabel=label or site,
        title=f"{counts[0].sum()} of {len(seen)} rows in their 95 % interval, "
        f"{counts[1].sum()} in that of 50 %",
    )
    # With long words one row is wider than the page.
    fig.legend(loc="outside lower center", ncols=4 if len(who) < LONG else 2)
    _ranks(axes[0, 1], draws, seen)
    return fig


@styled
def predictive_checks(
    table: PredictiveCheck, *, labels: Mapping[str, str] | None = None
) -> Figure:
    """Draw each statistic of the data over those of replications.

    Args:
        table: by `vi.posterior_predictive_check`.
        labels: of the statistics' axes, with units; by default their names.

    Returns:
        The figure, up to four panels in a row. A statistic that few replications reach
        is drawn in red.

    Raises:
        ValueError: no statistics, or more than 12.
    """
    names, given = list(table), labels or {}
    check(
        1 <= len(names) <= MAX_CHECKS, "table", names, f"give 1 to {MAX_CHECKS} of them"
    )
    who = label_of(table.source, trusted=table.trusted)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    width = min(7.2, 0.6 + 2.4 * columns)
    fig, axes = style.figure(rows, columns, width=width, height=0.5 + 1.8 * rows)
    flat = axes.ravel()
    for ax, name in zip(flat, names, strict=False):
        found = table[name]
        odd = name in table.extreme
        finite = found.replicated[np.isfinite(found.replicated)]
        ax.hist(
            finite, _bins(finite), color=BLUE, alpha=0.45, label=f"replicated by {who}"
        )
        ax.axvline(
            found.observed, color=RED if odd else BLACK, lw=1.8, label="observed"
        )
        ax.set(yticks=[], xlabel=given.get(name, name))
        ax.set_title(_p_value(found), color=RED if odd else BLACK, fontsize=9)
        ax.spines["left"].set_visible(False)
        ax.locator_params(axis="x", nbins=4)
    for ax in flat[len(names) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("replications")
    handles, words = flat[0].get_legend_handles_labels()
    fig.legend(handles, words, loc="outside lower center", ncols=2)
    return fig


def _bins(values: np.ndarray) -> Any:
    """Return thirty bins, or one a whole number where there are few of these.

    Example:
        >>> _bins(np.array([3.0, 5.0, 4.0])).tolist()
        [2.5, 3.5, 4.5, 5.5]
    """
    whole = len(values) > 0 and bool(np.all(values == np.round(values)))
    if whole and np.ptp(values) <= MAX_WHOLE:
        return np.arange(values.min() - 0.5, values.max() + 1.0)
    return 30


def _p_value(found: CheckedStatistic) -> str:
    least = 1 / len(found.replicated)
    if found.p_value < least:
        return f"p < {least:.2g}"
    if found.p_value > 1 - least:
        return f"p > 1 − {least:.2g}"
    return f"p = {found.p_value:.3f}"


def _places(draws: np.ndarray, x: Any) -> np.ndarray:
    if x is None:
        order = np.argsort(np.median(draws, axis=0), kind="stable")
        places = np.empty(len(order))
        places[order] = 1.0 + np.arange(len(order))
        return places
    given = np.asarray(x, float)
    if given.shape != draws.shape[1:]:
        raise ValueError(
            f"x has shape {given.shape} and is not valid: give {draws.shape[1:]}"
        )
    return given


def _ranks(ax: Any, draws: np.ndarray, seen: np.ndarray) -> None:
    """Draw where the observed values fall among the draws."""
    rank = np.mean(draws < seen, axis=0) + 0.5 * np.mean(draws == seen, axis=0)
    bins = int(np.clip(len(seen) // 8, 4, 10))
    low, high = stats.binom.ppf((0.025, 0.975), len(seen), 1 / bins)
    ax.axhspan(low, high, color=GREY, alpha=0.25, lw=0)
    ax.axhline(len(seen) / bins, color=GREY, lw=1)
    counts, edges = np.histogram(rank, np.linspace(0, 1, bins + 1))
    ax.stairs(counts, edges, color=BLUE, lw=1.8)
    ax.set(xlim=(0, 1), xlabel="rank among the draws", ylabel="rows")
    ax.set_ylim(0, 1.15 * max(float(high), float(counts.max())))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_title("even: calibrated")
