"""Pulls of the nuisance parameters and their impacts on the signal strength."""

from typing import Any, NamedTuple

import numpy as np

from vijax import printing
from vijax.physics.histfactory import auxiliary
from vijax.physics.likelihood_fit import (
    entry_of,
    fit_once,
    held_and_start,
    in_double,
    search_around,
    stacked,
)
from vijax.physics.target import parts_of
from vijax.vi.targets.target import Target


class Impacts(NamedTuple):
    """Nuisance parameters, the one of largest impact first."""

    names: tuple[str, ...]
    pulls: Any  # (θ̂ − a)/σ; NaN for a parameter without a constraint term
    pull_errors: Any  # of θ̂ over σ: below 1, the data constrain it more; NaN likewise
    up: Any  # change of μ̂ with θ held one error above θ̂; NaN: not converged
    down: Any  # and one below
    estimate: Any  # μ̂
    error: Any

    def __str__(self) -> str:
        estimate = printing.in_digits(self.estimate, self.error)
        columns = {
            "pull": self.pulls,
            "error": self.pull_errors,
            "up": self.up,
            "down": self.down,
        }
        title = f"Pulls, and impacts on μ = {estimate}"
        return printing.described(title, columns, labels=self.names)

    def __repr__(self) -> str:
        return str(self)


@in_double
def impacts(target: Target) -> Impacts:
    r"""Return pulls and impacts of all nuisance parameters, ranked by impact.

    The impact of θ_j is the change of μ̂ where θ_j is held at θ̂_j ± its error, or at its
    bound where that is nearer, and all others are fitted again; the error is that of
    the fit (see `maximum_likelihood`).

    Args:
        target: from `from_pyhf`, outside of jit and vmap, for the order depends on it.

    Returns:
        The Impacts; printing them gives a table.

    Raises:
        ValueError: the target is not a template fit, or has no parameter of interest,
            or no nuisance parameters.
    """
    layout, data = parts_of(target)
    held, start = held_and_start(target)
    index = entry_of(layout)
    best, fitted = fit_once(data, start, held)
    entries = np.flatnonzero(~held)
    entries = entries[entries != index]
    errors, number = fitted.errors, len(entries)
    if not number:
        raise ValueError(f"target = {target} has no nuisance parameters")
    is_moved = np.arange(layout.size) == np.tile(entries, 2)[:, None]
    shifts = is_moved * errors * np.repeat([1.0, -1.0], number)[:, None]
    starts = np.clip(best.theta + shifts, data.lower, data.upper)
    observed = stacked(*[data.observed] * (2 * number))
    found = search_around(data, observed, starts, held | is_moved)
    moved = found.theta[:, index] - best.theta[index]
    up, down = np.split(np.where(found.converged & best.converged, moved, np.nan), 2)
    centre, width = auxiliary(data.template, data.observed, layout.size)
    size = np.maximum(np.abs(up), np.abs(down))
    order = np.argsort(-np.nan_to_num(size, nan=np.inf), kind="stable")
    chosen = entries[order]
    return Impacts(
        tuple(layout.labels[entry] for entry in chosen),
        ((best.theta - centre) / width)[chosen],
        (errors / width)[chosen],
        up[order],
        down[order],
        best.theta[index],
        errors[index],
    )
