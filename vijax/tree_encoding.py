"""Trees as JSON and named arrays, and back, without running what is read.

    arrays = {}
    code = encode(tree, arrays)              JSON that names the arrays
    tree = decode(code, arrays, types)       types: by name, what may be made

Structure, classes and Python's numbers go into the code, arrays beside it. NamedTuples
and dataclasses go by their fields; what has a `recipe` goes by that, the name of its
constructor and the arguments. Either is made only where the reader names it: a file
cannot choose what is called. Arrays keep their bits and types, float64 also where JAX's
own setting is float32.
"""

import dataclasses
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PLAIN = (bool, int, float, str, type(None))
Types = Mapping[str, Callable[..., Any]]


def encode(
    tree: Any,
    arrays: dict[str, np.ndarray],
    *,
    name: str = "x",
    types: Types | None = None,
    given: Callable[[Any], str | None] = lambda thing: None,
) -> Any:
    """Return JSON for a tree, and add its arrays to `arrays`.

    Args:
        tree: of NamedTuples, dataclasses, things with a `recipe`, lists, tuples, dicts
            with words or whole numbers for keys, arrays, random keys, numbers, strings
            and None.
        arrays: filled by names that say where in the tree they are.
        name: that these names begin with.
        types: those that the reader will know; None lets all through.
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
        if type(thing) is float and not math.isfinite(thing):  # no word of JSON's
            return {"float": str(thing)}
        if type(thing) in PLAIN:
            return thing
        if isinstance(thing, jax.Array | np.ndarray | np.generic):
            kind, array = _array(thing)
            if array.dtype.hasobject:
                raise ValueError(
                    f"{place} is an array of objects: give numbers or text"
                )
            label = _label(place, arrays)
            arrays[label] = array
            return {"array": label, "as": kind}
        made_of = _made_of(thing, types)
        if made_of is not None:
            made_by, parts = made_of
            code = {n: inner(part, f"{place}.{n}") for n, part in parts.items()}
            return {"type": made_by, "fields": code}
        if type(thing) in (list, tuple):
            items = [inner(item, f"{place}.{n}") for n, item in enumerate(thing)]
            return {type(thing).__name__: items}
        if type(thing) is dict and all(type(key) in (str, int) for key in thing):
            pairs = thing.items()
            return {"dict": [[key, inner(x, f"{place}.{key}")] for key, x in pairs]}
        kind, shown = type(thing).__name__, reprlib.repr(thing)
        raise ValueError(
            f"{place} = {shown} cannot be stored: it is a {kind}, and a file holds "
            "arrays, numbers, text, and NamedTuples, dataclasses, lists and dicts of "
            "them"
        )

    return inner(tree, name)


def decode(
    code: Any,
    arrays: Mapping[str, np.ndarray],
    types: Types,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Return the tree that was encoded.

    Args:
        code: from `encode`.
        arrays: likewise.
        types: the classes and constructors that may be called, by `type_name`.
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
            return float(code["float"])
        if "list" in code:
            return [inner(item) for item in code["list"]]
        if "tuple" in code:
            return tuple(inner(item) for item in code["tuple"])
        return {key: inner(item) for key, item in code["dict"]}

    try:
        return inner(code)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"the file does not fit this version of vijax ({error}): read it with the "
            "version that wrote it"
        ) from error


def type_name(cls: Callable[..., Any]) -> str:
    """Return the name that a class or constructor has in a code.

    Example:
        >>> type_name(np.ndarray)
        'ndarray'
    """
    return cls.__qualname__


def _made_of(thing: Any, types: Types | None) -> tuple[str, dict[str, Any]] | None:
    """Return what makes a thing and of what; None where nothing known does."""
    recipe: Any = getattr(thing, "recipe", None)
    constructor = getattr(recipe, "constructor", None)
    if constructor is not None:
        known = types is None or constructor in types
        return (constructor, dict(recipe.arguments)) if known else None
    if types is not None and types.get(type_name(type(thing))) is not type(thing):
        return None
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        parts = dict(zip(thing._fields, thing, strict=True))
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        names = [field.name for field in dataclasses.fields(thing) if field.init]
        parts = {name: getattr(thing, name) for name in names}
    else:
        return None
    return type_name(type(thing)), parts


def _label(place: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return a name that can be a file's, and that no other array has."""
    label = plain = re.sub(r"[^\w.-]", "_", place)
    number = 2
    while label in arrays:  # {"a.b": x, "a": {"b": y}}
        label = f"{plain}-{number}"
        number += 1
    return label


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
