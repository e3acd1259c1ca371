"""NumPyro's distributions of counts, with log probabilities that are exact.

NumPyro's `log_prob` subtracts logarithms of Beta functions. JAX 0.10 computes these to
six digits only, and at large counts none of the six is left in the difference. Sampling
and moments are NumPyro's; tails and quantiles, which it lacks, are in `count_tails`.

    icdf(q)  the smallest n with P(N <= n) >= q
    isf(q)   the smallest n with P(N > n) <= q
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.conjugate.distributions import count_tails
from vijax.bayes.numerics import count_pmfs, count_quantiles
from vijax.bayes.validation import Numbers, value_checks


def _cdf(self: Any, value: Numbers) -> Float[Array, "..."]:
    """Return the probability of this count or a smaller one."""
    return jnp.exp(self.log_tails(value)[0])


def _icdf(self: Any, q: Numbers) -> Float[Array, "..."]:
    """Return the smallest n with P(N <= n) >= q."""
    return _quantile(self, q, upper=False)


def _isf(self: Any, q: Numbers) -> Float[Array, "..."]:
    """Return the smallest n with P(N > n) <= q."""
    return _quantile(self, q, upper=True)


def _quantile(distribution: Any, q: Numbers, *, upper: bool) -> Array:
    q = value_checks.as_float(q)
    shape = jnp.broadcast_shapes(q.shape, distribution.batch_shape)
    return _of_any(distribution, jnp.broadcast_to(q, shape), upper)


@partial(jax.jit, static_argnums=2)
def _of_any(distribution: Any, q: Array, upper: bool) -> Array:
    """One program for all parameters: the loops outside of one compile each time."""
    most: Any
    if isinstance(distribution, dist.BernoulliProbs):
        most = 1
    else:
        most = getattr(distribution, "total_count", jnp.inf)
    high = jnp.asarray(most, q.dtype)
    return count_quantiles.count_quantile(distribution.log_tails, q, high, upper=upper)


class Bernoulli(dist.BernoulliProbs):
    """An outcome that is 0 or 1.

    Example:
        >>> print(f"{Bernoulli(0.25).cdf(0):.4f}")
        0.7500
    """

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return log P(N <= value) and log P(N > value)."""
        value, probs = value_checks.as_float(value), value_checks.as_float(self.probs)
        below = jnp.where(value < 0, -jnp.inf, jnp.where(value < 1, _log(1 - probs), 0))
        above = jnp.where(value < 0, 0, jnp.where(value < 1, _log(probs), -jnp.inf))
        return below, above

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability of this outcome or a smaller one."""
        value, probs = value_checks.as_float(value), value_checks.as_float(self.probs)
        return jnp.where(value < 0, 0.0, jnp.where(value < 1, 1 - probs, 1.0))

    icdf, isf = _icdf, _isf


class BetaBinomial(dist.BetaBinomial):
    """Successes in `total_count` trials whose probability is Beta distributed.

    Example:
        >>> print(f"{BetaBinomial(11.0, 5.0, 1).log_prob(1):.4f}")  # ln(11 / 16)
        -0.3747
    """

    def log_prob(self, value: Numbers) -> Float[Array, "..."]:
        """Return the log probability of a count, -inf outside 0 … total_count."""
        return _log_pmf(
            (self.concentration1, self.concentration0),
            (value, self.total_count - value),
        )

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return log P(N <= value) and log P(N > value)."""
        return count_tails.beta_binomial(
            value, self.total_count, self.concentration1, self.concentration0
        )

    cdf, icdf, isf = _cdf, _icdf, _isf


class BetaNegativeBinomial(dist.BetaNegativeBinomial):
    """Events of one kind before the n-th of the other, their probability Beta.

    Example:
        >>> value = BetaNegativeBinomial(5.0, 11.0, n=1).log_prob(0)  # ln(11 / 16)
        >>> print(f"{value:.4f}")
        -0.3747
    """

    def log_prob(self, value: Numbers) -> Float[Array, "..."]:
        """Return the log probability of a count, -inf below 0."""
        # C(k + n - 1, k) = C(k + n, k) n / (k + n)
        log_pmf = _log_pmf((self.concentration1, self.concentration0), (value, self.n))
        return log_pmf + jnp.log(self.n / (self.n + jnp.maximum(value, 0)))

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return log P(N <= value) and log P(N > value)."""
        return count_tails.beta_negative_binomial(
            value, self.n, self.concentration1, self.concentration0
        )

    cdf, icdf, isf = _cdf, _icdf, _isf


class GammaPoisson(dist.GammaPoisson):
    """A Poisson count whose mean is Gamma distributed.

    Example:
        >>> print(f"{GammaPoisson(1.0, 1.0).log_prob(0):.4f}")  # ln(1 / 2)
        -0.6931
    """

    def log_prob(self, value: Numbers) -> Float[Array, "..."]:
        """Return the log probability of a count, -inf below 0."""
        value = value_checks.as_float(value)
        log_pmf = count_pmfs.gamma_poisson_log_pmf(
            jnp.maximum(value, 0), self.concentration, self.rate, 1.0
        )
        return jnp.where(value >= 0, log_pmf, -jnp.inf)

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return log P(N <= value) and log P(N > value)."""
        return count_tails.gamma_poisson(value, self.concentration, self.rate)

    cdf, icdf, isf = _cdf, _icdf, _isf


class DirichletMultinomial(dist.DirichletMultinomial):
    """Counts of categories whose probabilities are Dirichlet distributed.

    Example:
        >>> one = DirichletMultinomial(jnp.array([5.0, 1.0, 3.0]), total_count=1)
        >>> print(f"{one.log_prob(jnp.array([1, 0, 0])):.4f}")  # ln(5 / 9)
        -0.5878
    """

    def log_prob(self, value: Numbers) -> Float[Array, "..."]:
        """Return the log probability of a row of counts."""
        value = value_checks.as_float(value)
        possible = jnp.all(value >= 0, axis=-1)
        possible &= value.sum(axis=-1) == self.total_count
        log_pmf = count_pmfs.dirichlet_multinomial_log_pmf(
            jnp.maximum(value, 0), self.concentration
        )
        return jnp.where(possible, log_pmf, -jnp.inf)


def _log(x: Array) -> Array:
    """Return the logarithm, -inf at 0, with a derivative that is a number."""
    some = x > 0
    return jnp.where(some, jnp.log(jnp.where(some, x, 1.0)), -jnp.inf)


def _log_pmf(
    concentration: tuple[Numbers, Numbers],
    counts: tuple[Numbers, Numbers],
) -> Array:
    arrays = jnp.broadcast_arrays(
        *map(value_checks.as_float, (*concentration, *counts))
    )
    alpha, count = jnp.stack(arrays[:2], axis=-1), jnp.stack(arrays[2:], axis=-1)
    possible = jnp.all(count >= 0, axis=-1)
    log_pmf = count_pmfs.dirichlet_multinomial_log_pmf(jnp.maximum(count, 0), alpha)
    return jnp.where(possible, log_pmf, -jnp.inf)
