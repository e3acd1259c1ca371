"""Variational inference: turn an integral into an optimisation, and check it.

    target = vi.from_numpyro(model, x, y)      what is fitted          vi.targets
    fit = vi.fit(target, jax.random.key(0),
                 family="full_rank")           by which q, and how     vi.families, vi.methods
    print(fit)                                 whether to believe it   vi.checks
    print(vi.summary(fit))                     means, sds and their errors
    draws = vi.sample(fit, key, 1000)          constrained unknowns by name

Bounds and divergences are pure functions: `vi.bounds`, `vi.divergences`. What makes it
fast is in `vi.engine`.
"""

from vijax.vi import bounds, checks, divergences, families, methods, targets
from vijax.vi.checks import (
    BayesFactor,
    Calibration,
    Evidence,
    Summary,
    bayes_factor,
    bridge,
    evidence,
    sample,
    summary,
    to_arviz,
    vsbc,
)
from vijax.vi.families import Flow, FullRank, LowRank, MeanField
from vijax.vi.fitting import fit
from vijax.vi.importance_weights import psis
from vijax.vi.methods import (
    FixedDraws,
    Laplace,
    Pathfinder,
    Paths,
    Stochastic,
    multipath,
)
from vijax.vi.result import Fit
from vijax.vi.targets import Target, from_log_density, from_numpyro

__all__ = [
    "BayesFactor",
    "Calibration",
    "Evidence",
    "Fit",
    "FixedDraws",
    "Flow",
    "FullRank",
    "Laplace",
    "LowRank",
    "MeanField",
    "Pathfinder",
    "Paths",
    "Stochastic",
    "Summary",
    "Target",
    "bayes_factor",
    "bounds",
    "bridge",
    "checks",
    "divergences",
    "evidence",
    "families",
    "fit",
    "from_log_density",
    "from_numpyro",
    "methods",
    "multipath",
    "psis",
    "sample",
    "summary",
    "targets",
    "to_arviz",
    "vsbc",
]


def __dir__() -> list[str]:
    return __all__
