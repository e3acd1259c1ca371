"""The frequentist answers to set beside the Bayesian ones, under one name.

binomial     estimate and p-values          vijax.bayes.binomial
sigmas       p-value <-> significance       vijax.bayes.sigmas
confidence   intervals and their coverage   vijax.bayes.confidence
counting     the on/off experiment          vijax.bayes.counting
"""

from vijax.bayes.frequentist.binomial import (
    binomial_estimate,
    binomial_log_p_value,
    binomial_p_value,
)
from vijax.bayes.frequentist.confidence import (
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
