r"""Which sites are standardised effects: known to the model only times their scale.

Of a hierarchy that is written without centres,

    tau ~ HalfNormal(1),  z_g ~ N(0, 1),  a_g = mu + tau z_g

z has a prior that depends on no other unknown, and yet it is no prior to think about:
N(0, 1) is the shape of the groups' distribution, whose scale tau is learnt. It is told
by a symmetry. All of the model but the two priors stays the same under

    z -> c z,  tau -> tau / c      (or a power of tau, or tau a logarithm)

so that (z, tau) are known by their product alone. Such a z is left out, if it has more
entries than tau.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.vi.targets.target import Target

FACTOR = 1.25  # c
POWERS = (1.0, -1.0, 2.0, -2.0)  # sd, 1 / sd, variance, precision
KEPT = 1e-3  # of the change by z alone, that is left when tau makes up for it
AT = 2  # draws at which the symmetry is looked for

Values = dict[str, Array]
Question = tuple[str, str | None, float, bool]  # z, tau, power, tau is a logarithm


def questions(
    target: Target, values: Values, independent: tuple[str, ...]
) -> list[Question]:
    """Return what is to be asked of a model; of each z first what z does alone.

    Args:
        target: of a NumPyro model.
        values: draws of its unknowns, draws first.
        independent: sites whose prior depends on no other unknown.
    """
    # A simplex or a correlation has fewer numbers than entries, and no scale.
    free = {site.name: site.shape for site in target.static.sites}
    asked: list[Question] = []
    for z in independent:
        if free[z] != values[z].shape[1:]:
            continue
        scales = [name for name, x in values.items() if x[0].size < values[z][0].size]
        asked += [(z, None, 0.0, False)] if scales else []
        asked += [
            (z, tau, power, log)
            for tau in scales
            for power in POWERS
            for log in (False, True)
        ]
    return asked


def with_questions(values: Values, asked: list[Question]) -> Values:
    """Return the draws with those added at which the questions are answered."""
    first = {name: x[:AT] for name, x in values.items()}
    parts = [values]
    for z, tau, power, log in asked:
        moved = first | {z: FACTOR * first[z]}
        if tau is not None:
            step = power * math.log(FACTOR)
            x = first[tau]
            moved[tau] = x - step if log else x * math.exp(-step)
        parts.append(moved)
    return {name: jnp.concatenate([part[name] for part in parts]) for name in values}


def standardised(
    asked: list[Question], terms: dict[str, np.ndarray], number: int
) -> dict[str, str]:
    """Return the standardised effects, each with its scale.

    Args:
        asked: as `questions` returned them.
        terms: log p of each site, at the draws of `with_questions`.
        number: of draws without those that were added.
    """
    found: dict[str, str] = {}

    def change(row: int, z: str, tau: str) -> np.ndarray:
        rest = np.sum([x for name, x in terms.items() if name not in (z, tau)], axis=0)
        begin = number + row * AT
        return np.abs(rest[begin : begin + AT] - rest[:AT])

    alone = {z: row for row, (z, tau, _, _) in enumerate(asked) if tau is None}
    for row, (z, tau, _, _) in enumerate(asked):
        if tau is None or z in found:
            continue
        by_z = change(alone[z], z, tau)
        if np.all(change(row, z, tau) < KEPT * by_z):
            found[z] = tau
    return found
