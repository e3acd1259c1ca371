"""A model's arguments parted into data, which a trace sees as arrays, and structure.

What is data can change without compiling anew. A function may need the values of some
arguments while it is traced, though: a plate's size, the number of groups that an index
names, a branch taken by a threshold. `LEVELS` lists how much is fixed for it, least
first.
"""

import hashlib
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

# What is fixed: nothing, integers, integers and arrays of them, all numbers.
LEVELS = (0, 1, 2, 3)


class Fixed:
    """An array whose values a compiled function depends on; compared by value."""

    def __init__(self, value: Any) -> None:
        known = np.array(value)  # a copy: the caller may change theirs
        self.value = known if isinstance(value, np.ndarray) else value
        digest = hashlib.sha256(known.tobytes()).hexdigest()
        self.identity = (type(value).__name__, known.shape, known.dtype.str, digest)

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and self.identity == other.identity


def split(arguments: PyTree, level: int) -> tuple[list[Array], Hashable]:
    """Part the arguments into data (arrays) and a static structure.

    Arrays that are fixed are in both, so that the data remain whole.
    """
    leaves, treedef = jax.tree.flatten(arguments)
    data: list[Array] = []
    static: list[tuple[str, Any]] = []
    for leaf in leaves:
        if not _is_numeric(leaf) or (level >= 1 and isinstance(leaf, int)):
            static.append(("static", leaf))
            continue
        data.append(to_device(leaf))
        static.append(("fixed", Fixed(leaf)) if _is_fixed(leaf, level) else _DATA)
    return data, (treedef, tuple(static))


_DATA = ("data", None)


def refuse_lost_digits(arguments: PyTree) -> None:
    """Raise a ValueError where float32 would blur an array of float64.

    By more than a thousandth of the spread of its finite numbers. Numbers that are
    equal up to float64's own rounding have none.

    Example:
        >>> try:
        ...     refuse_lost_digits({"t": 1.6e9 + np.arange(60.0)})
        ... except ValueError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        the data have numbers like 1600000000, which differ by 17, and float32 moves ...
    """
    if jax.config.read("jax_enable_x64"):
        return
    for leaf in jax.tree.leaves(arguments):
        if not isinstance(leaf, np.ndarray) or leaf.dtype != np.float64:
            continue
        known = leaf[np.isfinite(leaf)]
        if known.size:
            largest, spread = float(np.max(np.abs(known))), float(np.std(known))
            refuse_blur(
                "the data have",
                known.flat[0],
                largest,
                spread,
                moved_by_float32(known),
            )


def moved_by_float32(values: np.ndarray) -> float:
    """Return by how much float32 moves a number of float64, at most."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.max(np.abs(values - values.astype(np.float32)), initial=0.0))


def refuse_blur(
    subject: str, like: float, largest: float, spread: float, moved: float
) -> None:
    """Raise a ValueError where numbers are moved by a thousandth of their spread."""
    if not 0 < largest < np.finfo(np.float32).max:
        return
    # Rounding moves by half a step: only a spread of few steps is looked at.
    if 1e-12 * largest < spread < 1e-4 * largest and moved > 1e-3 * spread:
        raise ValueError(
            f"{subject} numbers like {like:.10g}, which differ by {spread:.2g}, and "
            f"float32 moves them by {moved:.2g}: subtract an offset, or set "
            'jax.config.update("jax_enable_x64", True)'
        )


def _is_numeric(leaf: Any) -> bool:
    return (
        isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float)
        and not isinstance(leaf, bool)
        and (isinstance(leaf, jax.Array) or np.asarray(leaf).dtype.kind in "biufc")
    )


def _is_fixed(leaf: Any, level: int) -> bool:
    if isinstance(leaf, jax.core.Tracer) or not jnp.issubdtype(
        jnp.result_type(leaf), jnp.number
    ):
        return False  # of unknown value, or a random key
    integer = jnp.issubdtype(jnp.result_type(leaf), jnp.integer)
    return level >= 3 or (level == 2 and integer)


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
    leaves = []
    for kind, leaf in static:
        value = leaf if kind == "static" else next(rest)
        leaves.append(leaf.value if kind == "fixed" else value)
    return jax.tree.unflatten(treedef, leaves)
