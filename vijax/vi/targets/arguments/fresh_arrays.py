"""Arrays that a model reads beside its arguments, as new objects for a while.

JAX keeps what it once made of a NumPy array, in the precision of that time, and hands
it out in another precision too (0.10 and 0.12): a model that reads whole numbers or
floats from a closure or a global then fails in float64, with an error of JAX's
compiler. A view of the same memory is another object, of which nothing is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from vijax.vi.targets.arguments.looked_up import inner_of, names_of, package_of

Undo = list[Callable[[], None]]


@contextmanager
def fresh_arrays(function: Callable[..., Any]) -> Iterator[None]:
    """Put views in the place of arrays that a function looks up, and put them back.

    Closures, globals, defaults and attributes of the function, and of those of its own
    package that it calls; arrays in lists, tuples and dicts too.

    Args:
        function: a model, a log density, or a handler or partial around one.

    Example:
        >>> width = kept = np.array([1.0])
        >>> def model():
        ...     return width
        >>> with fresh_arrays(model):
        ...     print(model() is kept, np.shares_memory(model(), kept))
        False True
        >>> model() is kept
        True
    """
    undo: Undo = []
    try:
        _refresh(function, undo, set())
        yield
    finally:
        for put_back in reversed(undo):
            put_back()


def _refresh(thing: Any, undo: Undo, seen: set[int]) -> None:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if hasattr(thing, "__wrapped__"):  # a wrapper or a handler, with data of its own
        _refresh(thing.__wrapped__, undo, seen)
    if isinstance(thing, partial):
        _refresh(thing.func, undo, seen)
    elif isinstance(thing, MethodType):
        _refresh(thing.__func__, undo, seen)
        _refresh(thing.__self__, undo, seen)
    elif isinstance(thing, FunctionType):
        _refresh_function(thing, undo, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, type | ModuleType):
        for name in list(vars(thing)):
            _replace_entry(vars(thing), name, None, undo, seen)


def _refresh_function(function: FunctionType, undo: Undo, seen: set[int]) -> None:
    package, names = package_of(function), names_of(function.__code__)
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not yet assigned
            continue
        _replace(value, partial(setattr, cell, "cell_contents"), package, undo, seen)
    for name in ("__defaults__", "__kwdefaults__"):
        put = partial(setattr, function, name)
        _replace(getattr(function, name), put, package, undo, seen)
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, ModuleType):  # numbers and arrays that are read from it
            for inside in names & vars(value).keys():
                if isinstance(vars(value)[inside], np.ndarray):
                    _replace_entry(vars(value), inside, package, undo, seen)
        else:
            _replace_entry(function.__globals__, name, package, undo, seen)


def _replace_entry(
    entries: dict[str, Any], name: str, package: str | None, undo: Undo, seen: set[int]
) -> None:
    put = partial(entries.__setitem__, name)
    _replace(entries[name], put, package, undo, seen)


def _replace(
    value: Any,
    put: Callable[[Any], None],
    package: str | None,
    undo: Undo,
    seen: set[int],
) -> None:
    """Put a value with views in its place, or look into what it is."""
    fresh = _fresh(value)
    if fresh is not value:
        undo.append(partial(put, value))
        put(fresh)
        return
    inner = inner_of(value)
    is_own = package_of(inner) == package
    if isinstance(inner, FunctionType | MethodType):
        is_looked_into = is_own or package is None
    else:  # a handler around a model, or an object of the model's package
        is_looked_into = is_own or callable(inner)
    if is_looked_into:
        _refresh(value, undo, seen)


def _fresh(value: Any) -> Any:
    """Return the value with views for arrays, itself where there are none."""
    if type(value) is np.ndarray:
        return value.view()
    if type(value) is dict:
        items = {name: _fresh(x) for name, x in value.items()}
        is_same = all(items[name] is value[name] for name in value)
        return value if is_same else items
    if not isinstance(value, list | tuple):
        return value
    parts = [_fresh(x) for x in value]
    if all(x is y for x, y in zip(parts, value, strict=True)):
        return value
    if hasattr(value, "_fields"):
        return type(value)(*parts)
    return type(value)(parts) if type(value) in (list, tuple) else value
