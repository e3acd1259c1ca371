r"""Parameters between bounds, as functions of the real line, with their Jacobian.

    θ = map(u)      u ∈ ℝ, lower < θ < upper

The map takes a standard normal u to a normal θ that is cut at the bounds, centred where
the auxiliary measurement is and as wide as its error; to a uniform θ where there is no
measurement. So the constraint term of a nuisance parameter becomes N(u | 0, 1) whatever
the bounds, and a posterior that runs into a bound has normal tails in u.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
LEAST_ROOM = 1.0  # widths on each side of the centre, else the map is the uniform's


class Bounded(NamedTuple):
    """The map of each unknown; arrays of one shape."""

    lower: Any
    upper: Any
    centre: Any
    width: Any
    is_normal: Any  # else uniform


def bounded(lower: Any, upper: Any, centre: Any, width: Any) -> Bounded:
    """Return the map; `centre` and `width` are NaN where nothing was measured."""
    lower, upper, centre, width = (
        np.asarray(x, float) for x in (lower, upper, centre, width)
    )
    is_normal = (centre - lower >= LEAST_ROOM * width) & (
        upper - centre >= LEAST_ROOM * width
    )
    centre = np.where(is_normal, centre, 0.0)
    width = np.where(is_normal, width, 1.0)
    return Bounded(lower, upper, centre, width, is_normal)


def to_bounds(bounds: Bounded, u: Float[Array, " unknowns"]) -> Array:
    """Return θ between its bounds.

    Example:
        >>> scale = bounded([0.0], [10.0], [np.nan], [np.nan])
        >>> to_bounds(jax.tree.map(jnp.asarray, scale), jnp.zeros(1)).tolist()
        [5.0]
    """
    return _to_bounds(bounds, u)


def log_jacobian(bounds: Bounded, u: Float[Array, " unknowns"]) -> Array:
    """Return log |dθ/du|, summed over the unknowns."""
    return jnp.sum(_log_slope(bounds, u, _to_bounds(bounds, u)))


def from_bounds(bounds: Bounded, theta: Float[Array, " unknowns"]) -> Array:
    """Return u, the inverse of `to_bounds`; ±∞ at a bound."""
    low, high, whole = _edges(bounds)
    z = (theta - bounds.centre) / bounds.width
    # From the nearer end, whose tail has all its digits.
    below = jnp.where(
        bounds.is_normal, (ndtr(z) - ndtr(low)) / whole, _share(bounds, theta)
    )
    above = jnp.where(
        bounds.is_normal,
        (ndtr(-z) - ndtr(-high)) / whole,
        (bounds.upper - theta) / (bounds.upper - bounds.lower),
    )
    return jnp.where(below < 0.5, ndtri(below), -ndtri(above))


def _share(bounds: Bounded, theta: Array) -> Array:
    return (theta - bounds.lower) / (bounds.upper - bounds.lower)


def _edges(bounds: Bounded) -> tuple[Array, Array, Array]:
    """Return the bounds in widths from the centre, and the probability between them."""
    low = (bounds.lower - bounds.centre) / bounds.width
    high = (bounds.upper - bounds.centre) / bounds.width
    return low, high, ndtr(high) - ndtr(low)


@jax.custom_jvp
def _to_bounds(bounds: Bounded, u: Array) -> Array:
    low, high, whole = _edges(bounds)
    left = u < 0
    tail = ndtr(-jnp.abs(u))  # of the nearer end
    edge = jnp.where(left, ndtr(low), ndtr(-high))
    z = ndtri(edge + tail * whole)
    normal = bounds.centre + bounds.width * jnp.where(left, z, -z)
    step = (bounds.upper - bounds.lower) * tail
    uniform = jnp.where(left, bounds.lower + step, bounds.upper - step)
    theta = jnp.where(bounds.is_normal, normal, uniform)
    return jnp.clip(theta, bounds.lower, bounds.upper)


@_to_bounds.defjvp
def _derivative(primals: Any, tangents: Any) -> tuple[Array, Array]:
    bounds, u = primals
    theta = _to_bounds(bounds, u)
    return theta, jnp.exp(_log_slope(bounds, u, theta)) * tangents[1]


def _log_slope(bounds: Bounded, u: Array, theta: Array) -> Array:
    """Return log dθ/du: of the density of u over that of θ."""
    z = (theta - bounds.centre) / bounds.width
    _, _, whole = _edges(bounds)
    normal = 0.5 * z**2 + jnp.log(bounds.width * whole)
    uniform = jnp.log(bounds.upper - bounds.lower) - HALF_LOG_2PI
    return jnp.where(bounds.is_normal, normal, uniform) - 0.5 * u**2
