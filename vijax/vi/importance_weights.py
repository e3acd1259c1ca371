r"""Whether to believe a fit: the importance weights w = p(x, z) / q(z) at draws of q.

Two questions, both asked of the same draws.

1. Is the correction from q to the posterior itself reliable? The largest weights of a
   q that misses part of the posterior follow a generalised Pareto distribution, whose
   shape k̂ says how many moments the weights have. Below 0.5 the variance is finite and
   importance sampling works well; below 0.7 it works with smoothed weights; above, not.

   k̂ is the shape of the weights' excess over a threshold u, so k̂ of a + b w is k̂ of
   w: where q is nearly the posterior, w = 1 + c h(z), it is the shape of h, however
   small c is, and says nothing. A Pareto tail of shape k is also straight in log w:
   E[log(w / u) | w > u] = k at every threshold (Hill's estimate). This one falls with
   c, and is above k where a Pareto tail has yet to begin. Hence a tail is called heavy
   only where both estimates are: `tail_shape` is the smaller.

2. How far does the correction move the moments? `shifts`: a reliable correction that
   leaves means and sds where they are says that q's own may be used.

Neither sees what no draw of q has met: a mode far away, say.

References:
    Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72), arXiv:1507.02646 (k̂);
    Hill (1975), Ann. Statist. 3(5).
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from vijax.array_module import array_module
from vijax.validate import check

KHAT_LIMIT = 0.7
VARIANCE_LIMIT = 0.5  # weights of a smaller k̂ have a variance
MEAN_LIMIT = 0.05  # sds that a mean may be off
SD_LIMIT = 0.05  # fraction that an sd may be off
FACTORS = 8  # of a product whose logarithm is taken
ROWS = 8  # tails that are fitted at a time: what is made of them stays in the cache
EXCUSED = 0.03  # of a move, in sds or relative, that chance may explain at most
# The correction's own error of a mean is 1/√400 = 0.05 sd.
MIN_EFFECTIVE_SAMPLE_SIZE = 400


class Smoothed(NamedTuple):
    """Pareto-smoothed importance weights."""

    log_weights: Any  # (*rows, samples), normalised: their exponentials sum to 1
    khat: Any
    log_evidence: Any  # log of the mean smoothed weight, in nats
    effective_sample_size: Any  # 1 / Σ w², of normalised weights
    hill: Any  # mean of log(w / u) over the tail
    tail_size: int  # M, the weights that were smoothed

    @property
    def tail_shape(self) -> Any:
        """The smaller of k̂ and Hill's estimate; see the module's docstring."""
        xp = array_module(self.khat)
        return xp.minimum(self.khat, self.hill)

    @property
    def tail_shape_se(self) -> Any:
        """Its standard error for large M: (1 + k)/√M for k̂, k/√M for Hill's.

        References:
            Smith (1987), Ann. Statist. 15(3); Hill (1975), Ann. Statist. 3(5).
        """
        xp = array_module(self.khat)
        of_khat = xp.where(self.khat == 0, 0.0, xp.abs(1 + self.khat))
        spread = xp.where(self.khat <= self.hill, of_khat, self.hill)
        return spread / self.tail_size**0.5


@np.errstate(all="ignore")
def psis(log_weights: Float[ArrayLike, "*rows samples"]) -> Smoothed:
    r"""Smooth the largest weights by a fitted generalised Pareto distribution.

    Of each row by itself, where there are several.

    The M = min(S/5, 3√S) largest weights are replaced by its quantiles at
    (i − ½)/M, cut at the largest weight, unless it has no mean (k̂ >= 1): then
    they stay. k̂ is its shape, 0 where the weights are equal to rounding (q is
    the posterior).

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72), arXiv:1507.02646.

    Example:
        >>> smoothed = psis(np.zeros(100))
        >>> round(smoothed.effective_sample_size.item(), 3)
        100.0
    """
    xp = array_module(log_weights)
    given = xp.asarray(log_weights)
    num_samples = given.shape[-1]
    check(num_samples >= 25, "num_samples", num_samples, "k̂ needs at least 25 weights")
    tail_size = _tail_size(num_samples)
    places = _largest(given, tail_size + 1)
    largest = xp.take_along_axis(given, places[..., -1:], axis=-1)
    shifted = given - largest
    tail = xp.take_along_axis(shifted, places, axis=-1)
    fitted = _fit_tail(tail)
    khat, scale, cutoff, flat = (
        xp.asarray(x)[..., None]
        for x in (fitted.khat, fitted.scale, fitted.cutoff, fitted.flat)
    )
    p = (xp.arange(tail_size) + 0.5) / tail_size
    quantiles = cutoff + scale * _expm1_over(khat, -xp.log1p(-p))
    smooth = xp.minimum(xp.log(xp.where(flat, 1.0, quantiles)), 0.0)
    # A distribution without a mean (k >= 1) says nothing of the weights' average.
    smooth = xp.where(flat | (khat >= 1), tail[..., 1:], smooth).astype(shifted.dtype)
    shifted = _put(shifted, places[..., 1:], smooth)
    total = xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
    normalised = shifted - total
    return Smoothed(
        normalised,
        fitted.khat,
        (total + largest)[..., 0] - math.log(num_samples),
        1 / xp.sum(xp.exp(2 * normalised), axis=-1),
        fitted.hill,
        tail_size,
    )


def _largest(given: Any, number: int) -> Any:
    """Return the places of the largest entries of each row, the very largest last."""
    xp = array_module(given)
    if xp is not np:
        return xp.argsort(given, axis=-1)[..., -number:]
    places = np.argpartition(given, -number, axis=-1)[..., -number:]
    order = np.argsort(np.take_along_axis(given, places, axis=-1), axis=-1)
    return np.take_along_axis(places, order, axis=-1)


def _put(given: Any, places: Any, values: Any) -> Any:
    """Return each row with other values at some places."""
    xp = array_module(given)
    if xp is not np:
        return xp.put_along_axis(given, places, values, axis=-1, inplace=False)
    changed = given.copy()
    np.put_along_axis(changed, places, values, axis=-1)
    return changed


class _Tail(NamedTuple):
    """A generalised Pareto distribution of the largest weights, or one for each row."""

    khat: Any
    scale: Any
    cutoff: Any  # the largest weight that is not of the tail
    hill: Any  # Hill's estimate of the shape
    flat: Any  # weights that are equal to rounding have no tail to smooth


def _fit_tail(log_weights: Float[ArrayLike, "*rows tail_and_one"]) -> _Tail:
    """Fit the ascending log weights of a tail, the largest 0, the first its cutoff."""
    xp = array_module(log_weights)
    given = xp.asarray(log_weights)
    cutoff = xp.exp(given[..., 0])
    excess = xp.exp(given[..., 1:]) - cutoff[..., None]
    khat, scale = pareto_fit(excess)
    flat = ~(excess[..., -1] >= 1e3 * np.finfo(excess.dtype).eps)
    hill = xp.mean(given[..., 1:] - given[..., :1], axis=-1)
    return _Tail(xp.where(flat, 0.0, khat), scale, cutoff, hill, flat)


def _tail_size(num_samples: int) -> int:
    return min(num_samples // 5, math.ceil(3 * num_samples**0.5))


@np.errstate(all="ignore")
def shifts(
    values: Float[ArrayLike, "samples entries"],
    log_weights: Float[ArrayLike, "samples *entries"],
    num_own: int | None = None,
) -> tuple[Any, Any]:
    r"""Return the largest move of a mean (in sds) and of an sd (relative) from q to p.

    Means and sds of every entry, plain over draws of q and with weights that sum to 1,
    the same for all entries or each entry's own. The first `num_own` samples are draws
    of q, all of them unless it is given.
    From each move is taken what chance gives the largest of n: √(2 log n) standard
    errors (delta method; both moments come from the same draws, so that equal weights
    leave no noise), and at most 0.03: what chance could excuse without end would never
    be seen.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(4000, 1))
        >>> log_weights = 0.2 * z[:, 0] - np.log(np.sum(np.exp(0.2 * z[:, 0])))
        >>> round(shifts(z, log_weights)[0].item(), 1)
        0.2
    """
    xp = array_module(values, log_weights)
    x, weights = xp.asarray(values), xp.exp(xp.asarray(log_weights))
    weights = weights[:, None] if weights.ndim == 1 else weights
    number, entries = x.shape
    num_own = number if num_own is None else num_own
    own = x[:num_own]
    x = (x - xp.mean(own, axis=0)) / _nonzero(xp.std(own, axis=0))
    is_own = (xp.arange(number) < num_own)[:, None] * (number / num_own)
    is_own = is_own.astype(x.dtype)
    weights = number * weights
    mean = xp.mean(weights * x, axis=0)
    square = (x - mean) ** 2
    variance = _nonzero(xp.mean(weights * square, axis=0))
    sd = xp.sqrt(variance)
    # What each draw adds to the two differences, to first order.
    mean_parts = weights * (x - mean) - is_own * x
    sd_parts = weights * (square - variance) / variance - is_own * (x**2 - 1)
    sd_parts = 0.5 * sd_parts
    chance = math.sqrt(2 * math.log(entries) / number)
    mean_noise = chance * xp.std(mean_parts, axis=0) / sd
    mean_move = xp.abs(mean) / sd - xp.minimum(mean_noise, EXCUSED)
    sd_noise = chance * xp.std(sd_parts, axis=0)
    sd_move = xp.abs(1 / sd - 1) - xp.minimum(sd_noise, EXCUSED)
    return xp.maximum(xp.max(mean_move), 0.0), xp.maximum(xp.max(sd_move), 0.0)


@np.errstate(all="ignore")
def moment_tails(
    values: Float[ArrayLike, "samples entries"],
    log_weights: Float[ArrayLike, "samples *entries"],
    *,
    power: int = 2,
) -> Any:
    r"""Return for every entry x the tail shape of w (x − mean)², which its sd needs.

    With power = 1 it is that of w |x − mean|, which its mean needs.

    k̂ of the weights alone says whether they have a variance, not whether the weighted
    variance of an entry converges. Where w (x − mean)² has a tail of shape 0.7 or more,
    no number of draws at hand gives the sd. Outside of a trace an entry of which no
    draw has 2 % of the variance, or 100 times its fair share, is passed over, its shape
    given as 0, as is that of an entry that does not vary.

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), arXiv:1507.02646, section 2.4.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(4000, 1))
        >>> (moment_tails(np.hstack([z, np.exp(3 * z)]), np.zeros(4000)) < 0.7).tolist()
        [True, False]
    """
    xp = array_module(values, log_weights)
    x, log_w = xp.asarray(values), xp.asarray(log_weights)
    log_w = log_w[:, None] if log_w.ndim == 1 else log_w
    weights = xp.exp(log_w - xp.max(log_w, axis=0))
    mean = xp.sum(weights * x, axis=0) / xp.sum(weights, axis=0)
    constant = xp.all(x == x[0], axis=0)  # x − mean is 0 but for rounding
    distance = xp.where(constant, 1.0, xp.abs(x - mean))
    log_square = xp.where(constant, 0.0, log_w + power * xp.log(distance))
    if xp is np:
        square = np.exp(log_square - np.max(log_square, axis=0))
        heavy = np.sum(square, axis=0) < max(50, len(x) / 100)
        shapes = np.zeros(x.shape[1])
        shapes[heavy] = _tail_shapes(log_square[:, heavy].T)
        return shapes
    shapes = jax.vmap(lambda column: psis(column).tail_shape)(log_square.T)
    return xp.where(constant, 0.0, shapes)


def _tail_shapes(log_weights: np.ndarray) -> np.ndarray:
    """Return `psis(row).tail_shape` of each row, without what else is in it."""
    size = _tail_size(log_weights.shape[1]) + 1
    largest = np.sort(np.partition(log_weights, -size, axis=1)[:, -size:], axis=1)
    parts = []
    for start in range(0, len(largest), ROWS):  # the fit makes a grid of each
        some = largest[start : start + ROWS]
        fitted = _fit_tail(some - some[:, -1:])
        parts.append(np.minimum(fitted.khat, fitted.hill))
    return np.concatenate(parts) if parts else np.zeros(0)


def slower(num_samples: int, tail_shape: Any) -> Any:
    r"""Return by how much an error exceeds its usual estimate: S^max(0, k − ½).

    With a tail of shape k > ½ a mean of S draws converges like S^−(1 − k), and the
    spread of the draws at hand says too little of what they have not seen.

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), arXiv:1507.02646, section 3.2.

    Example:
        >>> slower(10_000, np.array([0.3, 0.6])).round(2).tolist()
        [1.0, 2.51]
    """
    return num_samples ** array_module(tail_shape).maximum(0.0, tail_shape - 0.5)


def normalised(log_weights: Float[ArrayLike, "samples *entries"]) -> Any:
    """Return log weights whose exponentials sum to 1 over the samples.

    Example:
        >>> np.exp(normalised(np.zeros(4))).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    xp = array_module(log_weights)
    shifted = xp.asarray(log_weights) - xp.max(log_weights, axis=0)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=0))


def _nonzero(x: Any) -> Any:
    """Return x with 1 in the place of zeros: entries that do not vary do not move."""
    return array_module(x).where(x > 0, x, 1.0)


def pareto_fit(excess: Float[ArrayLike, "*rows tail"]) -> tuple[Any, Any]:
    r"""Fit a generalised Pareto distribution to ascending excesses: (k̂, scale).

    Of each row by itself.
    The density is (1/σ) (1 + k x/σ)^(−1/k − 1). θ = −k/σ is averaged over its
    profile posterior on a grid; k̂ is then shrunk to ½ by a prior worth 10 draws.

    References:
        Zhang & Stephens (2009), Technometrics 51(3); prior: arXiv:1507.02646, app. C.
    """
    xp = array_module(excess)
    given = xp.asarray(excess)
    size = given.shape[-1]
    grid_size = 30 + int(size**0.5)
    largest = given[..., -1]
    x = given / xp.where(largest > 0, largest, 1.0)[..., None]
    # Rounding may tie the small excesses at zero.
    quartile = xp.maximum(x[..., int(size / 4 + 0.5) - 1], 1e-10)
    i = xp.arange(1, grid_size + 1)
    theta = 1 + (1 - xp.sqrt(grid_size / (i - 0.5))) / (3 * quartile[..., None])
    k = _mean_log1p(theta, x)
    log_profile = size * (xp.log(-theta / k) - k - 1)
    weights = xp.exp(log_profile - xp.max(log_profile, axis=-1, keepdims=True))
    theta_hat = xp.sum(weights * theta, axis=-1) / xp.sum(weights, axis=-1)
    k_hat = xp.mean(xp.log1p(-theta_hat[..., None] * x), axis=-1)
    scale = -k_hat / theta_hat * largest
    return (size * k_hat + 10 * 0.5) / (size + 10), scale


def _mean_log1p(theta: Any, x: Any) -> Any:
    """Return the mean of log(1 − θ x) over the last axis of x, for each θ of its row.

    NumPy's in float64 by logarithms of products of eight factors, none of which is
    above 1e11 or below 1e-4 here: an eighth of the logarithms and of the memory.
    """
    xp = array_module(theta, x)
    size = x.shape[-1]
    if xp is not np or x.dtype != np.float64:
        return xp.mean(xp.log1p(-theta[..., :, None] * x[..., None, :]), axis=-1)
    padded = np.zeros((*x.shape[:-1], size + (-size % FACTORS)))
    padded[..., :size] = x
    parts = np.split(padded[..., None, :], FACTORS, axis=-1)
    product = 1 - theta[..., None] * parts[0]
    for part in parts[1:]:
        product *= 1 - theta[..., None] * part
    return np.sum(np.log(product), axis=-1) / size


def _expm1_over(k: Any, x: Any) -> Any:
    """Return (exp(k x) − 1) / k, which is x at k = 0."""
    xp = array_module(k, x)
    nonzero = xp.where(k == 0, 1.0, k)
    return xp.where(k == 0, x, xp.expm1(nonzero * x) / nonzero)
