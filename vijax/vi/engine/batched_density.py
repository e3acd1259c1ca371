"""A target at many positions: all at once where memory allows, else in batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.types import Scalar
from vijax.validate import is_traced
from vijax.vi.engine.compilation import density_jit
from vijax.vi.targets.target import Target

BATCH = 256  # positions at a time in `slopes_of_many`
EVALUATED = 1024  # and in `evaluate`
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


def enough_draws(target: Target) -> int:
    """Return the size of a batch of fixed draws: large where the density is cheap."""
    affordable = min(4096, 2**18 // target.cost, 2**14 // target.dim)
    number = max(128, 4 * target.dim, 2 * (affordable // 2))
    return number if number <= BATCH else BATCH * round(number / BATCH)


def slopes_of_many(target: Target, positions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return log p and its gradient at many positions, as NumPy arrays.

    They pass in batches of `enough_draws`, at most 256, filled up where need be, so
    that whoever asks for more positions of a target compiles nothing; only positions
    that would fill less than half a batch make one of their own.

    Args:
        target: the log density.
        positions: (draws, dim), outside of a trace.
    """
    size, number = min(enough_draws(target), BATCH), len(positions)
    size = size if 2 * number >= size else number
    found: tuple[np.ndarray, np.ndarray]
    found = by_batches(slopes, target, positions, size)
    return found


def by_batches(program: Any, thing: Any, rows: Any, size: int) -> Any:
    """Return program(thing, rows), compiled for `size` rows only, as NumPy arrays.

    Outside of a trace; the last batch is filled up with rows that are left out again.

    Example:
        >>> by_batches(jax.jit(lambda a, x: a * x), 2.0, np.arange(3.0), 2)
        array([0., 2., 4.], dtype=float32)
    """
    rows = np.asarray(rows)  # slices of JAX's arrays compile
    number = len(rows)
    if missing := -number % size:
        rows = np.resize(rows, (number + missing, *rows.shape[1:]))
    parts = [
        program(thing, rows[start : start + size])
        for start in range(0, len(rows), size)
    ]
    return jax.tree.map(lambda *found: _joined(found)[:number], *parts)


def _joined(parts: tuple[Array, ...]) -> np.ndarray:
    """Return arrays one after the other, in NumPy; a single one is not copied."""
    arrays = [np.asarray(part) for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


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


def evaluate(target: Target, positions: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return log p less a reference, the reference, and constrained sites by name.

    Outside of a trace they pass in batches of one size, which every caller shares; see
    `log_densities` for models that subsample.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda p: -p["x"] ** 2, {"x": 0.0})
        >>> log_p, reference, sites = evaluate(target, jnp.array([[1.0], [2.0]]))
        >>> log_p.tolist(), sites["x"].tolist()
        ([-1.0, -4.0], [1.0, 2.0])
    """
    if target.static.plates or is_traced(target, positions):
        return *all_rows(target, positions), constrained_sites(target, positions)
    size = max(1, min(EVALUATED, MAX_BATCH // target.data_size))
    log_p, sites = by_batches(_values, target, positions, size)
    return log_p, log_p.dtype.type(0), sites


@density_jit
def _values(target: Target, positions: Float[ArrayLike, "draws dim"]) -> Any:
    return jax.vmap(lambda z: (target.log_density(z), target.constrain(z)))(positions)


@density_jit
def all_rows(
    target: Target, positions: Float[ArrayLike, "draws dim"]
) -> tuple[Array, Scalar]:
    """Return `log_densities`, all positions in one program."""
    return log_densities(target, jnp.asarray(positions))


@density_jit
def constrained_sites(target: Target, positions: Float[ArrayLike, "draws dim"]) -> Any:
    """Return constrained unknowns and deterministic sites by name, draws first."""
    return over_draws(target, target.constrain, jnp.asarray(positions))


@density_jit
def constrained_entries(
    target: Target, positions: Float[ArrayLike, "draws dim"]
) -> Float[Array, "draws entries"]:
    """Return the constrained unknowns at many positions, site after site, raveled."""
    names = [site.name for site in target.static.sites]

    def unknowns(position: Array) -> dict[str, Array]:
        constrained = target.constrain(position)
        return {name: constrained[name] for name in names}

    found: Array = entries(target, over_draws(target, unknowns, jnp.asarray(positions)))
    return found


def entries(target: Target, sites: dict[str, Any]) -> Any:
    """Return unknowns as (draws, entries), site after site, without the other sites."""
    rows = [sites[site.name] for site in target.static.sites]
    xp = array_module(rows)
    flat = xp.concatenate([xp.reshape(x, (len(x), -1)) for x in rows], axis=1)
    return flat.astype(target.init.dtype)


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
