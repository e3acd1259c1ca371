r"""Products with a tall matrix of data, taken from its transpose.

A regression's log density holds X w: X of many rows and few columns, one draw w at a
time. That product and its gradient's, Xᵀ r, run over short rows, where a processor is
slow. Over the long rows of Xᵀ, made once before a loop, both are several times as fast:

    X w = dot(w, Xᵀ),    Xᵀ r = dot(r, Xᵀ) over its rows

The function is traced once, and such products in its jaxpr are replaced; all else
stays, and so do its values.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Var, jaxpr_as_fun
from jaxtyping import Array


def by_columns(
    function: Callable[..., Array], data: list[Array], *arguments: Any
) -> tuple[Callable[..., Array], list[Array]]:
    """Return a function of (held, *arguments) with `function`'s values, and held.

    Args:
        function: (data, *arguments) -> array.
        data: arrays; those that `function` multiplies by vectors are held transposed.
        *arguments: examples of the rest, of which shapes and types matter.

    Example:
        >>> import jax.numpy as jnp
        >>> x, w = jnp.arange(6.0).reshape(3, 2), jnp.array([1.0, -1.0])
        >>> product, held = by_columns(lambda data, w: data[0] @ w, [x], w)
        >>> held[0].shape, product(held, w).tolist()
        ((2, 3), [-1.0, -1.0, -1.0])
    """
    closed = jax.make_jaxpr(function)(data, *arguments)
    plain = jaxpr_as_fun(closed)
    matrices = [
        any(_is_product(equation, variable) for equation in closed.jaxpr.eqns)
        for variable in closed.jaxpr.invars[: len(data)]
    ]

    def transposed(held: list[Array], *arguments: Any) -> Any:
        pairs = zip(held, matrices, strict=True)
        leaves = [leaf.T if is_matrix else leaf for leaf, is_matrix in pairs]
        return plain(*leaves, *jax.tree.leaves(arguments))[0]

    # The barrier keeps the compiler from undoing the transposition.
    held = [
        jax.lax.optimization_barrier(leaf.T) if is_matrix else leaf
        for leaf, is_matrix in zip(data, matrices, strict=True)
    ]
    fast = jaxpr_as_fun(_by_rows(jax.make_jaxpr(transposed)(held, *arguments)))
    return lambda *arguments: fast(*jax.tree.leaves(arguments))[0], held


def _is_product(equation: Any, matrix: Var) -> bool:
    """Say whether an equation is `matrix @ vector`, the matrix being tall."""
    if equation.primitive.name != "dot_general" or equation.invars[0] is not matrix:
        return False
    contracted, batch = equation.params["dimension_numbers"]
    rows, columns = (*matrix.aval.shape, 0, 0)[:2]
    is_vector = equation.invars[1].aval.ndim == 1
    return is_vector and contracted[0] == (1,) and not batch[0] and rows > columns


def _by_rows(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Turn every X w whose X is the transpose of an argument Xᵀ into dot(w, Xᵀ)."""
    jaxpr = closed.jaxpr
    origins: dict[Var, Var] = {}
    equations = []
    for equation in jaxpr.eqns:
        first: Any = next(iter(equation.invars), None)
        if not isinstance(first, Var):
            first = None
        if equation.primitive.name == "transpose" and first in jaxpr.invars:
            origins[equation.outvars[0]] = first
        elif first in origins and _is_product(equation, first):
            numbers = {"dimension_numbers": (((0,), (0,)), ((), ()))}
            equation = equation.replace(
                invars=[equation.invars[1], origins[first]],
                params=equation.params | numbers,
            )
        equations.append(equation)
    return ClosedJaxpr(jaxpr.replace(eqns=equations), closed.consts)
