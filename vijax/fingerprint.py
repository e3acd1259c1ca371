"""The identity of a function, as a hash that is the same in another process.

A run that was interrupted may only go on with the function that it began with. Two
functions are the same here if they have the same name in the same module, the same
source text, equal defaults and equal closure values (numbers, arrays and other
functions, which are looked into in turn), and if the plain functions, numbers and
arrays that they look up by a global name are the same.

    fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.1))     made twice
    fingerprint(optax.adam(0.1)) != fingerprint(optax.adam(0.2))

Global names count where they belong to the function's own package or script: of other
packages only the name counts. Comments are part of the text. The source is read when
it is asked for, so a file that was edited after its import counts as it is now. Where
no source is to be had (code from `exec`, several lambdas on one line) the bytecode
counts, together with the version of Python that made it.
"""

import dataclasses
import enum
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

CHECKERS = ("jaxtyping", "beartype")  # their wrappers change nothing that is computed
PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def fingerprint(thing: Any) -> str:
    """Return the hash of a function, or of a container of functions and values.

    Args:
        thing: a function, a jitted one, a NamedTuple of functions (an Optax optimiser),
            a frozen dataclass, a container, an array, a number.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: what the function holds cannot be looked into (an open file, say).

    Example:
        >>> import optax
        >>> fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.1))
        True
        >>> fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.2))
        False
    """
    return _digest(thing, {}, ()).hex()


def about(**things: Any) -> dict[str, str]:
    """Describe a run by the things that make it this run, for `checkpoint.save`.

    Numbers, words and dataclasses of them are written out, so that a refusal can say
    what differs; functions and arrays are described by name or type and fingerprint.

    Args:
        **things: by the name that a refusal shows.

    Raises:
        ValueError: as `fingerprint`.

    Example:
        >>> about(batch_size=128, key=jax.random.key(3))
        {'batch_size': '128', 'key': '[0, 3]'}
        >>> about(noise=textwrap.dedent)["noise"].split(" ")[0]
        'dedent'
    """
    return {name: _describe(thing) for name, thing in things.items()}


def _describe(thing: Any) -> str:
    if isinstance(thing, PLAIN):
        return str(thing)
    if _is_key(thing):
        return str(np.asarray(jax.random.key_data(thing)).tolist())
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = [getattr(thing, field.name) for field in dataclasses.fields(thing)]
        if all(isinstance(field, PLAIN) for field in fields):
            return str(thing)
    kind = type(thing).__qualname__
    name = getattr(thing, "__qualname__", kind)
    return f"{name} (SHA-256 {fingerprint(thing)[:16]})"


def _digest(
    thing: Any, known: dict[int, tuple[Any, bytes]], path: tuple[int, ...]
) -> bytes:
    """Return the hash of a thing's type and of the hashes of its parts.

    Args:
        thing: of any kind.
        known: digests by id; things are held, so that no other gets their id.
        path: ids of what the thing is a part of: a function may call itself.
    """
    if id(thing) in path:
        return f"itself, {len(path) - path.index(id(thing))} up".encode()
    if id(thing) not in known:
        value = _value(thing)
        inner = (*path, id(thing))
        inside = _inside(thing) if value is None else []
        parts = [_digest(part, known, inner) for part in inside]
        if value is not None:
            parts = [value]
        digest = hashlib.sha256(f"{type(thing).__module__}.".encode())
        digest.update(type(thing).__qualname__.encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        known[id(thing)] = thing, digest.digest()
    return known[id(thing)][1]


def _value(thing: Any) -> bytes | None:
    """Return what a thing without parts is, None for one that has parts."""
    if isinstance(thing, enum.Enum):
        return thing.name.encode()
    if isinstance(thing, PLAIN):
        return repr(thing).encode()
    if isinstance(thing, type | ModuleType):
        return f"{getattr(thing, '__module__', '')}.{thing.__name__}".encode()
    if isinstance(thing, np.ndarray | np.generic | np.dtype | jax.Array):
        return _array(thing)
    return None


def _is_key(thing: Any) -> bool:
    return isinstance(thing, jax.Array) and jnp.issubdtype(
        thing.dtype, jax.dtypes.prng_key
    )


def _array(thing: Any) -> bytes:
    if isinstance(thing, np.dtype):
        return str(thing).encode()
    if _is_key(thing):
        thing = jax.random.key_data(thing)
    array = np.asarray(thing)
    if array.dtype == object:
        raise ValueError("an array of objects has no fingerprint: give numbers")
    return f"{array.dtype}{array.shape}".encode() + array.tobytes()


def _inside(thing: Any) -> list[Any]:
    """Return what a thing holds that can make it differ from another."""
    if isinstance(thing, FunctionType):
        return _function(thing)
    if isinstance(thing, CodeType):
        return [thing.co_code, thing.co_names, *thing.co_consts]
    if isinstance(thing, partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, Mapping):
        return [part for pair in thing.items() for part in pair]
    if isinstance(thing, list | tuple):
        return list(thing)
    if isinstance(thing, set | frozenset):
        return sorted(map(fingerprint, thing))
    if hasattr(thing, "__wrapped__"):  # of jax.jit and functools.wraps
        return [thing.__wrapped__]
    if dataclasses.is_dataclass(thing):
        fields = dataclasses.fields(thing)
        return [*_call(thing), *(getattr(thing, field.name) for field in fields)]
    if isinstance(getattr(thing, "__name__", None), str):  # of C: math.sin, np.exp
        return [getattr(thing, "__module__", None), thing.__name__]
    if hasattr(thing, "__dict__"):
        return [*_call(thing), *(part for pair in vars(thing).items() for part in pair)]
    raise ValueError(
        f"{thing!r} has no fingerprint, so a run that uses it cannot be told from "
        "another: give functions of numbers, arrays and other functions"
    )


def _call(thing: Any) -> list[Any]:
    """Return what an object does when it is called like a function."""
    call = inspect.getattr_static(type(thing), "__call__", None)
    return [call] if isinstance(call, FunctionType) else []


def _function(function: FunctionType) -> list[Any]:
    path = function.__code__.co_filename
    if hasattr(function, "__wrapped__") and any(name in path for name in CHECKERS):
        return [function.__wrapped__]
    cells = [_content(cell) for cell in function.__closure__ or ()]
    name = f"{function.__module__}.{function.__qualname__}"
    return [
        name,
        _text(function),
        function.__defaults__,
        function.__kwdefaults__,
        *cells,
        _globals(function),
    ]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return "empty"


def _text(function: FunctionType) -> Any:
    """Return the source where it says what the function is, else the bytecode."""
    code = function.__code__
    try:
        # Of the code: of the function it would be what a decorator wraps.
        source = textwrap.dedent(inspect.getsource(code)).strip()
    except (OSError, TypeError, SyntaxError, IndentationError):
        source = ""
    if code.co_filename == "<string>":  # Python 3.13 takes any `python -c` for it
        source = ""
    if source and (function.__name__ != "<lambda>" or source.count("lambda") == 1):
        return source
    return [source, sys.version_info[:2], code]


def _globals(function: FunctionType) -> dict[str, Any]:
    """Return what of the function's own package it looks up by a global name."""
    package = _package(function)
    found = {
        name: function.__globals__[name]
        for name in sorted(_names(function.__code__) & function.__globals__.keys())
    }
    return {name: value for name, value in found.items() if _counts(value, package)}


def _counts(value: Any, package: str) -> bool:
    """Say whether a global is a number, an array, or a function of the package."""
    if isinstance(value, (*PLAIN, np.ndarray, jax.Array)):
        return True
    if isinstance(value, tuple | list | set | frozenset):
        return all(_counts(item, package) for item in value)
    if isinstance(value, dict):
        return all(_counts(item, package) for pair in value.items() for item in pair)
    if isinstance(value, partial):
        return _counts(value.func, package)
    is_function = isinstance(value, FunctionType) or hasattr(value, "__wrapped__")
    if is_function or dataclasses.is_dataclass(value):
        return not isinstance(value, type) and _package(value) == package
    return False


def _names(code: CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _package(thing: Any) -> str:
    return (getattr(thing, "__module__", None) or "").partition(".")[0]
