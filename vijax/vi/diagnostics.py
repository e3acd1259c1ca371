r"""Whether to believe a fit: Pareto k̂ of the importance weights w = p(x, z) / q(z).

The largest weights of a q that misses part of the posterior follow a generalised
Pareto law, whose shape k̂ says how many moments the weights have. k̂ < 0.5: a finite
variance, importance sampling works well; k̂ < 0.7: it works with smoothed weights;
above, q misses too much, and so its own means and sds should not be trusted either.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from vijax.types import Scalar
from vijax.validate import check

KHAT_LIMIT = 0.7


class Smoothed(NamedTuple):
    """Pareto-smoothed importance weights."""

    log_weights: Float[Array, " samples"]  # normalised: their exponentials sum to 1
    khat: Scalar
    log_evidence: Scalar  # log of the mean smoothed weight, in nats
    effective_samples: Scalar  # 1 / Σ w², of normalised weights


def psis(log_weights: Float[Array, " samples"]) -> Smoothed:
    r"""Smooth the largest weights by a fitted generalised Pareto law.

    The M = min(S/5, 3√S) largest weights are replaced by the law's quantiles at
    (i − ½)/M, cut at the largest weight; k̂ is the law's shape, 0 where the weights
    are equal to rounding (q is the posterior).

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72), arXiv:1507.02646.

    Example:
        >>> smoothed = psis(jnp.zeros(100))
        >>> round(smoothed.effective_samples.item(), 3)
        100.0
    """
    num_samples = log_weights.shape[0]
    check(num_samples >= 25, "num_samples", num_samples, "k̂ needs at least 25 weights")
    tail_size = min(num_samples // 5, math.ceil(3 * num_samples**0.5))
    largest = jnp.max(log_weights)
    shifted = log_weights - largest
    order = jnp.argsort(shifted)
    tail = order[-tail_size:]
    cutoff = jnp.exp(shifted[order[-tail_size - 1]])
    excess = jnp.exp(shifted[tail]) - cutoff  # ascending
    khat, scale = pareto_fit(excess)
    p = (jnp.arange(tail_size) + 0.5) / tail_size
    quantiles = cutoff + scale * _expm1_over(khat, -jnp.log1p(-p))
    # Weights that are equal to rounding have no tail to smooth.
    flat = excess[-1] < 1e3 * jnp.finfo(excess.dtype).eps
    khat = jnp.where(flat, 0.0, khat)
    smooth = jnp.where(flat, jnp.exp(shifted[tail]), quantiles)
    shifted = shifted.at[tail].set(jnp.minimum(jnp.log(smooth), 0.0))
    total = logsumexp(shifted)
    normalised = shifted - total
    return Smoothed(
        normalised,
        khat,
        total + largest - jnp.log(num_samples),
        jnp.exp(-logsumexp(2 * normalised)),
    )


def pareto_fit(excess: Float[Array, " tail"]) -> tuple[Scalar, Scalar]:
    r"""Fit the generalised Pareto law to ascending excesses; return (k̂, scale).

    The density is (1/σ) (1 + k x/σ)^(−1/k − 1). θ = −k/σ is averaged over its
    profile posterior on a grid; k̂ is then shrunk to ½ by a prior worth 10 draws.

    References:
        Zhang & Stephens (2009), Technometrics 51(3); prior: arXiv:1507.02646, app. C.
    """
    size = excess.shape[0]
    grid_size = 30 + int(size**0.5)
    largest = excess[-1]
    x = excess / jnp.where(largest > 0, largest, 1.0)
    # Rounding ties small excesses to zero; the grid needs a positive quartile.
    quartile = jnp.maximum(x[int(size / 4 + 0.5) - 1], 1e-10)
    i = jnp.arange(1, grid_size + 1)
    theta = 1 + (1 - jnp.sqrt(grid_size / (i - 0.5))) / (3 * quartile)
    k = jnp.mean(jnp.log1p(-theta[:, None] * x), axis=1)
    weights = jax.nn.softmax(size * (jnp.log(-theta / k) - k - 1))
    theta_hat = jnp.sum(weights * theta)
    k_hat = jnp.mean(jnp.log1p(-theta_hat * x))
    scale = -k_hat / theta_hat * largest
    return (size * k_hat + 10 * 0.5) / (size + 10), scale


def _expm1_over(k: Scalar, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return (exp(k x) − 1) / k, which is x at k = 0."""
    finite = jnp.where(k == 0, 1.0, k)
    return jnp.where(k == 0, x, jnp.expm1(finite * x) / finite)
