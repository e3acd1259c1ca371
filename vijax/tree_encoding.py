"""Pytrees as JSON and named arrays, and back, without running what is read.

    arrays = {}
    code = encode(tree, arrays)              JSON that names the arrays
    tree = decode(code, arrays, types)       types: by name, those that may be made

Structure, classes and Python's numbers go into the code, arrays beside it. A class is
made only where the reader names it: a file cannot choose what is called. Arrays keep
their bits and types, float64 also where JAX's own setting is float32.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PLAIN = (bool, int, str, type(None))


def encode(
    tree: Any,
    arrays: dict[str, np.ndarray],
    *,
    name: str = "x",
    given: Callable[[Any], str | None] = lambda thing: None,
) -> Any:
    """Return JSON for a tree, and add its arrays to `arrays`.

    Args:
        tree: of NamedTuples, dataclasses, lists, tuples, dicts, arrays, random keys,
            numbers, strings and None.
        arrays: filled by names that say where in the tree they are.
        name: that these names begin with.
        given: returns a name for a thing that the reader will have, None for others.

    Raises:
        ValueError: for anything else in the tree.

    Example:
        >>> arrays = {}
        >>> encode({"a": np.arange(2), "b": None}, arrays)
        {'dict': [['a', {'array': 'x.a', 'as': 'numpy'}], ['b', None]]}
        >>> arrays
        {'x.a': array([0, 1])}
    """

    def inner(thing: Any, place: str) -> Any:
        known = given(thing)
        if known is not None:
            return {"given": known}
        if isinstance(thing, PLAIN):
            return thing
        if isinstance(thing, float):
            return {"float": thing.hex()}
        if isinstance(thing, jax.Array | np.ndarray | np.generic):
            kind, array = _array(thing)
            arrays[place] = array
            return {"array": place, "as": kind}
        fields = fields_of(thing)
        if fields is not None:
            parts = {n: inner(part, f"{place}.{n}") for n, part in fields.items()}
            return {"type": type_name(type(thing)), "fields": parts}
        if isinstance(thing, list | tuple) and type(thing) in (list, tuple):
            items = [inner(item, f"{place}.{n}") for n, item in enumerate(thing)]
            return {type(thing).__name__: items}
        if type(thing) is dict and all(isinstance(key, str | int) for key in thing):
            pairs = thing.items()
            return {"dict": [[key, inner(x, f"{place}.{key}")] for key, x in pairs]}
        raise ValueError(
            f"{place} = {thing!r} cannot be stored: it is a {type(thing).__name__}, "
            "and a file holds arrays, numbers, text, and NamedTuples, dataclasses, "
            "lists and dicts of them"
        )

    return inner(tree, name)


def decode(
    code: Any,
    arrays: Mapping[str, np.ndarray],
    types: Mapping[str, type],
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Return the tree that was encoded.

    Args:
        code: from `encode`.
        arrays: likewise.
        types: the classes that may be made, by `type_name`.
        given: what `encode`'s `given` has named.

    Raises:
        ValueError: the code names another class, or is not one of `encode`'s.

    Example:
        >>> arrays = {}
        >>> code = encode((1, [2.5, jnp.ones(2)]), arrays)
        >>> decode(code, arrays, {})
        (1, [2.5, Array([1., 1.], dtype=float32)])
    """

    def inner(code: Any) -> Any:
        if isinstance(code, PLAIN):
            return code
        if "type" in code:
            made = types.get(code["type"])
            if made is None:
                raise ValueError(
                    f"the file holds a {code['type']}, which is not among the known "
                    f"types ({', '.join(sorted(types))}): give its class in types"
                )
            return made(**{name: inner(x) for name, x in code["fields"].items()})
        if "array" in code:
            return _from_array(arrays[code["array"]], code["as"])
        if "given" in code:
            return (given or {})[code["given"]]
        if "float" in code:
            return float.fromhex(code["float"])
        if "list" in code:
            return [inner(item) for item in code["list"]]
        if "tuple" in code:
            return tuple(inner(item) for item in code["tuple"])
        return {key: inner(item) for key, item in code["dict"]}

    try:
        return inner(code)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the file does not fit this version of vijax ({error}): read it with the "
            "version that wrote it"
        ) from error


def type_name(cls: type) -> str:
    """Return the name that a class has in a code.

    Example:
        >>> type_name(np.ndarray)
        'ndarray'
    """
    return cls.__qualname__


def fields_of(thing: Any) -> dict[str, Any] | None:
    """Return the fields of a NamedTuple or dataclass by name, None of others.

    Example:
        >>> fields_of([1, 2]) is None
        True
    """
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return dict(zip(thing._fields, thing, strict=True))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        names = [field.name for field in dataclasses.fields(thing) if field.init]
        return {name: getattr(thing, name) for name in names}
    return None


def _array(thing: Any) -> tuple[str, np.ndarray]:
    """Return what kind of array it is, and its numbers."""
    if isinstance(thing, jax.Array):
        if jnp.issubdtype(thing.dtype, jax.dtypes.prng_key):
            impl = str(jax.random.key_impl(thing))
            return f"key {impl}", np.asarray(jax.random.key_data(thing))
        # A Python number that JAX has made an array of gives way to other types.
        return "weak" if thing.weak_type and not thing.ndim else "jax", np.array(thing)
    return "numpy" if isinstance(thing, np.ndarray) else "number", np.array(thing)


def _from_array(array: np.ndarray, kind: str) -> Any:
    if kind == "numpy":
        return array
    if kind == "number":
        return array[()]
    if kind.startswith("key "):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=kind[4:])
    with jax.enable_x64(array.dtype.itemsize == 8 and array.dtype.kind in "iuf"):
        if kind == "weak":
            return jnp.asarray(array.item())
        with jax.enable_x64(True):
            return jax.device_put(array, may_alias=False)
