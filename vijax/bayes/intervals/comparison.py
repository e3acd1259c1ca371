"""Which of two unknown numbers is the larger one, and by how much.

    P(second - first > d) = ∫_0^1 P(second > F⁻¹(u) + d) du,  F the first one's cdf

and the same with a ratio. The integral is taken by the tanh-sinh rule, between the u
where the integrand is neither 0 nor 1 by the ends of a support.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.intervals import quantiles, tails
from vijax.bayes.numerics import roots
from vijax.bayes.numerics.interval import Interval
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, seen, where_valid

_STEP, _REACH = 0.08, 6.0
_NODES = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)


def probability_greater(
    second: dist.Distribution, first: dist.Distribution
) -> Float[Array, "..."]:
    r"""Return P(second > first) of two independent numbers.

    ∫_0^1 P(second > F⁻¹(u)) du, F the first one's cdf, by the tanh-sinh rule; the roles
    are exchanged where the second is the narrower one. Two proportions are two Beta
    posteriors, two rates two Gamma ones, two means two of Student's t.

    Args:
        second: the distribution of one real number, any batch shape.
        first: another one, of any family; the batches broadcast.

    Returns:
        Probabilities, relative error below 1e-9 down to 1e-15 in x64.

    Raises:
        ValueError: a distribution of several numbers, or one without quantiles; batches
            that do not fit.

    References:
        H. Takahasi, M. Mori (1974), Publ. RIMS Kyoto 9, 721.

    Example:
        >>> value = probability_greater(dist.Beta(2.0, 1.0), dist.Beta(1.0, 1.0))
        >>> print(f"{value:.4f}")
        0.6667
    """
    shape = _common_batch(second, first)
    return _tails_of(second, first, shape, "difference")(jnp.zeros(shape))[1]


def difference_interval(
    second: dist.Distribution, first: dist.Distribution, mass: Numbers = 0.95
) -> Interval:
    r"""Return the equal-tailed credible interval of second - first, both independent.

    P(second - first < lower) = P(second - first > upper) = (1 - mass) / 2, as exact as
    `probability_greater`: of two probabilities, rates or means, from their posteriors.

    Args:
        second: the distribution of one real number, any batch shape.
        first: another one, of any family.
        mass: probability inside, in (0, 1); all broadcast.

    Returns:
        The ends, in the numbers' unit, differentiable in all arguments. They cost some
        5000 quantiles, or 50 ms, a pair.

    Raises:
        ValueError: as in `probability_greater`, and for a mass outside (0, 1).

    References:
        H. Takahasi, M. Mori (1974), Publ. RIMS Kyoto 9, 721.

    Example:
        >>> before, after = dist.Normal(0.0, 1.0), dist.Normal(1.0, 2.0)
        >>> lower, upper = difference_interval(after, before)
        >>> print(f"{lower:.4f} {upper:.4f}")  # 1 ± 1.96 √5
        -3.3826 5.3826
    """
    return _interval_of(second, first, mass, "difference")


def ratio_interval(
    second: dist.Distribution, first: dist.Distribution, mass: Numbers = 0.95
) -> Interval:
    r"""Return the equal-tailed credible interval of second / first, both positive.

    P(second / first > r) = ∫_0^1 P(second > r F⁻¹(u)) du, F the first one's cdf;
    arguments, cost and source as in `difference_interval`.

    Raises:
        ValueError: as in `difference_interval`, and for a number that may be negative.

    Example:
        >>> one = dist.Uniform(0.0, 1.0)
        >>> lower, upper = ratio_interval(one, one)
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.0500 20.0000
    """
    return _interval_of(second, first, mass, "ratio")


def _interval_of(second: Any, first: Any, mass: Numbers, kind: str) -> Interval:
    shape = _common_batch(second, first)
    mass, valid = value_checks.fraction("mass", mass)
    try:
        shape = jnp.broadcast_shapes(shape, mass.shape)
    except ValueError:
        raise ValueError(
            f"mass has shape {mass.shape} and the distributions {shape}: give one "
            "number, or a shape that broadcasts"
        ) from None
    mass = jnp.broadcast_to(jnp.where(valid, mass, 0.5), shape)
    if kind == "ratio":
        for name, one in (("second", second), ("first", first)):
            least = _support(one, shape)[0]
            remedy = "give distributions of positive numbers"
            positive = seen(least) >= 0
            valid &= value_checks.checked(positive, f"{name}'s least", least, remedy)
    ends = _interval(second, first, mass, kind)
    about = "of the posterior, equal-tailed"
    return where_valid(valid, Interval.of(ends, mass, about))


def _common_batch(second: Any, first: Any) -> tuple[int, ...]:
    for name, one in (("second", second), ("first", first)):
        if one.event_shape:
            raise ValueError(
                f"{name} is a {type(one).__name__} of shape {one.event_shape}: give "
                "the distribution of one number"
            )
        if one.is_discrete:
            raise ValueError(
                f"{name} is a {type(one).__name__} of whole numbers: give the "
                "distribution of a real one"
            )
    try:
        return jnp.broadcast_shapes(second.batch_shape, first.batch_shape)
    except ValueError:
        raise ValueError(
            f"second has the batch shape {second.batch_shape} and first "
            f"{first.batch_shape}: give shapes that broadcast"
        ) from None


def _interval(second: Any, first: Any, mass: Array, kind: str) -> tuple[Array, Array]:
    # Beyond the quantiles of half the tail of both, less than the tail lies.
    quarter = jnp.full(mass.shape, 0.25) * (1 - mass)
    low_2, high_2 = quantiles.central(second, quarter)
    low_1, high_1 = quantiles.central(first, quarter)
    if kind == "ratio":
        ends = low_2 / high_1, high_2 / low_1
    else:
        ends = low_2 - high_1, high_2 - low_1
    low, high = (jnp.broadcast_to(end, (2, *mass.shape)) for end in ends)
    log_tail = jnp.log(0.5 * (1 - mass))
    is_upper = jnp.array([False, True]).reshape(2, *[1] * mass.ndim)
    tails_at = _tails_of(second, first, mass.shape, kind)

    def excess(x: Array) -> Array:
        below, above = tails_at(x)
        tiny = jnp.finfo(x.dtype).tiny
        log_below, log_above = (jnp.log(jnp.maximum(y, tiny)) for y in (below, above))
        return jnp.where(is_upper, log_tail - log_above, log_below - log_tail)

    if not is_traced(second, first, mass):
        lower, upper = roots.bracketed(excess, low, high, in_python=True)
        return lower, upper

    def solve(excess: roots.Residual, low: Array) -> Array:
        return roots.bracketed(excess, low, jax.lax.stop_gradient(high))

    lower, upper = roots.implicit_root(excess, jax.lax.stop_gradient(low), solve)
    return lower, upper


def _tails_of(
    second: Any, first: Any, shape: tuple[int, ...], kind: str
) -> Callable[[Array], tuple[Array, Array]]:
    """Return the function x -> P(second - first <= x), P(… > x), or of the ratio."""
    is_ratio = kind == "ratio"
    ends = [_support(one, shape) for one in (first, second)]
    width_1, width_2 = (_width(one, shape, is_ratio) for one in (first, second))
    middles = [_median(one, shape) for one in (first, second)]
    # The outer variable of the integral is the narrower one.
    narrow = seen(width_1 <= width_2)

    def tails_at(x: Array) -> tuple[Array, Array]:
        if is_ratio:
            of_first, of_second = partial(jnp.multiply, x), partial(_over, x)
        else:
            of_first, of_second = partial(jnp.add, x), partial(_less, x)
        found = {}
        if is_traced(narrow) or narrow.any():
            given = of_first, of_second, ends[1], middles[0]
            found[True] = _average(first, second, *given)
        if is_traced(narrow) or not narrow.all():
            given = of_second, of_first, ends[0], middles[1]
            above, below = _average(second, first, *given)
            found[False] = below, above
        if len(found) == 1:
            return found.popitem()[1]
        below, above = (
            jnp.where(narrow, *pair)
            for pair in zip(found[True], found[False], strict=True)
        )
        return below, above

    return tails_at


def _less(x: Array, value: Array) -> Array:
    return value - x


def _over(x: Array, value: Array) -> Array:
    return value / x


def _width(one: Any, shape: tuple[int, ...], is_ratio: bool) -> Array:
    lower, upper = quantiles.central(one, jnp.full(shape, 0.25))
    return jnp.abs(upper / lower if is_ratio else upper - lower)


def _support(one: Any, shape: tuple[int, ...]) -> tuple[Array, Array]:
    # As `_width`: one program of quantiles for both.
    ends = quantiles.central(one, jnp.zeros(shape))
    lower, upper = (jax.lax.stop_gradient(jnp.broadcast_to(e, shape)) for e in ends)
    return lower, upper


def _median(one: Any, shape: tuple[int, ...]) -> Array:
    lower, _ = quantiles.central(one, jnp.full(shape, 0.5))
    return jax.lax.stop_gradient(lower)


def _average(
    inner: Any,
    outer: Any,
    to_outer: Callable[[Array], Array],
    to_inner: Callable[[Array], Array],
    support: tuple[Array, Array],
    middle: Array,
) -> tuple[Array, Array]:
    """Return the means over `inner` of the probabilities of `outer` below and above.

    Args:
        inner: the variable of the integral.
        outer: the other one.
        to_outer: a value of `inner` -> the value of `outer` beside it.
        to_inner: the inverse.
        support: both ends of `outer`; beyond them it is surely below, or above.
        middle: any value that `inner` may have.
    """
    # The integral does not depend on where exactly it is cut.
    cuts = jax.lax.stop_gradient(jnp.stack([to_inner(end) for end in support]))
    # Nothing is cut at an end that is infinite, where slopes would be inf − inf.
    finite = jnp.isfinite(cuts)
    cuts = jnp.where(finite, cuts, middle)
    log_below, log_above = tails.log_tails(inner, cuts)
    before = jnp.where(finite[0], jnp.exp(log_below[0]), 0.0)
    after = jnp.where(finite[1], jnp.exp(log_above[1]), 0.0)
    inside = jnp.clip(1 - before - after, 0.0, 1.0)
    t = jnp.asarray(_NODES, before.dtype).reshape(-1, *[1] * before.ndim)
    # u = 1 / (1 + exp(-π sinh t)), of which the smaller of u and 1 - u keeps its digits
    half = jnp.pi * jnp.sinh(jnp.abs(t))
    small = jnp.exp(-half) / (1 + jnp.exp(-half))
    below = before + inside * jnp.where(t < 0, small, 1 - small)
    above = after + inside * jnp.where(t < 0, 1 - small, small)
    lower, upper = quantiles.central(inner, jnp.minimum(jnp.minimum(below, above), 0.5))
    x = jnp.where(below < above, lower, upper)
    weights = _STEP * jnp.pi * jnp.cosh(t) * small * (1 - small) * inside
    log_below, log_above = tails.log_tails(outer, to_outer(x))
    below = jnp.sum(weights * jnp.exp(log_below), axis=0)
    above = jnp.sum(weights * jnp.exp(log_above), axis=0)
    # A small inner value leaves the outer one above it, a large one below.
    return below + after, above + before
