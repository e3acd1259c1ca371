"""A model's arguments as users have them: named, and as arrays where they are numbers.

Columns of pandas, Polars or xarray, and tensors of other libraries, become NumPy
arrays. What a density cannot be made of is refused by its name, before JAX says
something else of it.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpyro.primitives import Messenger

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def named_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return arguments by the names that the function gives them, where it does.

    Example:
        >>> named_arguments(lambda x, y=None: None, (1.0,), {"y": 2.0})
        {'x': 1.0, 'y': 2.0}
    """
    inner = function
    while isinstance(inner, Messenger) and inner.fn is not None:
        inner = inner.fn  # a handler around the model
    try:
        return dict(inspect.signature(inner).bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return {f"argument {n}": value for n, value in enumerate(args)} | kwargs


def as_arrays(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Arguments:
    """Return the arguments with arrays in the place of what only looks like some.

    Args:
        function: that they are given to.
        args: its arguments.
        kwargs: those by name.

    Raises:
        ValueError: masked entries; an array or a column of anything but numbers, or of
            whole numbers that JAX's integers cannot hold; a data frame; an object that
            is neither a pytree nor hashable.

    Example:
        >>> try:
        ...     as_arrays(lambda when: None, (np.array(["2026-11-27"]),), {})
        ... except ValueError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        when is of <U10, which is no number: ...
    """
    names = [*named_arguments(function, args, {})]

    def convert(path: tuple[Any, ...], leaf: Any) -> Any:
        place: Any = path[1]  # of the argument: path[0] is args or kwargs
        if hasattr(place, "key"):
            return _as_array(place.key, leaf)
        return _as_array(names[min(place.idx, len(names) - 1)], leaf)

    found: Arguments = jax.tree_util.tree_map_with_path(convert, (args, kwargs))
    return found


def _as_array(name: str, leaf: Any) -> Any:
    if isinstance(leaf, np.ma.MaskedArray):
        if np.ma.getmaskarray(leaf).any():
            raise ValueError(
                f"{name} has masked entries, which a model would take for data: leave "
                "these rows out, or mask their site by numpyro.handlers.mask"
            )
        return np.ma.getdata(leaf)
    if isinstance(leaf, jax.Array | jax.core.Tracer):
        return leaf
    if hasattr(leaf, "columns") and hasattr(leaf, "to_numpy"):
        raise ValueError(
            f"{name} is a {type(leaf).__name__}: give {name}.to_numpy(), one array, or "
            f"dict({name}), arrays by the names of the columns"
        )
    if hasattr(leaf, "__array__"):
        array = np.asarray(leaf)
        if array.dtype.kind == "O" and hasattr(leaf, "to_numpy"):
            array = _with_missing_as_nan(leaf, array)
        if isinstance(leaf, np.str_ | np.bytes_):  # one text is a constant, as str is
            return leaf
        if array.dtype.kind not in "biufc":
            raise ValueError(
                f"{name} is of {array.dtype}, which is no number: give text as codes, "
                "times in seconds, and no missing values"
            )
        check_whole(name, array)
        return leaf if isinstance(leaf, np.generic) else array
    if isinstance(leaf, int):
        check_whole(name, np.asarray(leaf))
    try:
        hash(leaf)
    except TypeError:
        kind = type(leaf).__name__
        raise ValueError(
            f"{name} is a {kind}, which JAX cannot look into: give its arrays and "
            "numbers, in a dict if you like, or make it a frozen dataclass of constants"
        ) from None
    return leaf


def check_whole(name: str, array: np.ndarray) -> None:
    """Raise a ValueError where JAX's integers would wrap around, without a word."""
    kept = jax.dtypes.canonicalize_dtype(array.dtype if array.dtype != "O" else int)
    if array.dtype.kind not in "iuO" or kept == array.dtype or not array.size:
        return
    largest = max(abs(int(array.max())), abs(int(array.min())))
    if largest > np.iinfo(kept).max:
        raise ValueError(
            f"{name} has whole numbers up to {largest}, and {kept} ends at "
            f"{np.iinfo(kept).max}: give them as floats, or set "
            'jax.config.update("jax_enable_x64", True)'
        )


def _with_missing_as_nan(column: Any, array: np.ndarray) -> np.ndarray:
    """Return a column of pandas's own types, whose missing numbers are objects."""
    try:
        found: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
        return found
    except (TypeError, ValueError):
        return array
