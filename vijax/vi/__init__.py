"""Variational inference: turn an integral into an optimisation, and check it.

target = vi.from_numpyro(model, x, y)
fit = vi.fit(target, jax.random.key(0), family="full_rank")
print(fit.advice, vi.summary(fit))

`vi.fit`, `vi.evidence`, `vi.summary`, `vi.multipath` and `vi.vsbc` are functions; their
modules bear the same names, and give what is not named here by
`from vijax.vi.evidence import …`.
"""

from vijax.vi.diagnostics import psis
from vijax.vi.evidence import BayesFactor, Evidence, bayes_factor, bridge, evidence
from vijax.vi.export import to_arviz
from vijax.vi.fit import fit
from vijax.vi.multipath import Paths, multipath
from vijax.vi.numpyro_model import from_numpyro
from vijax.vi.result import Fit
from vijax.vi.summary import Summary, sample, summary
from vijax.vi.target import Target, from_log_density
from vijax.vi.vsbc import vsbc

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
