"""Constructors that return the same object for equal arguments.

What is made of pure functions is known to a compiled program by its identity: made
once more, it would be compiled once more.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def cached(make: Callable[P, T]) -> Callable[P, T]:
    """Remember what a constructor made, by its arguments; lists count as tuples.

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
