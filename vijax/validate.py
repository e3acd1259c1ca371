"""Bad input: an error where the user can see it, NaN where a trace cannot raise.

Every public entry point asks `check` about its arguments and passes its result
through `where_valid`:

    valid = check((successes >= 0) & (successes <= trials), "successes", successes,
                  "give a count between 0 and trials")
    return where_valid(valid, result)
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

T = TypeVar("T")


def is_traced(*values: Any) -> bool:
    """Say whether any leaf of the values is inside a JAX transformation."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def seen(array: Array) -> Any:
    """Return the numbers as NumPy's where they are there: its checks compile nothing.

    Example:
        >>> (seen(jnp.array([1.0, -2.0])) > 0).tolist()
        [True, False]
    """
    return array if is_traced(array) else np.asarray(array)


def is_whole(value: Any) -> bool:
    """Say whether a value is a whole number; 2.0 and True are not.

    Example:
        >>> is_whole(2), is_whole(np.int64(2)), is_whole(2.5), is_whole(True)
        (True, True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def unmasked(name: str, value: Any) -> Any:
    """Return the value, or raise a ValueError where a NumPy array has masked entries.

    Example:
        >>> unmasked("x", np.ma.array([1.0, 2.0], mask=[False, True]))
        Traceback (most recent call last):
        ...
        ValueError: x has masked entries, below which ... leave out their rows...
    """
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} has masked entries, below which there may be anything: leave out "
            "their rows, or fill them in"
        )
    return value


def real_numbers(name: str, value: Any) -> Any:
    """Return the value, or raise a ValueError where it is no array of real numbers.

    Example:
        >>> real_numbers("scores", ["0.1", "0.7"])
        Traceback (most recent call last):
        ...
        ValueError: scores has dtype <U3: give real numbers, in an array of one shape
    """
    kind = dtype_of(name, unmasked(name, value))
    real = (jnp.bool_, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(kind, one) for one in real):
        remedy = "give real numbers, in an array of one shape"
        raise ValueError(f"{name} has dtype {kind}: {remedy}")
    return value


def dtype_of(name: str, value: Any) -> np.dtype:
    """Return an array's dtype, as NumPy sees it: JAX has none for text.

    Raises:
        ValueError: rows of unequal length.

    Example:
        >>> dtype_of("mask", [True, False])
        dtype('bool')
    """
    kind = getattr(value, "dtype", None)
    if isinstance(kind, np.dtype):
        return kind
    try:
        return np.asarray(value).dtype
    except ValueError:
        remedy = "give an array of one shape"
        raise ValueError(f"{name} has rows of unequal length: {remedy}") from None


def check(
    valid: ArrayLike, name: str, value: Any, remedy: str
) -> Bool[ArrayLike, "..."]:
    """Raise a ValueError that names the argument, or return the mask in a trace.

    Args:
        valid: the condition, element by element; NaN input must make it False.
        name: the argument's name.
        value: what was given; its first offending element is shown.
        remedy: what to give instead.

    Example:
        >>> check(3 <= 2, "successes", 3, "give at most the number of trials, 2")
        Traceback (most recent call last):
        ...
        ValueError: successes = 3 is not valid: give at most the number of trials, 2
    """
    if is_traced(valid):
        return jnp.asarray(valid)
    mask = np.asarray(valid)
    if not mask.all():
        raise ValueError(f"{name} = {_show(value, mask)} is not valid: {remedy}")
    return mask


def where_valid(valid: ArrayLike, result: T) -> T:
    """Keep the result where valid, NaN elsewhere (matters only inside a trace)."""
    if not is_traced(valid):
        return result
    return jax.tree.map(lambda leaf: jnp.where(valid, leaf, jnp.nan), result)


def _show(value: Any, mask: np.ndarray) -> str:
    if is_traced(value):
        return "(traced)"
    array = np.asarray(value)
    if array.ndim and array.shape == mask.shape:
        index = np.unravel_index(int(np.argmin(mask)), mask.shape)
        position = ", ".join(str(int(i)) for i in index)
        return f"{array[index]} (at index {position})"
    in_line = " ".join(str(array).split())
    return in_line if array.size <= 8 else f"array of shape {array.shape}"
