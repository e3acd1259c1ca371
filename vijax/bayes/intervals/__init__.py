"""Credible intervals and quantiles of exact posteriors."""

from vijax.bayes.intervals.credible import credible_interval
from vijax.bayes.intervals.highest_density import highest_density
from vijax.bayes.intervals.quantiles import quantile, upper_quantile

__all__ = ["credible_interval", "highest_density", "quantile", "upper_quantile"]
