"""Credible intervals and quantiles of exact posteriors, of draws and of grids.

    credible_interval    (lower, upper) of a posterior: equal tails or highest density
    quantile             x with P(X <= x) = q
    upper_quantile       x with P(X > x) = q, exact also for a tiny q

Distributions come from NumPyro or from `vijax.bayes`; a joint one gives an interval
for each of its numbers. All ends are differentiable in the distribution's parameters
and in the mass.
"""

from vijax.bayes.intervals.credible import credible_interval
from vijax.bayes.intervals.quantiles import quantile, upper_quantile

__all__ = ["credible_interval", "quantile", "upper_quantile"]


def __dir__() -> list[str]:
    return sorted(__all__)
