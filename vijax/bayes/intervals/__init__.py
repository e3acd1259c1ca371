"""Credible intervals and quantiles of exact posteriors, of draws and of grids.

    credible_interval    (lower, upper) of a posterior: equal tails or highest density
    Interval             the pair itself, which prints with its mass and its kind
    density_pieces       of draws with several modes: one interval or more
    quantile             x with P(X <= x) = q
    upper_quantile       x with P(X > x) = q, exact also for a tiny q
    probability_greater  P(p_B > p_A), of any two posteriors
    difference_interval, ratio_interval  of p_B - p_A, and of p_B / p_A

Distributions come from NumPyro or from `vijax.bayes`; a joint one gives an interval
for each of its numbers. All ends are differentiable in the distribution's parameters
and in the mass.
"""

from vijax.bayes.intervals.comparison import (
    difference_interval,
    probability_greater,
    ratio_interval,
)
from vijax.bayes.intervals.credible import credible_interval
from vijax.bayes.intervals.density_pieces import DensityPieces, density_pieces
from vijax.bayes.intervals.quantiles import quantile, upper_quantile
from vijax.bayes.numerics.interval import Interval

__all__ = [
    "DensityPieces",
    "Interval",
    "credible_interval",
    "density_pieces",
    "difference_interval",
    "probability_greater",
    "quantile",
    "ratio_interval",
    "upper_quantile",
]


def __dir__() -> list[str]:
    return sorted(__all__)
