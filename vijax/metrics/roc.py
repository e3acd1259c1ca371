r"""How well a score tells anomalies from background: the ROC curve and its area.

Every function takes `scores`, higher for what looks more anomalous, and the mask
`is_anomaly`. A mask keeps shapes fixed, so one `vmap` serves ten left-out classes.
Examples may carry `weights`, so one `vmap` serves a bootstrap too.

Tied scores are one straight step of the curve. The area then counts a tied pair as one
half: AUC = P(anomaly > background) + ½ P(anomaly = background).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.printing import Estimate
from vijax.types import Scalar
from vijax.validate import (
    check,
    dtype_of,
    is_traced,
    real_numbers,
    seen,
    unmasked,
    where_valid,
)

_Scores = Float[ArrayLike, " examples"]
_Mask = Bool[ArrayLike, " examples"]


class ROC(NamedTuple):
    """Rates when everything at or above a threshold is called an anomaly."""

    false_positive_rate: Float[Array, " thresholds"]  # rises from 0 to 1
    true_positive_rate: Float[Array, " thresholds"]
    threshold: Float[Array, " thresholds"]  # falls from +inf

    def __str__(self) -> str:
        """Return the anomalies found at three rates of false alarms."""
        if is_traced(self) or np.ndim(self.threshold) != 1:
            return f"ROC curves of shape {np.shape(self.threshold)}"
        rates = np.array([0.01, 0.1, 0.5])
        found = np.asarray(_rate_at(self, jnp.asarray(rates)))
        at = ", ".join(f"{y:.3g} at {x:g}" for x, y in zip(rates, found, strict=True))
        return f"ROC of {len(self.threshold) - 1} examples, true positive rate: {at}"


class _Steps(NamedTuple):
    """Sorted by falling score: the rates before and after each example's tie."""

    scores: Float[Array, " examples"]
    is_anomaly: Bool[Array, " examples"]
    false_before: Float[Array, " examples"]
    false_after: Float[Array, " examples"]
    true_before: Float[Array, " examples"]
    true_after: Float[Array, " examples"]


def roc_curve(
    scores: _Scores, is_anomaly: _Mask, weights: _Scores | None = None
) -> ROC:
    """Return the ROC curve: (0, 0), then one point for each example.

    Args:
        scores: (examples,), higher for what looks more anomalous.
        is_anomaly: (examples,), the mask of anomalies.
        weights: (examples,), finite and not negative; 1 each by default.

    Raises:
        ValueError: another shape or type, a NaN score, a bad weight, a missing class.

    Example:
        >>> scores, is_anomaly = jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.arange(4) >= 2
        >>> roc = roc_curve(scores, is_anomaly)
        >>> roc.false_positive_rate.tolist()
        [0.0, 0.0, 0.5, 0.5, 1.0]
        >>> roc.true_positive_rate.tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0]
        >>> print(roc)
        ROC of 4 examples, true positive rate: 0.51 at 0.01, 0.6 at 0.1, 1 at 0.5
    """
    valid = _check(scores, is_anomaly, weights)
    curve = _curve(_ranked(scores), is_anomaly, weights)
    if not is_traced(scores):  # from ranks back to scores
        distinct = np.append(np.unique(np.asarray(scores)), np.inf)
        ranks = np.asarray(curve.threshold)
        index = np.where(np.isinf(ranks), len(distinct) - 1, ranks).astype(int)
        dtype = curve.threshold.dtype
        curve = curve._replace(threshold=jnp.asarray(distinct[index], dtype))
    return where_valid(valid, curve)


@jax.jit
def _curve(scores: _Scores, is_anomaly: _Mask, weights: _Scores | None) -> ROC:
    steps = _steps(scores, is_anomaly, weights)
    zero = jnp.zeros(1, steps.scores.dtype)
    return ROC(
        jnp.concatenate([zero, steps.false_after]),
        jnp.concatenate([zero, steps.true_after]),
        jnp.concatenate([jnp.full(1, jnp.inf, zero.dtype), steps.scores]),
    )


def auc(scores: _Scores, is_anomaly: _Mask, weights: _Scores | None = None) -> Scalar:
    """Return the area under the ROC curve, the Mann-Whitney U over its maximum.

    Args:
        scores: (examples,), higher for what looks more anomalous.
        is_anomaly: (examples,), the mask of anomalies.
        weights: (examples,), finite and not negative; 1 each by default.

    Raises:
        ValueError: another shape or type, a NaN score, a bad weight, a missing class.

    Example:
        >>> auc(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1], bool)).item()
        0.875
    """
    valid = _check(scores, is_anomaly, weights)
    return where_valid(valid, _auc(_ranked(scores), is_anomaly, weights))


@jax.jit
def _auc(scores: _Scores, is_anomaly: _Mask, weights: _Scores | None) -> Scalar:
    steps = _steps(scores, is_anomaly, weights)
    width = steps.false_after - steps.false_before
    height = 0.5 * (steps.true_before + steps.true_after)
    # All examples of a tie carry its whole width: count each tie once.
    is_first = jnp.diff(steps.scores, prepend=jnp.nan) != 0
    return jnp.sum(jnp.where(is_first, width * height, 0))


def auc_with_error(scores: _Scores, is_anomaly: _Mask) -> Estimate:
    r"""Return the area and its standard error over test sets of this size.

    With V_i the share of background below anomaly i, and V_j the share of anomalies
    above background j (ties count half),

        AUC = mean V_i = mean V_j,    var AUC = var(V_i) / m + var(V_j) / n.

    The error is that of the finite test set alone: a model trained again gives another
    area.

    Args:
        scores: (examples,), higher for what looks more anomalous.
        is_anomaly: (examples,), the mask; two examples of each class or more.

    Raises:
        ValueError: another shape or type, a NaN score, fewer than two of a class.

    References:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837, doi:10.2307/2531595.

    Example:
        >>> scores = jnp.array([0.1, 0.4, 0.35, 0.8])
        >>> value, error = auc_with_error(scores, jnp.array([0, 0, 1, 1], bool))
        >>> round(value.item(), 4), round(error.item(), 4)
        (0.75, 0.3536)
    """
    valid = _check(scores, is_anomaly, least=2)
    return where_valid(valid, _auc_with_error(_ranked(scores), is_anomaly))


@jax.jit
def _auc_with_error(scores: _Scores, is_anomaly: _Mask) -> Estimate:
    steps = _steps(scores, is_anomaly)
    share_below = 1 - 0.5 * (steps.false_before + steps.false_after)
    share_above = 0.5 * (steps.true_before + steps.true_after)
    value, variance_anomalies = _mean_and_variance(share_below, steps.is_anomaly)
    _, variance_background = _mean_and_variance(share_above, ~steps.is_anomaly)
    error = jnp.sqrt(variance_anomalies + variance_background)
    return Estimate(value, error)


def auc_interval(
    scores: _Scores, is_anomaly: _Mask, *, level: float = 0.95
) -> tuple[Scalar, Scalar]:
    """Return the confidence interval of the area, Gaussian in its logit.

    It stays inside [0, 1]. Where the score separates the classes perfectly it has no
    width, and only a larger test set can tell more.

    Args:
        scores: (examples,), higher for what looks more anomalous.
        is_anomaly: (examples,), the mask; two examples of each class or more.
        level: confidence level, inside (0, 1).

    Raises:
        ValueError: as `auc_with_error`; a level outside (0, 1).

    Example:
        >>> scores = jnp.arange(40.0) % 7
        >>> lower, upper = auc_interval(scores, jnp.arange(40) % 3 == 0)
        >>> round(lower.item(), 3), round(upper.item(), 3)
        (0.34, 0.708)
    """
    if np.ndim(real_numbers("level", level)):
        raise ValueError(f"level has shape {np.shape(level)}: give one number")
    check(0 < level < 1, "level", level, "give a probability inside (0, 1)")
    value, error = auc_with_error(scores, is_anomaly)
    certain = (value <= 0) | (value >= 1)
    inside = jnp.where(certain, 0.5, value)
    logit = jnp.log(inside) - jnp.log1p(-inside)
    half_width = ndtri(0.5 + 0.5 * level) * error / (inside * (1 - inside))
    return (
        jnp.where(certain, value, jax.nn.sigmoid(logit - half_width)),
        jnp.where(certain, value, jax.nn.sigmoid(logit + half_width)),
    )


def true_positive_rate(
    roc: ROC, false_positive_rate: Float[ArrayLike, "*rates"]
) -> Float[Array, "*rates"]:
    """Return the share of anomalies found at a given share of false alarms.

    Where the curve jumps at that rate, the upper end is taken. Between two points it is
    interpolated: a cut that draws lots inside a tie attains that.

    Args:
        roc: from `roc_curve`.
        false_positive_rate: one rate or several, inside [0, 1].

    Raises:
        ValueError: a rate outside [0, 1], or none; another curve.

    Example:
        >>> scores, is_anomaly = jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.arange(4) >= 2
        >>> roc = roc_curve(scores, is_anomaly)
        >>> true_positive_rate(roc, jnp.array([0.0, 0.25, 0.5])).tolist()
        [0.5, 0.75, 1.0]
    """
    if not isinstance(roc, ROC):
        raise ValueError(
            f"roc is a {type(roc).__name__}: give what `roc_curve` returns"
        )
    rate = jnp.asarray(real_numbers("false_positive_rate", false_positive_rate))
    inside = (seen(rate) >= 0) & (seen(rate) <= 1)
    valid = check(inside, "false_positive_rate", rate, "give a rate in [0, 1]")
    return where_valid(valid, _rate_at(roc, rate))


@jax.jit
def _rate_at(roc: ROC, rate: Array) -> Array:
    left = jnp.searchsorted(roc.false_positive_rate, rate, side="right") - 1
    right = jnp.minimum(left + 1, roc.false_positive_rate.shape[0] - 1)
    x0, x1 = roc.false_positive_rate[left], roc.false_positive_rate[right]
    y0, y1 = roc.true_positive_rate[left], roc.true_positive_rate[right]
    slope = jnp.where(x1 > x0, (y1 - y0) / jnp.where(x1 > x0, x1 - x0, 1), 0)
    return y0 + slope * (rate - x0)


def _check(
    scores: _Scores,
    is_anomaly: _Mask,
    weights: _Scores | None = None,
    *,
    least: int = 1,
) -> Bool[ArrayLike, ""]:
    kind = dtype_of("is_anomaly", unmasked("is_anomaly", is_anomaly))
    if kind != np.bool_:
        raise ValueError(f"is_anomaly has dtype {kind}: give a mask, as labels == 1")
    scores = jnp.asarray(real_numbers("scores", scores))
    is_anomaly = jnp.asarray(is_anomaly)
    if weights is None:
        weights = jnp.ones(scores.shape)
    weights = jnp.asarray(real_numbers("weights", weights))
    for name, one in (("is_anomaly", is_anomaly), ("weights", weights)):
        if one.shape != scores.shape:
            raise ValueError(
                f"scores have shape {scores.shape}, {name} {one.shape}: give one of "
                "each for every example"
            )
    x, mask, w = seen(scores), seen(is_anomaly), seen(weights)
    number = x == x  # NaN equals nothing
    finite: Any = check(number, "scores", scores, "remove what is not a number")
    inside, remedy = (w >= 0) & (w < np.inf), "give finite numbers of 0 or more"
    positive: Any = check(inside, "weights", weights, remedy)
    anomalies, background = ((w > 0) & mask).sum(), ((w > 0) & ~mask).sum()
    both = (anomalies >= least) & (background >= least)
    remedy = f"mark at least {least} anomalies and leave {least} as background"
    enough = check(both, "is_anomaly", is_anomaly, remedy)
    return finite.all() & positive.all() & enough


def _ranked(scores: Any) -> Any:
    """Return the scores' ranks from 0, equal for ties; in a trace the scores."""
    if is_traced(scores):
        return scores
    values = np.asarray(scores)
    return jnp.asarray(np.unique(values, return_inverse=True)[1], float)


@jax.jit
def _steps(
    scores: _Scores, is_anomaly: _Mask, weights: _Scores | None = None
) -> _Steps:
    scores, is_anomaly = jnp.asarray(scores), jnp.asarray(is_anomaly)
    weights = jnp.ones_like(scores) if weights is None else jnp.asarray(weights)
    order = jnp.argsort(-scores)
    scores, is_anomaly, weights = scores[order], is_anomaly[order], weights[order]
    classes = jnp.stack([~is_anomaly, is_anomaly])  # background, anomalies
    sums = jnp.cumsum(jnp.where(classes, weights, 0), axis=1)
    rates = jnp.pad(sums / sums[:, -1:], ((0, 0), (1, 0)))
    # The first and the last of each example's tie.
    before = rates[:, jnp.searchsorted(-scores, -scores, side="left")]
    after = rates[:, jnp.searchsorted(-scores, -scores, side="right")]
    return _Steps(scores, is_anomaly, before[0], after[0], before[1], after[1])


def _mean_and_variance(
    values: Float[Array, " examples"], mask: Bool[Array, " examples"]
) -> tuple[Scalar, Scalar]:
    """Return the mean over the mask and that mean's variance."""
    count = jnp.sum(mask)
    mean = jnp.sum(jnp.where(mask, values, 0)) / count
    variance = jnp.sum(jnp.where(mask, (values - mean) ** 2, 0)) / (count - 1)
    return mean, variance / count
