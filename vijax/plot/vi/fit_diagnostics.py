"""Figures of how a fit was found, and of what its verdict rests on.

convergence(fit)          the search, step by step, and the ELBO that it came to
weights_tail(fit, key)    what k̂ is read from
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, ORANGE, styled
from vijax.plot.vi.fit_entries import NUM_SAMPLES
from vijax.types import Key
from vijax.validate import check
from vijax.vi import Fit, psis
from vijax.vi.engine.precision import precision_of
from vijax.vi.importance_weights import KHAT_LIMIT
from vijax.vi.verdict import check_draws

FAR = 100.0  # times the final nats, from which a start is drawn logarithmically


@styled
def convergence(fit: Fit) -> Figure:
    """Draw what the search maximised, step by step, and the ELBO that it came to.

    Left all of it, right its second half; from a start far away on a logarithmic
    scale. That is the ELBO of the search's own draws
    (those of fixed draws are kept, so that it is too high), or log p for the methods
    that climb to a mode (Laplace, Pathfinder). The band is the fit's ELBO, of fresh
    draws, with its standard error; the dashed line the log evidence by importance
    weights of q, drawn where these are good.

    Args:
        fit: one fit.

    Returns:
        The figure, 7.2 inches wide.

    Raises:
        ValueError: a stack of fits; a fit without steps.
    """
    _require_one(fit)
    taken = -np.asarray(fit.losses, float).ravel()
    steps = np.flatnonzero(np.isfinite(taken))
    if not len(steps):
        raise ValueError("fit has no steps to be drawn: give one of a search")
    values = taken[steps]
    fig, axes = style.figure(1, 2, width=7.2, height=2.6)
    elbo, error = float(fit.elbo), float(fit.elbo_se)
    half = steps >= steps[-1] // 2
    # Chains have no part in the evidence: it is by q's weights.
    known = fit._replace(chains=None).correctable and np.isfinite(fit.log_evidence)
    for ax, here in zip(axes[0], (slice(None), half), strict=True):
        ax.plot(steps[here] + 1, values[here], color=BLUE, label="search")
        ends = (1 + steps[here][0], 1 + steps[here][-1])
        shown = [float(np.quantile(values[here], 0.02)), float(values[here].max())]
        if np.isfinite(elbo):
            ax.axhline(elbo, color=ORANGE, label="ELBO of the fit")
            ax.axhspan(elbo - error, elbo + error, color=ORANGE, alpha=0.25, lw=0)
            shown += [elbo - error, elbo + error]
        if known:
            evidence = float(fit.log_evidence)
            ax.axhline(evidence, color=BLACK, ls="--", lw=1.2, label="log evidence")
            shown.append(evidence)
        low, high = min(shown), max(shown)
        if high - low > FAR * max(abs(high), 1.0):  # from a start far away
            ax.set_yscale("symlog")
            ax.set_ylim(2 * low, high + 0.5 * abs(high))
        else:
            room = 0.06 * max(high - low, 1e-3)
            ax.set_ylim(low - room, high + room)
            ax.ticklabel_format(axis="y", useOffset=False)
        if ends[0] < ends[1]:
            ax.set_xlim(*ends)
        ax.set_xlabel("step")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes[0, 0].set(ylabel="nats", title="the whole search")
    axes[0, 1].set(title="its second half")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=3)
    return fig


@styled
def weights_tail(fit: Fit, key: Key, *, num_samples: int = NUM_SAMPLES) -> Figure:
    r"""Draw the largest importance weights, and the Pareto tail that k̂ is read from.

    A tail of shape k is a straight line, w ∝ (share of draws with more weight)^(−k).
    The points are the weights w = p / q of draws of q, over their mean; the line is the
    fitted tail, the dashed one has k = 0.7, at which weights are no longer to be used.

    Args:
        fit: one fit; chains play no part.
        key: random key of the draws.
        num_samples: number of draws.

    Returns:
        The figure, 4.4 inches wide.

    Raises:
        ValueError: a stack of fits; fewer than 100 samples.
    """
    _require_one(fit)
    check(num_samples >= 100, "num_samples", num_samples, "give at least 100")
    with precision_of(fit.target):
        checked = check_draws(fit.target, fit.q, key, num_checks=num_samples)
    log_weights = np.sort(np.asarray(checked.log_weights, float))[::-1]
    smoothed = psis(log_weights)
    raw = log_weights - np.logaddexp.reduce(log_weights) + np.log(num_samples)
    line = np.asarray(smoothed.log_weights) + np.log(num_samples)
    share = (np.arange(num_samples) + 0.5) / num_samples
    tail = slice(0, smoothed.tail_size)
    start, height = share[smoothed.tail_size], float(np.exp(raw[smoothed.tail_size]))
    fig, axes = style.figure(1, 1, width=4.4, height=3.2)
    ax = axes[0, 0]
    ax.plot(share, np.exp(raw), "o", ms=2.5, color=BLUE, label="weights of draws")
    ax.plot(share[tail], np.exp(line[tail]), color=ORANGE, label="fitted tail")
    limit = height * (share[tail] / start) ** -KHAT_LIMIT
    ax.plot(share[tail], limit, "--", color=BLACK, lw=1, label="k = 0.7")
    shape, error = float(smoothed.tail_shape), float(smoothed.tail_shape_se)
    word = "below 0.7: good" if shape < KHAT_LIMIT else "not below 0.7: too heavy"
    ax.set(
        xscale="log",
        yscale="log",
        xlim=(2.0, 0.4 / num_samples),
        xlabel="share of draws with more weight",
        ylabel="weight / mean weight",
        title=f"k̂ = {shape:.2f} ± {error:.2f}, {word}",
    )
    lowest = float(np.exp(np.quantile(raw, 0.02)))
    top = float(np.exp(max(raw[0], line[0])))
    ax.set_ylim(max(lowest, 1e-4 * height), 2 * max(top, float(limit[0])))
    ax.legend(loc="upper left")
    return fig


def _require_one(fit: Fit) -> None:
    if np.ndim(fit.status):
        raise ValueError("fit is a stack of fits: give one of them")
