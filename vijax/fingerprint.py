"""What a function is made of, as a hash that is the same in another process.

Code, defaults and all that its closure holds, down to numbers and arrays: so that
`optax.adam(0.1)` made twice is the same, and another step size, or a schedule that
differs a thousand steps later, is not. What it looks up by a global name counts by that
name alone.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np


def fingerprint(thing: Any) -> str:
    """Return the hash of a function, or of a container of functions and values.

    Example:
        >>> import optax
        >>> fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.1))
        True
        >>> fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.2))
        False
    """
    digest = hashlib.sha256()
    for part in _parts(thing, set()):
        digest.update(part + b"|")
    return digest.hexdigest()


def _parts(thing: Any, seen: set[int]) -> Iterator[bytes]:
    yield f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
    if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
        yield repr(thing).encode()
        return
    if isinstance(thing, type | ModuleType):
        yield thing.__name__.encode()
        return
    if isinstance(thing, np.ndarray | np.generic | jax.Array):
        array = np.asarray(thing)
        yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
        return
    if id(thing) in seen:
        return
    seen.add(id(thing))
    for part in _inside(thing):
        yield from _parts(part, seen)


def _inside(thing: Any) -> list[Any]:
    """Return what a thing holds that can make it differ from another."""
    if isinstance(thing, FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        defaults = [thing.__defaults__, thing.__kwdefaults__]
        return [thing.__qualname__, thing.__code__, *defaults, *cells]
    if isinstance(thing, CodeType):
        return [thing.co_code, thing.co_names, *thing.co_consts]
    if isinstance(thing, partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, dict):
        return [part for pair in thing.items() for part in pair]
    if isinstance(thing, list | tuple):
        return list(thing)
    if hasattr(thing, "__wrapped__"):  # of jax.jit
        return [thing.__wrapped__]
    return list(getattr(thing, "__dict__", {}).items())
