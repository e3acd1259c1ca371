"""The highest-density region of a mixture: one interval, or several.

    {x: f(x) >= level},  with the level at which the region holds the mass

Between its maxima and minima the density is monotone, so that each stretch has at most
one end. Maxima and minima are looked for on the quantiles of all components, a fifth of
a standard deviation apart. Every array here has the points on its first axis.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.bayes.intervals import quantiles, tails
from vijax.bayes.numerics import log_densities, roots
from vijax.validate import is_traced, seen

Ends = tuple[Array, Array]

MAX_INTERVALS = 8  # in a trace, where the number must be known beforehand
_NORMAL_STEPS = np.linspace(-7.0, 7.0, 65)
_LEVEL_STEPS = 60
_DEEPEST = 700.0  # log level below the maximum


def region_of_mixture(mixture: Any, mass: Array) -> Ends:
    """Return the ends of all intervals, on a last axis, NaN after the last one.

    In a trace there are 8 of them, and all are NaN where the region has more.

    Example:
        >>> import numpyro.distributions as dist
        >>> weights = dist.CategoricalProbs(jnp.array([0.5, 0.5]))
        >>> normals = dist.Normal(jnp.array([-3.0, 3.0]), 1.0)
        >>> two = dist.MixtureSameFamily(weights, normals)
        >>> lower, upper = region_of_mixture(two, jnp.asarray(0.95))
        >>> print(", ".join(f"({a:.3f}, {b:.3f})" for a, b in zip(lower, upper)))
        (-4.959, -1.040), (1.040, 4.959)
    """
    mass = jnp.broadcast_to(mass, jnp.broadcast_shapes(mass.shape, mixture.batch_shape))
    traced = is_traced(mixture, mass)
    size = MAX_INTERVALS
    if not traced:
        turns = int(jnp.max(_count_turns(mixture, mass)))
        size = max(1, -(-(turns + 1) // 2))
        size = size if size <= 2 else -(-size // 8) * 8  # few programs
    lower, upper = _region(mixture, mass, size)
    if traced:
        return lower, upper
    found = int(seen(~jnp.isnan(lower)).sum(axis=-1).max())
    return lower[..., :found], upper[..., :found]


@partial(jax.custom_jvp, nondiff_argnums=(2,))
@partial(jax.jit, static_argnums=2)
def _region(mixture: Any, mass: Array, size: int) -> Ends:
    knots, valid = _knots(mixture, mass, 2 * size)
    heights = log_densities.log_density(mixture, knots)
    # An infinite density at the end of the support is above every level.
    heights = jnp.where(jnp.isnan(heights), -jnp.inf, heights)
    top = jnp.where(heights < jnp.inf, heights, -jnp.inf).max(axis=0)
    begin, end, left, right = knots[:-1], knots[1:], heights[:-1], heights[1:]

    def cross(level: Array) -> Array:
        """Return where each stretch has the level, or its end that is nearer to it."""
        rises = right > left

        def is_before(x: Array) -> Array:
            above = log_densities.log_density(mixture, x) >= level
            return above != rises

        return roots.bisect(
            is_before,
            begin,
            end,
            num_steps=roots.num_float_steps(begin),
            midpoint=roots.float_midpoint,
        )[0]

    def outside(level: Array) -> Array:
        middle, rises = cross(level), right > left
        first, last = jnp.where(rises, begin, middle), jnp.where(rises, middle, end)
        crosses = (jnp.minimum(left, right) < level) & (
            jnp.maximum(left, right) > level
        )
        below = jnp.maximum(left, right) <= level
        part = _between(mixture, first, last) * crosses
        whole = _between(mixture, begin, end) * below
        beyond = jnp.exp(tails.log_tails(mixture, knots[0])[0])
        beyond += jnp.exp(tails.log_tails(mixture, knots[-1])[1])
        return (part + whole).sum(axis=0) + beyond

    level, _ = roots.bisect(
        lambda level: outside(level) <= 1 - mass,
        top - _DEEPEST,
        jnp.where(heights == jnp.inf, top + 80, top).max(axis=0),
        num_steps=_LEVEL_STEPS,
    )
    middle = cross(level)
    rises = (left < level) & (right > level)
    falls = (left > level) & (right < level)
    first = jnp.where(heights[:1] >= level, knots[:1], jnp.nan)
    last = jnp.where(heights[-1:] >= level, knots[-1:], jnp.nan)
    lower = jnp.concatenate([first, jnp.where(rises, middle, jnp.nan)])
    upper = jnp.concatenate([jnp.where(falls, middle, jnp.nan), last])
    lower, upper = jnp.sort(lower, axis=0), jnp.sort(upper, axis=0)
    valid &= jnp.isnan(lower[size:]).all(axis=0)
    lower, upper = (
        jnp.moveaxis(jnp.where(valid, ends[:size], jnp.nan), 0, -1)
        for ends in (lower, upper)
    )
    return lower, upper


@_region.defjvp
def _region_jvp(size: int, primals: Any, tangents: Any) -> tuple[Ends, Ends]:
    """All ends keep one density, and all intervals together the mass."""
    (mixture, mass), (mixture_dot, mass_dot) = primals, tangents
    lower, upper = _region(mixture, mass, size)
    ends = jnp.moveaxis(jnp.concatenate([lower, upper], axis=-1), -1, 0)
    sign = jnp.repeat(jnp.array([-1.0, 1.0], ends.dtype), size)
    sign = sign.reshape(-1, *[1] * mass.ndim)
    limits, limits_dot = jax.jvp(_limits, (mixture,), (mixture_dot,))
    found = ~jnp.isnan(ends)
    at_limit = (ends == limits[0]) | (ends == limits[1])
    free = found & ~at_limit
    middle = jnp.nanmean(ends, axis=0)
    safe = jnp.where(free, ends, middle)

    def heights(mixture: Any, x: Array) -> Array:
        return log_densities.log_density(mixture, x)

    def below(mixture: Any) -> Array:
        lower, upper = map(jnp.exp, tails.log_tails(mixture, safe))
        return jnp.where(lower < 0.5, lower, 1 - upper)

    by_x = jax.jvp(lambda x: heights(mixture, x), (safe,), (jnp.ones_like(safe),))
    height, slope = by_x
    moved = jax.jvp(lambda m: heights(m, safe), (mixture,), (mixture_dot,))[1]
    mass_moved = jax.jvp(below, (mixture,), (mixture_dot,))[1]
    free = free & (slope != 0)
    inverse = jnp.where(free, 1 / jnp.where(free, slope, 1.0), 0.0)
    density = jnp.exp(height)
    missing = mass_dot - jnp.where(free, sign * mass_moved, 0.0).sum(axis=0)
    missing = missing + (sign * density * moved * inverse).sum(axis=0)
    rise = missing / (sign * density * inverse).sum(axis=0)
    dot = jnp.where(free, (rise - moved) * inverse, 0.0)
    for limit, limit_dot in zip(limits, limits_dot, strict=True):
        dot = jnp.where(found & (ends == limit), limit_dot, dot)
    dots = jnp.moveaxis(dot, 0, -1)
    return (lower, upper), (dots[..., :size], dots[..., size:])


def _limits(mixture: Any) -> Ends:
    """Return where the support begins and ends, which may be infinite."""
    log_weights, parts = tails.mixture_parts(mixture)

    def end(part: Any, upper: bool) -> Array:
        zero = jnp.zeros(part.batch_shape, _dtype(mixture))
        frozen = jax.lax.stop_gradient(part)
        x = quantiles.tail_quantile(frozen, zero, upper=upper)
        # An infinite end has no slope to give: backwards, it would make all NaN.
        at = jnp.where(jnp.isinf(x), 0.5, zero)
        return jnp.where(
            jnp.isinf(x), x, quantiles.tail_quantile(part, at, upper=upper)
        )

    some = log_weights > -jnp.inf
    lower = tails.over_parts(parts, lambda part: end(part, False))
    upper = tails.over_parts(parts, lambda part: end(part, True))
    return (
        jnp.where(some, lower, jnp.inf).min(axis=-1),
        jnp.where(some, upper, -jnp.inf).max(axis=-1),
    )


def _dtype(mixture: Any) -> Any:
    return jnp.result_type(float, *jax.tree.leaves(mixture))


def _between(mixture: Any, begin: Array, end: Array) -> Array:
    """Return the probability between two points, from the tails that are small."""
    left, right = tails.log_tails(mixture, begin), tails.log_tails(mixture, end)
    from_below = jnp.exp(right[0]) - jnp.exp(left[0])
    from_above = jnp.exp(left[1]) - jnp.exp(right[1])
    return jnp.maximum(jnp.where(right[0] < left[1], from_below, from_above), 0.0)


@jax.jit
def _grid(mixture: Any, mass: Array) -> Array:
    """Return quantiles of all components in ascending order, points first."""
    dtype = mass.dtype
    _, parts = tails.mixture_parts(mixture)
    z = jnp.asarray(-np.abs(_NORMAL_STEPS), dtype)
    small = jnp.exp(jax.scipy.special.log_ndtr(z))
    tiny = jnp.full(1, jnp.finfo(dtype).tiny * 1e3, dtype)
    small = jnp.concatenate([tiny, small, tiny])
    is_upper = np.concatenate([[False], _NORMAL_STEPS > 0, [True]])
    ndim = mass.ndim + (1 if len(parts) == 1 else 0)
    at = small.reshape(-1, *[1] * ndim)

    def of(part: Any) -> Array:
        lower = quantiles.tail_quantile(part, at, upper=False)
        upper = quantiles.tail_quantile(part, at, upper=True)
        return jnp.where(is_upper.reshape(at.shape), upper, lower)

    points = tails.over_parts(parts, of)  # (points, …, components)
    points = jnp.broadcast_to(points, (points.shape[0], *mass.shape, points.shape[-1]))
    points = jnp.moveaxis(points, -1, 0).reshape(-1, *mass.shape)
    limits = jnp.stack([jnp.broadcast_to(x, mass.shape) for x in _limits(mixture)])
    points = jnp.sort(jnp.concatenate([points, limits]), axis=0)
    low = jnp.where(jnp.isfinite(points), points, jnp.inf).min(axis=0)
    high = jnp.where(jnp.isfinite(points), points, -jnp.inf).max(axis=0)
    return jnp.clip(points, low, high)


def _turns(mixture: Any, mass: Array) -> tuple[Array, Array]:
    """Return the grid, and at which of its points the density turns."""
    points = _grid(mixture, mass)
    heights = log_densities.log_density(mixture, points)
    heights = jnp.clip(jnp.where(jnp.isnan(heights), -1e30, heights), -1e30, 1e30)
    change = jnp.diff(heights, axis=0)
    size = jnp.maximum(jnp.abs(heights[1:]), jnp.abs(heights[:-1])) + 1
    moves = jnp.abs(change) > 64 * jnp.finfo(change.dtype).eps * size
    index = jnp.arange(len(change)).reshape(-1, *[1] * mass.ndim)
    last = jax.lax.cummax(jnp.where(moves, index, -1), axis=0)
    sign = jnp.take_along_axis(jnp.sign(change), jnp.maximum(last, 0), axis=0)
    sign = jnp.where(last < 0, 0.0, sign)
    return points, sign[1:] * sign[:-1] < 0


@jax.jit
def _count_turns(mixture: Any, mass: Array) -> Array:
    return _turns(mixture, mass)[1].sum(axis=0)


def _knots(mixture: Any, mass: Array, size: int) -> tuple[Array, Array]:
    """Return both limits and between them the places where the density turns."""
    points, turns = _turns(mixture, mass)
    valid = turns.sum(axis=0) <= size
    number = jnp.cumsum(turns, axis=0) * turns  # of each turn, from 1
    order = jnp.arange(1, size + 1)
    chosen = jnp.stack([jnp.argmax(number == k, axis=0) for k in order]) + 1
    some = jnp.stack([(number == k).any(axis=0) for k in order])

    def at(shift: int) -> Array:
        return jnp.take_along_axis(points, jnp.clip(chosen + shift, 0, None), axis=0)

    # A turn lies between the neighbours of its point, or a flat stretch further on.
    low, middle, high = at(-1), at(0), at(1)
    height = partial(log_densities.log_density, mixture)
    is_top = height(middle) >= jnp.minimum(height(low), height(high))

    def shrink(_: Array, ends: Ends) -> Ends:
        low, high = ends
        one, two = low + 0.382 * (high - low), high - 0.382 * (high - low)
        left = (height(one) > height(two)) == is_top
        return jnp.where(left, low, one), jnp.where(left, two, high)

    low, high = jax.lax.fori_loop(0, 80, shrink, (low, high))
    turn = jnp.where(some, 0.5 * (low + high), points[-1])
    return jnp.concatenate([points[:1], turn, points[-1:]]), valid
