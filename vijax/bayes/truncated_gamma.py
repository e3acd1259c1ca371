"""The Gamma distribution cut off at `high`, as a NumPyro distribution."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy import special as jsp
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax import special
from vijax.bayes import inputs
from vijax.types import Key


class TruncatedGamma(dist.Distribution):
    r"""Density proportional to x^(a - 1) exp(-b x) for 0 < x < high.

    The posterior of a Poisson rate under a Uniform(0, high) prior.

    Example:
        >>> print(f"{TruncatedGamma(1.0, 1.0, 2.0).log_prob(1.0):.4f}")
        -0.8546
    """

    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
        "high": constraints.positive,
    }
    pytree_data_fields = ("concentration", "rate", "high")
    reparametrized_params = ["concentration", "rate", "high"]

    def __init__(
        self,
        concentration: ArrayLike,
        rate: ArrayLike,
        high: ArrayLike,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration = inputs.as_float(concentration)
        self.rate = inputs.as_float(rate)
        self.high = inputs.as_float(high)
        shape = jnp.broadcast_shapes(
            self.concentration.shape, self.rate.shape, self.high.shape
        )
        super().__init__(batch_shape=shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """Return the interval (0, high)."""
        return constraints.interval(0.0, self.high)

    @property
    def log_mass(self) -> Float[Array, "..."]:
        """Return log P(a, b · high): what the cut leaves of the Gamma distribution."""
        return log_gammainc(self.concentration, self.rate * self.high)

    def log_prob(
        self, value: ArrayLike, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log density, -inf outside (0, high)."""
        gamma = dist.Gamma(self.concentration, self.rate)
        inside = (value >= 0) & (value <= self.high)
        safe = jnp.where(inside, value, 0.5 * self.high)
        return jnp.where(inside, gamma.log_prob(safe) - self.log_mass, -jnp.inf)

    def cdf(self, value: ArrayLike) -> Float[Array, "..."]:
        """Return P(x < value)."""
        clipped = jnp.clip(value, 0.0, self.high)
        log_cdf = log_gammainc(self.concentration, self.rate * clipped)
        return jnp.exp(log_cdf - self.log_mass)

    def icdf(self, q: ArrayLike) -> Float[Array, "..."]:
        """Return the q-quantile."""
        mass = jnp.exp(self.log_mass)
        quantile = special.gammaincinv(self.concentration, q * mass) / self.rate
        return jnp.minimum(quantile, self.high)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw by inversion."""
        shape = sample_shape + self.batch_shape
        return self.icdf(jax.random.uniform(key, shape, dtype=self.rate.dtype))

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean, a / b · P(a + 1, b high) / P(a, b high)."""
        return self._moment(1)

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return the variance."""
        return self._moment(2) - self._moment(1) ** 2

    def _moment(self, order: int) -> Float[Array, "..."]:
        scaled = self.rate * self.high
        ratio = log_gammainc(self.concentration + order, scaled) - self.log_mass
        rising = self.concentration * (self.concentration + 1 if order == 2 else 1.0)
        return rising / self.rate**order * jnp.exp(ratio)


def log_gammainc(a: ArrayLike, x: ArrayLike) -> Float[Array, "..."]:
    """Return log P(a, x), also where P underflows.

    Example:
        >>> print(f"{log_gammainc(1000.0, 1.0):.0f}")
        -5913
    """
    a, x = jnp.broadcast_arrays(inputs.as_float(a), inputs.as_float(x))
    positive = jnp.maximum(x, jnp.finfo(x.dtype).tiny)
    # Below half of a the series x^a e^-x / Γ(a + 1) Σ x^k / ((a+1) … (a+k)) has
    # terms that fall faster than 2^-k.
    far = (a > 1) & (positive < 0.5 * a)
    ratio = jnp.where(far, positive, 0.5) / jnp.where(far, a, 1.0)

    def add(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        term, total = state
        term = term * ratio / (1 + k / jnp.where(far, a, 1.0))
        return term, total + term

    one = jnp.ones_like(positive)
    total = jax.lax.fori_loop(1, 55, add, (one, one))[1]
    by_series = a * jnp.log(positive) - positive - jsp.gammaln(a + 1) + jnp.log(total)
    direct = jnp.log(jsp.gammainc(a, jnp.where(far, a, positive)))
    return jnp.where(x <= 0, -jnp.inf, jnp.where(far, by_series, direct))
