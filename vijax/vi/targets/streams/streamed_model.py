r"""A target whose rows are a stream: its log density is a pass over all blocks.

    log p(θ, y) = log p(θ) + Σ_blocks Σ_rows log p(y_row | θ)

Each step of a fit sees all rows, so that no order of the rows can matter, and the
answer is the one of a fit that has all of them in memory, but for rounding. A block at
a time is in memory. Numbers are float64: a sum over millions of rows needs the digits.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.processes import gathered
from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi.targets.arguments.data_arguments import join, to_device
from vijax.vi.targets.models.numpyro_model import from_numpyro
from vijax.vi.targets.streams.scaled_rows import WEIGHTS, InParts
from vijax.vi.targets.streams.stream import Block, Stream
from vijax.vi.targets.target import Rows, Static, Target, TargetError

MOST_CHECKED = 1000  # rows of each of the halves that are compared
RTOL = 1e-6  # of the comparison: rows may be in float32
THIN_ROWS = 20_000  # that a start is found with


class Streamed(NamedTuple):
    """Which of a target's arrays come from a stream."""

    stream: Stream  # of this process
    names: tuple[str, ...]  # columns, and the weights
    positions: tuple[int, ...]  # of each, in the target's data
    of_block: Callable[..., Any]  # the density of one block: (static, data, params, …)
    constrain: Callable[..., Any]
    num_rows: int  # of all processes
    block_size: int
    num_blocks: int  # of each process, where it has as many
    num_processes: int


def from_stream(
    model: Callable[..., Any],
    stream: Stream,
    *args: Any,
    plate: str = "rows",
    **kwargs: Any,
) -> Target:
    r"""Make a target of a NumPyro model whose rows are a stream.

    In a run of several processes (`jax.distributed`) each gives a stream of its own
    part of the rows, and makes the same calls: sums are over all of them.

    The model is called with the columns of a block by name, as with a small data set;
    its observed rows are in a `numpyro.plate` named `plate`. It may not look at rows
    together (a mean over rows, a neighbour): that is tried on regrouped rows.

    Args:
        model: any function with NumPyro's primitives; no discrete unknowns, no unknowns
            for each row, no `scan`.
        stream: of rows.
        *args: further arguments of the model, in memory; equal in all processes.
        plate: name of the plate of rows.
        **kwargs: further arguments by name.

    Raises:
        ValueError: what `from_numpyro` refuses; there is no such plate, or it has
            unknowns, or another number of rows than a block; the model has discrete
            unknowns or a scan; its density is no sum over rows;
            processes have other columns or block sizes.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 10.0))
        ...     with numpyro.plate("rows", len(y)):
        ...         numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> y = np.arange(10.0)
        >>> target = from_stream(model, Stream({"y": y}, block_size=4))
        >>> whole = from_numpyro(model, y)
        >>> target.log_density(jnp.ones(1)) - whole.log_density(jnp.ones(1)) < 1e-4
        Array(True, dtype=bool)
    """
    names = tuple(sorted(stream.columns))
    double = set(names) & kwargs.keys()
    if double:
        raise TargetError(
            f"kwargs = {sorted(double)} are columns of the stream too: give them once"
        )
    shape = _shape_of_all(stream)
    names = (*names, WEIGHTS)
    function = InParts(model, plate, float(shape[2] * shape[3]), names[0])
    with jax.enable_x64(True):
        first = _filled(stream.read(0), shape[1])
        block = from_numpyro(function, *args, **kwargs, **first)
        static = block.static
        positions = _positions(static, names)
        made = static.log_density, static.constrain
        part = Streamed(stream, names, positions, *made, *shape)
        static = static._replace(
            log_density=_density_of_stream, constrain=_constrain, stream=part
        )
        target = replace(block, static=static)
        _check_groups(target, plate)
    return target


def _shape_of_all(stream: Stream) -> tuple[int, int, int, int]:
    """Return rows, block size, blocks of each process, and processes."""
    own = [stream.num_rows, stream.block_size, stream.num_blocks]
    kind = zlib.crc32(repr(sorted(stream.columns.items())).encode())
    found = gathered(np.array([*own, kind], np.int64))
    if len({(size, kind) for _, size, _, kind in found.tolist()}) > 1:
        raise TargetError(
            f"stream = {stream!r} with blocks of {stream.block_size} is not valid: "
            "other processes have other columns or blocks; give the same in each"
        )
    rows, _, blocks, _ = found.T
    size = min(stream.block_size, int(rows.max()))
    return int(rows.sum()), size, int(blocks.max()), len(found)


def _filled(block: Block, size: int) -> Block:
    """Return a block of `size` rows: those that are missing weigh nothing."""
    rows = len(next(iter(block.values())))
    if rows < size:
        block = {name: np.resize(x, (size, *x.shape[1:])) for name, x in block.items()}
    return {**block, WEIGHTS: (np.arange(size) < rows).astype(np.float32)}


def thinned(target: Target, *, seed: int = 0) -> Target:
    """Return the target of some of its rows, which weigh as much as all of them."""
    part: Streamed = target.static.stream
    least = int(gathered(np.array(part.stream.num_rows)).min())
    number = min(THIN_ROWS // part.num_processes, least)
    rows = part.stream.sample(number, seed=seed)
    return of_rows(target, {n: np.concatenate(gathered(x)) for n, x in rows.items()})


def at_one_block(target: Target) -> Target:
    """Return the target of the model itself at the first block, to run it elsewhere."""
    if not target.streamed:
        return target
    parts: Any = target.static.function
    args, kwargs = join(target.data, target.static.structure)
    del kwargs[WEIGHTS]
    with jax.enable_x64(True):
        model = from_numpyro(parts.model, *args, **kwargs)
    return model.with_positive(target.static.positive)


def of_rows(target: Target, rows: Block, weight: float | None = None) -> Target:
    """Return the target of rows in memory; by default they weigh as much as all."""
    part: Streamed = target.static.stream
    number = len(rows[part.names[0]])
    parts: Any = target.static.function
    static = target.static._replace(
        log_density=part.of_block,
        constrain=part.constrain,
        stream=None,
        function=replace(parts, scale=weight or part.num_rows / number),
    )
    data = _with_block(part, target.data, _filled(rows, number))
    return Target(data, target.init, static)


def score_of_rows(
    target: Target, position: Float[Array, " dim"]
) -> Float[Array, " dim"]:
    """Return the gradient of Σ log p(row | θ), the prior left out.

    Two scales of the same rows differ by what is scaled, which is the rows' part.

    Args:
        target: from `of_rows`.
        position: unconstrained.
    """

    def slope(scale: float) -> Array:
        parts: Any = target.static.function
        static = target.static._replace(function=replace(parts, scale=scale))
        return jax.grad(replace(target, static=static).log_density)(position)

    return slope(2.0) - slope(1.0)


def _positions(static: Static, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return where the columns are in the data; refuse what cannot be in parts."""
    if static.plates:
        raise TargetError(
            f"model is not valid for a stream: its plate {static.plates[0].name!r} "
            "takes a subsample; leave subsample_size, for a stream has all rows"
        )
    structure: Any = static.structure
    treedef, kinds = structure
    if any(kind == "fixed" for kind, _ in kinds):
        raise TargetError(
            "model is not valid for a stream: it needs the values of its data while it "
            "is traced; give what is fixed (a number of groups) as a whole number"
        )
    _, kwargs = jax.tree.unflatten(treedef, range(len(kinds)))
    is_data = np.array([kind != "static" for kind, _ in kinds])
    return tuple(int(np.sum(is_data[: kwargs[name]])) for name in names)


def _with_block(
    part: Streamed, data: list[Array], block: dict[str, Any]
) -> list[Array]:
    data = list(data)
    for name, position in zip(part.names, part.positions, strict=True):
        array = block[name]
        data[position] = array if is_traced(array) else to_device(np.asarray(array))
    return data


def _check_groups(target: Target, plate: str) -> None:
    """Refuse a density that is no sum over rows beside what is the same for all.

    With rows of weight 1 it must be the mean of its halves with rows of weight 2,
    however the rows are halved. So it is not where a site of rows is outside of their
    plate, where the prior depends on rows, or where a row looks at others.
    """
    part: Streamed = target.static.stream
    number = min(part.stream.num_rows // 2, MOST_CHECKED)
    if number < 2:
        return
    rows = part.stream.sample(2 * number, seed=1)
    # By one column's order, so that halves differ as much as they can.
    first = rows[part.names[-2]].reshape(2 * number, -1)[:, 0]
    order = np.argsort(first, kind="stable")
    halvings = [(order[:number], order[number:]), (order[::2], order[1::2])]
    for shift in (0.0, 0.5):
        position = target.init + shift

        def value(chosen: np.ndarray, weight: float, at: Array = position) -> float:
            picked = {name: array[chosen] for name, array in rows.items()}
            return float(_log_density(of_rows(target, picked, weight), at))

        whole = value(order, 1.0)
        if not np.isfinite(whole):
            continue
        for one, other in halvings:
            mean = (value(one, 2.0) + value(other, 2.0)) / 2
            if not abs(mean - whole) <= RTOL * (1 + abs(whole)):
                raise TargetError(
                    "model is not valid for a stream: its log density is no sum over "
                    f"rows, for of some rows it is {whole:.6g} nats, and {mean:.6g} by "
                    f"halves. Write what is observed of a row in the plate {plate!r}; "
                    "compute what looks at rows together (a mean over rows, a "
                    "neighbour) beforehand, and give it as an argument"
                )


@jax.jit
def _log_density(target: Target, position: Array) -> Scalar:
    return target.log_density(position)


def _constrain(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> dict[str, Array]:
    """Return the unknowns; deterministic sites may be one for each row of a block."""
    part: Streamed = static.stream
    values = part.constrain(static, data, params, key)
    return {name: values[name] for name in params}


def _density_of_stream(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> Scalar:
    return _density_of(static)(list(data), params)


@lru_cache(maxsize=64)
def _density_of(static: Static) -> Callable[[list[Array], dict[str, Array]], Scalar]:
    """Return log p of (data, params): value and gradient come from the same pass."""
    part: Streamed = static.stream
    inner = static._replace(log_density=part.of_block, stream=None)

    def of_block(params: dict[str, Array], data: list[Array]) -> Scalar:
        return part.of_block(inner, data, params, None)

    @jax.custom_vjp
    def log_density(data: list[Array], params: dict[str, Array]) -> Scalar:
        return _over_blocks(part, of_block, data, params)

    @full_precision  # JAX traces it after the log density, which asked for the same
    def forward(data: list[Array], params: dict[str, Array]) -> Any:
        return _over_blocks(part, jax.value_and_grad(of_block), data, params)

    def backward(gradient: dict[str, Array], cotangent: Array) -> Any:
        return None, jax.tree.map(lambda x: cotangent * x, gradient)

    log_density.defvjp(forward, backward)
    return log_density


def _over_blocks(
    part: Streamed,
    function: Callable[[dict[str, Array], list[Array]], Any],
    data: list[Array],
    params: dict[str, Array],
) -> Any:
    """Return the mean over blocks of what a function finds, of all processes."""
    dtypes = dict(_dtypes(part, data))
    kinds = {name: _kind(part, name, dtypes[name]) for name in part.names}
    share = 1 / (part.num_blocks * part.num_processes)

    def of(index: Any, data: list[Array], params: dict[str, Array]) -> Any:
        read = partial(_read, part, dtypes)
        columns = jax.pure_callback(read, kinds, index, vmap_method="sequential")
        block = {
            name: jax.lax.bitcast_convert_type(bits, dtypes[name])
            for name, bits in columns.items()
        }
        found = function(params, _with_block(part, data, block))
        return jax.tree.map(lambda x: share * x, found)

    def of_process(data: list[Array], params: dict[str, Array]) -> Any:
        kind = jax.eval_shape(of, 0, data, params)
        total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), kind)

        def add(index: Any, total: Any) -> Any:
            return jax.tree.map(jnp.add, total, of(index, data, params))

        return jax.lax.fori_loop(0, part.num_blocks, add, total)

    if part.num_processes == 1:
        return of_process(data, params)

    def of_all(data: list[Array], params: dict[str, Array]) -> Any:
        return jax.lax.psum(of_process(data, params), "process")

    everywhere = PartitionSpec()
    specs: Any = {"in_specs": everywhere, "out_specs": everywhere}
    mesh = _processes()
    return jax.shard_map(of_all, mesh=mesh, check_vma=False, **specs)(data, params)


@cache
def _processes() -> Mesh:
    """Return a mesh of one device of each process."""
    first = {device.process_index: device for device in reversed(jax.devices())}
    return Mesh(np.array([first[i] for i in sorted(first)]), ("process",))


def _dtypes(part: Streamed, data: list[Array]) -> Iterator[tuple[str, Any]]:
    """Yield columns and their types: of the target, or of JAX's own precision."""
    for name, position in zip(part.names, part.positions, strict=True):
        yield name, jax.dtypes.canonicalize_dtype(data[position].dtype)


def _kind(part: Streamed, name: str, dtype: Any) -> jax.ShapeDtypeStruct:
    """Return what a callback gives of a column: bits, where a number has 64 of them.

    The thread that it runs in does not know that this fit is in float64.
    """
    inner = () if name == WEIGHTS else part.stream.columns[name][0]
    shape = (part.block_size, *inner)
    if np.dtype(dtype).itemsize == 8:
        return jax.ShapeDtypeStruct((*shape, 2), np.uint32)
    return jax.ShapeDtypeStruct(shape, dtype)


def _read(part: Streamed, dtypes: dict[str, Any], index: Any) -> Block:
    """Read a block, on the host, while a program waits for it."""
    place = int(index)
    beyond = place >= part.stream.num_blocks  # another process has more
    block = _filled(part.stream.read(0 if beyond else place), part.block_size)
    if beyond:
        block[WEIGHTS] = np.zeros_like(block[WEIGHTS])
    found = {}
    for name, dtype in dtypes.items():
        array = np.ascontiguousarray(block[name], dtype)
        if array.itemsize == 8:
            array = array.view(np.uint32).reshape(*array.shape, 2)
        found[name] = array
    return found
