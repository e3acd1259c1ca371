"""Exact inference: what a physicist does with counts, rates, means and regressions.

Parameters are NumPyro distributions where NumPyro has the family. Every function is
written for one data set: `jax.vmap` it over priors, over data sets, or over both.

    theorem             Bayes' theorem over a list of hypotheses
    <family>            conjugate families: posterior, log_evidence, predictive, model
    improper            improper priors: flat, Jeffreys', Haldane's
    on_off              a signal above a measured background, exact with Gamma priors
    known_background    the same where the background's mean is known
    uncertain_signal    the same with uncertain background and efficiency
    streaming           sufficient statistics that add: batches, or shards
    marginals           the distribution of each single number in a joint posterior
    intervals           credible intervals and quantiles
    evidence            Bayes factors and model probabilities, in logs
    mean_tests          Bayesian t tests (JZS Bayes factors)
    landscape, regions  the posterior on a grid, for any likelihood; its densest regions
    frequentist         estimates, tests and confidence intervals to set beside them

`dir(vijax.bayes)` lists the families. `numerics` and `validation` are what they share.
"""

from vijax.bayes import evidence, frequentist, intervals, mean_tests, theorem
from vijax.bayes.conjugate import (
    beta_bernoulli,
    beta_binomial,
    beta_geometric,
    beta_negative_binomial,
    dirichlet_categorical,
    dirichlet_multinomial,
    gamma_exponential,
    gamma_gamma,
    gamma_poisson,
    improper,
    inverse_gamma_normal,
    known_background,
    known_noise_regression,
    linear_regression,
    marginals,
    multivariate_normal,
    normal_inverse_gamma,
    normal_inverse_wishart,
    normal_normal,
    on_off,
    pareto_uniform,
    streaming,
    truncated_gamma_poisson,
    uncertain_signal,
)
from vijax.bayes.grid import landscape, regions

__all__ = [
    "beta_bernoulli",
    "beta_binomial",
    "beta_geometric",
    "beta_negative_binomial",
    "dirichlet_categorical",
    "dirichlet_multinomial",
    "evidence",
    "frequentist",
    "gamma_exponential",
    "gamma_gamma",
    "gamma_poisson",
    "improper",
    "intervals",
    "inverse_gamma_normal",
    "known_background",
    "known_noise_regression",
    "landscape",
    "linear_regression",
    "marginals",
    "mean_tests",
    "multivariate_normal",
    "normal_inverse_gamma",
    "normal_inverse_wishart",
    "normal_normal",
    "on_off",
    "pareto_uniform",
    "regions",
    "streaming",
    "theorem",
    "truncated_gamma_poisson",
    "uncertain_signal",
]


def __dir__() -> list[str]:
    return sorted(__all__)
