"""A log density between its nodes, and the finer axes on which it is wanted."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.bayes.grid.axes import Axis, axis

_DEPTH = 40.0  # nats below the maximum, where a finer grid ends


def window(axes: tuple[Axis, ...], log_density: Array) -> tuple[Axis, ...] | None:
    """Return axes around all nodes that matter, or None where they are no finer.

    Example:
        >>> wide = axis(-50.0, 50.0, 101)
        >>> (narrow,) = window((wide,), -0.5 * wide.points**2)
        >>> print(f"{narrow.points[0]:.1f} {narrow.points[-1]:.1f}")
        -9.0 9.0
    """
    near = np.asarray(log_density)
    near = near > near.max() - _DEPTH
    finer_axes, finer = [], False
    for dim, one in enumerate(axes):
        others = tuple(i for i in range(near.ndim) if i != dim)
        (index,) = np.nonzero(near.any(axis=others))
        points = np.asarray(one.points)
        first, last = max(index[0] - 1, 0), min(index[-1] + 1, len(points) - 1)
        finer |= last - first < 0.9 * (len(points) - 1)
        finer_axes.append(axis(points[first], points[last], len(points)))
    return tuple(finer_axes) if finer else None


@partial(jax.jit, static_argnums=3)
def interpolated(
    old_axes: tuple[Axis, ...],
    log_density: Array,
    axes: tuple[Axis, ...],
    num_nodes: int,
) -> Array:
    """Return the log density at new nodes, axis by axis by Lagrange's polynomials.

    Example:
        >>> old, new = axis(0.0, 4.0, 17), axis(1.0, 3.0, 17)
        >>> middle = interpolated((old,), old.points**2, (new,), 4)[8]
        >>> print(f"{middle:.4f}")
        4.0000
    """
    values = log_density
    for dim, (old, new) in enumerate(zip(old_axes, axes, strict=True)):
        values = jnp.moveaxis(values, dim, 0)
        values = _along(values, old.points, new.points, num_nodes)
        values = jnp.moveaxis(values, 0, dim)
    return values


def _along(values: Array, points: Array, at: Array, num_nodes: int) -> Array:
    right = jnp.clip(jnp.searchsorted(points, at), 1, len(points) - 1)
    first = jnp.clip(right - num_nodes // 2, 0, len(points) - num_nodes)
    index = first[:, None] + jnp.arange(num_nodes)
    nodes, seen_values = points[index], values[index]  # (new, nodes, …)
    gaps = at[:, None] - nodes
    spacing = nodes[:, :, None] - nodes[:, None, :]
    own = jnp.eye(num_nodes, dtype=bool)
    factors = jnp.where(own, 1.0, gaps[:, None, :] / jnp.where(own, 1.0, spacing))
    weights = factors.prod(axis=-1)
    finite = jnp.isfinite(seen_values)
    smooth = jnp.einsum("mn,mn...->m...", weights, jnp.where(finite, seen_values, 0.0))
    # Beside a wall no polynomial helps: there the straight line, -inf beyond it.
    low, high = points[right - 1], points[right]
    share = ((at - low) / (high - low)).reshape(-1, *[1] * (values.ndim - 1))
    both = jnp.isfinite(values[right - 1]) & jnp.isfinite(values[right])
    left, rest = (
        jnp.where(both, one, 0.0) for one in (values[right - 1], values[right])
    )
    line = jnp.where(both, left + share * (rest - left), -jnp.inf)
    return jnp.where(finite.all(axis=1), smooth, line)
