"""Compile an elementwise function so that its whole batch can decide on branches."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

CHUNK = 1 << 15  # elements at a time: their intermediate arrays stay in the cache


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of equally shaped arrays; it is called flat, also in vmap.

    Its `lax.cond` on `any` and its `while_loop` until all have converged then remain
    branches and loops; a plain `vmap` would compute every branch for every element.
    Large batches are cut into chunks, which bounds memory too.
    """

    @custom_vmap
    def call(*args: jax.Array) -> Any:
        shape, size = args[0].shape, args[0].size
        rows = -(-size // CHUNK)
        flat = [arg.reshape(-1) for arg in args]
        if rows > 1:
            padded = [jnp.pad(v, (0, rows * CHUNK - size), mode="edge") for v in flat]
            chunks = [v.reshape(rows, CHUNK) for v in padded]
            out = jax.lax.map(lambda chunk: function(*chunk), chunks)
        else:
            out = function(*flat)
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[:size].reshape(shape), out)

    @call.def_vmap
    def batched(axis_size: int, in_batched: list[bool], *args: jax.Array) -> Any:
        full = (
            arg if is_batched else jnp.broadcast_to(arg, (axis_size, *arg.shape))
            for arg, is_batched in zip(args, in_batched, strict=True)
        )
        out = call(*full)
        return out, jax.tree.map(lambda _: True, out)

    return wraps(function)(jax.jit(partial(call)))
