"""Memoised constructors: equal arguments return the same object.

jit hashes functions by identity, so a network that was made twice would be compiled
twice. What is made also remembers how, so that it can be made again in another process.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Recipe(NamedTuple):
    """How an object was made: its constructor's name and all arguments."""

    constructor: str
    arguments: tuple[tuple[str, Any], ...]


def cached(make: Callable[P, T]) -> Callable[P, T]:
    """Return the constructor with its results remembered; lists count as tuples.

    An object with a field `recipe` gets the `Recipe` that makes it again.

    Example:
        >>> make = cached(lambda widths: object())
        >>> make([4, 2]) is make(widths=(4, 2))
        True
    """

    @lru_cache
    def remember(arguments: tuple[tuple[str, Any], ...]) -> Any:
        made: Any = make(**dict(arguments))  # type: ignore[call-arg]
        if "recipe" in getattr(made, "_fields", ()):
            made = made._replace(recipe=Recipe(make.__name__, arguments))
        return made

    def hashable(value: Any) -> Any:
        return tuple(map(hashable, value)) if isinstance(value, list) else value

    @wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # Not kept outside: a fingerprint cannot look into a signature.
        bound = inspect.signature(make).bind(*args, **kwargs)
        bound.apply_defaults()
        frozen = tuple((n, hashable(v)) for n, v in bound.arguments.items())
        return remember(frozen)

    return call
