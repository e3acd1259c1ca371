"""The axes of a grid: nodes, the weights that integrate, functions at all nodes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from vijax.bayes.validation import value_checks
from vijax.validate import where_valid

_ENDS = 8  # nodes whose weights are corrected at each end of an axis
_ZETA = (-0.5, -1 / 12, 0.0, 1 / 120, 0.0, -1 / 252, 0.0, 1 / 240)  # ζ(0), ζ(-1), …


class Axis(NamedTuple):
    """The nodes of one parameter and the weights that integrate over it."""

    points: Float[Array, " points"]
    weights: Float[Array, " points"]


def axis(low: ArrayLike, high: ArrayLike, num_points: int = 201) -> Axis:
    """Return equally spaced nodes with Gregory's weights (end corrections of order 8).

    Exact for polynomials up to degree 7; a smooth density of width w is integrated to
    rounding once the spacing is below about w / 2.

    ∫ f dθ ≈ Σ w_i f(θ_i).

    Args:
        low: where the grid begins, in the parameter's unit.
        high: where it ends, above `low`.
        num_points: 16 or more.

    Raises:
        ValueError: ends that are not finite or in the wrong order, too few points.

    References:
        Davis & Rabinowitz (1984), Methods of Numerical Integration, section 2.9.

    Example:
        >>> nodes = axis(0.0, 1.0, 21)
        >>> print(f"{(nodes.weights * nodes.points**3).sum():.6f}")
        0.250000
    """
    low, low_valid = value_checks.finite("low", low)
    high, high_valid = value_checks.finite("high", high)
    for name, end in (("low", low), ("high", high)):
        if end.ndim:
            raise ValueError(f"{name} has shape {end.shape}: give one number")
    valid = value_checks.checked(low < high, "high", high, "give a number above low")
    high = where_valid(valid & low_valid & high_valid, high)
    enough = num_points == int(num_points) and num_points >= 2 * _ENDS
    remedy = f"give a whole number, {2 * _ENDS} or more"
    value_checks.checked(enough, "num_points", num_points, remedy)
    weights = np.ones(num_points)
    powers = np.vander(np.arange(_ENDS), increasing=True).T
    correction = np.linalg.solve(powers.astype(float), -np.asarray(_ZETA)) - (
        np.arange(_ENDS) == 0
    )
    weights[:_ENDS] += correction
    weights[-_ENDS:] += correction[::-1]
    spacing = (high - low) / (num_points - 1)
    return Axis(jnp.linspace(low, high, num_points), spacing * jnp.asarray(weights))


def on_grid(
    name: str, function: Callable[[Array], ArrayLike], axes: tuple[Axis, ...]
) -> Array:
    """Return a function of one point (dims,) at all nodes, in the shape of the grid.

    Raises:
        ValueError: a function whose result is not one number.

    Example:
        >>> on_grid("square", lambda theta: theta[0] ** 2, (axis(0.0, 15.0, 16),))[3]
        Array(9., dtype=float32)
    """
    points = points_of(axes)
    values = jnp.asarray(jax.vmap(function)(points.reshape(-1, len(axes))))
    if values.ndim != 1:
        raise ValueError(
            f"{name} has shape {values.shape[1:]} at one point: give a function whose "
            "result is one number"
        )
    return jnp.asarray(values, points.dtype).reshape(points.shape[:-1])


@jax.jit
def points_of(axes: tuple[Axis, ...]) -> Array:
    """Return all nodes, the coordinates on the last axis.

    Example:
        >>> points_of((axis(0.0, 5.0, 16), axis(0.0, 5.0, 20))).shape
        (16, 20, 2)
    """
    return jnp.stack(jnp.meshgrid(*(a.points for a in axes), indexing="ij"), axis=-1)


def weights_of(axes: tuple[Axis, ...]) -> Array:
    """Return the weights that integrate over the grid; of no axis it is 1.

    Example:
        >>> print(f"{weights_of((axis(0.0, 5.0), axis(0.0, 2.0))).sum():.4f}")
        10.0000
    """
    weights = jnp.ones(())
    for one in axes:
        weights = weights[..., None] * one.weights
    return weights


def sum_on_grid(
    log_likelihood: Callable[[Array, Any], ArrayLike], data: PyTree, axes: Any
) -> Array:
    """Return the sum over data of a log likelihood at all nodes.

    Example:
        >>> nodes = (axis(0.0, 5.0, 16),)
        >>> total = sum_on_grid(lambda t, x: t[0] * x, jnp.array([1.0, 3.0]), nodes)
        >>> print(f"{total[-1]:.4f}")
        20.0000
    """

    def add(total: Array, datum: Any) -> tuple[Array, None]:
        values = on_grid("log_likelihood", lambda t: log_likelihood(t, datum), axes)
        return total + values, None

    shape = tuple(len(one.points) for one in axes)
    return jax.lax.scan(add, jnp.zeros(shape, axes[0].points.dtype), data)[0]


@jax.jit
def masses_of(log_density: Array, axes: tuple[Axis, ...]) -> Array:
    """Return the probability of each cell.

    Example:
        >>> flat = jnp.full(16, -jnp.log(5.0))
        >>> print(f"{masses_of(flat, (axis(0.0, 5.0, 16),)).sum():.4f}")
        1.0000
    """
    return jnp.exp(log_density) * weights_of(axes)
