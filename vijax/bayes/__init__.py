"""Exact inference: what a physicist does with counts, rates, means and regressions.

Parameters are NumPyro distributions where NumPyro has the family. Every function is
written for one data set: `jax.vmap` it over priors, over data sets, or over both.

    theorem         Bayes' theorem over a list of hypotheses
    <family>        conjugate families: posterior, log_evidence, predictive, model
    intervals       credible intervals, equal-tailed and highest-density
    evidence        Bayes factors and model probabilities, in logs
    landscape       the posterior on a grid, for any likelihood and prior
    frequentist     estimates, tests and confidence intervals to set beside them
"""

from vijax.bayes import evidence, frequentist, intervals, landscape, theorem
from vijax.bayes.conjugate import (
    beta_binomial,
    dirichlet_multinomial,
    gamma_poisson,
    linear_regression,
    normal_inverse_gamma,
    normal_normal,
    truncated_gamma_poisson,
)

__all__ = [
    "beta_binomial",
    "dirichlet_multinomial",
    "evidence",
    "frequentist",
    "gamma_poisson",
    "intervals",
    "landscape",
    "linear_regression",
    "normal_inverse_gamma",
    "normal_normal",
    "theorem",
    "truncated_gamma_poisson",
]
