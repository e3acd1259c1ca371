"""The Gamma distribution cut off at `high`, and the Poisson count that it drives."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy import special as jsp
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax import special
from vijax.bayes.numerics import count_pmfs, count_quantiles, roots
from vijax.bayes.validation import Numbers, value_checks
from vijax.special.log_tails import log_gamma_tails
from vijax.special.quantiles import gamma_quantile
from vijax.types import Key

_NEWTON_STEPS = 13
# The tanh-sinh rule: u = 1 / (1 + exp(-π sinh t)), the smaller one of u and 1 - u.
_STEP, _REACH = 0.08, 4.0
_T = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
_SMALL = 1 / (1 + np.exp(np.pi * np.sinh(np.abs(_T))))
_LOG_WEIGHTS = np.log(_STEP * np.pi * np.cosh(_T) * _SMALL * (1 - _SMALL))
_LOG_CDF = np.where(_T < 0, np.log(_SMALL), np.log1p(-_SMALL))
_REST = np.where(_T < 0, 1 - _SMALL, _SMALL)


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
        inside = jnp.where((q > 0) & (q < 1), q, 0.5)
        x = self._at(jnp.log(inside), 1 - inside)
        x = jnp.where(q == 0, 0.0, jnp.where(q == 1, self.high, x))
        return jnp.where((q >= 0) & (q <= 1), x, jnp.nan)

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return what is exceeded with probability q; near the cut it is the cut."""
        q = value_checks.as_float(q)
        inside = jnp.where((q > 0) & (q < 1), q, 0.5)
        x = self._at(jnp.log1p(-inside), inside)
        x = jnp.where(q == 1, 0.0, jnp.where(q == 0, self.high, x))
        return jnp.where((q >= 0) & (q <= 1), x, jnp.nan)

    def _at(self, log_cdf: Array, rest: Array) -> Array:
        scaled_high = self.rate * self.high
        return _quantile(self.concentration, log_cdf, rest, scaled_high) / self.rate

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

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return log P(N <= value) and log P(N > value).

        ∫_0^1 P(N <= n | λ(u)) du, λ(u) the rate's quantile, by the tanh-sinh rule.
        """
        return _mean_tails(self._means(), value_checks.as_float(value))

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability of this count or a smaller one."""
        return jnp.exp(self.log_tails(value)[0])

    def icdf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the smallest n with P(N <= n) >= q."""
        return self._quantile(q, upper=False)

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the smallest n with P(N > n) <= q."""
        return self._quantile(q, upper=True)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw a rate, then a count."""
        rate_key, count_key = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        uniform = jax.random.uniform(rate_key, shape, self.high.dtype)
        is_flat, gamma = self._rates()
        rate = jnp.where(is_flat, uniform * self.high, gamma.icdf(uniform))
        return dist.Poisson(rate * self.exposure).sample(count_key)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean count."""
        is_flat, gamma = self._rates()
        return self.exposure * jnp.where(is_flat, 0.5 * self.high, gamma.mean)

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return t E(λ) + t² var(λ)."""
        is_flat, gamma = self._rates()
        of_rate = jnp.where(is_flat, self.high**2 / 12, gamma.variance)
        return self.mean + self.exposure**2 * of_rate

    def _rates(self) -> tuple[Array, TruncatedGamma]:
        """Return where the rate is uniform, and its distribution elsewhere."""
        is_flat = self.rate == 0
        rate = jnp.where(is_flat, 1.0, self.rate)
        return is_flat, TruncatedGamma(self.concentration, rate, self.high)

    def _means(self) -> Array:
        """Return t λ(u) at the nodes, on a last axis."""
        numbers = self.concentration, self.rate, self.high, self.exposure
        a, rate, high, t = (x[..., None] for x in jnp.broadcast_arrays(*numbers))
        is_flat = rate == 0
        safe = jnp.where(is_flat, 1.0, rate)
        log_u, rest = (jnp.asarray(x, high.dtype) for x in (_LOG_CDF, _REST))
        of_gamma = _quantile(a, log_u, rest, safe * high) / safe
        return t * jnp.where(is_flat, high * jnp.exp(log_u), of_gamma)

    def _quantile(self, q: Numbers, *, upper: bool) -> Array:
        q = value_checks.as_float(q)
        shape = jnp.broadcast_shapes(q.shape, self.batch_shape)
        return _count_at(self._means(), jnp.broadcast_to(q, shape), upper)


@jax.jit
def _mean_tails(means: Array, value: Array) -> tuple[Array, Array]:
    """Return both log tails of a count, over the nodes on the last axis of its means.

    The nodes end at 1e-37 of probability, and so do the tails that they know.
    """
    count = jnp.floor(value)
    some = count >= 0
    safe = jnp.where(some, count, 0.0)[..., None]
    # P(N > n) = P(n + 1, m) of a Poisson mean m, the incomplete gamma function.
    above, below = log_gamma_tails(safe + 1, means)
    log_weights = jax.nn.log_softmax(jnp.asarray(_LOG_WEIGHTS, means.dtype))
    lower, upper = (
        jnp.minimum(jsp.logsumexp(tail + log_weights, axis=-1), 0.0)
        for tail in (below, above)
    )
    return jnp.where(some, lower, -jnp.inf), jnp.where(some, upper, 0.0)


@partial(jax.jit, static_argnums=2)
def _count_at(means: Array, q: Array, upper: bool) -> Array:
    none = jnp.asarray(jnp.inf, q.dtype)
    tails_of = partial(_mean_tails, means)
    return count_quantiles.count_quantile(tails_of, q, none, upper=upper)


def _log_pdf_of_log(a: Array, x: Array) -> Array:
    """Return the log density of log x where x ~ Gamma(a, rate 1)."""
    return jsp.xlogy(a, x) - x - jsp.gammaln(a)


@jax.jit
def _quantile(a: Array, log_cdf: Array, rest: Array, high: Array) -> Array:
    """Return x <= high with P(a, x) = u P(a, high), by Newton's method in log x.

    Of log u = `log_cdf` and 1 - u = `rest`. log P is concave in log x, so no step can
    run away; where P is above one half it is log Q(a, x) that is solved for, from a
    start that is the root but for rounding.
    """
    a, log_cdf, rest, high = jnp.broadcast_arrays(a, log_cdf, rest, high)
    tiny = jnp.finfo(high.dtype).tiny
    log_mass, log_cut = log_gamma_tails(a, high)
    log_p = log_cdf + log_mass
    q = jnp.maximum(jnp.exp(log_cut) + rest * jnp.exp(log_mass), tiny)
    # P(a, x) <= x^a / Γ(a + 1) bounds x from below, and is x where no float holds it;
    # the quantile is exact, but for probabilities that no float holds.
    bound = (log_p + jsp.gammaln(a + 1)) / a
    is_none = bound < jnp.log(tiny)
    is_upper = ~is_none & (log_p > jnp.log(0.5))
    held = log_p > jnp.log(tiny)
    p = jnp.exp(jnp.where(held, log_p, -1.0))
    guess = gamma_quantile(a, jnp.where(is_upper, q, p), is_upper)
    start = jnp.where(held, jnp.log(guess), bound)
    start = jnp.clip(start, bound, jnp.log(high))
    wanted = jnp.where(is_upper, jnp.log(q), log_p)

    def gap(log_x: Array) -> Array:
        below, above = log_gamma_tails(a, jnp.exp(jnp.where(is_none, 0.0, log_x)))
        missing = jnp.where(is_upper, wanted - above, below - wanted)
        return jnp.where(is_none, log_x - bound, missing)

    def solve(gap: roots.Residual, start: Array) -> Array:
        def step(_: Array, log_x: Array) -> Array:
            missing = gap(log_x)
            log_tail = wanted + jnp.where(is_upper, -missing, missing)
            log_slope = _log_pdf_of_log(a, jnp.exp(log_x)) - log_tail
            slope = jnp.where(is_none, 1.0, jnp.exp(log_slope))
            return log_x - missing / slope

        return jax.lax.fori_loop(0, _NEWTON_STEPS, step, start)

    return jnp.exp(roots.implicit_root(gap, start, solve))
