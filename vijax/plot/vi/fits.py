"""Figures of a fit's unknowns, each in one line: alone, and in pairs.

    marginals(fit, key, reference=vi.nuts(fit, key))    each unknown by itself
    pairs(fit, key, sites=("slope", "sigma"))           every two of a few

Draws are those that the fit's verdict tells to use; the legend says which, and where
they are not to be trusted. Many groups are in `groups`, its search and
weights in `fit_diagnostics`, predictions and checks in `predictive_figures`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREY, RED, styled
from vijax.plot.vi.fit_entries import (
    NUM_SAMPLES,
    Drawn,
    Entry,
    drawn_from,
    entries,
    reference_from,
)
from vijax.types import Key
from vijax.validate import check
from vijax.vi import Fit

MAX_PANELS, MAX_PAIRED = 40, 6
CONTOURS = (0.5, 0.9)  # of the mass, in pairs
NUM_POINTS = 1000  # that are drawn of two unknowns
NUM_SMOOTHED = 2000  # draws that a density of two unknowns is smoothed from


@styled
def marginals(
    fit: Fit,
    key: Key,
    *,
    sites: Sequence[str] | None = None,
    labels: Mapping[str, str | Sequence[str]] | None = None,
    reference: Fit | Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
    num_samples: int = NUM_SAMPLES,
    draws: str = "auto",
) -> Figure:
    """Draw a histogram of every unknown, with NUTS or the truth beside it.

    Args:
        fit: one fit.
        key: random key of its draws.
        sites: which, by name, deterministic ones too; by default all unknown sites.
        labels: of their axes by site, as "slope / (mm/s)", or one for each of its
            numbers; by default their names. Entries that never vary are left out: half
            of a Cholesky factor.
        reference: another fit (of `vi.nuts`, say), or draws by site.
        truth: values by site.
        num_samples: number of draws.
        draws: where they come from, as in `vi.predict`.

    Returns:
        The figure, 7.2 inches wide.

    Raises:
        ValueError: a stack of fits; more than 40 panels; unknown names; a reference or
            truth of another shape; fewer than 100 samples.

    Example:
        >>> import jax
        >>> from vijax import plot, vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> figure = plot.marginals(fit, jax.random.key(1), truth={"x": 0.0})
        >>> figure.axes[0].get_xlabel()
        'x'
    """
    drawn, beside, panels = _panels(
        fit, key, sites, labels, reference, truth, num_samples, draws
    )
    check(
        len(panels) <= MAX_PANELS,
        "sites",
        len(panels),
        f"that many panels are not read: give sites of {MAX_PANELS} numbers or fewer",
    )
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    width = min(7.2, 0.6 + 2.2 * columns)
    fig, axes = style.figure(rows, columns, width=width, height=0.5 + 1.5 * rows)
    flat = axes.ravel()
    for ax, panel in zip(flat, panels, strict=False):
        _histogram(ax, panel)
        ax.set_xlabel(panel.label)
    for ax in flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("density")
    _legend(fig, drawn, beside, panels)
    return fig


@styled
def pairs(
    fit: Fit,
    key: Key,
    *,
    sites: Sequence[str] | None = None,
    labels: Mapping[str, str | Sequence[str]] | None = None,
    reference: Fit | Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
    num_samples: int = NUM_SAMPLES,
    draws: str = "auto",
) -> Figure:
    """Draw every two of a few unknowns: regions of 50 and 90 % of the mass.

    Grey points are draws of the reference, or of the fit itself where there is none.
    The regions are of a smoothed density of 2000 draws.

    Args:
        fit: one fit.
        key: random key of its draws.
        sites: which, by name, of 2 to 6 numbers together; by default all unknown sites.
        labels: as in `marginals`.
        reference: another fit (of `vi.nuts`, say), or draws by site.
        truth: values by site.
        num_samples: number of draws.
        draws: where they come from, as in `vi.predict`.

    Returns:
        The figure, 7.2 inches wide at most.

    Raises:
        ValueError: other than 2 to 6 numbers; as `marginals`.
    """
    drawn, beside, panels = _panels(
        fit, key, sites, labels, reference, truth, num_samples, draws
    )
    number = len(panels)
    check(
        2 <= number <= MAX_PAIRED,
        "sites",
        number,
        f"name sites that are 2 to {MAX_PAIRED} numbers together",
    )
    size = min(7.2, 1.0 + 1.6 * number)
    fig, axes = style.figure(number, number, width=size, height=size, sharex="col")
    for row, below in enumerate(panels):
        for column, left in enumerate(panels):
            ax = axes[row, column]
            if column > row:
                ax.set_axis_off()
            elif column == row:
                _histogram(ax, below)
            else:
                _plane(ax, left, below)
            if row == number - 1:
                ax.set_xlabel(left.label)
            if column == 0 and row > 0:
                ax.set_ylabel(below.label)
            elif column != row and column > 0:
                ax.tick_params(labelleft=False)
    fig.align_ylabels(axes[1:, 0])
    _legend(fig, drawn, beside, panels, loc="upper right", ncols=1)
    return fig


def _panels(
    fit: Fit,
    key: Key,
    sites: Sequence[str] | None,
    labels: Mapping[str, str | Sequence[str]] | None,
    reference: Fit | Mapping[str, Any] | None,
    truth: Mapping[str, Any] | None,
    num_samples: int,
    draws: str,
) -> tuple[Drawn, Drawn | None, list[Entry]]:
    drawn = drawn_from(fit, key, num_samples, draws)
    beside = reference_from(reference, key, num_samples)
    if isinstance(sites, str):
        sites = (sites,)
    names = [s.name for s in fit.target.static.sites] if sites is None else list(sites)
    found = entries(
        drawn, names, labels=labels or {}, reference=beside, truth=truth or {}
    )
    return drawn, beside, varying(found)


def varying(found: list[Entry]) -> list[Entry]:
    """Leave out entries whose draws are all the same, unless all are such."""
    return [entry for entry in found if np.ptp(entry.draws) > 0] or found


def _histogram(ax: Axes, panel: Entry) -> None:
    both = [x for x in (panel.draws, panel.reference) if x is not None]
    low = min(np.quantile(x, 0.002) for x in both)
    high = max(np.quantile(x, 0.998) for x in both)
    edges = np.linspace(low, high if high > low else low + 1.0, 36)
    heights, _ = np.histogram(panel.draws, edges, density=True)
    ax.stairs(heights, edges, fill=True, color=BLUE, alpha=0.45)
    if panel.reference is not None:
        others, _ = np.histogram(panel.reference, edges, density=True)
        ax.stairs(others, edges, color=BLACK, lw=1.1)
    if panel.truth is not None:
        ax.axvline(panel.truth, color=RED, ls="--", lw=1.4)
        low, high = min(low, panel.truth), max(high, panel.truth)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    ax.locator_params(axis="x", nbins=4)


def _plane(ax: Axes, left: Entry, below: Entry) -> None:
    """Draw two entries: points, and regions of highest density."""
    if left.reference is not None and below.reference is not None:
        points = left.reference, below.reference
    else:
        points = left.draws, below.draws
    shown = slice(None, None, max(1, len(points[0]) // NUM_POINTS))
    ax.plot(points[0][shown], points[1][shown], ".", ms=2, color=GREY, alpha=0.5, mew=0)
    some = slice(None, None, max(1, len(left.draws) // NUM_SMOOTHED))
    both = np.stack([left.draws[some], below.draws[some]])
    if np.ptp(both, axis=1).all():
        density = stats.gaussian_kde(both)
        at_draws = density(both)
        grid = [np.linspace(x.min(), x.max(), 50) for x in both]
        x, y = np.meshgrid(*grid)
        heights = density(np.stack([x.ravel(), y.ravel()])).reshape(x.shape)
        levels = [float(np.quantile(at_draws, 1 - mass)) for mass in CONTOURS[::-1]]
        ax.contour(x, y, heights, levels, colors=BLUE, linewidths=(1.0, 1.6))
    ax.set_ylim(*(float(np.quantile(points[1], edge)) for edge in (0.0, 1.0)))
    if left.truth is not None:
        ax.axvline(left.truth, color=RED, ls="--", lw=1.1)
    if below.truth is not None:
        ax.axhline(below.truth, color=RED, ls="--", lw=1.1)
    ax.locator_params(nbins=4)


def _legend(
    fig: Figure,
    drawn: Drawn,
    beside: Drawn | None,
    panels: list[Entry],
    *,
    loc: Any = "outside upper center",
    ncols: int = 3,
) -> None:
    handles: list[Any] = [Patch(color=BLUE, alpha=0.45, label=drawn.label)]
    if beside is not None and any(panel.reference is not None for panel in panels):
        handles.append(Line2D([], [], color=BLACK, lw=1.1, label=beside.label))
    if any(panel.truth is not None for panel in panels):
        handles.append(Line2D([], [], color=RED, ls="--", label="truth"))
    fig.legend(handles=handles, loc=loc, ncols=ncols)
