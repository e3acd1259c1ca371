"""A figure of many groups: what is known of each, one line below the other.

forest(fit, key, "theta", names=schools)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vijax.plot import style
from vijax.plot.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, styled
from vijax.plot.vi.fit_entries import (
    INNER,
    NUM_SAMPLES,
    OUTER,
    drawn_from,
    entries,
    reference_from,
    require_sites,
)
from vijax.types import Key
from vijax.validate import check
from vijax.vi import Fit

MAX_NAMED = 60
POINTS = (("D", RED), ("o", ORANGE), ("s", GREEN))


@styled
def forest(
    fit: Fit,
    key: Key,
    site: str,
    *,
    names: Sequence[str] | None = None,
    label: str | None = None,
    reference: Fit | Mapping[str, Any] | None = None,
    points: Mapping[str, Any] | None = None,
    num_samples: int = NUM_SAMPLES,
    draws: str = "auto",
) -> Figure:
    """Draw median, 50 % and 95 % interval of every group, one line each.

    Args:
        fit: one fit.
        key: random key of its draws.
        site: of one number a group; deterministic ones too.
        names: of the groups, the first on top; by default their numbers. Beyond 60
            groups no names are written.
        label: of the axis, with its unit; by default the site's name.
        reference: another fit (of `vi.nuts`, say), or draws by site.
        points: values of each group by what the legend calls them: raw means, the
            truth.
        num_samples: number of draws.
        draws: where they come from, as in `vi.predict`.

    Returns:
        The figure, 7.2 inches wide.

    Raises:
        ValueError: a site that is no vector; names or points of another number; more
            than three kinds of points; as `marginals`.
    """
    drawn = drawn_from(fit, key, num_samples, draws)
    beside = reference_from(reference, key, num_samples)
    given = points or {}
    require_sites(drawn, "site", [site])
    shape = drawn.values[site].shape[1:]
    check(len(shape) == 1, "site", site, f"give one of one number a group, not {shape}")
    groups = entries(drawn, [site], labels={}, reference=beside, truth={})
    number = len(groups)
    titles = [str(n) for n in range(number)] if names is None else list(names)
    check(len(titles) == number, "names", titles, f"give {number}, one for each group")
    check(len(given) <= len(POINTS), "points", list(given), "give three kinds or fewer")
    for name, values in given.items():
        if np.shape(values) != (number,):
            raise ValueError(
                f"points is not valid: {name!r} has shape {np.shape(values)}; give "
                f"{number} numbers, one for each group"
            )
    height = 1.0 + number * (0.21 if number <= MAX_NAMED else 0.08)
    fig, axes = style.figure(1, 1, width=7.2, height=min(height, 14.0))
    ax, places = axes[0, 0], np.arange(number)[::-1]
    both = beside is not None and groups[0].reference is not None
    own, what = [g.draws for g in groups], ": median, 50 % and 95 %"
    _intervals(ax, places + 0.16 * both, own, BLUE, f"{drawn.label}{what}")
    if both and beside is not None:
        others = [g.reference for g in groups if g.reference is not None]
        _intervals(ax, places - 0.16, others, BLACK, f"{beside.label}{what}")
    for (name, values), (marker, colour) in zip(given.items(), POINTS, strict=False):
        ax.plot(values, places, marker, ms=4.5, color=colour, label=name, zorder=4)
    if number <= MAX_NAMED:
        ax.set_yticks(places, titles)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{number} groups")
    ax.set_ylim(-0.7, number - 0.3)
    ax.set_xlabel(label or site)
    ax.grid(axis="x", color=GREY, alpha=0.2)
    fig.legend(loc="outside upper center", ncols=3)
    return fig


def _intervals(
    ax: Axes, places: np.ndarray, draws: list[np.ndarray], colour: str, label: str
) -> None:
    for mass, line_width in ((OUTER, 1.0), (INNER, 2.8)):
        edges = [np.quantile(x, ((1 - mass) / 2, (1 + mass) / 2)) for x in draws]
        low, high = np.transpose(edges)
        ax.hlines(places, low, high, color=colour, lw=line_width)
    medians = [float(np.median(x)) for x in draws]
    ax.plot(medians, places, "o", ms=4, mfc="white", mec=colour, label=label, zorder=3)
