"""One pure function over many hyperparameters: `vmap` in batches of bounded memory.

    sweep(fn, grid)[i] == fn(grid[i])        for every leaf's row i

The rows of a batch are split over all local devices. The host holds the whole grid and
the whole result as NumPy arrays; a device holds at most two batches of them.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree
from tqdm import tqdm

from vijax.validate import check

ROWS_PER_DEVICE = 1 << 16  # the default batch, where BYTES_PER_DEVICE allows it
BYTES_PER_DEVICE = 1 << 28
AXIS = "rows"


def sweep(
    fn: Callable[[Any], Any],
    grid: PyTree,
    *,
    batch_size: int | None = None,
    description: str = "sweep",
) -> PyTree:
    """Apply `fn` to every row of `grid` and stack what it returns.

    Args:
        fn: a pure function of one row, from any pytree to any pytree of arrays. It is
            compiled once for each function object and shapes: define it once, not in
            a loop.
        grid: any pytree, NumPyro distributions and random keys among it. The rows are
            each leaf's leading axis; a leaf without axes, or with one row where
            others have more, is shared by all rows.
        batch_size: rows computed at once, over all devices together. By default
            65 536 a device, fewer where a device would need more than 256 MiB.
        description: shown at the progress bar, which is silent without a terminal.

    Returns:
        What `fn` returns, stacked, as NumPy arrays; NumPyro distributions have the
        rows as their batch shape.

    Raises:
        ValueError: no leaf has rows, leaves disagree on their number, or
            `batch_size` is below 1.

    Example:
        >>> sweep(lambda row: {"square": row**2}, np.arange(4.0))["square"].tolist()
        [0.0, 1.0, 4.0, 9.0]
    """
    if not callable(fn):
        raise ValueError(f"fn is a {type(fn).__name__}: give a function of one row")
    if batch_size is not None:
        whole = batch_size == int(batch_size) and batch_size >= 1
        check(whole, "batch_size", batch_size, "give a whole number of rows >= 1")
        batch_size = int(batch_size)
    grid = _map_batch_shape(grid, lambda shape: shape[1:])
    leaves, structure = jax.tree.flatten(grid)
    leaves = [_to_host(leaf) for leaf in leaves]
    num_rows = _count_rows(leaves)
    shared = tuple(np.ndim(leaf) == 0 or len(leaf) < num_rows for leaf in leaves)
    mesh = Mesh(np.array(jax.local_devices()), AXIS)

    def take(start: int, size: int) -> list[Any]:
        pairs = zip(leaves, shared, strict=True)
        batch = [_take(leaf, alone, start, size) for leaf, alone in pairs]
        return jax.device_put(batch, [NamedSharding(mesh, s) for s in _specs(shared)])

    def compile_for(size: int) -> tuple[int, Any]:
        size = -(-min(size, num_rows) // mesh.size) * mesh.size
        # A second sweep with the same function and shapes finds this in jit's cache.
        return size, _run.lower(fn, structure, shared, mesh, take(0, size)).compile()

    size, run = compile_for(batch_size or ROWS_PER_DEVICE * mesh.size)
    excess = _bytes_per_device(run) / BYTES_PER_DEVICE
    if batch_size is None and excess > 1:
        size, run = compile_for(int(size / excess))

    results = [
        np.empty((num_rows, *out.shape[1:]), out.dtype)
        for out in jax.tree.leaves(run.out_info)
    ]
    with tqdm(
        total=num_rows, desc=description, unit="row", unit_scale=True, disable=None
    ) as bar:
        previous: list[Any] = []  # one batch is computed while the last is copied
        for start in range(0, num_rows + size, size):
            current = run(take(start, size)) if start < num_rows else None
            for result, out in zip(results, previous, strict=False):
                rows = result[start - size : start]
                rows[...] = np.asarray(out)[: len(rows)]
            bar.update(min(size, num_rows - start + size) if previous else 0)
            previous = jax.tree.leaves(current)
    stacked = jax.tree.unflatten(jax.tree.structure(run.out_info), results)
    return _map_batch_shape(stacked, lambda shape: (num_rows, *shape))


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    fn: Callable[[Any], Any],
    structure: Any,
    shared: tuple[bool, ...],
    mesh: Mesh,
    leaves: list[Any],
) -> PyTree:
    """Compute one batch, each device its own rows, without talking to the others."""

    def one_row(*leaves: Any) -> Any:
        return fn(jax.tree.unflatten(structure, leaves))

    return jax.shard_map(
        jax.vmap(one_row, in_axes=tuple(None if alone else 0 for alone in shared)),
        mesh=mesh,
        in_specs=tuple(_specs(shared)),
        out_specs=PartitionSpec(AXIS),
        check_vma=False,
    )(*leaves)


def _specs(shared: tuple[bool, ...]) -> list[PartitionSpec]:
    return [PartitionSpec() if alone else PartitionSpec(AXIS) for alone in shared]


def _to_host(leaf: Any) -> Any:
    """Return a NumPy array, but leave Python numbers weakly typed and keys opaque."""
    if isinstance(leaf, bool | int | float | complex):
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    array = np.asarray(leaf)
    if array.dtype.kind not in "biufcV":  # V: bfloat16 and its kin
        raise ValueError(f"grid has a leaf of type {array.dtype}: give numbers")
    return array


def _count_rows(leaves: list[Any]) -> int:
    lengths = {len(leaf) for leaf in leaves if np.ndim(leaf)}
    remedy = "give leaves whose leading axis has the same number of rows"
    check(len(lengths - {1}) == 1 or lengths == {1}, "grid", sorted(lengths), remedy)
    check(0 not in lengths, "grid", sorted(lengths), "give at least one row")
    return max(lengths)


def _take(leaf: Any, alone: bool, start: int, size: int) -> Any:
    """Return a batch of rows; beyond the last row, repeat it."""
    if alone:
        return leaf[0] if np.ndim(leaf) else leaf
    if start + size <= len(leaf):
        return leaf[start : start + size]
    return leaf[np.minimum(np.arange(start, start + size), len(leaf) - 1)]


def _bytes_per_device(run: Any) -> int:
    memory = run.memory_analysis()
    if memory is None:  # a backend may not know
        return 0
    return (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
    )


def _map_batch_shape(tree: PyTree, change: Callable[[Any], Any]) -> PyTree:
    """Set the batch shape of NumPyro distributions, which vmap leaves as it was."""

    def visit(node: Any) -> Any:
        if not isinstance(node, dist.Distribution):
            return node
        node = copy.copy(node)
        vars(node).update({name: visit(value) for name, value in vars(node).items()})
        node._batch_shape = change(node._batch_shape)
        return node

    return jax.tree.map(
        visit, tree, is_leaf=lambda node: isinstance(node, dist.Distribution)
    )
