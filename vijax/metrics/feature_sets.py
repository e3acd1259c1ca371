"""What distances between sets of feature vectors ask of their input."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from vijax.validate import check, is_whole, real_numbers, seen

Features = Float[ArrayLike, "_ features"]  # two sets may differ in length


def check_number(name: str, number: int) -> None:
    """Raise a ValueError that names what is not a whole number of 2 or more."""
    check(is_whole(number) and number >= 2, name, number, "give 2 or more")


def check_sets(
    real: Features,
    generated: Features,
    names: tuple[str, str] = ("real", "generated"),
) -> Bool[ArrayLike, ""]:
    """Raise a ValueError that names what is wrong; in a trace, return what is not.

    Returns:
        Whether all numbers are finite, which only a trace lets be false.
    """
    pairs = tuple(zip(names, (real, generated), strict=True))
    shapes = [np.shape(real_numbers(name, y)) for name, y in pairs]
    if len(shapes[0]) != 2 or shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"{names[0]} has shape {shapes[0]} and {names[1]} {shapes[1]}: give "
            "vectors (examples, features) of equally many features"
        )
    valid: Any = True
    for name, one in pairs:
        y = jnp.asarray(one)
        check(len(y) >= 2, name, y, "give two examples or more")
        finite: Any = check(abs(seen(y)) < np.inf, name, y, "remove NaN and infinities")
        valid &= finite.all()
    return valid
