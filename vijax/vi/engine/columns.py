r"""A log density made ready for a loop: what the data alone decide is found before it.

The loop changes the unknowns and never the data. So the function is traced once, and
its equations are parted:

    of the data alone       evaluated once, before the loop: masks, log y!, ...
    of the unknowns too     evaluated in the loop

XLA would do the same, but turns masks of the data into numbers that the gradient has to
read in each step. Constants that are only spread out stay in the loop, for to make them
there is faster than to read them.

A regression's log density holds X w: X of many rows and few columns, one draw w at a
time. That product and its gradient's, Xᵀ r, run over short rows, where a processor is
slow. Over the long rows of Xᵀ, made once, both are several times as fast:

    X w = dot(w, Xᵀ),    Xᵀ r = dot(r, Xᵀ) over its rows

All else stays, and so do its values.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.extend.core import (
    ClosedJaxpr,
    DropVar,
    Jaxpr,
    JaxprEqn,
    Var,
    gensym,
    jaxpr_as_fun,
)
from jaxtyping import Array

SPREAD = ("broadcast_in_dim", "iota")  # constants, larger than what they are made of


def by_columns(
    function: Callable[..., Array], data: list[Array], *arguments: Any
) -> tuple[Callable[..., Array], list[Array]]:
    """Return a function of (held, *arguments) with `function`'s values, and held.

    Args:
        function: (data, *arguments) -> array.
        data: arrays.
        *arguments: examples of the rest, of which shapes and types matter.

    Example:
        >>> import jax.numpy as jnp
        >>> x, w = jnp.arange(6.0).reshape(3, 2), jnp.array([1.0, -1.0])
        >>> product, held = by_columns(lambda data, w: jnp.exp(data[0]) @ w, [x], w)
        >>> [leaf.shape for leaf in held]
        [(2, 3)]
        >>> [round(x.item(), 2) for x in product(held, w)]
        [-1.72, -12.7, -93.82]
    """
    closed = jax.make_jaxpr(function)(data, *arguments)
    inputs, rest = closed.jaxpr.invars[: len(data)], closed.jaxpr.invars[len(data) :]
    equations, out = _inlined(closed.jaxpr)
    known = {*inputs, *closed.jaxpr.constvars}
    before, inside = _parted(equations, known)
    known = (known | _outputs(before)) - _outputs(inside)
    inside, transposes = _by_rows(inside, known)
    used = [v for equation in inside for v in equation.invars] + [out]
    plain = [v for v in dict.fromkeys(filter(_is_var, used)) if v in known]
    first = _function(closed, before, inputs, [*plain, *transposes])
    last = _function(closed, inside, [*plain, *transposes.values(), *rest], [out])
    values = first(*data)
    # The barrier keeps the compiler from undoing the transposition.
    held = values[: len(plain)] + [
        jax.lax.optimization_barrier(value.T) for value in values[len(plain) :]
    ]
    return lambda *arguments: last(*jax.tree.leaves(arguments))[0], held


def _by_rows(
    equations: list[JaxprEqn], known: set[Var]
) -> tuple[list[JaxprEqn], dict[Var, Var]]:
    """Turn every X w of a known X into dot(w, Xᵀ); return the Xᵀ too, by the X."""
    new_var = gensym()
    transposes: dict[Var, Var] = {}
    turned = []
    for equation in equations:
        matrix: Any = next(iter(equation.invars), None)
        if _is_var(matrix) and matrix in known and _is_product(equation):
            if matrix not in transposes:
                shape = matrix.aval.shape[::-1]
                transposes[matrix] = new_var(matrix.aval.update(shape=shape))
            numbers = {"dimension_numbers": (((0,), (0,)), ((), ()))}
            equation = equation.replace(
                invars=[equation.invars[1], transposes[matrix]],
                params=equation.params | numbers,
            )
        turned.append(equation)
    return turned, transposes


def _function(
    closed: ClosedJaxpr, equations: list[JaxprEqn], invars: Any, outvars: Any
) -> Callable[..., list[Array]]:
    """Return the function of some of the equations."""
    jaxpr = closed.jaxpr
    jaxpr = jaxpr.replace(
        invars=list(invars),
        outvars=list(outvars),
        eqns=equations,
        debug_info=jaxpr.debug_info.with_unknown_names(),
    )
    return jaxpr_as_fun(ClosedJaxpr(jaxpr, closed.consts))


def _parted(
    equations: list[JaxprEqn], known: set[Var]
) -> tuple[list[JaxprEqn], list[JaxprEqn]]:
    """Part the equations: of what is known alone, and the others."""
    before: list[JaxprEqn] = []
    others: list[JaxprEqn] = []
    known, makers = set(known), {}
    for equation in equations:
        inputs = [v for v in equation.invars if _is_var(v)]
        if known.issuperset(inputs) and not equation.effects:
            before.append(equation)
            known.update(equation.outvars)
            if equation.primitive.name in SPREAD:
                makers[equation.outvars[0]] = equation
        else:
            others.append(equation)
    # What is only spread out is made where it is wanted.
    inside: list[JaxprEqn] = []
    made: set[Var] = set()

    def make(variables: Iterable[Any]) -> None:
        for variable in variables:
            if _is_var(variable) and variable in makers and variable not in made:
                made.add(variable)
                make(makers[variable].invars)
                inside.append(makers[variable])

    for equation in others:
        make(equation.invars)
        inside.append(equation)
    return before, inside


def _outputs(equations: list[JaxprEqn]) -> set[Var]:
    return {v for equation in equations for v in equation.outvars}


def _is_var(atom: Any) -> bool:
    return isinstance(atom, Var) and not isinstance(atom, DropVar)


def _is_product(equation: JaxprEqn) -> bool:
    """Say whether an equation is `matrix @ vector`, the matrix being tall."""
    if equation.primitive.name != "dot_general":
        return False
    avals: Any = [variable.aval for variable in equation.invars]
    matrix, vector = avals
    contracted, batch = equation.params["dimension_numbers"]
    rows, columns = (*matrix.shape, 0, 0)[:2]
    is_vector = vector.ndim == 1
    return is_vector and contracted[0] == (1,) and not batch[0] and rows > columns


def _inlined(jaxpr: Jaxpr) -> tuple[list[JaxprEqn], Any]:
    """Return the equations with those of inner jits in their place, and the result."""
    new_var = gensym()
    names: dict[Var, Any] = {}

    def name(atom: Any) -> Any:
        return names.get(atom, atom) if isinstance(atom, Var) else atom

    def run(jaxpr: Jaxpr, is_inner: bool) -> list[JaxprEqn]:
        equations = []
        for equation in jaxpr.eqns:
            invars = [name(atom) for atom in equation.invars]
            inner: Any = equation.params.get("jaxpr")
            if equation.primitive.name == "jit" and not inner.consts:
                names.update(zip(inner.jaxpr.invars, invars, strict=True))
                equations += run(inner.jaxpr, True)
                outputs = [name(atom) for atom in inner.jaxpr.outvars]
                names.update(zip(equation.outvars, outputs, strict=True))
                continue
            outvars = equation.outvars
            if is_inner:  # an inner function may be called twice
                outvars = [
                    v if isinstance(v, DropVar) else new_var(v.aval) for v in outvars
                ]
                names.update(zip(equation.outvars, outvars, strict=True))
            equations.append(equation.replace(invars=invars, outvars=outvars))
        return equations

    equations = run(jaxpr, False)
    return equations, name(jaxpr.outvars[0])
