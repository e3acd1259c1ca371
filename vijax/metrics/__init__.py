"""Figures of merit that need no model, only scores, sets of examples or draws.

    roc               ROC curve and the area under it, with ties, weights and errors
    bootstrap         the Bayesian bootstrap: an error for any statistic of examples
    frechet           Fréchet distance of two sets, its error and its noise floor
    sample_distances  the noise floor of any distance, two-sample accuracy
    wasserstein       exact W₁ of columns and of whole rows
    Estimate          a number with its standard error, printed as "0.871 ± 0.012"

All run under `jax.jit` and `jax.vmap`, except those of `wasserstein`, which sort and
solve an assignment on the host, in NumPy.
"""

from vijax.metrics.bootstrap import bayesian_bootstrap, with_bootstrap_error
from vijax.metrics.frechet import (
    GaussianMoments,
    frechet_distance,
    frechet_distance_with_error,
    frechet_noise_floor,
    mean_and_covariance,
    squared_wasserstein,
)
from vijax.metrics.roc import (
    ROC,
    auc,
    auc_interval,
    auc_with_error,
    roc_curve,
    true_positive_rate,
)
from vijax.metrics.sample_distances import noise_floor, two_sample_accuracy
from vijax.metrics.wasserstein import wasserstein_by_column, wasserstein_distance
from vijax.printing import Estimate, in_digits

__all__ = [
    "ROC",
    "Estimate",
    "GaussianMoments",
    "auc",
    "auc_interval",
    "auc_with_error",
    "bayesian_bootstrap",
    "frechet_distance",
    "frechet_distance_with_error",
    "frechet_noise_floor",
    "in_digits",
    "mean_and_covariance",
    "noise_floor",
    "roc_curve",
    "squared_wasserstein",
    "true_positive_rate",
    "two_sample_accuracy",
    "wasserstein_by_column",
    "wasserstein_distance",
    "with_bootstrap_error",
]


def __dir__() -> list[str]:
    return sorted(__all__)
