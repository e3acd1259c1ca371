"""Roots of elementwise functions: bisection, and the derivatives that a root has.

Each element of an array is an equation of its own. How a root is found, and how it
moves with the parameters of its equation, are two questions. `bisect` answers the first
where nothing better is known. `implicit_root` answers the second for a root from
anywhere, by the implicit function theorem:

    r(x, θ) = 0   =>   dx/dθ = - (∂r/∂θ) / (∂r/∂x)
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Residual = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def bisect(
    holds: Callable[[Array], Bool[Array, "..."]],
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    *,
    num_steps: int = 80,
    midpoint: Callable[[Array, Array], Array] = lambda low, high: 0.5 * (low + high),
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return the interval between `low`, where a condition holds, and `high`, halved.

    The step is compiled once, in a loop, however many steps there are. It is not
    differentiable: see `implicit_root`.

    Args:
        holds: the condition, element by element; true on one side of the border only.
        low: where it holds, or where the search begins if it holds nowhere.
        high: where it does not; it may be the smaller of the two.
        num_steps: each halves the interval.
        midpoint: of `low` and `high`; for a border between whole numbers one of them.

    Returns:
        The last `low` and `high`.

    Example:
        >>> low, _ = bisect(lambda x: x**2 < 2, jnp.asarray(0.0), jnp.asarray(2.0))
        >>> print(f"{low:.4f}")
        1.4142
    """

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = midpoint(low, high)
        inside = holds(middle)
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    return jax.lax.fori_loop(0, num_steps, halve, (low, high))


def implicit_root(
    residual: Residual,
    start: Float[Array, "..."],
    solve: Callable[[Residual, Float[Array, "..."]], Float[Array, "..."]],
) -> Float[Array, "..."]:
    """Return the root that `solve` finds, with the derivatives of an exact root.

    They are right to any order, forward and backward, in whatever `residual` closes
    over; nothing of `solve` is differentiated. Where the residual is flat in x the root
    does not move.

    Args:
        residual: r of x, element by element, 0 at the root.
        start: where `solve` begins, of the root's shape.
        solve: gets the residual and the start, and returns the root; it may `bisect`.

    Example:
        >>> def square_root(a):
        ...     return implicit_root(lambda x: x**2 - a, a, lambda _, a: jnp.sqrt(a))
        >>> print(f"{jax.grad(jax.grad(square_root))(1.0):.4f}")  # -1/4
        -0.2500
    """

    def invert(linear: Residual, y: Array) -> Array:
        slope = linear(jnp.ones_like(y))  # the Jacobian is diagonal
        return jnp.where(slope == 0, 0.0, y / jnp.where(slope == 0, 1.0, slope))

    return jax.lax.custom_root(residual, start, solve, invert)
