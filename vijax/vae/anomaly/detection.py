"""How well a score finds anomalies: the ROC curve, with errors of events and trainings.

    measure_detection(score, is_anomaly)     (trainings, events) -> Detection

The events of a test set are a random sample, and so are the trainings of a network.
Every standard error here covers both.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vijax.metrics import Estimate, roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.validate import check

# Of background: where `Detection.found_at` and `Detection.true_positive_rate` are read.
CUT_RATES = (0.01, 0.1)
CURVE_RATES = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 121)])


class Detection(NamedTuple):
    """How well one score finds anomalies, averaged over trainings.

    Standard errors are of the test events and of the trainings together.
    """

    auc: float
    auc_standard_error: float
    training_spread: float  # standard deviation of the AUC from training to training
    true_positive_rate: Float[np.ndarray, " rates"]  # at `CURVE_RATES`
    found_at: Float[np.ndarray, " cuts"]  # true positive rates at `CUT_RATES`
    found_at_standard_error: Float[np.ndarray, " cuts"]


def measure_detection(values: Any, is_anomaly: Bool[Any, " events"]) -> Detection:
    """Say how well a score finds anomalies, over one or several trainings.

    The AUC's error is DeLong's for the test events, added in quadrature to that of a
    mean over trainings. Rates at a fixed share of background get theirs from a
    Bayesian bootstrap with the same resamples for every score.

    Args:
        values: the score, (trainings, events) or (events,), higher for what looks more
            anomalous.
        is_anomaly: (events,), a mask.

    Returns:
        `Detection`.

    Raises:
        ValueError: if the mask is not one, or does not fit the values; if a value is
            NaN, or there are fewer than two anomalies or two other events.

    Example:
        >>> is_anomaly = np.array([False, False, True, True])
        >>> found = measure_detection(np.array([0.1, 0.4, 0.35, 0.8]), is_anomaly)
        >>> found.auc, round(found.auc_standard_error, 4), found.training_spread
        (0.75, 0.3536, 0.0)
    """
    values, mask = np.atleast_2d(np.asarray(values)), np.asarray(is_anomaly)
    if mask.dtype != bool or values.shape[1:] != mask.shape:
        raise ValueError(
            f"values have shape {values.shape}, is_anomaly {mask.shape} of {mask.dtype}"
            ": give a mask, as labels == 1, with one entry for every event"
        )
    check(~np.isnan(values), "values", values, "remove NaN")
    remedy = "mark at least 2 anomalies and leave 2 as background"
    enough = mask.sum() >= 2 and (~mask).sum() >= 2
    check(enough, "is_anomaly", mask, remedy)
    # Ranks are taken before anything is rounded to float32.
    ranks = [np.unique(row, return_inverse=True)[1] for row in values]
    values = np.asarray(ranks, np.float32)
    number = len(values)
    areas, rates = jax.tree.map(np.asarray, _measure(values, mask))
    (each, found_at), (_, error_at) = with_bootstrap_error(
        jax.random.key(0), _found_at, mask.size, values, mask, num_resamples=100
    )
    spread, spread_at = (
        y.std(axis=0, ddof=1) if number > 1 else np.zeros_like(y[0])
        for y in (areas.value, each)
    )
    error = np.hypot(areas.standard_error.mean(), spread / np.sqrt(number))
    return Detection(
        float(areas.value.mean()),
        float(error),
        float(spread),
        rates.mean(axis=0),
        found_at,
        np.hypot(error_at, spread_at / np.sqrt(number)),
    )


@jax.jit
def _measure(values: Array, mask: Array) -> tuple[Estimate, Array]:
    def one(values: Array) -> tuple[Estimate, Array]:
        curve = roc.roc_curve(values, mask)
        rates = roc.true_positive_rate(curve, jnp.asarray(CURVE_RATES))
        return roc.auc_with_error(values, mask), rates

    return jax.vmap(one)(values)


def _found_at(weights: Array, values: Array, mask: Array) -> tuple[Array, Array]:
    """Return the rates of (trainings, events) at `CUT_RATES`, and their mean."""

    def one(values: Array) -> Array:
        curve = roc.roc_curve(values, mask, weights)
        return roc.true_positive_rate(curve, jnp.asarray(CUT_RATES))

    each = jax.vmap(one)(values)
    return each, each.mean(axis=0)
