"""Are the nodes of a grid as dense as the width of the density on it asks for?"""

import jax.numpy as jnp
from jaxtyping import Array

_BEND = 1.0  # fall of the log density over a spacing, twice: (spacing / width)²
_LARGEST_CELL = 0.45  # of the mass; a normal as wide as the spacing has 0.4


def is_resolved(log_density: Array, along: Array, dim: int) -> Array:
    """Say whether an axis is: no cell with nearly all of the mass, no sharp bend.

    Args:
        log_density: on all axes.
        along: the mass of each cell of this axis alone.
        dim: the axis.

    Example:
        >>> x = jnp.linspace(-5.0, 5.0, 11)
        >>> mass = jnp.exp(-0.5 * x**2) / jnp.sqrt(2 * jnp.pi)
        >>> is_resolved(-0.5 * (x / 0.5) ** 2, mass, 0).item()
        False
    """
    return (along.max() < _LARGEST_CELL) & _is_smooth(log_density, dim)


def _is_smooth(log_density: Array, dim: int) -> Array:
    """Say whether the density bends little at its peaks, where it matters."""
    values = jnp.moveaxis(log_density, dim, 0)
    left, middle, right = values[:-2], values[1:-1], values[2:]
    matters = (middle >= left) & (middle >= right)
    matters &= middle > log_density.max() - 12
    matters &= jnp.isfinite(left) & jnp.isfinite(right)
    left, middle, right = (jnp.where(matters, v, 0.0) for v in (left, middle, right))
    return jnp.all(jnp.abs(left + right - 2 * middle) < _BEND)
