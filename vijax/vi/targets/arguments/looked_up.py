"""What a model looks up outside of its arguments: globals, closures, defaults.

A compiled program keeps the values that it was traced with. So a function whose global
number has changed is another model, though it is the same function:

    looked_up(model) == looked_up(model)    True, until something it reads changes

Targets hold it among what compiled functions are chosen by, so that a fit after the
change is compiled anew, and what comes after a fit compares it and refuses.

Looked into are numbers, words, arrays, containers of them, functions of the model's own
package in turn, numbers and arrays read from a module (`constants.width`), and the
attributes of objects of the model's package. Other objects are the same if they are one
object. Large arrays of NumPy are compared by 65,536 of their entries.
"""

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from vijax.fingerprint import PLAIN
from vijax.validate import is_traced

LARGE = 2**24  # bytes, above which an array is not read whole
NUM_ENTRIES = 65_536  # that are read then
Parts = dict[str, Any]


class LookedUp:
    """Values by name, in a form that can be compared and hashed."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._hash = hash(tuple(parts.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LookedUp) and self.parts == other.parts

    def __hash__(self) -> int:
        return self._hash

    def first_difference(self, other: "LookedUp") -> str | None:
        """Return the name of the first part that differs, None where none does."""
        for name in (*self.parts, *other.parts):
            if self.parts.get(name) != other.parts.get(name):
                return name
        return None


class _One:
    """An object that is equal to itself only; held, so that no other gets its id."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _One) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def looked_up(function: Callable[..., Any]) -> LookedUp:
    """Return what a function reads outside of its arguments.

    Args:
        function: a model, a log density, or a handler or partial around one.

    Example:
        >>> width = np.array([1.0])
        >>> def model():
        ...     return width
        >>> before = looked_up(model)
        >>> width[0] = 2.0
        >>> before.first_difference(looked_up(model))
        'width'
    """
    parts: Parts = {}
    inner = inner_of(function)
    _read(inner, parts, set())
    counters = _counters(inner)
    return LookedUp({name: x for name, x in parts.items() if name not in counters})


def settled(before: LookedUp, function: Callable[..., Any]) -> LookedUp:
    """Return what a function reads, but for what it changes by itself: a counter.

    Args:
        before: what was looked up before the function was traced.
        function: the same.
    """
    now = looked_up(function)
    names = before.parts.keys() | now.parts.keys()
    changed = {n for n in names if before.parts.get(n) != now.parts.get(n)}
    if not changed:
        return now
    with contextlib.suppress(TypeError):  # no weak reference, or no hash
        inner = inner_of(function)
        _COUNTERS[inner] = _counters(inner) | changed
    return LookedUp({n: x for n, x in now.parts.items() if n not in changed})


def require_unchanged(function: Callable[..., Any], before: LookedUp | None) -> None:
    """Raise a ValueError where a function reads something else than before."""
    name = before and before.first_difference(looked_up(function))
    if name:
        known_as = getattr(function, "__qualname__", type(function).__name__)
        raise ValueError(
            f"the model has changed since the fit: {name}, which {known_as} reads, is "
            "another; set it as it was, or fit again"
        )


# Names of what a function has been seen to change by itself, for as long as it lives.
_COUNTERS: "weakref.WeakKeyDictionary[Any, frozenset[str]]"
_COUNTERS = weakref.WeakKeyDictionary()


def _counters(function: Any) -> frozenset[str]:
    try:
        return _COUNTERS.get(function, frozenset())
    except TypeError:
        return frozenset()


def inner_of(thing: Any) -> Any:
    """Return the function inside of a jitted one or of another's wrapper."""
    while hasattr(thing, "__wrapped__"):
        thing = thing.__wrapped__
    return thing


def _read(function: Any, parts: Parts, seen: set[int]) -> None:
    """Add what a function reads, by name, and what functions that it calls read."""
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, partial):
        _read(inner_of(function.func), parts, seen)
        parts |= {"arguments of a partial": _value((function.args, function.keywords))}
        return
    if isinstance(function, MethodType):
        _read(function.__func__, parts, seen)
        _add("self", function.__self__, None, parts, seen)
        return
    if not isinstance(function, FunctionType):  # a handler, or an object with __call__
        for name, part in _attributes(function) or ():
            _add(name, part, None, parts, seen)
        return
    code, package = function.__code__, package_of(function)
    parts[f"the code of {function.__qualname__}"] = code
    parts |= _named("defaults of", function.__qualname__, function.__defaults__)
    parts |= _named("defaults of", function.__qualname__, function.__kwdefaults__)
    names = names_of(code)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            _add(name, cell.cell_contents, package, parts, seen)
        except ValueError:  # not yet assigned
            continue
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            # As it is: to ask a module for a name may load another one.
            inside = ((n, vars(value).get(n)) for n in sorted(names))
            parts |= {f"{name}.{n}": _value(x) for n, x in inside if _is_data(x)}
        else:
            _add(name, value, package, parts, seen)


def _add(
    name: str, value: Any, package: str | None, parts: Parts, seen: set[int]
) -> None:
    """Add a thing that a function reads by a name; functions of one package only."""
    value = inner_of(value)
    if isinstance(value, FunctionType | MethodType):
        if package is None or package_of(value) == package:
            _read(value, parts, seen)
        else:
            parts[name] = _One(value)
    elif isinstance(value, partial):
        _read(value, parts, seen)
    elif callable(value) and _attributes(value) and not isinstance(value, type):
        _read(value, parts, seen)  # a handler around a model
    elif not isinstance(value, ModuleType | BuiltinFunctionType):
        parts[name] = _value(value, package, (id(value),))


def _named(words: str, name: str, value: Any) -> Parts:
    return {f"{words} {name}": _value(value)} if value else {}


def _is_data(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex, np.ndarray, jax.Array))


def _value(thing: Any, package: str | None = "", path: tuple[int, ...] = ()) -> Any:
    """Return a thing in a form that can be compared and hashed."""
    if isinstance(thing, PLAIN):
        return type(thing).__name__, repr(thing)  # NaN is not equal to itself
    if is_traced(thing) and not isinstance(thing, list | tuple | Mapping):
        return _One(thing)
    if isinstance(thing, np.ndarray | np.generic | jax.Array):
        return _array(thing)
    inside: Any = None
    if isinstance(thing, list | tuple):
        inside = list(enumerate(thing))
    elif isinstance(thing, Mapping):
        inside = list(thing.items())
    elif dataclasses.is_dataclass(thing) or package in (None, package_of(thing)):
        inside = _attributes(thing)
    if not inside or isinstance(thing, type):
        return (type(thing).__name__, ()) if inside == [] else _One(thing)
    items = (
        (_value(name), _One(x) if id(x) in path else _value(x, package, (*path, id(x))))
        for name, x in inside
    )
    return type(thing).__name__, tuple(items)


def _array(array: Any) -> Any:
    if isinstance(array, jax.Array):
        if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        if array.nbytes > LARGE:  # nobody can write into it
            return _One(array)
    array = np.asarray(array)
    if array.dtype.hasobject:
        return _One(array)
    read = array
    if array.nbytes > LARGE:
        read = array.reshape(-1)[:: max(1, array.size // NUM_ENTRIES)]
    return str(array.dtype), array.shape, hash(read.tobytes())


def names_of(code: CodeType) -> set[str]:
    """Return the names that a function's code asks for, inner functions' too."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(names_of, inner))


def package_of(thing: Any) -> str:
    """Return the first word of the module that a thing is of."""
    return (getattr(thing, "__module__", None) or "").partition(".")[0]


def _attributes(thing: Any) -> list[tuple[str, Any]] | None:
    """Return what an object holds, None where it does not say."""
    if isinstance(thing, type | ModuleType):
        return None
    if dataclasses.is_dataclass(thing):
        names = [field.name for field in dataclasses.fields(thing)]
        return [(name, getattr(thing, name, None)) for name in names]
    return list(vars(thing).items()) if hasattr(thing, "__dict__") else None
