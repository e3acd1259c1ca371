"""Figures of variational inference: divergences, bounds, fits, run times."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, SKY


@style.styled
def kl_directions(
    mixture: Mapping[str, Any], directions: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Draw what each direction of the KL prefers, and its value by three methods.

    Args:
        mixture: z and p (points,), a density with two modes; loc, scale and kl
            (scales, locs), KL[q ‖ p] over normal q; matched, mean and sd of p.
        directions: by the pair's name: closed, quadrature, monte_carlo and
            monte_carlo_standard_error, in nats.
    """
    fig, axes = style.figure(1, 3, width=10.2, height=3.1)
    densities, landscape, values = axes[0]
    z, kl = np.asarray(mixture["z"]), np.asarray(mixture["kl"])
    loc, scale = np.asarray(mixture["loc"]), np.asarray(mixture["scale"])
    row, column = np.unravel_index(np.argmin(kl), kl.shape)
    best = (loc[column], scale[row])
    matched = tuple(np.asarray(mixture["matched"]))

    densities.fill_between(z, mixture["p"], color=GREY, alpha=0.3, lw=0, label="p")
    for (m, s), colour, name in (
        (best, BLUE, "min KL(q ‖ p)"),
        (matched, RED, "min KL(p ‖ q)"),
    ):
        q = np.exp(-0.5 * ((z - m) / s) ** 2) / (s * np.sqrt(2 * np.pi))
        densities.plot(z, q, color=colour, label=f"q, {name}")
        landscape.plot(m, s, "o", ms=7, mec="white", color=colour)
    densities.set(xlabel="z", ylabel="density", xlim=(-5, 6), ylim=(0, 0.72))
    densities.set_title("normal q, fitted either way")
    densities.legend(loc="upper right")

    levels = np.min(kl) + np.geomspace(0.05, 8, 11)
    landscape.contour(loc, scale, kl, levels=levels, linewidths=1, cmap="viridis")
    landscape.set(xlabel="mean of q", ylabel="sd of q")
    landscape.set_title("KL(q ‖ p) over all normal q")

    names = list(directions)
    y = np.arange(len(names))[::-1]
    closed, quadrature, sampled, error = (
        np.array([directions[name][field] for name in names])
        for field in (
            "closed",
            "quadrature",
            "monte_carlo",
            "monte_carlo_standard_error",
        )
    )
    values.barh(y, closed, height=0.5, color=SKY, alpha=0.6, label="closed form")
    values.plot(quadrature, y + 0.1, "x", color=BLACK, ms=5, label="quadrature")
    values.errorbar(
        sampled,
        y - 0.1,
        xerr=2 * error,
        fmt="o",
        ms=3,
        color=RED,
        label="sampled, ± 2 σ",
    )
    values.set_yticks(y, names, fontsize=8)
    values.set(xlabel="KL / nats", xlim=(0, 2.2 * max(closed)))
    values.set_title("KL of two pairs, both ways")
    values.legend(loc="center right")
    return fig


@style.styled
def elbo_identity(bars: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw, for each q, the ELBO and the KL that lifts it to the log evidence.

    Args:
        bars: model, q (names), elbo, kl and log_evidence in nats.
    """
    models = list(dict.fromkeys(bar["model"] for bar in bars))
    fig, axes = style.figure(1, len(models), width=9.4, height=2.9)
    for ax, model in zip(axes[0], models, strict=True):
        rows = [bar for bar in bars if bar["model"] == model]
        y = np.arange(len(rows))[::-1]
        elbo = np.array([bar["elbo"] for bar in rows])
        kl = np.array([bar["kl"] for bar in rows])
        evidence = rows[0]["log_evidence"]
        width = 1.25 * max(kl)
        left = evidence - width
        ax.barh(y, elbo - left, left=left, height=0.6, color=BLUE, label="ELBO")
        ax.barh(y, kl, left=elbo, height=0.6, color=ORANGE, label="KL(q ‖ posterior)")
        ax.axvline(evidence, color=BLACK, lw=1.5, label="log p(data)")
        for height, value in zip(y, kl, strict=True):
            label = f"KL = {value:.3f}" if value > 1e-9 else "KL = 0"
            ax.text(evidence + 0.03 * width, height, label, va="center", fontsize=8)
        ax.set_yticks(y, [bar["q"] for bar in rows])
        ax.set(xlabel="nats", xlim=(left, evidence + 0.35 * width), title=model)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


@style.styled
def advi_fits(fits: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw each fit's path, and its q beside prior and exact posterior.

    Args:
        fits: by name: losses (steps,) and log_evidence in nats; unit, the unknown's
            name; x, prior, exact and q (points,), densities.
    """
    fig, axes = style.figure(2, len(fits), width=3.4 * len(fits), height=5.0)
    for column, (name, case) in zip(axes.T, fits.items(), strict=True):
        _path(column[0], case)
        column[0].set_title(name)
        density = column[1]
        x = np.asarray(case["x"])
        density.fill_between(x, case["exact"], color=SKY, alpha=0.5, lw=0)
        density.plot(x, case["exact"], color=SKY, lw=1, label="exact posterior")
        density.plot(x, case["prior"], color=GREY, lw=1, ls=":", label="prior")
        density.plot(x, case["q"], color=RED, ls="--", label="q by ADVI")
        density.set(ylim=(0, 1.3 * float(np.max(case["exact"]))), ylabel="density")
        drawn = x[np.asarray(case["exact"]) > 1e-3 * np.max(case["exact"])]
        density.set(xlabel=case["unit"], xlim=(float(drawn.min()), float(drawn.max())))
    axes[0, 0].legend(loc="lower right")
    axes[1, 0].legend(loc="upper left")
    return fig


def _path(ax: Axes, case: Mapping[str, Any]) -> None:
    elbo, evidence = -np.asarray(case["losses"]), case["log_evidence"]
    steps = np.arange(1, len(elbo) + 1)
    edges = np.unique(np.geomspace(1, len(elbo) + 1, 25).astype(int))
    groups = [elbo[first - 1 : last - 1] for first, last in pairwise(edges)]
    centre = np.sqrt(edges[:-1] * (edges[1:] - 1.0))
    means = np.array([group.mean() for group in groups])
    ax.plot(steps, elbo, color=SKY, lw=0.6, label="ELBO, one step's draws")
    ax.plot(centre, means, "o-", ms=2.5, lw=1.2, color=BLUE, label="mean of steps")
    ax.axhline(evidence, color=BLACK, lw=1, ls="--", label="log p(data), exact")
    gap = max(evidence - float(np.quantile(elbo, 0.02)), 0.5)
    ax.set(xscale="log", ylim=(evidence - 3 * gap, evidence + 0.6 * gap))
    ax.set(xlabel="step", ylabel="ELBO / nats")


@style.styled
def gamma_fits(curves: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the best normal q of positive densities, through log and through softplus.

    Args:
        curves: name, x and exact (points,); log and softplus: (x, density, KL).
    """
    fig, axes = style.figure(1, len(curves), width=3.3 * len(curves), height=2.6)
    for ax, curve in zip(axes[0], curves, strict=True):
        x, exact = np.asarray(curve["x"]), np.asarray(curve["exact"])
        ax.fill_between(x, exact, color=GREY, alpha=0.3, lw=0)
        for name, colour in (("log", RED), ("softplus", BLUE)):
            points, density, kl = curve[name]
            label = f"{name}: KL = {kl:.2e}"
            ax.plot(points, density, color=colour, lw=1.2, label=label)
        upper = float(x[exact > 0.004 * exact.max()].max())
        tallest = max(float(np.max(curve[name][1])) for name in ("log", "softplus"))
        ax.set(xlim=(0, upper), ylim=(0, 1.35 * tallest), xlabel="x", ylabel="density")
        ax.set_title(curve["name"])
        ax.legend(loc="upper right")
    return fig


@style.styled
def evidence_bounds(curves: Mapping[str, Any], factor: Mapping[str, float]) -> Figure:
    """Draw the bounds of two models and of their Bayes factor, as samples are added.

    Args:
        curves: num_samples; log_exact; models by name: log_evidence, and bound and
            error (sizes,), all in nats.
        factor: exact_bayes_factor.
    """
    fig, axes = style.figure(1, 2, width=7.6, height=2.9)
    gap, ratio = axes[0]
    sizes = np.asarray(curves["num_samples"])
    bounds = {}
    for (name, model), colour in zip(
        curves["models"].items(), (BLUE, ORANGE), strict=True
    ):
        bound, error = np.asarray(model["bound"]), np.asarray(model["error"])
        bounds[name] = (bound, error)
        below = model["log_evidence"] - bound
        gap.errorbar(sizes, below, yerr=error, fmt="o-", ms=3, color=colour, label=name)
    gap.axhline(0, color=BLACK, lw=1, ls="--")
    gap.set(xlabel="samples K in the bound", ylabel="log p(data) − bound / nats")
    gap.set_title("the bound rises to the evidence")
    gap.legend()
    (low, low_error), (high, high_error) = bounds.values()
    value = np.exp(high - low)
    ratio.errorbar(
        sizes,
        value,
        yerr=value * np.hypot(low_error, high_error),
        fmt="o-",
        ms=3,
        color=GREEN,
        label="from two bounds",
    )
    exact = factor["exact_bayes_factor"]
    ratio.axhline(exact, color=BLACK, lw=1, ls="--", label=f"exact, {exact:.4f}")
    ratio.set(xlabel="samples K in each bound", ylabel="Bayes factor")
    ratio.set_title("K = 1 is the ELBO's Bayes factor")
    ratio.legend()
    for ax in (gap, ratio):
        ax.set_xscale("log", base=2)
    return fig


@style.styled
def nuts_and_vi_scaling(
    growing_data: Sequence[Mapping[str, Any]], growing_dim: Sequence[Mapping[str, Any]]
) -> Figure:
    """Draw time and error of NUTS and of a variational fit as a problem grows.

    Args:
        growing_data: num_data and, for nuts and vi, seconds_cold, seconds_warm,
            mean_error (in sds) and sd_error (a fraction).
        growing_dim: the same with dim.
    """
    fig, axes = style.figure(2, 2, width=7.6, height=5.2, sharex="col")
    for column, rows, name, label in (
        (axes[:, 0], growing_data, "num_data", "number of data N"),
        (axes[:, 1], growing_dim, "dim", "coefficients D"),
    ):
        seconds, errors = column
        x = [row[name] for row in rows]
        for method, colour, title in (("nuts", ORANGE, "NUTS"), ("vi", BLUE, "VI")):
            for ax, key, line, text in (
                (seconds, "seconds_cold", "o--", "first call"),
                (seconds, "seconds_warm", "o-", "second call"),
                (errors, "mean_error", "o-", "means, in sds"),
                (errors, "sd_error", "s:", "sds, relative"),
            ):
                y = [row[method][key] for row in rows]
                ax.plot(x, y, line, ms=4, color=colour, label=f"{title}, {text}")
        errors.set(xlabel=label)
        for ax in column:
            ax.set(xscale="log", yscale="log")
            ax.set_xticks(x, [f"{value:,}" for value in x])
            ax.minorticks_off()
            ax.grid(color=GREY, alpha=0.2)
    axes[0, 0].set(ylabel="seconds", title="more data")
    axes[0, 1].set(title="more dimensions")
    axes[1, 0].set(ylabel="largest error")
    for row in axes:
        row[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig
