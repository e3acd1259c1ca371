"""Gamma prior, exponential times: λ ~ Gamma(a, rate b), t_i ~ Exponential(λ)."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax.bayes.conjugate import streaming
from vijax.bayes.conjugate.support import gamma_rates
from vijax.bayes.validation import Numbers, Sample, value_checks
from vijax.types import Key
from vijax.validate import where_valid


class Statistics(NamedTuple):
    """What the posterior depends on."""

    num_times: Float[Array, "..."]
    total_time: Float[Array, "..."]

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the statistics of both data sets together."""
        return streaming.add(self, other)


def posterior(prior: dist.Gamma, times: Sample) -> dist.Gamma:
    r"""Return Gamma(a + n, b + Σ t_i).

    Args:
        prior: Gamma(a, rate b) of the decay rate λ;
            an improper one from `bayes.improper.gamma`.
        times: t_i >= 0 in the unit that 1/λ has, any shape; all are one data set.

    Raises:
        ValueError: a prior of another family, a negative or NaN time, an improper
            posterior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.6.

    Example:
        >>> result = posterior(dist.Gamma(1.0, 2.0), [0.5, 1.5])
        >>> result.concentration.item(), result.rate.item()
        (3.0, 4.0)
    """
    return update(prior, sufficient_statistics(times))


def sufficient_statistics(times: Sample) -> Statistics:
    """Return n and Σ t_i.

    Data and source as in `posterior`; a single count and a single time, which add with
    `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([0.5, 1.5])
        >>> data.num_times.item(), data.total_time.item()
        (2.0, 2.0)
    """
    times, valid = value_checks.nonnegative("times", times)
    result = Statistics(jnp.asarray(times.size, times.dtype), times.sum())
    return where_valid(value_checks.all_of(valid), result)


def update(prior: dist.Gamma, data: Statistics) -> dist.Gamma:
    """Return the posterior from sufficient statistics.

    Gamma(a + n, b + Σ t_i); batches and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([0.5, 1.5])
        >>> update(dist.Gamma(1.0, 2.0), data).rate.item()
        4.0
    """
    return gamma_rates.updated(prior, data.num_times, data.total_time)


def log_evidence(prior: dist.Gamma, times: Sample) -> Float[Array, "..."]:
    r"""Return log p(t) = log of Γ(a + n) / Γ(a) · b^a / (b + Σ t_i)^(a + n).

    In nats, of a density in the unit of time to the power -n.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Gamma(1.0, 1.0), 1.0)  # -2 ln 2
        >>> print(f"{value:.4f}")
        -1.3863
    """
    data = sufficient_statistics(times)
    return gamma_rates.log_mean_density(prior, data.num_times, data.total_time)


def predictive(posterior: dist.Gamma) -> "Lomax":
    """Return the distribution of the next time: Lomax, a heavy-tailed one.

    p(t) = a b^a / (b + t)^(a + 1), t in the unit of b.

    Returns:
        The distribution, in the shape of the posterior's batch.

    Example:
        >>> value = predictive(dist.Gamma(3.0, 4.0)).log_prob(0.0)  # ln(3 / 4)
        >>> print(f"{value:.4f}")
        -0.2877
    """
    return Lomax(posterior.concentration, posterior.rate)


def model(prior: dist.Gamma, times: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `rate`.

    λ ~ Gamma(a, b), p(t_i | λ) = λ exp(-λ t_i); arguments as in `posterior`, without
    times one is drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Gamma(1.0, 1.0), {"times": 2.0}
        >>> value = log_density(model, (prior,), data, {"rate": 1.0})[0]
        >>> print(f"{value:.4f}")
        -3.0000
    """
    rate = numpyro.sample("rate", prior)
    numpyro.sample("times", dist.Exponential(rate), obs=times)


class Lomax(dist.Distribution):
    """An exponential time whose rate is Gamma(concentration, rate) distributed.

    Density a b^a / (b + t)^(a + 1) at t >= 0.

    Example:
        >>> print(f"{Lomax(1.0, 1.0).icdf(0.5):.4f}")
        1.0000
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative

    def __init__(
        self,
        concentration: Numbers,
        rate: Numbers,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration = value_checks.as_float(concentration)
        self.rate = value_checks.as_float(rate)
        shape = jnp.broadcast_shapes(self.concentration.shape, self.rate.shape)
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def log_prob(
        self, value: Numbers, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log density."""
        log_growth = jnp.log1p(value / self.rate)
        log_density = jnp.log(self.concentration / self.rate)
        return log_density - (self.concentration + 1) * log_growth

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability of a shorter time."""
        return -jnp.expm1(self.log_tails(value)[1])

    def icdf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the q-quantile."""
        return self.rate * jnp.expm1(-jnp.log1p(-q) / self.concentration)

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the time that is exceeded with probability q, exact for a tiny q."""
        log_growth = -jnp.log(value_checks.as_float(q)) / self.concentration
        return self.rate * jnp.expm1(log_growth)

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return the log probabilities of a shorter time, and of a longer one."""
        value = jnp.maximum(value_checks.as_float(value), 0.0)
        log_growth = jnp.log1p(value / self.rate)
        upper = -self.concentration * log_growth
        some = upper < 0
        lower = jnp.log(-jnp.expm1(jnp.where(some, upper, -1.0)))
        return jnp.where(some, lower, -jnp.inf), upper

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw by inversion."""
        shape = sample_shape + self.batch_shape
        return self.icdf(jax.random.uniform(key, shape, self.rate.dtype))

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return b / (a - 1), infinite for a <= 1."""
        finite = self.concentration > 1
        spread = jnp.where(finite, self.concentration - 1, 1.0)
        return jnp.where(finite, self.rate / spread, jnp.inf)

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return a b² / ((a - 1)² (a - 2)), infinite for a <= 2."""
        a = self.concentration
        finite = a > 2
        spread = jnp.where(finite, a - 2, 1.0) * jnp.where(finite, a - 1, 1.0) ** 2
        return jnp.where(finite, a * self.rate**2 / spread, jnp.inf)
