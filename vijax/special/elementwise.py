"""Compile elementwise functions so that branches and loops stay branches and loops."""

import math
from collections.abc import Callable
from functools import partial, wraps
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.typing import ArrayLike

from vijax.validate import check, is_traced

CHUNK = 1 << 16  # elements at a time: their intermediate arrays stay in the cache
_SIZES = (64, 4096)  # eager calls are padded to these, to compile seldom


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of equally shaped arrays; it is called flat, also in vmap.

    Its `lax.cond` on `any` and its `while_loop` until all have converged then remain
    branches and loops; a plain `vmap` would compute every branch for every element.
    Large batches are cut into chunks, which bounds memory too.
    """

    @custom_vmap
    def flat_call(*args: jax.Array) -> Any:
        shape, size = args[0].shape, args[0].size
        rows = -(-size // CHUNK)
        flat = [arg.reshape(-1) for arg in args]
        if rows > 1:
            padded = [_padded(arg, rows * CHUNK) for arg in flat]
            chunks = [arg.reshape(rows, CHUNK) for arg in padded]
            out = jax.lax.map(lambda chunk: function(*chunk), chunks)
        else:
            out = function(*flat)
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[:size].reshape(shape), out)

    compiled = jax.jit(lambda *args: flat_call(*args))

    @wraps(function)
    def entry(*args: jax.Array) -> Any:
        shape, size = args[0].shape, args[0].size
        length = _fitting(size)
        if is_traced(*args) or length is None:
            return compiled(*args)
        out = compiled(*(_padded(arg.reshape(-1), length) for arg in args))
        return jax.tree.map(lambda leaf: leaf[:size].reshape(shape), out)

    @flat_call.def_vmap
    def batched(axis_size: int, in_batched: list[bool], *args: jax.Array) -> Any:
        full = (
            arg if is_batched else jnp.broadcast_to(arg, (axis_size, *arg.shape))
            for arg, is_batched in zip(args, in_batched, strict=True)
        )
        out = entry(*full)
        return out, jax.tree.map(lambda _: True, out)

    return entry


def call(core: Callable[..., Any], *values: ArrayLike) -> Any:
    """Call a function of equally shaped floating arrays, float32 at least.

    Small eager calls run compiled, whatever their shape.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.
    """
    for name, value in zip(signature(core).parameters, values, strict=True):
        check(_is_real(value), name, value, "give real numbers")
    dtype = jnp.promote_types(jnp.result_type(float, *values), jnp.float32)
    shape = np.broadcast_shapes(*(np.shape(value) for value in values))
    size = math.prod(shape)
    length = _fitting(size)
    if is_traced(*values) or length is None:
        arrays = (jnp.asarray(value, dtype) for value in values)
        return core(*(jnp.broadcast_to(array, shape) for array in arrays))
    flat = (np.broadcast_to(np.asarray(v, dtype), shape).reshape(-1) for v in values)
    out = _run(core, *(np.pad(v, (0, length - size), mode="edge") for v in flat))
    return jax.tree.map(lambda leaf: leaf[:size].reshape(shape), out)


@partial(jax.jit, static_argnums=0)
def _run(core: Callable[..., Any], *args: jax.Array) -> Any:
    return core(*args)


def _is_real(value: ArrayLike) -> bool:
    dtype = value.dtype if isinstance(value, jax.Array) else np.asarray(value).dtype
    kinds = jnp.floating, jnp.integer, jnp.bool_
    return any(jnp.issubdtype(dtype, kind) for kind in kinds)


def _fitting(size: int) -> int | None:
    return next((length for length in _SIZES if length >= size > 0), None)


def _padded(flat: jax.Array, length: int) -> jax.Array:
    return jnp.pad(flat, (0, length - flat.size), mode="edge")
