"""The frequentist answers to set beside the Bayesian ones.

    binomial_estimate                     k / n and its standard error
    binomial_p_value, …_log_p_value       exact and asymptotic tests of a probability
    binomial_interval, poisson_interval   confidence intervals; …_coverage checks them
    poisson_log_p_value                   an excess over a known background
    li_ma_significance, on_off_log_p_value, profile_interval, profile_log_likelihood
                                          an excess over a background that is measured
    signal_limit, signal_interval, signal_coverage, expected_signal_limits
                                          a signal above a known background: CLs,
                                          Helene, Feldman–Cousins, Kraft–Burrows–Nousek
    uncertain_signal_interval, …_limit, …_log_likelihood, …_coverage
                                          with uncertain background and efficiency, of
                                          Measured, Sideband, Selected: Rolke et al.
    asimov_significance, median_significance, critical_count, discovery_probability,
    discoverable_signal                   what an experiment would find, the background
                                          known or measured
    uncertain_background_log_p_value      a background b ± σ: off counts not whole
    barnard_log_p_value, fisher_log_p_value, rate_log_p_value, welch_test
    probability_difference_interval, probability_ratio_interval,
    rate_difference_interval, rate_ratio_interval      two samples
    weighted_efficiency, efficiency_posterior     of a selection, of weighted events
    combine                               correlated measurements of one value (BLUE)
    significance, p_value                 Gaussian sigmas and p-values into each other
    significance_from_log, log_p_value    the same where p is smaller than any float

All work element by element on arrays, under jit and vmap; `welch_test` and `combine`
pool one axis. Levels are 0.95 and alternatives "greater" unless a signature says else.
"""

from vijax.bayes.frequentist.binomial_tests import (
    binomial_estimate,
    binomial_log_p_value,
    binomial_p_value,
)
from vijax.bayes.frequentist.combination import Combination, combine
from vijax.bayes.frequentist.confidence_intervals import (
    binomial_coverage,
    binomial_interval,
    poisson_coverage,
    poisson_interval,
)
from vijax.bayes.frequentist.signals.discovery import (
    critical_count,
    discoverable_signal,
    discovery_probability,
    median_significance,
)
from vijax.bayes.frequentist.signals.nuisances import Measured, Selected, Sideband
from vijax.bayes.frequentist.signals.on_off_tests import (
    li_ma_significance,
    on_off_log_p_value,
    poisson_log_p_value,
    profile_interval,
    profile_log_likelihood,
)
from vijax.bayes.frequentist.signals.signal_coverage import signal_coverage
from vijax.bayes.frequentist.signals.signal_intervals import signal_interval
from vijax.bayes.frequentist.signals.signal_limits import (
    ExpectedLimits,
    expected_signal_limits,
    signal_limit,
)
from vijax.bayes.frequentist.signals.uncertain_background import (
    asimov_significance,
    uncertain_background_log_p_value,
)
from vijax.bayes.frequentist.signals.uncertain_coverage import (
    uncertain_signal_coverage,
)
from vijax.bayes.frequentist.signals.uncertain_signals import (
    uncertain_signal_interval,
    uncertain_signal_limit,
    uncertain_signal_log_likelihood,
)
from vijax.bayes.frequentist.two_samples.barnard import barnard_log_p_value
from vijax.bayes.frequentist.two_samples.fisher import fisher_log_p_value
from vijax.bayes.frequentist.two_samples.means import WelchTest, welch_test
from vijax.bayes.frequentist.two_samples.probabilities import (
    probability_difference_interval,
    probability_ratio_interval,
)
from vijax.bayes.frequentist.two_samples.rates import (
    rate_difference_interval,
    rate_log_p_value,
    rate_ratio_interval,
)
from vijax.bayes.frequentist.weighted_efficiency import (
    Efficiency,
    efficiency_posterior,
    weighted_efficiency,
)
from vijax.bayes.numerics.significances import (
    log_p_value,
    p_value,
    significance,
    significance_from_log,
)

__all__ = [
    "Combination",
    "Efficiency",
    "ExpectedLimits",
    "Measured",
    "Selected",
    "Sideband",
    "WelchTest",
    "asimov_significance",
    "barnard_log_p_value",
    "binomial_coverage",
    "binomial_estimate",
    "binomial_interval",
    "binomial_log_p_value",
    "binomial_p_value",
    "combine",
    "critical_count",
    "discoverable_signal",
    "discovery_probability",
    "efficiency_posterior",
    "expected_signal_limits",
    "fisher_log_p_value",
    "li_ma_significance",
    "log_p_value",
    "median_significance",
    "on_off_log_p_value",
    "p_value",
    "poisson_coverage",
    "poisson_interval",
    "poisson_log_p_value",
    "probability_difference_interval",
    "probability_ratio_interval",
    "profile_interval",
    "profile_log_likelihood",
    "rate_difference_interval",
    "rate_log_p_value",
    "rate_ratio_interval",
    "signal_coverage",
    "signal_interval",
    "signal_limit",
    "significance",
    "significance_from_log",
    "uncertain_background_log_p_value",
    "uncertain_signal_coverage",
    "uncertain_signal_interval",
    "uncertain_signal_limit",
    "uncertain_signal_log_likelihood",
    "weighted_efficiency",
    "welch_test",
]


def __dir__() -> list[str]:
    return sorted(__all__)
