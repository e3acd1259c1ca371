"""Pareto prior of a limit, uniform data: θ ~ Pareto(m, α), x_i ~ Uniform(0, θ)."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.types import Key
from vijax.validate import where_valid


class Statistics(NamedTuple):
    """What the posterior depends on."""

    num_data: Float[Array, "..."]
    maximum: Float[Array, "..."]

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the statistics of both data sets together."""
        return Statistics(
            self.num_data + other.num_data, jnp.maximum(self.maximum, other.maximum)
        )


def posterior(prior: dist.Pareto, observations: Sample) -> dist.Pareto:
    r"""Return Pareto(max(m, x_1, …, x_n), α + n).

    Args:
        prior: Pareto(m, α) of the limit θ, NumPyro's (scale, alpha).
        observations: x_i > 0, any shape; all of them are one data set.

    Raises:
        ValueError: a prior of another family, an observation that is not positive, an
            improper posterior. In a trace such input gives NaN.

    References:
        M. DeGroot (1970), Optimal Statistical Decisions, section 9.7.

    Example:
        >>> result = posterior(dist.Pareto(1.0, 2.0), [3.0, 0.5])
        >>> result.scale.item(), result.alpha.item()
        (3.0, 4.0)
    """
    return update(prior, sufficient_statistics(observations))


def sufficient_statistics(observations: Sample) -> Statistics:
    """Return n and the largest observation.

    Data and source as in `posterior`: a single count and a single number in the data's
    unit; `+` adds the counts and keeps the larger maximum.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([3.0, 0.5]).maximum.item()
        3.0
    """
    observations, valid = value_checks.positive("observations", observations)
    count = jnp.asarray(observations.size, observations.dtype)
    return where_valid(
        value_checks.all_of(valid), Statistics(count, observations.max())
    )


def update(prior: dist.Pareto, data: Statistics) -> dist.Pareto:
    """Return the posterior from sufficient statistics.

    Pareto(max(m, maximum), α + n); batches and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([3.0, 0.5])
        >>> update(dist.Pareto(1.0, 2.0), data).alpha.item()
        4.0
    """
    shape_checks.of_type("prior", prior, dist.Pareto)
    scale = jnp.maximum(prior.scale, data.maximum)
    alpha = prior.alpha + data.num_data
    valid = value_checks.parameters(scale=prior.scale, alpha=prior.alpha)
    valid &= value_checks.proper_posterior(scale=scale, alpha=alpha)
    return dist.Pareto(*where_valid(valid, (scale, alpha)))


def log_evidence(prior: dist.Pareto, observations: Sample) -> Float[Array, "..."]:
    r"""Return log p(x) = log α m^α / ((α + n) M^(α + n)), M = max(m, x_1, …, x_n).

    In nats, of a density in the unit of x to the power -n.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Pareto(1.0, 2.0), 0.5)  # ln(2 / 3)
        >>> print(f"{value:.4f}")
        -0.4055
    """
    shape_checks.of_type("prior", prior, dist.Pareto)
    data = sufficient_statistics(observations)
    valid = value_checks.proper(scale=prior.scale, alpha=prior.alpha)
    return where_valid(
        valid, _log_evidence(prior.scale, prior.alpha, data.maximum, data.num_data)
    )


def predictive(posterior: dist.Pareto) -> "UniformPareto":
    """Return the distribution of the next observation: flat, then a Pareto tail.

    p(x) = α / (α + 1) / max(m, x) · (m / max(m, x))^α, in the data's unit.

    Returns:
        The distribution, in the shape of the posterior's batch.

    Example:
        >>> value = predictive(dist.Pareto(3.0, 4.0)).log_prob(1.0)  # ln(4 / 15)
        >>> print(f"{value:.4f}")
        -1.3218
    """
    return UniformPareto(posterior.scale, posterior.alpha)


def model(prior: dist.Pareto, observations: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `high`.

    With data, the site's support begins at the largest of them: the same density, and
    no wall for a sampler to run into.

    θ ~ Pareto(m, α), x_i ~ Uniform(0, θ); arguments as in `posterior`.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Pareto(1.0, 2.0), {"observations": 0.5}
        >>> value = log_density(model, (prior,), data, {"high": 2.0})[0]
        >>> print(f"{value:.4f}")  # ln(1 / 4) - ln 2
        -2.0794
    """
    if observations is None:
        high = numpyro.sample("high", prior)
        numpyro.sample("observations", dist.Uniform(0.0, high))
        return
    low = jnp.maximum(prior.scale, jnp.max(observations))
    flat = dist.ImproperUniform(constraints.greater_than(low), (), ())
    high = numpyro.sample("high", flat)
    numpyro.factor("prior", prior.log_prob(high))
    numpyro.sample("observations", dist.Uniform(0.0, high), obs=observations)


class UniformPareto(dist.Distribution):
    """A uniform observation whose limit has a Pareto distribution.

    Example:
        >>> print(f"{UniformPareto(3.0, 4.0).log_prob(1.0):.4f}")  # ln(4 / 15)
        -1.3218
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "scale": constraints.positive,
        "alpha": constraints.positive,
    }
    support = constraints.positive

    def __init__(
        self,
        scale: Numbers,
        alpha: Numbers,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.scale, self.alpha = (
            value_checks.as_float(scale),
            value_checks.as_float(alpha),
        )
        shape = jnp.broadcast_shapes(self.scale.shape, self.alpha.shape)
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def log_prob(
        self, value: ArrayLike, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log density."""
        maximum = jnp.maximum(self.scale, value)
        return _log_evidence(self.scale, self.alpha, maximum, 1.0)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw a limit, then an observation below it."""
        limit_key, value_key = jax.random.split(key)
        pareto = dist.Pareto(self.scale, self.alpha).expand(self.batch_shape)
        limit = pareto.sample(limit_key, sample_shape)
        return limit * jax.random.uniform(value_key, limit.shape, limit.dtype)

    def cdf(self, value: Numbers) -> Float[Array, "..."]:
        """Return the probability of a smaller observation."""
        return jnp.exp(self.log_tails(value)[0])

    def log_tails(self, value: Numbers) -> tuple[Array, Array]:
        """Return the log probabilities of a smaller observation, and of a larger one.

        P(X > x) = (m / x)^α / (α + 1) beyond the scale m, and linear below.
        """
        share = self.alpha / (self.alpha + 1)
        part = jnp.maximum(value_checks.as_float(value), 0.0) / self.scale
        near, some = jnp.minimum(part, 1.0), part > 0
        lower = jnp.log(share * jnp.where(some, near, 1.0))
        far = -self.alpha * jnp.log(jnp.maximum(part, 1.0)) - jnp.log1p(self.alpha)
        upper = jnp.where(part < 1, jnp.log1p(-share * near), far)
        lower = jnp.where(part < 1, lower, jnp.log1p(-jnp.exp(far)))
        return jnp.where(some, lower, -jnp.inf), upper

    def icdf(self, q: Numbers) -> Float[Array, "..."]:
        """Return the q-quantile: linear up to the scale, then a Pareto tail."""
        q = value_checks.as_float(q)
        share = self.alpha / (self.alpha + 1)
        linear = self.scale * q / share
        return jnp.where(q < share, linear, self._far(1 - q))

    def isf(self, q: Numbers) -> Float[Array, "..."]:
        """Return what is exceeded with probability q, exact for a tiny q."""
        q = value_checks.as_float(q)
        share = self.alpha / (self.alpha + 1)
        linear = self.scale * (1 - q) / share
        return jnp.where(1 - q < share, linear, self._far(q))

    def _far(self, tail: Array) -> Array:
        return self.scale * (tail * (self.alpha + 1)) ** (-1 / self.alpha)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return half the mean limit."""
        return 0.5 * dist.Pareto(self.scale, self.alpha).mean

    @property
    def variance(self) -> Float[Array, "..."]:
        """Return α m² (α² - 2 α + 4) / (12 (α - 1)² (α - 2)), infinite for α <= 2."""
        # E θ² / 3 - (E θ / 2)²
        alpha = self.alpha
        finite = alpha > 2
        some = jnp.where(finite, alpha, 3.0)
        shape = (some**2 - 2 * some + 4) / (12 * (some - 1) ** 2 * (some - 2))
        return jnp.where(finite, some * self.scale**2 * shape, jnp.inf)


def _log_evidence(
    scale: ArrayLike, alpha: ArrayLike, maximum: Array, count: ArrayLike
) -> Array:
    grown = jnp.maximum(maximum / scale, 1.0)
    return (
        -jnp.log1p(count / alpha)
        - alpha * jnp.log(grown)
        - count * jnp.log(scale * grown)
    )
