"""Memoised constructors: equal arguments return the same object.

jit hashes functions by identity, so a network that was made twice would be compiled
twice. What is made also remembers how, so that it can be made again in another process:
from a file by `vae.load`, or where it is pickled, as for a pool of processes.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
CONSTRUCTORS: dict[str, Callable[..., Any]] = {}  # by name


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

    CONSTRUCTORS[make.__name__] = call
    return call


def reduced(made: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return what `pickle` makes an object again by: functions inside have no pickle.

    An object that is not what its recipe makes, such as a network of one's own, is
    pickled field by field, if its functions can be.
    """
    recipe = made.recipe
    if recipe is not None and recipe.constructor in CONSTRUCTORS:
        again = partial(CONSTRUCTORS[recipe.constructor], **dict(recipe.arguments))
        if again() == made:
            return again, ()
    return type(made), tuple(made)
