"""Figures of variational inference.

variational_fits      bounds and gaps of one or two parameters; seconds of NUTS and VI
reference_posteriors  marginals and errors of fits beside long reference chains
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

__all__ = [
    "advi_fits",
    "elbo_identity",
    "evidence_bounds",
    "gamma_fits",
    "kl_directions",
    "nuts_and_vi_scaling",
    "posterior_errors",
    "posterior_marginals",
]


def __dir__() -> list[str]:
    return sorted(__all__)
