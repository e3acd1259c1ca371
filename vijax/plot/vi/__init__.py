"""Figures of variational inference.

    variational_fits      bounds, divergences and fits of few parameters; run times
    reference_posteriors  marginals and errors of fits beside long reference chains
    verdicts              what became of many fits, and their errors against seconds

Each function takes arrays and returns a `Figure`; see `vijax.plot` for the style.
"""

from vijax.plot.vi.reference_posteriors import posterior_errors, posterior_marginals
from vijax.plot.vi.variational_fits import (
    advi_fits,
    elbo_identity,
    evidence_bounds,
    gamma_fits,
    kl_directions,
    nuts_and_vi_scaling,
)
from vijax.plot.vi.verdicts import error_against_seconds, outcomes

__all__ = [
    "advi_fits",
    "elbo_identity",
    "error_against_seconds",
    "evidence_bounds",
    "gamma_fits",
    "kl_directions",
    "nuts_and_vi_scaling",
    "outcomes",
    "posterior_errors",
    "posterior_marginals",
]


def __dir__() -> list[str]:
    return sorted(__all__)
