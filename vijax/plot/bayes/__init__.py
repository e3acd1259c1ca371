"""Figures of exact Bayesian inference, and of the frequentist answers beside it.

    bayes_theorem         relative frequencies that settle; Bayes' theorem of coins
    coin_flip             from prior to posterior; both ways to answer; Bayes factors
    prior_sweep           maps of a conclusion over the parameters of the prior
    posterior_landscapes  two parameters' posterior, datum by datum
    interval_coverage     how often an interval holds the truth, over the true value
    discovery_claims      what a claim is worth, and which signals are within reach

Each function takes arrays and returns a `Figure`; see `vijax.plot` for the style.
"""

from vijax.plot.bayes.bayes_theorem import relative_frequencies, ten_coins
from vijax.plot.bayes.coin_flip import (
    Answer,
    Belief,
    bayes_factors,
    frequentist_and_bayesian,
    prior_to_posterior,
)
from vijax.plot.bayes.discovery import discovery_claims
from vijax.plot.bayes.interval_coverage import coverage_maps
from vijax.plot.bayes.posterior_landscapes import (
    LandscapePanel,
    PosteriorTrack,
    landscape_contours,
    landscape_surfaces,
    posterior_updates,
)
from vijax.plot.bayes.prior_sweep import (
    ConclusionRegions,
    PriorMap,
    PriorPlane,
    prior_maps,
)

__all__ = [
    "Answer",
    "Belief",
    "ConclusionRegions",
    "LandscapePanel",
    "PosteriorTrack",
    "PriorMap",
    "PriorPlane",
    "bayes_factors",
    "coverage_maps",
    "discovery_claims",
    "frequentist_and_bayesian",
    "landscape_contours",
    "landscape_surfaces",
    "posterior_updates",
    "prior_maps",
    "prior_to_posterior",
    "relative_frequencies",
    "ten_coins",
]


def __dir__() -> list[str]:
    return sorted(__all__)
