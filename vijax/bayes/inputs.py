"""What every family asks of its input: whole counts, finite numbers, a proper prior.

Each function of data returns a floating array beside the mask of what is valid. An
eager call raises where the mask is False, so there the mask is all True; in a trace
the caller turns the result into NaN with `where_valid`.
"""

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.validate import check

Data = Any  # whatever jnp.asarray takes: numbers, lists, NumPy and JAX arrays
Checked = tuple[Float[Array, "..."], Bool[ArrayLike, "..."]]


def as_float(value: Data) -> Float[Array, "..."]:
    """Return a floating array: float32 stays so, integers get the default precision."""
    dtype = jnp.result_type(float, getattr(value, "dtype", float))
    return jnp.asarray(value, dtype)


def counts(name: str, value: Data) -> Checked:
    """Check for whole numbers, 0 or larger. They stay exact up to 2^53 (float32: 2^24).

    Example:
        >>> counts("counts", [3, -1])
        Traceback (most recent call last):
        ...
        ValueError: counts = -1.0 (at index 1) is not valid: give whole numbers >= 0
    """
    array = not_empty(name, value)
    whole = (array >= 0) & (array == jnp.floor(array)) & jnp.isfinite(array)
    return array, check(whole, name, array, "give whole numbers >= 0")


def finite(name: str, value: Data) -> Checked:
    """Check for finite numbers, as measurements are.

    Example:
        >>> finite("observations", 1.0)[0].item()
        1.0
    """
    array = not_empty(name, value)
    return array, check(jnp.isfinite(array), name, array, "give finite numbers")


def positive(name: str, value: Data) -> Checked:
    """Check for finite numbers > 0, as scales, rates and exposures are.

    Example:
        >>> positive("exposure", 0.0)
        Traceback (most recent call last):
        ...
        ValueError: exposure = 0.0 is not valid: give finite numbers > 0
    """
    array = not_empty(name, value)
    valid = (array > 0) & jnp.isfinite(array)
    return array, check(valid, name, array, "give finite numbers > 0")


def not_empty(name: str, value: Data) -> Float[Array, "..."]:
    """Refuse an array without elements: with no data the posterior is the prior."""
    array = as_float(value)
    if array.size == 0:
        raise ValueError(f"{name} is empty: give at least one value")
    return array


def positive_parameters(**values: ArrayLike) -> Bool[Array, "..."]:
    """Check a prior's parameters for > 0, one mask for each prior of a batch."""
    valid = jnp.asarray(True)
    for name, value in values.items():
        array = as_float(value)
        remedy = "a proper prior needs a finite number > 0"
        mask = check((array > 0) & jnp.isfinite(array), f"prior.{name}", array, remedy)
        valid = valid & mask
    return valid


def finite_parameters(**values: ArrayLike) -> Bool[Array, "..."]:
    """Check a prior's parameters for finite numbers, one mask for each prior."""
    valid = jnp.asarray(True)
    for name, value in values.items():
        array = as_float(value)
        remedy = "a proper prior needs a finite number"
        valid = valid & check(jnp.isfinite(array), f"prior.{name}", array, remedy)
    return valid


def all_of(*masks: ArrayLike) -> Bool[Array, ""]:
    """Reduce masks to one: the whole data set is valid or it is not."""
    return jnp.all(jnp.stack([jnp.all(mask) for mask in masks]))
