"""Products with the Hessian, also of densities that JAX differentiates backwards only.

`jax.experimental.ode.odeint`, and whatever else has a `jax.custom_vjp`, knows no
derivative forwards. The Hessian is symmetric, so a gradient's derivative backwards will
do; forwards is faster, and is taken where it is there.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Scalar

Position = TypeVar("Position")


def hessian_product(
    log_density: Callable[[Position], Scalar], position: Position
) -> Callable[[Position], Position]:
    """Return v -> H v, H the Hessian of a log density at a position, a pytree.

    Example:
        >>> product = hessian_product(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]))
        >>> product(jnp.array([1.0, 0.0])).tolist()
        [6.0, 2.0]
    """
    gradient = jax.grad(log_density)
    try:
        product = jax.linearize(gradient, position)[1]
        # Inside of another rule JAX only says so when it looks at the product.
        one = jax.tree.map(lambda leaf: leaf[None], position)
        jax.eval_shape(jax.vmap(product), one)
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        _, backwards = jax.vjp(gradient, position)
        return lambda vector: backwards(vector)[0]
    return product


def hessian(
    log_density: Callable[[Float[Array, " dim"]], Scalar],
    position: Float[Array, " dim"],
) -> Float[Array, "dim dim"]:
    """Return the Hessian of a log density at a position, (dim, dim).

    Example:
        >>> hessian(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0])).tolist()
        [[6.0, 2.0], [2.0, 0.0]]
    """
    product = hessian_product(log_density, position)
    return jax.vmap(product)(jnp.eye(position.size, dtype=position.dtype))
