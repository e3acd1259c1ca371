"""Distributions that conjugate families need and NumPyro has not, or not exactly.

beta_prime             the ratio of two Gamma numbers
count_distributions    predictive counts with exact probabilities; `count_tails`
signal_posterior       a mixture of Gamma distributions, for a signal
truncated_gamma        Gamma between two ends
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return sorted(__all__)
