"""Latents rounded to a grid: whole numbers that can be coded.

    grid = uniform_grid(train_latents, num_levels=16)
    symbols = quantise(grid, latents)        whole numbers from 0
    dequantise(grid, symbols)                latents again, within half a step

The grid is fixed by training latents; those beyond its ends are moved to them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax.validate import check, is_traced, seen, where_valid

_Latents = Float[ArrayLike, "examples latent"]
Symbols = Int[ArrayLike, "examples latent"]


class Grid(NamedTuple):
    """The numbers lower + step · (0, 1, …, num_levels - 1) on each latent axis."""

    lower: Float[Array, " latent"]
    step: Float[Array, " latent"]
    num_levels: Int[Array, " latent"]


def uniform_grid(
    latents: _Latents, *, num_levels: int | Int[Array, ""], shared_step: bool = False
) -> Grid:
    """Return a grid of equal steps over the range of training latents.

    Args:
        latents: of the training data; later values are clipped to their range.
        num_levels: levels on each axis, 2 or more; with a shared step, on the longest.
        shared_step: one step for all axes, so that short axes take fewer levels and
            the longest may take one more. It is the best choice where axes are
            orthonormal, as those of principal components.

    Raises:
        ValueError: fewer than two levels, no example, NaN or infinities.

    Example:
        >>> train = jnp.array([[0.0, 0.0], [3.0, 1.0]])
        >>> uniform_grid(train, num_levels=4).step.tolist()
        [1.0, 0.3333333...]
    """
    whole = is_traced(num_levels) or num_levels == round(float(num_levels))
    valid = whole & (num_levels >= 2)
    check(valid, "num_levels", num_levels, "give a whole number of 2 or more")
    latents = _finite("latents", latents)
    check(len(latents) >= 1, "latents", latents.shape, "give one example or more")
    return _uniform_grid(latents, num_levels, shared_step)


@partial(jax.jit, static_argnums=2)
def _uniform_grid(latents: Array, num_levels: Array, shared_step: bool) -> Grid:
    lower, upper = jnp.min(latents, axis=0), jnp.max(latents, axis=0)
    step = (upper - lower) / (num_levels - 1)
    if not shared_step:
        step = jnp.where(step > 0, step, 1.0)  # an axis without width has one level
        count = jnp.round((upper - lower) / step).astype(int) + 1
        return Grid(lower, step, count)
    # The mean is a level, so an axis much shorter than the step costs and loses least.
    mean, step = jnp.mean(latents, axis=0), jnp.full_like(step, jnp.max(step))
    below, above = jnp.round((mean - lower) / step), jnp.round((upper - mean) / step)
    return Grid(mean - below * step, step, (below + above).astype(int) + 1)


def quantise(grid: Grid, latents: _Latents) -> Int[Array, "examples latent"]:
    """Return the number of the nearest level, 0 to num_levels - 1.

    Raises:
        ValueError: latents of another number of dimensions, NaN or infinities.

    Example:
        >>> grid = uniform_grid(jnp.array([[0.0], [3.0]]), num_levels=4)
        >>> quantise(grid, jnp.array([[1.2], [-5.0], [9.0]])).ravel().tolist()
        [1, 0, 3]
    """
    latents = _finite("latents", latents, columns=len(grid.lower))
    return _nearest(grid, latents)


@jax.jit
def _nearest(grid: Grid, latents: Array) -> Array:
    symbols = jnp.round((latents - grid.lower) / grid.step).astype(int)
    return jnp.clip(symbols, 0, grid.num_levels - 1)


def dequantise(grid: Grid, symbols: Symbols) -> Float[Array, "examples latent"]:
    """Return the levels that symbols stand for, lower + step · symbol.

    Raises:
        ValueError: symbols that are not whole numbers or not on the grid.

    Example:
        >>> grid = uniform_grid(jnp.array([[1.0], [4.0]]), num_levels=4)
        >>> dequantise(grid, jnp.array([[2]])).item()
        3.0
    """
    symbols = jnp.asarray(symbols)
    if not jnp.issubdtype(symbols.dtype, jnp.integer) or symbols.ndim != 2:
        raise ValueError(
            f"symbols are {symbols.dtype} of shape {symbols.shape}: give whole "
            "numbers of (examples, latent)"
        )
    there = (seen(symbols) >= 0) & (seen(symbols) < seen(grid.num_levels))
    valid = check(there, "symbols", symbols, "give 0 to num_levels - 1 of each latent")
    return where_valid(valid, grid.lower + grid.step * symbols)


def _finite(
    name: str, latents: _Latents, *, columns: int | None = None
) -> Float[Array, "examples latent"]:
    latents = jnp.asarray(latents)
    if latents.ndim != 2 or columns not in (None, latents.shape[1]):
        raise ValueError(
            f"{name} have shape {latents.shape}: give (examples, {columns or 'latent'})"
        )
    check(abs(seen(latents)) < np.inf, name, latents, "remove NaN and infinities")
    return latents
