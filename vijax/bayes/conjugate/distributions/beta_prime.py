"""The ratio of two Gamma numbers, which NumPyro has not: beta prime, scaled."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax.bayes.numerics.log_densities import beta_log_density
from vijax.bayes.validation import Numbers, value_checks
from vijax.special.log_tails import log_beta_tails
from vijax.special.quantiles import beta_quantile_pair
from vijax.types import Key


class BetaPrime(dist.Distribution):
    r"""x = scale · u / v of u ~ Gamma(a, 1) and v ~ Gamma(b, 1).

    p(x) = (x / c)^(a - 1) (1 + x / c)^(-a - b) / (c B(a, b)), c = scale. x / (c + x) is
    Beta(a, b).

    Args:
        concentration1: a > 0.
        concentration0: b > 0; moments up to b exist.
        scale: c > 0, in the unit of x.

    Example:
        >>> print(f"{BetaPrime(1.0, 1.0, 3.0).icdf(0.5):.4f}")
        3.0000
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
        "scale": constraints.positive,
    }
    support = constraints.nonnegative

    def __init__(
        self,
        concentration1: Numbers,
        concentration0: Numbers,
        scale: Numbers = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration1, self.concentration0, self.scale = jnp.broadcast_arrays(
            *map(value_checks.as_float, (concentration1, concentration0, scale))
        )
        shape = self.scale.shape
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def log_prob(
        self, value: Numbers, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log density."""
        # Of u / (u + v) and v / (u + v) the smaller one keeps its digits.
        first, small = self._smaller(value)
        a, b = self.concentration1, self.concentration0
        log_density = beta_log_density(
            jnp.where(first, a, b), jnp.where(first, b, a), small
        )
        rest = jnp.where(first, 1 - small, small)
        return log_density + 2 * jnp.log(rest) - jnp.log(self.scale)

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability of a smaller number."""
        return jnp.exp(self.log_tails(value)[0])

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return the log probabilities of a smaller number, and of a larger one."""
        first, small = self._smaller(value)
        a, b = self.concentration1, self.concentration0
        lower, upper = log_beta_tails(
            jnp.where(first, a, b), jnp.where(first, b, a), small
        )
        return jnp.where(first, lower, upper), jnp.where(first, upper, lower)

    def icdf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the q-quantile."""
        part, rest = beta_quantile_pair(
            self.concentration1, self.concentration0, value_checks.as_float(q)
        )
        return self.scale * part / rest

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the number that is exceeded with probability q, exact for tiny q."""
        rest, part = beta_quantile_pair(
            self.concentration0, self.concentration1, value_checks.as_float(q)
        )
        return self.scale * part / rest

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw two Gamma numbers."""
        shape = sample_shape + self.batch_shape
        of_first, of_second = jax.random.split(key)
        log_u = jax.random.loggamma(of_first, self.concentration1, shape)
        log_v = jax.random.loggamma(of_second, self.concentration0, shape)
        return self.scale * jnp.exp(log_u - log_v)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return c a / (b - 1), infinite for b <= 1."""
        finite = self.concentration0 > 1
        spread = jnp.where(finite, self.concentration0 - 1, 1.0)
        mean = self.scale * self.concentration1 / spread
        return jnp.where(finite, mean, jnp.inf)

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return c² a (a + b - 1) / ((b - 1)² (b - 2)), infinite for b <= 2."""
        a, b = self.concentration1, self.concentration0
        finite = b > 2
        spread = jnp.where(finite, b - 2, 1.0) * jnp.square(jnp.where(finite, b - 1, 1))
        variance = self.scale**2 * a * (a + b - 1) / spread
        return jnp.where(finite, variance, jnp.inf)

    def _smaller(self, value: Numbers) -> tuple[Array, Array]:
        """Return the smaller of u and v over u + v, and whether it is u's."""
        share = jnp.maximum(value_checks.as_float(value), 0.0) / self.scale
        first = share <= 1
        near = jnp.where(first, share, 1.0)
        far = jnp.where(first, 1.0, 1 / jnp.where(first, 1.0, share))
        return first, jnp.where(first, near / (1 + near), far / (1 + far))


class BetaPrimes(dist.MixtureSameFamily):
    """A mixture of beta primes; its mean or variance is infinite where one's is.

    Example:
        >>> weights = dist.CategoricalLogits(jnp.array([0.0, -1e30]))
        >>> parts = BetaPrime(jnp.array([1.0, 2.0]), 1.5, 1.0)
        >>> BetaPrimes(weights, parts).variance.item()
        inf
    """

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the weighted mean, infinite where a component's is."""
        return _or_infinite(self.component_distribution.mean, super().mean)

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return the variance, infinite where a component's is."""
        return _or_infinite(self.component_distribution.variance, super().variance)


def _or_infinite(of_each: Array, of_all: Array) -> Array:
    return jnp.where(jnp.isinf(of_each).any(axis=-1), jnp.inf, of_all)
