"""Quantiles from either tail. NumPyro's own fail for Beta, Gamma and their kin.

`quantile(d, q)` is x with P(X <= x) = q, and `upper_quantile(d, q)` is x with
P(X > x) = q. The second is there because a probability near 1 has lost the digits that
its complement still has.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

from vijax import special
from vijax.bayes.conjugate.marginals import Joint, marginals
from vijax.bayes.grid.landscape import Landscape
from vijax.bayes.intervals import closed_quantiles, grid_quantiles, tails
from vijax.bayes.numerics import roots
from vijax.bayes.validation import Numbers, value_checks
from vijax.special.quantiles import beta_quantile, gamma_quantile
from vijax.validate import is_traced, seen, where_valid


def quantile(distribution: Joint | Landscape | Numbers, q: Numbers) -> Any:
    """Return the q-quantile, broadcast over the distribution's batch.

    Args:
        distribution: of one real variable: any of NumPyro's that has quantiles, or a
            mixture of such; or a posterior of several numbers, as in
            `credible_interval`; or draws along the first axis; or a `Landscape` with
            one axis.
        q: probability below, in [0, 1]; element by element against the batch, for draws
            and landscapes any shape.

    Returns:
        x in the variable's unit, relative error below 1e-10 in x64, 1e-5 in float32;
        for draws and landscapes that of `credible_interval`.

    Raises:
        ValueError: a q outside [0, 1] or of a shape that does not fit, a distribution
            without quantiles. In a trace such a q gives NaN.

    Example:
        >>> print(f"{quantile(dist.Beta(11.0, 5.0), 0.975):.4f}")
        0.8818
    """
    return _checked_quantile(distribution, q, upper=False)


def upper_quantile(distribution: Joint | Landscape | Numbers, q: Numbers) -> Any:
    """Return x with P(X > x) = q.

    Exact also where 1 - q rounds to 1. Of a distribution that is neither one of
    NumPyro's common families nor made of them only the `icdf` is known: there q ends at
    the square root of the precision (1e-8 in x64, 3e-4 in float32), below which 1 - q
    has too few digits. Arguments and shapes as in `quantile`.

    Raises:
        ValueError: as in `quantile`, and for a q that is too small where only `icdf` is
            known. In a trace such a q gives NaN.

    Example:
        >>> print(f"{upper_quantile(dist.Gamma(1.0, 1.0), 1e-30):.4f}")  # 30 ln 10
        69.0776
        >>> print(f"{upper_quantile(dist.Exponential(2.0), 1e-30):.4f}")
        34.5388
    """
    return _checked_quantile(distribution, q, upper=True)


def central(distribution: dist.Distribution, tail: Array) -> tuple[Array, Array]:
    """Return both ends beyond which a probability of `tail` lies, tail <= 1/2.

    Example:
        >>> lower, upper = central(dist.Gamma(1.0, 1.0), jnp.asarray(0.25))
        >>> print(f"{lower:.4f} {upper:.4f}")  # log(4 / 3) and log 4
        0.2877 1.3863
    """
    if isinstance(distribution, dist.Beta):
        pair = distribution.concentration1, distribution.concentration0
        return _both(beta_quantile, *pair, tail)
    if isinstance(distribution, dist.Gamma):
        ends = _both(gamma_quantile, distribution.concentration, tail)
        return ends[0] / distribution.rate, ends[1] / distribution.rate
    if isinstance(distribution, dist.InverseGamma):
        ends = _both(gamma_quantile, distribution.concentration, tail)
        return distribution.rate / ends[1], distribution.rate / ends[0]
    lower = tail_quantile(distribution, tail, upper=False)
    return lower, tail_quantile(distribution, tail, upper=True)


def lower_tail(distribution: dist.Distribution, x: Array) -> Array:
    """Return P(X <= x); NumPyro's loses digits.

    Example:
        >>> value = lower_tail(dist.Gamma(1.0, 2.0), jnp.asarray(0.5))  # 1 - 1/e
        >>> print(f"{value:.4f}")
        0.6321
    """
    return jnp.exp(tails.log_tails(distribution, x)[0])


def tail_quantile(distribution: Any, q: Array, *, upper: bool) -> Array:
    """Return the quantile of q from the lower tail, or from the upper one.

    Raises:
        ValueError: a distribution without quantiles.

    Example:
        >>> value = tail_quantile(dist.Pareto(1.0, 2.0), jnp.asarray(1e-20), upper=True)
        >>> print(f"{value:.1e}")
        1.0e+10
    """
    for family, function in _FAMILIES:
        if isinstance(distribution, family):
            return function(distribution, q, upper)
    if upper and hasattr(distribution, "isf"):
        return jnp.asarray(distribution.isf(q))
    if isinstance(distribution, tails.MIXTURES) and not hasattr(distribution, "isf"):
        return _of_mixture(distribution, q, upper)
    closed = closed_quantiles.standard(distribution, q, upper)
    if closed is not None:
        return closed
    return _by_icdf(distribution, q, upper)


def _checked_quantile(distribution: Any, q: Numbers, *, upper: bool) -> Any:
    q, valid = value_checks.probability("q", q)
    if isinstance(distribution, Joint):
        one = marginals(distribution)
        each = one if isinstance(one, dict) else {"": one}
        found = {
            name: where_valid(*_of_batch(marginal, q, valid, upper))
            for name, marginal in each.items()
        }
        return found if isinstance(one, dict) else found[""]
    below = 1 - q if upper else q
    if isinstance(distribution, Landscape):
        return where_valid(valid, grid_quantiles.of_landscape(distribution, below))
    draws, draws_valid = value_checks.finite("distribution", distribution)
    of_draws = grid_quantiles.of_draws("distribution", draws, below)
    all_valid = valid.reshape(valid.shape + (1,) * (draws.ndim - 1))
    return where_valid(all_valid & draws_valid.all(), of_draws)


def _of_batch(
    distribution: dist.Distribution, q: Array, valid: Array, upper: bool
) -> tuple[Array, Array]:
    batch = distribution.batch_shape
    try:
        jnp.broadcast_shapes(q.shape, batch)
    except ValueError:
        raise ValueError(
            f"q has shape {q.shape} and the distribution's batch {batch}: give one "
            "number, or a shape that broadcasts against the batch"
        ) from None
    return valid, tail_quantile(distribution, q, upper=upper)


def _both(function: Callable[..., Array], *values: Any) -> tuple[Array, Array]:
    """Compute the lower and the upper end in one call: one program to compile."""
    arrays = jnp.broadcast_arrays(*map(value_checks.as_float, values))
    stacked = [jnp.stack([array, array]) for array in arrays]
    shape = (2, *[1] * arrays[0].ndim)
    lower, upper = function(*stacked, jnp.array([False, True]).reshape(shape))
    return lower, upper


def _of_beta(beta: Any, q: Array, upper: bool) -> Array:
    function = special.betainccinv if upper else special.betaincinv
    return function(beta.concentration1, beta.concentration0, q)


def _of_gamma(gamma: Any, q: Array, upper: bool) -> Array:
    function = special.gammainccinv if upper else special.gammaincinv
    return function(gamma.concentration, q) / gamma.rate


def _of_inverse_gamma(inverse: Any, q: Array, upper: bool) -> Array:
    function = special.gammaincinv if upper else special.gammainccinv
    return inverse.rate / function(inverse.concentration, q)


def _of_wrapped(wrapped: Any, q: Array, upper: bool) -> Array:
    found = tail_quantile(wrapped.base_dist, q, upper=upper)
    return jnp.broadcast_to(found, jnp.broadcast_shapes(q.shape, wrapped.batch_shape))


def _of_transformed(transformed: Any, q: Array, upper: bool) -> Array:
    """A rising map keeps the tails, a falling one exchanges them."""
    base = transformed.base_dist
    try:
        signs = [jnp.asarray(step.sign) for step in transformed.transforms]
    except NotImplementedError:
        return _by_icdf(transformed, q, upper)
    sign = signs[0]
    for one in signs[1:]:
        sign = sign * one
    sign = seen(sign)
    # One of the two, where the sign is known: the usual case.
    if not isinstance(sign, jax.Array) and ((sign > 0).all() or (sign < 0).all()):
        x = tail_quantile(base, q, upper=upper == bool((sign > 0).all()))
    else:
        # Each at its own q: at 0 the other tail's slope is infinite, backwards NaN.
        rises = sign > 0
        same = tail_quantile(base, jnp.where(rises, q, 0.5), upper=upper)
        other = tail_quantile(base, jnp.where(rises, 0.5, q), upper=not upper)
        x = jnp.where(rises, same, other)
    for step in transformed.transforms:
        x = step(x)
    return jnp.asarray(x)


def _of_truncated(truncated: Any, q: Array, upper: bool) -> Array:
    """Move q into the tails of what was cut, and invert the smaller of its tails."""
    base, none = truncated.base_dist, jnp.asarray(-jnp.inf, q.dtype)
    low, high = getattr(truncated, "low", None), getattr(truncated, "high", None)
    zero = jnp.zeros_like(none)
    below_low, above_low = (
        (none, zero)
        if low is None
        else tails.log_tails(base, value_checks.as_float(low))
    )
    below_high, above_high = (
        (zero, none)
        if high is None
        else tails.log_tails(base, value_checks.as_float(high))
    )
    in_upper_half = below_low > jnp.log(0.5)
    mass = jnp.where(
        in_upper_half,
        jnp.exp(above_low) - jnp.exp(above_high),
        jnp.exp(below_high) - jnp.exp(below_low),
    )
    part, rest = (1 - q, q) if upper else (q, 1 - q)
    below, above = jnp.exp(below_low) + part * mass, jnp.exp(above_high) + rest * mass
    x = jnp.where(
        below < above,
        tail_quantile(base, jnp.clip(below, 0, 1), upper=False),
        tail_quantile(base, jnp.clip(above, 0, 1), upper=True),
    )
    x = x if low is None else jnp.maximum(x, low)
    x = x if high is None else jnp.minimum(x, high)
    return jnp.where(mass > 0, x, jnp.nan)  # a cut that leaves less than any float


def _of_mixture(mixture: Any, q: Array, upper: bool) -> Array:
    """Bisect between the smallest and the largest quantile of the components."""
    log_weights, parts = tails.mixture_parts(mixture)
    shape = jnp.broadcast_shapes(q.shape, mixture.batch_shape)
    q = jnp.broadcast_to(q, shape)
    # At 0 and 1 the logarithms have slopes that are NaN backwards: another q there.
    inside = (q > 0) & (q < 1)
    within = jnp.where(inside, q, 0.5)

    def least_and_most(q: Array, function: Callable[..., Array]) -> tuple[Array, Array]:
        at = q[..., None] if len(parts) == 1 else q
        each = tails.over_parts(parts, lambda part: function(part, at, upper=upper))
        each, some = jnp.broadcast_arrays(each, log_weights > -jnp.inf)
        low = jnp.where(some, each, jnp.inf).min(axis=-1)
        return low, jnp.where(some, each, -jnp.inf).max(axis=-1)

    x = _between(mixture, within, *least_and_most(within, tail_quantile), upper)
    if not is_traced(inside) and seen(inside).all():
        return x
    q = jax.lax.stop_gradient(jnp.where(inside, 0.0, q))
    low, high = least_and_most(q, _end)
    return jnp.where(inside, x, jnp.where((q > 0) != upper, high, low))


def _end(part: Any, q: Array, *, upper: bool) -> Array:
    """Return an end of the support, with a slope where parameters move it."""
    end = tail_quantile(jax.lax.stop_gradient(part), q, upper=upper)
    if not isinstance(getattr(type(part), "support", None), property):
        return end
    finite = jnp.isfinite(end)
    moving = tail_quantile(part, jnp.where(finite, q, 0.5), upper=upper)
    return jnp.where(finite, moving, end)


@partial(jax.jit, static_argnums=4)
def _between(mixture: Any, q: Array, low: Array, high: Array, upper: bool) -> Array:
    return roots.invert_tails(
        lambda x: tails.log_tails(mixture, x), q, low, high, upper=upper
    )


def _by_icdf(distribution: Any, q: Array, upper: bool) -> Array:
    try:
        if not upper:
            return jnp.asarray(distribution.icdf(q))
        x = jnp.asarray(distribution.icdf(1 - q))
    except NotImplementedError as error:
        kind = type(distribution).__name__
        raise ValueError(
            f"distribution is a {kind}, which has no quantiles: give draws of it"
        ) from error  # which is NumPyro's way to say so, or a fault in its `icdf`
    q = jnp.broadcast_to(q, jnp.broadcast_shapes(q.shape, x.shape))
    enough = seen(q) >= float(jnp.finfo(q.dtype).eps) ** 0.5
    remedy = (
        f"of a {type(distribution).__name__} only `icdf` is known, and 1 - q has too "
        "few digits; give a larger q"
    )
    return where_valid(value_checks.checked(enough, "q", q, remedy), x)


_TRUNCATED = (
    dist.LeftTruncatedDistribution,
    dist.RightTruncatedDistribution,
    dist.TwoSidedTruncatedDistribution,
)
_FAMILIES: tuple[tuple[Any, Callable[[Any, Array, bool], Array]], ...] = (
    (dist.Beta, _of_beta),
    (dist.Gamma, _of_gamma),
    (dist.InverseGamma, _of_inverse_gamma),
    (dist.TransformedDistribution, _of_transformed),
    (_TRUNCATED, _of_truncated),
    (tails.WRAPPERS, _of_wrapped),
)
