"""The Gamma distribution cut off at `high`, and the Poisson count that it drives."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy import special as jsp
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax import special
from vijax.bayes.numerics import count_pmfs, roots
from vijax.bayes.validation import Numbers, value_checks
from vijax.types import Key

_NEWTON_STEPS = 13


class TruncatedGamma(dist.Distribution):
    """Gamma(concentration, rate) given that it is below `high`.

    The posterior of a Poisson rate under a Uniform(0, high) prior.

    Example:
        >>> print(f"{TruncatedGamma(1.0, 1.0, 2.0).log_prob(1.0):.4f}")
        -0.8546
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
        "high": constraints.positive,
    }

    def __init__(
        self,
        concentration: Numbers,
        rate: Numbers,
        high: Numbers,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration = value_checks.as_float(concentration)
        self.rate = value_checks.as_float(rate)
        self.high = value_checks.as_float(high)
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
        """Return log P(concentration, rate · high): what the cut leaves of Gamma."""
        return special.log_gammainc(self.concentration, self.rate * self.high)

    def log_prob(
        self, value: Numbers, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log density, -inf outside (0, high)."""
        value = value_checks.as_float(value)
        inside = (value >= 0) & (value <= self.high)
        safe = jnp.where(inside, value, 0.5 * self.high)
        log_x = _log_pdf_of_log(self.concentration, self.rate * safe) - jnp.log(safe)
        return jnp.where(inside, log_x - self.log_mass, -jnp.inf)

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability below the value."""
        value = jnp.clip(value_checks.as_float(value), 0.0, self.high)
        log_cdf = special.log_gammainc(self.concentration, self.rate * value)
        return jnp.exp(log_cdf - self.log_mass)

    def icdf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the q-quantile."""
        q = value_checks.as_float(q)
        x = self._at(jnp.log(q))
        x = jnp.where(q == 0, 0.0, jnp.where(q == 1, self.high, x))
        return jnp.where((q >= 0) & (q <= 1), x, jnp.nan)

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return what is exceeded with probability q; near the cut it is the cut."""
        q = value_checks.as_float(q)
        x = self._at(jnp.log1p(-q))
        x = jnp.where(q == 1, 0.0, jnp.where(q == 0, self.high, x))
        return jnp.where((q >= 0) & (q <= 1), x, jnp.nan)

    def _at(self, log_cdf: Array) -> Array:
        target = log_cdf + self.log_mass
        scaled_high = self.rate * self.high
        return _quantile(self.concentration, target, scaled_high) / self.rate

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw by inversion."""
        shape = sample_shape + self.batch_shape
        return self.icdf(jax.random.uniform(key, shape, self.rate.dtype))

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return a / b · P(a + 1, b high) / P(a, b high)."""
        return self._scaled_mean() / self.rate

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return the variance, from the density at the cut and the mean."""
        mean, high = self._scaled_mean(), self.rate * self.high
        at_cut = jnp.exp(_log_pdf_of_log(self.concentration, high) - self.log_mass)
        return (mean - at_cut * (high - mean)) / self.rate**2

    def _scaled_mean(self) -> Array:
        above = special.log_gammainc(self.concentration + 1, self.rate * self.high)
        return self.concentration * jnp.exp(above - self.log_mass)


class TruncatedGammaPoisson(dist.Distribution):
    """A Poisson count in `exposure`, its rate drawn from a TruncatedGamma.

    A `rate` of 0 with concentration 1 stands for the uniform prior.

    Example:
        >>> print(f"{TruncatedGammaPoisson(10.0, 3.0, 5.0).log_prob(3):.4f}")
        -1.6095
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.nonnegative,
        "high": constraints.positive,
        "exposure": constraints.positive,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        concentration: Numbers,
        rate: Numbers,
        high: Numbers,
        exposure: Numbers = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration = value_checks.as_float(concentration)
        self.rate = value_checks.as_float(rate)
        self.high = value_checks.as_float(high)
        self.exposure = value_checks.as_float(exposure)
        shape = jnp.broadcast_shapes(
            self.concentration.shape,
            self.rate.shape,
            self.high.shape,
            self.exposure.shape,
        )
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def log_prob(
        self, value: Numbers, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log probability: of the plain Gamma, times what the cuts leave.

        P(λ < high | n) / P(λ < high), and for the uniform prior P(λ < high | n) over
        exposure · high.
        """
        count = value_checks.as_float(value)
        uniform = self.rate == 0
        rate = jnp.where(uniform, 1.0, self.rate)
        after = special.log_gammainc(
            self.concentration + count, (self.rate + self.exposure) * self.high
        )
        before = special.log_gammainc(self.concentration, rate * self.high)
        of_gamma = count_pmfs.gamma_poisson_log_pmf(
            count, self.concentration, rate, self.exposure
        )
        log_flat = -jnp.log(self.exposure * self.high)
        return after + jnp.where(uniform, log_flat, of_gamma - before)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw a rate, then a count."""
        rate_key, count_key = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        uniform = jax.random.uniform(rate_key, shape, self.high.dtype)
        is_flat = self.rate == 0
        gamma = TruncatedGamma(
            self.concentration, jnp.where(is_flat, 1.0, self.rate), self.high
        )
        rate = jnp.where(is_flat, uniform * self.high, gamma.icdf(uniform))
        return dist.Poisson(rate * self.exposure).sample(count_key)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean count."""
        is_flat = self.rate == 0
        gamma = TruncatedGamma(
            self.concentration, jnp.where(is_flat, 1.0, self.rate), self.high
        )
        return self.exposure * jnp.where(is_flat, 0.5 * self.high, gamma.mean)


def _log_pdf_of_log(a: Array, x: Array) -> Array:
    """Return the log density of log x where x ~ Gamma(a, rate 1)."""
    return jsp.xlogy(a, x) - x - jsp.gammaln(a)


@jax.jit
def _quantile(a: Array, log_p: Array, high: Array) -> Array:
    """Return x <= high with log P(a, x) = log_p, by Newton's method in log x.

    log P is concave in log x, so no step can run away.
    """
    a, log_p, high = jnp.broadcast_arrays(a, log_p, high)
    # P(a, x) <= x^a / Γ(a + 1) bounds x from below; the quantile is exact, but for
    # probabilities that no float holds.
    bound = (log_p + jsp.gammaln(a + 1)) / a
    tiny = jnp.log(jnp.finfo(log_p.dtype).tiny)
    held = log_p > tiny
    guess = special.gammaincinv(a, jnp.exp(jnp.where(held, log_p, -1.0)))
    start = jnp.where(held, jnp.log(guess), bound)
    start = jnp.clip(start, bound, jnp.log(high))

    def solve(gap: roots.Residual, start: Array) -> Array:
        def step(_: Array, log_x: Array) -> Array:
            missing = gap(log_x)
            log_slope = _log_pdf_of_log(a, jnp.exp(log_x)) - (missing + log_p)
            return log_x - missing * jnp.exp(-log_slope)

        return jax.lax.fori_loop(0, _NEWTON_STEPS, step, start)

    def gap(log_x: Array) -> Array:
        return special.log_gammainc(a, jnp.exp(log_x)) - log_p

    return jnp.exp(roots.implicit_root(gap, start, solve))
