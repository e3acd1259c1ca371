"""Both tails of a distribution of one number, in logs: exact however small they are.

A distribution of our own may bring a method `log_tails(x)`; of NumPyro's the families
of exact inference are known here. Of any other there is its `cdf`, whose upper tail
ends where 1 - cdf rounds to 0.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array

from vijax.bayes.numerics import significances, student
from vijax.bayes.validation.value_checks import as_float
from vijax.special.log_tails import log_beta_tails, log_gamma_tails

Tails = tuple[Array, Array]
MIXTURES = (dist.MixtureSameFamily, dist.MixtureGeneral)
WRAPPERS = (dist.ExpandedDistribution, dist.MaskedDistribution)


def log_tails(distribution: Any, x: Array) -> Tails:
    """Return log P(X <= x) and log P(X > x).

    Example:
        >>> lower, upper = log_tails(dist.Exponential(1.0), jnp.asarray(700.0))
        >>> print(f"{upper:.1f}")
        -700.0
    """
    if hasattr(distribution, "log_tails"):
        return distribution.log_tails(x)
    for family, function in _FAMILIES:
        if isinstance(distribution, family):
            return function(distribution, x)
    if isinstance(distribution, dist.TransformedDistribution):
        return _of_transformed(distribution, x)
    cdf = jnp.asarray(distribution.cdf(x))
    return _log(cdf), jnp.log1p(-jnp.minimum(cdf, 1.0))


def mixture_parts(mixture: Any) -> tuple[Array, list[Any]]:
    """Return the log weights, on the last axis, and the components.

    The components of one family come as one distribution with that axis.

    Example:
        >>> weights = dist.CategoricalProbs(jnp.array([0.5, 0.5]))
        >>> two = dist.MixtureSameFamily(weights, dist.Normal(jnp.zeros(2), 1.0))
        >>> len(mixture_parts(two)[1])
        1
    """
    mixing = mixture.mixing_distribution
    if isinstance(mixing, dist.CategoricalProbs):
        log_weights = _log(mixing.probs)
    else:
        log_weights = mixing.logits - logsumexp(mixing.logits, axis=-1, keepdims=True)
    if isinstance(mixture, dist.MixtureSameFamily):
        return log_weights, [mixture.component_distribution]
    return log_weights, list(mixture.component_distributions)


def over_parts(parts: list[Any], values: Callable[[Any], Any]) -> Any:
    """Return values of every component on a last axis, for one part or for several."""
    if len(parts) == 1:
        return values(parts[0])
    each = [values(part) for part in parts]
    if isinstance(each[0], tuple):
        columns = zip(*each, strict=True)
        return tuple(jnp.stack(jnp.broadcast_arrays(*one), axis=-1) for one in columns)
    return jnp.stack(jnp.broadcast_arrays(*each), axis=-1)


def _of_mixture(mixture: Any, x: Array) -> Tails:
    log_weights, parts = mixture_parts(mixture)
    at = x[..., None] if len(parts) == 1 else x
    lower, upper = over_parts(parts, lambda part: log_tails(part, at))
    return logsumexp(lower + log_weights, -1), logsumexp(upper + log_weights, -1)


def _of_transformed(distribution: Any, x: Array) -> Tails:
    sign: Any = 1.0
    for transform in reversed(distribution.transforms):
        sign, x = sign * transform.sign, transform.inv(x)
    lower, upper = log_tails(distribution.base_dist, x)
    return jnp.where(sign > 0, lower, upper), jnp.where(sign > 0, upper, lower)


def _of_beta(beta: Any, x: Array) -> Tails:
    inside = jnp.clip(x, 0.0, 1.0)
    return log_beta_tails(beta.concentration1, beta.concentration0, inside)


def _of_gamma(gamma: Any, x: Array) -> Tails:
    return log_gamma_tails(gamma.concentration, gamma.rate * jnp.maximum(x, 0.0))


def _of_inverse_gamma(inverse: Any, x: Array) -> Tails:
    some = x > 0
    scaled = inverse.rate / jnp.where(some, x, 1.0)
    lower, upper = log_gamma_tails(inverse.concentration, scaled)
    return jnp.where(some, upper, -jnp.inf), jnp.where(some, lower, 0.0)


def _of_normal(normal: Any, x: Array) -> Tails:
    z = (x - normal.loc) / as_float(normal.scale)
    return significances.log_p_value(-z), significances.log_p_value(z)


def _of_student(t: Any, x: Array) -> Tails:
    return student.log_tails(as_float(t.df), (x - t.loc) / t.scale)


def _of_exponential(exponential: Any, x: Array) -> Tails:
    hazard = exponential.rate * jnp.maximum(x, 0.0)
    return _log(-jnp.expm1(-hazard)), -hazard


def _of_uniform(uniform: Any, x: Array) -> Tails:
    low, high = as_float(uniform.low), as_float(uniform.high)
    width = high - low
    share, rest = jnp.clip((x - low) / width, 0, 1), jnp.clip((high - x) / width, 0, 1)
    return _log(share), _log(rest)


def _log(x: Array) -> Array:
    """Return the logarithm, -inf at 0, with a derivative that is a number."""
    some = x > 0
    return jnp.where(some, jnp.log(jnp.where(some, x, 1.0)), -jnp.inf)


_FAMILIES: tuple[tuple[Any, Callable[[Any, Array], Tails]], ...] = (
    (dist.Beta, _of_beta),
    (dist.Gamma, _of_gamma),
    (dist.InverseGamma, _of_inverse_gamma),
    (dist.Normal, _of_normal),
    (dist.StudentT, _of_student),
    (dist.Exponential, _of_exponential),
    (dist.Uniform, _of_uniform),
    (MIXTURES, _of_mixture),
    (WRAPPERS, lambda wrapped, x: log_tails(wrapped.base_dist, x)),
)
