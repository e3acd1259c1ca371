"""Highest-density regions of a grid: all points where the density exceeds a level.

A density with several modes has a region of several pieces. In one dimension they come
back as intervals, otherwise as a mask over the grid. The level itself is what a plot
draws its contour at.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vijax.bayes.grid.landscape import Landscape, probabilities
from vijax.bayes.numerics import roots
from vijax.bayes.numerics.interval import Interval
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

MAX_INTERVALS = 8


def log_density_level(landscape: Landscape, mass: Numbers) -> Float[Array, ""]:
    """Return the log density above which the cells hold `mass`.

    Args:
        landscape: with any number of axes.
        mass: probability inside the region, between 0 and 1.

    Returns:
        One number, in nats per unit of the parameters' volume.

    Raises:
        ValueError: a mass outside (0, 1). In a trace such a mass gives NaN.

    References:
        R. J. Hyndman (1996), Am. Statistician 50, 120.

    Example:
        >>> from vijax.bayes.grid import landscape
        >>> axis = landscape.axis(-8.0, 8.0, 1601)
        >>> normal = landscape.prior(lambda theta: -0.5 * theta[0] ** 2, (axis,))
        >>> level = log_density_level(normal, 0.6827)  # log density at one sigma
        >>> print(f"{level:.2f}")
        -1.42
    """
    mass, valid = _one_mass(mass)
    return where_valid(valid, _log_density_level(landscape, mass))


def _one_mass(mass: Numbers) -> tuple[Array, Array]:
    mass, valid = value_checks.fraction("mass", mass)
    if mass.ndim:
        raise ValueError(f"mass has shape {mass.shape}: give one number, and vmap")
    return mass, valid


@jax.jit
def _log_density_level(landscape: Landscape, mass: Array) -> Array:
    log_density = landscape.log_density.ravel()
    order = jnp.argsort(-log_density)
    held = jnp.cumsum(probabilities(landscape).ravel()[order])
    last = jnp.minimum(jnp.searchsorted(held, mass), held.size - 1)
    return log_density[order][last]


def region(landscape: Landscape, mass: Numbers = 0.95) -> Bool[Array, "..."]:
    """Return which nodes belong to the highest-density region, a mask over the grid.

    {θ: p(θ) >= level}; arguments and source as in `log_density_level`.

    Raises:
        ValueError: as in `log_density_level`.

    Example:
        >>> from vijax.bayes.grid import landscape
        >>> axis = landscape.axis(0.0, 1.0, 101)
        >>> ramp = landscape.prior(lambda theta: jnp.log(theta[0] + 1e-9), (axis,))
        >>> region(ramp, 0.75).sum().item()  # x > 1/2 holds three quarters
        51
    """
    return landscape.log_density >= log_density_level(landscape, mass)


def intervals_of(landscape: Landscape, mass: Numbers = 0.95) -> Interval:
    """Return the intervals where a density of one variable is above one level.

    The density is taken as linear between the nodes, the mass inside exactly so.

    Args:
        landscape: with one axis.
        mass: probability inside all intervals together.

    Returns:
        Lower and upper ends in ascending order, NaN after the last. There are as many
        as the region has, 8 at least; in a trace 8, all NaN where it has more.

    Raises:
        ValueError: several axes, a mass outside (0, 1).

    References:
        R. J. Hyndman (1996), Am. Statistician 50, 120.

    Example:
        >>> from vijax.bayes.grid import landscape
        >>> axis = landscape.axis(-8.0, 8.0, 1601)
        >>> two = lambda theta: jnp.logaddexp(
        ...     -2 * (theta[0] - 3) ** 2, -2 * (theta[0] + 3) ** 2
        ... )
        >>> lower, upper = intervals_of(landscape.prior(two, (axis,)), 0.9545)
        >>> print(f"({lower[0]:.2f}, {upper[0]:.2f}) ({lower[1]:.2f}, {upper[1]:.2f})")
        (-4.00, -2.00) (2.00, 4.00)
    """
    if len(landscape.axes) != 1:
        raise ValueError(
            f"landscape has {len(landscape.axes)} axes: give one of its marginals"
        )
    mass, valid = _one_mass(mass)
    lower, upper, number = _intervals_of(landscape, mass, MAX_INTERVALS)
    if not is_traced(number) and number > MAX_INTERVALS:
        size = 1 << int(number - 1).bit_length()  # few programs
        lower, upper, _ = _intervals_of(landscape, mass, size)
    about = "of the posterior, highest density"
    return where_valid(valid, Interval.of((lower, upper), mass, about))


@partial(jax.jit, static_argnums=2)
def _intervals_of(
    landscape: Landscape, mass: Array, size: int
) -> tuple[Array, Array, Array]:
    points, log_density = landscape.axes[0].points, landscape.log_density
    density = jnp.exp(log_density - log_density.max())
    left, right = density[:-1], density[1:]
    widths = jnp.diff(points)
    total = jnp.sum(0.5 * widths * (left + right))

    def above(level: Array) -> Array:
        """Return the mass of the piecewise linear density where it is above."""
        top, bottom = jnp.maximum(left, right), jnp.minimum(left, right)
        crosses = (bottom < level) & (level < top)
        share = (top - level) / jnp.where(crosses, top - bottom, 1.0)
        part = jnp.where(crosses, share * 0.5 * (top + level), 0.5 * (top + bottom))
        return jnp.sum(widths * jnp.where(top > level, part, 0.0)) / total

    def holds_enough(level: Array) -> Array:
        return above(level) >= mass

    zero, one = jnp.zeros_like(total), jnp.ones_like(total)
    level, _ = roots.bisect(holds_enough, zero, one)

    inside = density > level
    edge = jnp.zeros(1, bool)
    begins = inside & ~jnp.concatenate([edge, inside[:-1]])
    ends = inside & ~jnp.concatenate([inside[1:], edge])
    number = begins.sum()
    first, last = (
        jnp.nonzero(mask, size=size, fill_value=-1)[0] for mask in (begins, ends)
    )
    lower = _crossing(points, density, level, first - 1, first)
    upper = _crossing(points, density, level, last, last + 1)
    found = (first >= 0) & (number <= size)
    lower, upper = (jnp.where(found, ends, jnp.nan) for ends in (lower, upper))
    return lower, upper, number


def _crossing(points: Array, density: Array, level: Array, i: Array, j: Array) -> Array:
    """Return where the density crosses the level between two neighbours."""
    top = len(points) - 1
    i_, j_ = jnp.clip(i, 0, top), jnp.clip(j, 0, top)
    rise = density[j_] - density[i_]
    share = (level - density[i_]) / jnp.where(rise == 0, 1.0, rise)
    crossing = points[i_] + jnp.clip(share, 0.0, 1.0) * (points[j_] - points[i_])
    return jnp.where((i < 0) | (j > top), points[jnp.where(i < 0, j_, i_)], crossing)
