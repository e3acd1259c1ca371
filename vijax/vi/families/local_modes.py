"""The mode of the locals given the globals, and the curvature there.

Newton's method for all parts at once. The negative Hessian is blocks or bands, and is
seen by few products with vectors: parts do not see one another, and in a chain entries
of one colour lie too far apart to share a row.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Scalar
from vijax.vi.engine import banded
from vijax.vi.targets.structure.dependencies import Structure
from vijax.vi.targets.structure.hessians import hessian_product

MAX_STEPS = 50  # of Newton's method for the locals
ACCURACY = 1e-3  # that the last step is below, in conditional sds
DIFFERENCE = 0.25  # of a scale: steps by which a gradient is differenced

Locals = tuple[Float[Array, "parts rows"], ...]
Factors = tuple[Float[Array, "parts rows width"], ...]
Products = tuple[Float[Array, "colours parts rows"], ...]


class Search(NamedTuple):
    """Where Newton's method for the locals stands."""

    position: Locals
    gradient: Locals
    factors: Factors  # of H at the position before
    num_steps: Int[Array, ""]
    done: Bool[Array, ""]


def newton(
    density: Callable[[Locals], Scalar], structure: Structure, start: Locals
) -> Search:
    """Climb to the mode of the locals, each part with a step length of its own.

    A part whose slope along its step has turned goes back to where the slope is zero
    (by the secant); slopes come with one gradient for all parts at once.
    """
    look = jax.grad(density)

    def step(search: Search) -> Search:
        factors = factorise(density, structure, search.position)
        move = solved(factors, search.gradient)
        tried = jax.tree.map(jnp.add, search.position, move)
        shares = jax.tree.map(_share, search.gradient, look(tried), move)
        tried = jax.tree.map(
            lambda z, share, m: z + share * m, search.position, shares, move
        )
        gradient = look(tried)
        rest = solved(factors, gradient)
        sizes = [
            jnp.max(jnp.abs(r * factor[:, :, 0]))
            for r, factor in zip(rest, factors, strict=True)
        ]
        whole = [jnp.all(share == 1) for share in shares]
        done = jnp.all(jnp.stack(sizes) < ACCURACY) & jnp.all(jnp.stack(whole))
        return Search(tried, gradient, factors, search.num_steps + 1, done)

    zero = jnp.zeros((), jnp.int32)
    factors = tuple(
        jnp.zeros((*z.shape, group.bandwidth + 1), z.dtype)
        for z, group in zip(start, structure.groups, strict=True)
    )
    begin = Search(start, look(start), factors, zero, zero > 0)
    return jax.lax.while_loop(
        lambda search: ~search.done & (search.num_steps < MAX_STEPS), step, begin
    )


def factorise(
    density: Callable[[Locals], Scalar], structure: Structure, position: Locals
) -> Factors:
    """Return the factors of the negative Hessian's bands at a position."""
    return tuple(map(banded.cholesky, curvature(density, structure, position)))


def curvature(
    density: Callable[[Locals], Scalar], structure: Structure, position: Locals
) -> Factors:
    """Return the negative Hessian's bands at a position."""
    product = hessian_product(density, position)
    return _bands(structure, jax.vmap(product)(_seeds(structure, position)))


def differenced(
    gradient: Callable[[Locals], Locals],
    structure: Structure,
    position: Locals,
    scales: Locals,
) -> tuple[Locals, Factors]:
    """Return a gradient, and the negative Hessian's bands by its central differences.

    For a function that holds a curvature itself, whose fourth derivatives would take
    longer to compile than all else. Steps are a share of each unknown's scale.
    """
    seeds = _seeds(structure, position)

    def places(z: Array, scale: Array, seed: Array) -> Array:
        steps = DIFFERENCE * scale * seed
        return jnp.concatenate([z[None], z + steps, z - steps])

    slopes = jax.vmap(gradient)(jax.tree.map(places, position, scales, seeds))
    half = structure.num_colours + 1
    products = tuple(
        scale * (slope[1:half] - slope[half:]) / (2 * DIFFERENCE)
        for slope, scale in zip(slopes, scales, strict=True)
    )
    bands = tuple(
        part / (scale[..., None] * _with_those_before(scale, part.shape[-1]))
        for part, scale in zip(_bands(structure, products), scales, strict=True)
    )
    return tuple(slope[0] for slope in slopes), bands


def _with_those_before(rows: Array, width: int) -> Array:
    """Return each row's entry and those of the rows before it, (parts, rows, width)."""
    places = np.arange(rows.shape[1])[:, None] - np.arange(width)
    return rows[:, np.maximum(places, 0)]


def _seeds(structure: Structure, position: Locals) -> Products:
    """Return vectors whose products with the Hessian show its bands, by colour."""
    colours = range(structure.num_colours)
    return tuple(
        jnp.stack([_everywhere(group.seed(colour), z) for colour in colours])
        for group, z in zip(structure.groups, position, strict=True)
    )


def _bands(structure: Structure, products: Products) -> Factors:
    """Return the bands of −H from its products with the seeds."""
    return tuple(
        -group.bands(part[: group.num_colours])
        for group, part in zip(structure.groups, products, strict=True)
    )


def _everywhere(row: np.ndarray, like: Array) -> Array:
    """Return the row in every part."""
    return jnp.broadcast_to(jnp.asarray(row, like.dtype), like.shape)


def solved(factors: Factors, right: Locals) -> Locals:
    """Return H⁻¹ times the right-hand side."""
    pairs = zip(factors, right, strict=True)
    return tuple(banded.solve(factor, part) for factor, part in pairs)


def moved(position: Locals, factors: Factors, gradient: Locals) -> Locals:
    """Return where a whole Newton step leads."""
    return jax.tree.map(jnp.add, position, solved(factors, gradient))


def _share(before: Array, after: Array, move: Array) -> Array:
    """Return the share of its step that each part takes, (parts, 1)."""
    rising = jnp.sum(before * move, axis=1, keepdims=True)
    falling = -jnp.sum(after * move, axis=1, keepdims=True)
    secant = rising / (rising + falling)
    share = jnp.where(falling > 0.25 * rising, secant, 1.0)
    return jnp.where(jnp.isfinite(falling), share, 0.1)
