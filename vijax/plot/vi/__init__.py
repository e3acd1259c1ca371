"""Figures of variational inference.

    variational_fits      bounds, divergences and fits of few parameters; run times
    reference_posteriors  marginals and errors of fits beside long reference chains
    verdicts              what became of many fits, and their errors against seconds
    fits                  the unknowns of one fit: alone and in pairs
    groups                one unknown of many groups
    fit_diagnostics       its search, and the weights that its verdict rests on
    predictive_figures    predictions and predictive checks, with the data

Those of the first three take arrays, those of a fit take the fit itself and a key:
`plot.vi.marginals(fit, key)`. Each returns a `Figure`; see `vijax.plot` for the style.
"""

from vijax.plot.vi.fit_diagnostics import convergence, weights_tail
from vijax.plot.vi.fits import marginals, pairs
from vijax.plot.vi.groups import forest
from vijax.plot.vi.predictive_figures import predictive_checks, predictive_intervals
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
    "convergence",
    "elbo_identity",
    "error_against_seconds",
    "evidence_bounds",
    "forest",
    "gamma_fits",
    "kl_directions",
    "marginals",
    "nuts_and_vi_scaling",
    "outcomes",
    "pairs",
    "posterior_errors",
    "posterior_marginals",
    "predictive_checks",
    "predictive_intervals",
    "weights_tail",
]


def __dir__() -> list[str]:
    return sorted(__all__)
