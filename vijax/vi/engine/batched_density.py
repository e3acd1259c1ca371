"""A target at many positions: all at once where memory allows, else in batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Scalar
from vijax.vi.engine.compilation import density_jit
from vijax.vi.targets.target import Target

BATCH = 256  # positions at a time in `slopes_of_many`
MAX_BATCH = 2**25  # numbers that a batch of draws may hold


def over_draws(
    target: Target, function: Callable[[Array], Any], positions: Array
) -> Any:
    """Apply a function of one position to many, in bounded memory.

    All at once where draws times data are below 2^25 numbers, else in batches.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(2))
        >>> over_draws(target, jnp.sum, jnp.array([[0.0, 1.0], [2.0, 3.0]])).tolist()
        [1.0, 5.0]
    """
    num_draws = positions.shape[0]
    num_batches = -(-num_draws // max(1, MAX_BATCH // target.data_size))
    # Batches of one size: a remainder would compile the function a second time.
    return in_batches(function, positions, -(-num_draws // max(1, num_batches)))


def in_batches(function: Callable[..., Any], draws: Any, batch_size: int) -> Any:
    """Apply a function of one draw to many, `batch_size` at a time.

    Args:
        function: of one draw, a pytree.
        draws: the same with a first axis.
        batch_size: all are mapped at once where it is their number or more.

    Example:
        >>> in_batches(lambda x: 2 * x, jnp.arange(5), 2).tolist()
        [0, 2, 4, 6, 8]
    """
    num_draws = jax.tree.leaves(draws)[0].shape[0]
    if batch_size >= num_draws:
        return jax.vmap(function)(draws)
    surplus = -num_draws % batch_size
    rows = jnp.arange(num_draws + surplus) % num_draws
    padded = jax.tree.map(lambda x: x[rows], draws)
    results = jax.lax.map(function, padded, batch_size=batch_size)
    return jax.tree.map(lambda x: x[:num_draws], results)


def slopes_of_many(target: Target, positions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return log p and its gradient at many positions, as NumPy arrays.

    They pass in batches of at most 256 of one size, so that whoever asks for more
    positions of a target compiles nothing.

    Args:
        target: the log density.
        positions: (draws, dim), outside of a trace.
    """
    number = len(positions)
    size = min(number, BATCH)
    padded = np.resize(positions, (-(-number // size) * size, positions.shape[1]))
    parts = [
        slopes(target, padded[start : start + size])
        for start in range(0, len(padded), size)
    ]
    values, gradients = zip(*jax.device_get(parts), strict=True)
    return np.concatenate(values)[:number], np.concatenate(gradients)[:number]


@density_jit
def slopes(
    target: Target, positions: Float[ArrayLike, "draws dim"]
) -> tuple[Float[Array, " draws"], Float[Array, "draws dim"]]:
    """Return log p and its gradient at many positions, all at once.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(2))
        >>> value, gradient = slopes(target, jnp.array([[2.0, 1.0]]))
        >>> value.tolist(), gradient.tolist()
        ([-2.5], [[-2.0, -1.0]])
    """
    return jax.vmap(jax.value_and_grad(target.log_density))(positions)


@density_jit
def constrained_sites(target: Target, positions: Float[Array, "draws dim"]) -> Any:
    """Return constrained unknowns and deterministic sites by name, draws first."""
    return over_draws(target, target.constrain, positions)


@density_jit
def constrained_entries(
    target: Target, positions: Float[Array, "draws dim"]
) -> Float[Array, "draws entries"]:
    """Return the constrained unknowns at many positions, site after site, raveled."""
    names = [site.name for site in target.static.sites]

    def entries(position: Array) -> Array:
        constrained = target.constrain(position)
        return jnp.concatenate([jnp.ravel(constrained[name]) for name in names])

    return over_draws(target, entries, positions).astype(positions.dtype)


def log_densities(
    target: Target, positions: Float[Array, "draws dim"]
) -> tuple[Float[Array, " draws"], Scalar]:
    """Return log p at many positions, less a reference, and the reference.

    Of a model that subsamples it is that of all rows. They pass in the model's own
    batches, in random order; those of a last, incomplete batch are left out, with the
    scale that makes up for them. The reference is then log p at the first position, so
    that a million rows leave the differences their digits; else it is 0.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(2))
        >>> positions = jnp.array([[0.0, 1.0], [2.0, 0.0]])
        >>> values, reference = log_densities(target, positions)
        >>> values.tolist(), reference.item()
        ([-0.5, -2.0], 0.0)
    """
    plates, zero = target.static.plates, jnp.zeros_like(positions[:, 0])
    if not plates:
        function = target.log_density
        return over_draws(target, function, positions), zero[0]
    order = {}
    for plate in plates:
        number = plate.size // plate.rows
        rows = jax.random.permutation(jax.random.key(0), plate.size)
        order[plate.name] = rows[: number * plate.rows].reshape(number, plate.rows)
    num_batches = max(len(rows) for rows in order.values())

    def add(index: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
        batch = {name: rows[index % len(rows)] for name, rows in order.items()}
        values = jax.vmap(lambda z: target.log_density(z, batch))(positions)
        parts = values - values[0], values[0]
        return jax.tree.map(lambda sum_, part: sum_ + part / num_batches, total, parts)

    return jax.lax.fori_loop(0, num_batches, add, (zero, zero[0]))
