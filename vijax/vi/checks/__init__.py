"""Checks: whether to believe a fit, and what it says.

    summary(fit)               means and sds by name, corrected by importance weights
    sample(fit, key, n)        constrained draws of q
    sample_discrete(fit, key, n)   with the discrete sites that were summed out
    evidence(fit, ...)         log p(x): importance sampling, a bridge, or the bound
    bayes_factor(a, b)         the difference of two of them, with its error
    drift(fit)                 whether the rows of a stream change along it
    vsbc(key, ...)             simulation-based calibration: is q right on average?

A Fit's own verdict is made in `vi.result` from the log weights of fresh draws.
"""

from vijax.vi.checks.calibration import Calibration, vsbc
from vijax.vi.checks.discrete_draws import sample_discrete
from vijax.vi.checks.evidence_ladder import (
    BayesFactor,
    Evidence,
    bayes_factor,
    bridge,
    evidence,
)
from vijax.vi.checks.stream_drift import Drift, drift
from vijax.vi.checks.summary_table import Summary, sample, summary

__all__ = [
    "BayesFactor",
    "Calibration",
    "Drift",
    "Evidence",
    "Summary",
    "bayes_factor",
    "bridge",
    "drift",
    "evidence",
    "sample",
    "sample_discrete",
    "summary",
    "vsbc",
]


def __dir__() -> list[str]:
    return __all__
