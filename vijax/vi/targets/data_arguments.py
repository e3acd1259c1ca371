"""A model's arguments parted into data, which a trace sees as arrays, and structure."""

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree


def split(
    arguments: PyTree, static_types: tuple[type, ...]
) -> tuple[list[Array], Hashable]:
    """Part the arguments into data (arrays) and a static structure."""
    leaves, treedef = jax.tree.flatten(arguments)
    data, static = [], []
    for leaf in leaves:
        is_data = (
            isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float)
            and not isinstance(leaf, (bool, *static_types))
            and (isinstance(leaf, jax.Array) or np.asarray(leaf).dtype.kind in "biufc")
        )
        if is_data:
            data.append(to_device(leaf))
            static.append((True, None))
        else:
            static.append((False, leaf))
    return data, (treedef, tuple(static))


def to_device(x: Any) -> Array:
    """Return jnp.asarray(x); a NumPy array is copied there without compiling."""
    return (
        jax.device_put(x, may_alias=False)
        if isinstance(x, np.ndarray)
        else jnp.asarray(x)
    )


def join(data: list[Array], structure: Any) -> Any:
    """Undo `split`."""
    treedef, static = structure
    rest = iter(data)
    leaves = [next(rest) if is_data else leaf for is_data, leaf in static]
    return jax.tree.unflatten(treedef, leaves)
