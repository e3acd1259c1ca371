"""Pulls of the nuisance parameters and their impacts on the signal strength."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vijax.physics.likelihood_fit import (
    entry_of,
    finish,
    held_and_start,
    in_double,
    search_all,
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
        width = max([9, *map(len, self.names)])
        lines = [f"{'':{width}} {'pull':>8} {'error':>8} {'up':>10} {'down':>10}"]
        rows = zip(
            self.names, self.pulls, self.pull_errors, self.up, self.down, strict=True
        )
        for name, pull, error, up, down in rows:
            lines.append(
                f"{name:{width}} {pull:>8.3f} {error:>8.3f} {up:>+10.4f} {down:>+10.4f}"
            )
        return "\n".join(lines)


@in_double
def impacts(target: Target) -> Impacts:
    r"""Return pulls and impacts of all nuisance parameters, ranked by impact.

    The impact of θ_j is the change of μ̂ where θ_j is held at θ̂_j ± its error, and all
    others are fitted again; the error is that of the fit (see `maximum_likelihood`).

    Args:
        target: from `from_pyhf`.

    Returns:
        The Impacts; printing them gives a table.

    Raises:
        ValueError: the target is not a template fit, or has no parameter of interest.

    References:
        ATLAS and CMS (2011), CERN-LHCC note ATL-PHYS-PUB-2011-11 (nuisance parameters).
    """
    layout, data = parts_of(target)
    held, start = held_and_start(target)
    index = entry_of(layout)
    best = search_all(
        data, *jax.tree.map(lambda x: x[None], (data.observed, start, held))
    )
    best = jax.tree.map(lambda x: x[0], best)
    fitted = finish(layout, data, best)
    entries = np.flatnonzero(~np.asarray(held))
    entries = entries[entries != index]
    errors = jnp.sqrt(jnp.diag(fitted.covariance))
    shifts = jnp.concatenate([errors[entries], -errors[entries]])
    both = np.concatenate([entries, entries])
    rows = np.arange(len(both))
    starts = jnp.tile(best.theta, (len(both), 1)).at[rows, both].add(shifts)
    starts = jnp.clip(starts, data.lower, data.upper)
    helds = jnp.tile(held, (len(both), 1)).at[rows, both].set(True)
    observed = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (len(both), *x.shape)), data.observed
    )
    found = search_all(data, observed, starts, helds)
    moved = jnp.where(
        found.converged & best.converged,
        found.theta[:, index] - best.theta[index],
        jnp.nan,
    )
    up, down = jnp.split(moved, 2)
    centre, width = _constraints(layout.size, data)
    size = jnp.maximum(jnp.abs(up), jnp.abs(down))
    order = np.argsort(-np.nan_to_num(np.asarray(size), nan=np.inf), kind="stable")
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


def _constraints(size: int, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what the auxiliary data say of each entry, and how well; else NaN."""
    template, observed = data.template, data.observed
    centre, width = np.full((2, size), np.nan)
    centre[template.normal_of], width[template.normal_of] = (
        observed.normal,
        template.sigma,
    )
    counts = np.asarray(observed.poisson)
    centre[template.poisson_of] = counts / np.asarray(template.tau)
    width[template.poisson_of] = np.sqrt(np.maximum(counts, 1)) / np.asarray(
        template.tau
    )
    return centre, width
