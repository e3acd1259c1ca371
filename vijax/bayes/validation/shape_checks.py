"""Checks of types and shapes, which are known inside a trace too: they always raise."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vijax.bayes.validation import value_checks
from vijax.bayes.validation.value_checks import Numbers


def of_type(name: str, value: Any, *types: type) -> None:
    """Refuse an argument that is none of these types.

    Example:
        >>> of_type("prior", 3.0, dict)
        Traceback (most recent call last):
        ...
        ValueError: prior is a float: give a dict
    """
    if not isinstance(value, types):
        names = " or a ".join(one.__name__ for one in types)
        raise ValueError(f"{name} is a {type(value).__name__}: give a {names}")


def one_prior(name: str, value: Any, *types: type) -> None:
    """Refuse a distribution that is none of these types, or an array of one.

    Example:
        >>> import numpyro.distributions as dist
        >>> one_prior("prior", dist.Gamma(jnp.ones(3), 1.0), dist.Gamma)
        Traceback (most recent call last):
        ...
        ValueError: prior has shape (3,): give one distribution, and vmap over several
    """
    of_type(name, value, *types)
    if value.batch_shape:
        remedy = "give one distribution, and vmap over several"
        raise ValueError(f"{name} has shape {value.batch_shape}: {remedy}")


def one_number(**values: Numbers) -> None:
    """Refuse arrays.

    Example:
        >>> one_number(counts=jnp.ones(2))
        Traceback (most recent call last):
        ...
        ValueError: counts has shape (2,): give one number, and vmap over data sets
    """
    for name, value in values.items():
        shape = np.shape(value_checks.numbers(name, value))
        if shape:
            remedy = "give one number, and vmap over data sets"
            raise ValueError(f"{name} has shape {shape}: {remedy}")


def broadcast(**arrays: Array) -> tuple[Array, ...]:
    """Broadcast arrays against each other.

    Example:
        >>> broadcast(counts=jnp.ones(2), exposure=jnp.ones(3))
        Traceback (most recent call last):
        ...
        ValueError: counts of shape (2,) and exposure of shape (3,) do not fit: give one
        shape, or single numbers
    """
    try:
        return tuple(jnp.broadcast_arrays(*arrays.values()))
    except ValueError:
        each = (f"{name} of shape {array.shape}" for name, array in arrays.items())
        remedy = "do not fit: give one shape, or single numbers"
        raise ValueError(f"{' and '.join(each)} {remedy}") from None


def last_axis(name: str, array: Array, size: int) -> None:
    """Refuse an array whose last axis has not the prior's length.

    Example:
        >>> last_axis("counts", jnp.ones((5, 2)), 3)
        Traceback (most recent call last):
        ...
        ValueError: counts has shape (5, 2): its last axis must have 3 entries, as many
        as the prior has
    """
    if array.ndim == 0 or array.shape[-1] != size:
        raise ValueError(
            f"{name} has shape {array.shape}: its last axis must have {size} entries, "
            "as many as the prior has"
        )


def square(name: str, matrix: Numbers, size: int) -> Float[Array, "size size"]:
    """Return a matrix as an array, if it is symmetric and of this size.

    Example:
        >>> square("covariance", jnp.eye(3), 2)
        Traceback (most recent call last):
        ...
        ValueError: covariance has shape (3, 3): give (2, 2)
    """
    array = value_checks.not_empty(name, matrix)
    if array.shape != (size, size):
        raise ValueError(f"{name} has shape {array.shape}: give {(size, size)}")
    gap = jnp.abs(array - array.T).max()
    small = ~(gap > 1e-4 * jnp.abs(array).max())
    value_checks.checked(small, name, array, "give a symmetric matrix")
    return array


def cholesky(
    name: str, matrix: Numbers, size: int
) -> tuple[Float[Array, "size size"], Bool[Array, ""]]:
    """Return the lower triangular factor, and whether there is one.

    Example:
        >>> cholesky("covariance", 4 * jnp.eye(1), 1)[0].tolist()
        [[2.0]]
    """
    array = square(name, matrix, size)
    factor = jnp.linalg.cholesky(array)
    finite = jnp.isfinite(factor).all()
    remedy = "give a positive definite matrix"
    return factor, value_checks.checked(finite, name, array, remedy)
