"""The frequentist answers to set beside the Bayesian ones.

    binomial_estimate                     k / n and its standard error
    binomial_p_value, …_log_p_value       exact and asymptotic tests of a probability
    binomial_interval, poisson_interval   confidence intervals; …_coverage checks them
    poisson_log_p_value                   an excess over a known background
    li_ma_significance, on_off_log_p_value, profile_interval, profile_log_likelihood
                                          an excess over a background that is measured
    significance, p_value                 Gaussian sigmas and p-values into each other
    significance_from_log, log_p_value    the same where p is smaller than any float

All work element by element on arrays, under jit and vmap.
"""

from vijax.bayes.frequentist.binomial_tests import (
    binomial_estimate,
    binomial_log_p_value,
    binomial_p_value,
)
from vijax.bayes.frequentist.confidence_intervals import (
    binomial_coverage,
    binomial_interval,
    poisson_coverage,
    poisson_interval,
)
from vijax.bayes.frequentist.on_off_tests import (
    li_ma_significance,
    on_off_log_p_value,
    poisson_log_p_value,
    profile_interval,
    profile_log_likelihood,
)
from vijax.bayes.numerics.significances import (
    log_p_value,
    p_value,
    significance,
    significance_from_log,
)

__all__ = [
    "binomial_coverage",
    "binomial_estimate",
    "binomial_interval",
    "binomial_log_p_value",
    "binomial_p_value",
    "li_ma_significance",
    "log_p_value",
    "on_off_log_p_value",
    "p_value",
    "poisson_coverage",
    "poisson_interval",
    "poisson_log_p_value",
    "profile_interval",
    "profile_log_likelihood",
    "significance",
    "significance_from_log",
]


def __dir__() -> list[str]:
    return sorted(__all__)
