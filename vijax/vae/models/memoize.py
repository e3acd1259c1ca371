"""Memoised constructors: equal arguments return the same object.

jit hashes functions by identity, so a network that was made twice would be compiled
twice.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def cached(make: Callable[P, T]) -> Callable[P, T]:
    """Return the constructor with its results remembered; lists count as tuples.

    Example:
        >>> make = cached(lambda widths: object())
        >>> make([4, 2]) is make((4, 2))
        True
    """
    remember = lru_cache(make)

    def hashable(value: Any) -> Any:
        return tuple(map(hashable, value)) if isinstance(value, list) else value

    @wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        frozen = {name: hashable(value) for name, value in kwargs.items()}
        return remember(*map(hashable, args), **frozen)

    return call
