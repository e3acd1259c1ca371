r"""The minimum of a smooth function between bounds: Newton's method, damped.

At θ, with gradient g and Hessian H, entries that sit at a bound and want to leave it
stay, and the others, F, take the step

    (H_FF + d |diag H_FF|) s = −g_F,       θ ← clip(θ + s, lower, upper),

if the function falls; else the damping d grows. Where the damped Hessian is not
positive definite, a stand-in that is (Fisher's information, say) takes its place. The
search is done when a step would gain nothing: ½ gᵀ H⁻¹ g on F is below the function's
rounding. Pure jnp: under jit, and under vmap over starts, bounds and data.

References:
    Bertsekas (1982), SIAM J. Control Optim. 20(2), 221; Levenberg (1944).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

LEAST_DAMPING, MOST_DAMPING = 1e-9, 1e12


class Minimum(NamedTuple):
    """Where the search ended."""

    theta: Array  # (parameters,)
    value: Array
    hessian: Array  # (parameters, parameters)
    free: Array  # entries that neither are held nor sit at a bound
    converged: Array
    num_steps: Array


class _State(NamedTuple):
    theta: Array
    value: Array
    gradient: Array
    hessian: Array
    safe: Array
    damping: Array
    gain: Array  # that a Newton step promises
    num_steps: Array


def minimise(
    function: Callable[[Array], Array],
    start: Array,
    lower: Array,
    upper: Array,
    held: Array,
    *,
    stand_in: Callable[[Array], Array] | None = None,
    num_steps: int = 200,
) -> Minimum:
    """Minimise a function of a vector between bounds.

    Args:
        function: theta -> a real number, twice differentiable; NaN is never accepted.
        start: (parameters,), between the bounds.
        lower: (parameters,).
        upper: (parameters,).
        held: which entries stay where they start.
        stand_in: theta -> a positive definite matrix; by default |diag H|.
        num_steps: tried at most.

    Returns:
        The Minimum; `converged` says whether another step would gain nothing.

    Example:
        >>> lower, upper = jnp.array([-1.0, 2.0]), jnp.array([1.0, 5.0])
        >>> found = minimise(lambda x: jnp.sum((x - 0.5) ** 2), jnp.array([0.0, 3.0]),
        ...     lower, upper, jnp.zeros(2, bool))
        >>> found.theta.round(2).tolist(), found.free.tolist(), bool(found.converged)
        ([0.5, 2.0], [True, False], True)
    """
    slopes = jax.value_and_grad(function)
    bend = jax.jacfwd(jax.grad(function))
    eps = jnp.finfo(start.dtype).eps

    def look(theta: Array, damping: Any, number: Any) -> _State:
        value, gradient = slopes(theta)
        hessian = bend(theta)
        safe = jnp.diag(jnp.abs(jnp.diag(hessian)))
        safe = safe if stand_in is None else stand_in(theta)
        free = _free(theta, gradient, lower, upper, held)
        step = _step(gradient, hessian, free, LEAST_DAMPING)
        gain = -0.5 * jnp.sum(jnp.where(free, gradient * step, 0.0))
        return _State(theta, value, gradient, hessian, safe, damping, gain, number)

    def enough(state: _State) -> Array:
        # A few roundings of the value: no smaller gain can be seen.
        small = jnp.abs(state.gain) <= 8 * eps * (1 + jnp.abs(state.value))
        return small & jnp.isfinite(state.value)

    def going(state: _State) -> Array:
        moving = ~enough(state) & (state.damping < MOST_DAMPING)
        return moving & (state.num_steps < num_steps)

    def advance(state: _State) -> _State:
        free = _free(state.theta, state.gradient, lower, upper, held)
        given = state.gradient, free, state.damping
        step, safe = (
            _step(given[0], matrix, *given[1:])
            for matrix in (state.hessian, state.safe)
        )
        convex = jnp.isfinite(step).all()
        step, matrix = jax.tree.map(
            lambda a, b: jnp.where(convex, a, b),
            (step, state.hessian),
            (safe, state.safe),
        )
        number = state.num_steps + 1
        moved = jnp.clip(state.theta + step, lower, upper)
        trial = look(moved, state.damping, number)
        # The fall over what the parabola promises says how far it can be trusted.
        step = moved - state.theta
        promised = -jnp.sum(step * (state.gradient + 0.5 * matrix @ step))
        kept = (state.value - trial.value) / promised
        eased = jnp.select([kept > 0.75, kept < 0.25], [0.1, 4.0], 1.0)
        eased = jnp.maximum(eased * state.damping, LEAST_DAMPING)
        trial = trial._replace(damping=eased)
        better = trial.value < state.value
        raised = jnp.maximum(10 * state.damping, 1e-4)
        stay = state._replace(damping=raised, num_steps=number)
        return jax.tree.map(lambda a, b: jnp.where(better, a, b), trial, stay)

    lower, upper = jnp.where(held, start, lower), jnp.where(held, start, upper)
    # A state that anything is better than: the first step evaluates the start itself,
    # so that the derivatives are compiled once.
    start = jnp.clip(start, lower, upper)
    infinite, nothing = jnp.full_like(start[0], jnp.inf), jnp.zeros_like(start)
    one = jnp.eye(len(start), dtype=start.dtype)
    damping = jnp.full_like(infinite, 1e-2)
    first = _State(
        start, infinite, nothing, one, one, damping, infinite, jnp.asarray(0)
    )
    last = jax.lax.while_loop(going, advance, first)
    free = _free(last.theta, last.gradient, lower, upper, held)
    return Minimum(
        last.theta, last.value, last.hessian, free, enough(last), last.num_steps
    )


def _free(
    theta: Array, gradient: Array, lower: Array, upper: Array, held: Array
) -> Array:
    """Say which entries may move: not held, and not pressed against a bound."""
    pressed = ((theta <= lower) & (gradient >= 0)) | (
        (theta >= upper) & (gradient <= 0)
    )
    return ~(held | pressed)


def _step(gradient: Array, hessian: Array, free: Array, damping: Any) -> Array:
    """Return the damped Newton step of the free entries, in scaled units; NaN: none."""
    diagonal = jnp.abs(jnp.diag(hessian))
    scale = jnp.where(free & (diagonal > 0), jnp.sqrt(diagonal), 1.0)
    both = free[:, None] & free[None, :]
    scaled = jnp.where(both, hessian / scale[:, None] / scale[None, :], 0.0)
    matrix = scaled + jnp.diag(jnp.where(free, damping, 1.0))
    right = jnp.where(free, -gradient / scale, 0.0)
    factor = jnp.linalg.cholesky(matrix)
    solved = jax.scipy.linalg.cho_solve((factor, True), right)
    return jnp.where(free, solved / scale, 0.0)
