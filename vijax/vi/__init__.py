"""Variational inference: turn an integral into an optimisation, and check it.

target = vi.from_numpyro(model, x, y)
fit = vi.fit(target, jax.random.key(0), family="full_rank")
print(fit.advice, vi.summary(fit))

`vi.fit`, `vi.evidence`, `vi.summary`, `vi.multipath` and `vi.vsbc` are functions; their
modules bear the same names, and give what is not named here by
`from vijax.vi.evidence import …`.
"""

from vijax.vi.checks.arviz import to_arviz
from vijax.vi.checks.calibration import vsbc
from vijax.vi.checks.evidence import (
    BayesFactor,
    Evidence,
    bayes_factor,
    bridge,
    evidence,
)
from vijax.vi.checks.summary import Summary, sample, summary
from vijax.vi.fitting import fit
from vijax.vi.importance_weights import psis
from vijax.vi.methods.multipath import Paths, multipath
from vijax.vi.result import Fit
from vijax.vi.targets.numpyro_model import from_numpyro
from vijax.vi.targets.target import Target, from_log_density

__all__ = [
    "BayesFactor",
    "Evidence",
    "Fit",
    "Paths",
    "Summary",
    "Target",
    "bayes_factor",
    "bridge",
    "evidence",
    "fit",
    "from_log_density",
    "from_numpyro",
    "multipath",
    "psis",
    "sample",
    "summary",
    "to_arviz",
    "vsbc",
]
