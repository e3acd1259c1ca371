"""Quantiles of draws and of a density on a grid."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax.bayes.grid.landscape import Landscape


def of_draws(name: str, draws: Array, q: Array) -> Array:
    """Return quantiles of draws along the first axis, of shape q by one draw's.

    Raises:
        ValueError: fewer than two draws.

    Example:
        >>> of_draws("posterior", jnp.arange(5.0), jnp.asarray(0.5)).item()
        2.0
    """
    if draws.ndim == 0 or draws.shape[0] < 2:
        raise ValueError(
            f"{name} has shape {draws.shape}: give a distribution, or two draws or "
            "more along the first axis"
        )
    return jnp.quantile(draws, q, axis=0)


def of_landscape(landscape: Landscape, q: Array) -> Array:
    """Return quantiles of a landscape with one axis: its density is piecewise linear.

    Raises:
        ValueError: several axes.

    Example:
        >>> from vijax.bayes.grid import landscape
        >>> flat = landscape.prior(lambda theta: 0.0, (landscape.axis(0.0, 4.0),))
        >>> print(f"{of_landscape(flat, jnp.asarray(0.25)):.4f}")
        1.0000
    """
    if len(landscape.axes) != 1:
        raise ValueError(
            f"posterior has {len(landscape.axes)} axes: give one of its marginals"
        )
    return _of_landscape(landscape, q)


@jax.jit
def _of_landscape(landscape: Landscape, q: Array) -> Array:
    points, density = landscape.axes[0].points, jnp.exp(landscape.log_density)
    cells = 0.5 * (density[1:] + density[:-1]) * jnp.diff(points)
    cdf = jnp.concatenate([jnp.zeros(1, cells.dtype), jnp.cumsum(cells)])
    target = q * cdf[-1]
    i = jnp.clip(jnp.searchsorted(cdf, target) - 1, 0, len(points) - 2)
    width = points[i + 1] - points[i]
    slope = (density[i + 1] - density[i]) / width
    missing = target - cdf[i]
    root = jnp.sqrt(jnp.maximum(density[i] ** 2 + 2 * slope * missing, 0.0))
    step = 2 * missing / jnp.maximum(density[i] + root, jnp.finfo(cdf.dtype).tiny)
    return points[i] + jnp.minimum(step, width)
