"""Logarithms of count probabilities, exact from tiny parameters to 10^12 counts.

The textbook forms subtract logarithms of gamma functions, each about n log n, and lose
as many digits as n log n has in front of the point. Here every such difference is taken
analytically (Loader 2000), with two functions that lose none:

    excess(x)      = log Γ(x + 1) - (x log x - x)      ½ log(2πx) + 1/(12x) - ...
    deviance(x, m) = x log(x / m) + m - x              >= 0, and 0 where x = m

References:
    C. Loader (2000), Fast and accurate computation of binomial probabilities.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes import inputs

Counts = ArrayLike  # floating; integers are converted

_SERIES_FROM = 16.0
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def excess(x: Counts) -> Float[Array, "..."]:
    """Return log Γ(x + 1) - (x log x - x) for x >= 0: 0 at 0, then ½ log(2πx) + ...

    Example:
        >>> print(f"{excess(jnp.asarray(1e6)):.4f}")  # 7.826693...
        7.8267
    """
    x = inputs.as_float(x)
    large = jnp.maximum(x, _SERIES_FROM)
    small = jnp.clip(x, jnp.finfo(x.dtype).tiny, _SERIES_FROM)
    inverse = 1 / large
    series = jnp.zeros_like(x)
    for coefficient in reversed(_SERIES):
        series = series * inverse**2 + coefficient
    by_series = 0.5 * jnp.log(2 * jnp.pi * large) + series * inverse
    direct = gammaln(small + 1) - small * jnp.log(small) + small
    return jnp.where(x == 0, 0.0, jnp.where(x >= _SERIES_FROM, by_series, direct))


@jax.custom_jvp
def deviance(x: Counts, mean: Counts) -> Float[Array, "..."]:
    """Return x log(x / mean) + mean - x, with all digits where x is near the mean.

    Example:
        >>> deviance(jnp.asarray(0.0), jnp.asarray(3.0)).item()
        3.0
    """
    x, mean = jnp.broadcast_arrays(inputs.as_float(x), inputs.as_float(mean))
    total = x + mean
    ratio = (x - mean) / jnp.where(total > 0, total, 1.0)
    near = jnp.abs(ratio) < 0.1
    # log(x / mean) = 2 atanh(ratio), and 2 x ratio - (x - mean) = (x - mean) ratio
    v = jnp.where(near, ratio, 0.0)
    tail = jnp.zeros_like(v)
    for odd in range(17, 1, -2):
        tail = tail * v**2 + 1.0 / odd
    by_series = (x - mean) * ratio + 2 * x * v**3 * tail
    direct = x * _log_ratio(x, mean) + mean - x
    return jnp.where(near, by_series, direct)


@deviance.defjvp
def _deviance_jvp(primals, tangents):
    x, mean = primals
    x_dot, mean_dot = tangents
    slope = 1 - x / jnp.where(mean > 0, mean, 1.0)
    return deviance(x, mean), _log_ratio(x, mean) * x_dot + slope * mean_dot


def _log_ratio(x: Counts, mean: Counts) -> Float[Array, "..."]:
    """Return log(x / mean), and 0 where x is 0."""
    some = (x > 0) & (mean > 0)
    ratio = jnp.log(jnp.where(some, x, 1.0) / jnp.where(some, mean, 1.0))
    return jnp.where((x > 0) & (mean <= 0), jnp.inf, ratio)


def log_gamma_ratio(x: Counts, d: Counts) -> Float[Array, "..."]:
    """Return log Γ(x + d) - log Γ(x) for x > 0, d >= 0, whichever is the larger.

    Example:
        >>> value = log_gamma_ratio(jnp.asarray(3.0), jnp.asarray(2.0))  # ln 12
        >>> print(f"{value:.4f}")
        2.4849
    """
    x = inputs.as_float(x)
    y = x + d
    linear = d * jnp.log(y) - deviance(x, y)
    return linear + excess(y) - excess(x) - jnp.log(y) + jnp.log(x)


def poisson_log_pmf(count: Counts, mean: Counts) -> Float[Array, "..."]:
    """Return log(mean^k exp(-mean) / k!) for mean >= 0."""
    return -deviance(count, mean) - excess(count)


def multinomial_log_pmf(
    counts: Float[Array, "... categories"], probs: Float[Array, "... categories"]
) -> Float[Array, "..."]:
    """Return log(n! Π p_j^k_j / k_j!) for counts and probabilities on the last axis."""
    total = counts.sum(axis=-1, keepdims=True)
    terms = deviance(counts, total * probs) + excess(counts)
    return excess(total[..., 0]) - terms.sum(axis=-1)


def dirichlet_multinomial_log_pmf(
    counts: Float[Array, "... categories"],
    concentration: Float[Array, "... categories"],
) -> Float[Array, "..."]:
    """Return the log probability of counts whose probabilities are Dirichlet.

    With A = Σ α_j, N = Σ n_j and pooled shares p_j = (α_j + n_j) / (A + N), all that
    grows with N is the deviance of n_j and of α_j from what the pooled shares expect.
    """
    strength, total, pooled = _pool(counts, concentration)
    misfit = deviance(concentration, strength * pooled)
    misfit += deviance(counts, total * pooled) + excess(counts)
    return (
        excess(total[..., 0])
        - misfit.sum(axis=-1)
        + _log_curvature(counts, concentration)
    )


def log_dirichlet_ratio(
    counts: Float[Array, "... categories"],
    concentration: Float[Array, "... categories"],
) -> Float[Array, "..."]:
    """Return log B(α + n) - log B(α): the evidence of one sequence of outcomes."""
    strength, _, pooled = _pool(counts, concentration)
    misfit = deviance(concentration, strength * pooled)
    # log(share) of the share next to 1 from what is missing to 1, or digits are lost.
    after = concentration + counts
    index = jnp.arange(counts.shape[-1])
    is_largest = index == jnp.argmax(after, axis=-1, keepdims=True)
    rest = jnp.where(is_largest, 0.0, pooled).sum(axis=-1, keepdims=True)
    by_rest = is_largest & (rest < 0.5)
    log_pooled = jnp.where(
        by_rest,
        jnp.log1p(-jnp.where(by_rest, rest, 0.0)),
        jnp.log(jnp.where(by_rest, 1.0, pooled)),
    )
    return (counts * log_pooled - misfit).sum(axis=-1) + _log_curvature(
        counts, concentration
    )


def _pool(counts, concentration):
    strength = concentration.sum(axis=-1, keepdims=True)
    total = counts.sum(axis=-1, keepdims=True)
    return strength, total, (concentration + counts) / (strength + total)


def _log_curvature(counts: Counts, concentration: Counts) -> Float[Array, "..."]:
    """Return what of log B(α + n) - log B(α) is left beside the deviances."""
    after = concentration + counts
    terms = excess(after) - jnp.log(after) - excess(concentration)
    terms += jnp.log(concentration)
    strength = concentration.sum(axis=-1)
    total = strength + counts.sum(axis=-1)
    return (
        terms.sum(axis=-1)
        - excess(total)
        + jnp.log(total)
        + excess(strength)
        - jnp.log(strength)
    )


def log_split(counts: Float[Array, "... categories"]) -> Float[Array, ""]:
    """Return log p(data | its totals) of binomial or multinomial counts.

    Given the totals over all leading axes, which of the data fell into which category
    does not depend on the probabilities: Π_i C(n_i; k_i) / C(Σn; Σk). 0 for one datum.
    """
    totals = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    shares = totals / jnp.maximum(totals.sum(), 1)
    log_each = multinomial_log_pmf(counts, shares)
    return log_each.sum() - multinomial_log_pmf(totals, shares)


def gamma_poisson_log_pmf(
    count: Counts, concentration: Counts, rate: Counts, exposure: Counts
) -> Float[Array, "..."]:
    """Return the log probability of a Poisson count whose rate is Gamma distributed."""
    concentration = inputs.as_float(concentration)
    after = concentration + count
    share = rate / (rate + exposure)  # of what is seen, what the prior pretends
    misfit = deviance(concentration, after * share)
    misfit += deviance(count, after * (exposure / (rate + exposure)))
    curvature = excess(after) - jnp.log(after)
    curvature -= excess(concentration) - jnp.log(concentration)
    return curvature - excess(count) - misfit
