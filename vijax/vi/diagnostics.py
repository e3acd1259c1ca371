r"""Whether to believe a fit: Pareto k̂ of the importance weights w = p(x, z) / q(z).

The largest weights of a q that misses part of the posterior follow a generalised
Pareto law, whose shape k̂ says how many moments the weights have. k̂ < 0.5: a finite
variance, importance sampling works well; k̂ < 0.7: it works with smoothed weights;
above, q misses too much, and so its own means and sds should not be trusted either.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from vijax.validate import check, is_traced

KHAT_LIMIT = 0.7


class Smoothed(NamedTuple):
    """Pareto-smoothed importance weights."""

    log_weights: Any  # (samples,), normalised: their exponentials sum to 1
    khat: Any
    log_evidence: Any  # log of the mean smoothed weight, in nats
    effective_samples: Any  # 1 / Σ w², of normalised weights


def psis(log_weights: Float[ArrayLike, " samples"]) -> Smoothed:
    r"""Smooth the largest weights by a fitted generalised Pareto law.

    The M = min(S/5, 3√S) largest weights are replaced by the law's quantiles at
    (i − ½)/M, cut at the largest weight; k̂ is the law's shape, 0 where the weights
    are equal to rounding (q is the posterior).

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72), arXiv:1507.02646.

    Example:
        >>> smoothed = psis(np.zeros(100))
        >>> round(smoothed.effective_samples.item(), 3)
        100.0
    """
    if not is_traced(log_weights):  # nothing to compile
        with np.errstate(all="ignore"):
            return _psis(np.asarray(log_weights), np)
    return _psis(log_weights, jnp)


def _psis(given: Any, xp: Any) -> Smoothed:
    num_samples = given.shape[0]
    check(num_samples >= 25, "num_samples", num_samples, "k̂ needs at least 25 weights")
    tail_size = min(num_samples // 5, math.ceil(3 * num_samples**0.5))
    order = xp.argsort(given)
    ascending = given[order]
    largest = ascending[-1]
    ascending = ascending - largest
    body, tail = ascending[:-tail_size], ascending[-tail_size:]
    cutoff = xp.exp(body[-1])
    excess = xp.exp(tail) - cutoff
    khat, scale = _pareto_fit(excess, xp)
    p = (xp.arange(tail_size) + 0.5) / tail_size
    quantiles = cutoff + scale * _expm1_over(khat, -xp.log1p(-p), xp)
    # Weights that are equal to rounding have no tail to smooth.
    flat = ~(excess[-1] >= 1e3 * np.finfo(excess.dtype).eps)
    khat = xp.where(flat, 0.0, khat)
    smooth = xp.minimum(xp.log(xp.where(flat, 1.0, quantiles)), 0.0)
    ascending = xp.concatenate([body, xp.where(flat, tail, smooth)])
    total = xp.log(xp.sum(xp.exp(ascending)))
    normalised = (ascending - total)[xp.argsort(order)]
    return Smoothed(
        normalised,
        khat,
        total + largest - math.log(num_samples),
        1 / xp.sum(xp.exp(2 * normalised)),
    )


def pareto_fit(excess: Float[ArrayLike, " tail"]) -> tuple[Any, Any]:
    r"""Fit the generalised Pareto law to ascending excesses; return (k̂, scale).

    The density is (1/σ) (1 + k x/σ)^(−1/k − 1). θ = −k/σ is averaged over its
    profile posterior on a grid; k̂ is then shrunk to ½ by a prior worth 10 draws.

    References:
        Zhang & Stephens (2009), Technometrics 51(3); prior: arXiv:1507.02646, app. C.
    """
    if not is_traced(excess):
        return _pareto_fit(np.asarray(excess), np)
    return _pareto_fit(excess, jnp)


def _pareto_fit(given: Any, xp: Any) -> tuple[Any, Any]:
    size = given.shape[0]
    grid_size = 30 + int(size**0.5)
    largest = given[-1]
    x = given / xp.where(largest > 0, largest, 1.0)
    # Rounding may tie the small excesses at zero.
    quartile = xp.maximum(x[int(size / 4 + 0.5) - 1], 1e-10)
    i = xp.arange(1, grid_size + 1)
    theta = 1 + (1 - xp.sqrt(grid_size / (i - 0.5))) / (3 * quartile)
    k = xp.mean(xp.log1p(-theta[:, None] * x), axis=1)
    log_profile = size * (xp.log(-theta / k) - k - 1)
    weights = xp.exp(log_profile - xp.max(log_profile))
    theta_hat = xp.sum(weights * theta) / xp.sum(weights)
    k_hat = xp.mean(xp.log1p(-theta_hat * x))
    scale = -k_hat / theta_hat * largest
    return (size * k_hat + 10 * 0.5) / (size + 10), scale


def _expm1_over(k: Any, x: Any, xp: Any) -> Any:
    """Return (exp(k x) − 1) / k, which is x at k = 0."""
    nonzero = xp.where(k == 0, 1.0, k)
    return xp.where(k == 0, x, xp.expm1(nonzero * x) / nonzero)
