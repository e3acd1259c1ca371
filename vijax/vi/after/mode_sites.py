"""Modes that a fit has found beside q's own, by the names of the unknowns."""

from typing import Any

import numpy as np

from vijax.validate import is_traced
from vijax.vi.engine.batched_density import constrained_sites
from vijax.vi.engine.precision import own_precision
from vijax.vi.result import Fit

MAX_ROWS = 30  # of the printed table


class ModeSites(dict[str, Any]):
    """Where modes are, by unknown: (modes, …) each. Prints as a table."""

    mass: Any = np.zeros(0)  # (modes,), of the posterior's mass, by importance weights
    is_maximum: Any = np.zeros(0, bool)  # (modes,); else mass far from q without one

    def __str__(self) -> str:
        if not len(self.mass):
            return "No mode was found beside q's own."
        kinds = ["mode" if top else "long tail" for top in self.is_maximum]
        heads = [
            f"{kind}, {100 * mass:.3g} %"
            for kind, mass in zip(kinds, self.mass, strict=True)
        ]
        rows = [
            (f"{name}[{', '.join(map(str, index))}]" if index else name, x[:, *index])
            for name, x in self.items()
            for index in np.ndindex(*np.shape(x)[1:])
        ]
        width = max(len(label) for label, _ in rows)
        columns = [max(12, len(head)) for head in heads]

        def line(label: str, cells: Any) -> str:
            own = (f"{c:>{size}}" for c, size in zip(cells, columns, strict=True))
            return f"{label:<{width}} {' '.join(own)}"

        more = len(rows) - MAX_ROWS
        return "\n".join(
            [
                line("", heads),
                *(line(a, [f"{x:.5g}" for x in cells]) for a, cells in rows[:MAX_ROWS]),
                *([f"… {more} more"] if more > 0 else []),
            ]
        )

    __repr__ = __str__


@own_precision
def modes_by_site(fit: Fit) -> ModeSites:
    """Return where the other modes of a posterior are, as the model has its unknowns.

    `fit.modes.loc` has them as points of the line that is fitted: of a positive unknown
    the logarithm, say.

    Args:
        fit: one fit.

    Returns:
        The ModeSites: unknowns and deterministic sites by name, an entry of the first
        axis for each mode; `mass` is each one's share of the posterior. Empty where no
        mode was found, or none was looked for (`fit.advice` says which).

    Raises:
        ValueError: a stack of fits; inside a trace.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from vijax import vi
        >>> def two(p):
        ...     below = -0.5 * (p["x"] + 6.0) ** 2 - 1.0
        ...     return jnp.logaddexp(-0.5 * (p["x"] - 6.0) ** 2, below)
        >>> target = vi.from_log_density(two, {"x": 5.0})
        >>> found = modes_by_site(vi.fit(target, jax.random.key(0)))
        >>> found["x"].round(1).tolist(), found.mass.round(2).tolist()
        ([-6.0], [0.27])
    """
    if is_traced(fit.status) or np.ndim(fit.status):
        raise ValueError("vi.modes_by_site is for one fit, outside of jit and vmap")
    found = ModeSites()
    if fit.modes is None:
        return found
    sites = constrained_sites(fit.target, np.asarray(fit.modes.loc))
    found.update({name: np.asarray(x) for name, x in sites.items()})
    found.mass = np.asarray(fit.modes.mass)
    found.is_maximum = np.asarray(fit.modes.hill)
    return found
