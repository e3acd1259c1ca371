"""What one evaluation of a log density costs, counted in its program.

A differential equation of 24 data, or a Gaussian process of 100, costs as much as a
regression of thousands of rows: how many draws a fit takes at a time depends on it. The
count is of numbers computed, loops multiplied, so that it is the same on any machine.
"""

from math import prod
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

UNKNOWN_TRIPS = 100  # of a while loop
CUBIC = ("cholesky", "eigh", "eig", "lu", "qr", "svd", "triangular_solve", "schur")


def work_of(jaxpr: Jaxpr) -> int:
    """Return how many numbers a program computes; of a branch, the costliest.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> work_of(jax.make_jaxpr(lambda x: jnp.sum(x * x))(jnp.ones(10)).jaxpr)
        11
    """
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    shapes = [getattr(out.aval, "shape", ()) for out in equation.outvars]
    inner = [work_of(part) for value in params.values() for part in _programs(value)]
    if name == "cond":
        return max(inner, default=0)
    if inner:
        trips = {"scan": params.get("length"), "while": UNKNOWN_TRIPS}.get(name, 1)
        return sum(inner) * (trips or 1)
    own = sum(prod(shape) for shape in shapes)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        own *= prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    elif name in CUBIC:
        own *= max((shape[-1] for shape in shapes if shape), default=1)
    return own


def _programs(value: Any) -> list[Jaxpr]:
    """Return the programs among a parameter of an equation."""
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [program for part in value for program in _programs(part)]
    return []
