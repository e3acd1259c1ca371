"""Roots of elementwise functions: bisection, and the derivatives that a root has.

Each element of an array is an equation of its own. How a root is found, and how it
moves with the parameters of its equation, are two questions. `bisect` answers the first
where nothing better is known. `implicit_root` answers the second for a root from
anywhere, by the implicit function theorem:

    r(x, θ) = 0   =>   dx/dθ = - (∂r/∂θ) / (∂r/∂x)
"""

from collections.abc import Callable
from typing import NamedTuple

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


class _Bracket(NamedTuple):
    """A root lies between both ends; the residual is negative at `low`."""

    low: Array
    high: Array
    at_low: Array
    at_high: Array
    best: Array
    num_steps: Array  # negative while the ends' residuals are not known


def bracketed(
    residual: Residual,
    low: Float[Array, "..."],
    high: Float[Array, "..."],
    *,
    in_python: bool = False,
) -> Float[Array, "..."]:
    """Return a root between `low`, where the residual is negative, and `high`.

    By false position (Illinois), and by halving the floats in every third step: about
    ten evaluations where `bisect` needs as many as a float has bits. The residual must
    be of order one, as a difference of logarithms is. It is not differentiable.

    With `in_python` the loop is not compiled: of a residual that takes many seconds to
    compile only the parts are, and these are compiled for all uses.

    Example:
        >>> ends = jnp.asarray(1.0), jnp.asarray(9.0)
        >>> root = bracketed(lambda x: jnp.log(x / 2), *ends)
        >>> print(f"{root:.4f}")
        2.0000
    """
    count = jnp.full(jnp.shape(low), -2, int)
    minus, plus = jnp.full_like(low, -1.0), jnp.full_like(low, 1.0)
    state = _Bracket(low, high, minus, plus, high, count)

    def step(state: _Bracket) -> _Bracket:
        x, halved = _next_place(state)
        return _with_value(state, x, halved, residual(x))

    if not in_python:
        return jax.lax.while_loop(_is_unfinished, step, state).best
    while _is_unfinished(state):
        state = step(state)
    return state.best


@jax.jit
def _next_place(state: _Bracket) -> tuple[Array, Array]:
    """Return where the residual is wanted, and whether the bracket is halved there.

    At both ends first: then the loop has all of the residual's values, and a program
    has it once, which is most of what takes its compilation.
    """
    low, high, at_low, at_high, _, count = state
    share = at_low / (at_low - at_high)
    x = low + share * (high - low)
    halved = (count % 3 == 2) | ~((x > low) & (x < high))
    x = jnp.where(halved, float_midpoint(low, high), x)
    return jnp.where(count == -2, low, jnp.where(count == -1, high, x)), halved


@jax.jit
def _with_value(state: _Bracket, x: Array, halved: Array, at: Array) -> _Bracket:
    """Return the bracket after the residual was found to be `at` at x."""
    low, high, at_low, at_high, _, count = state
    eps = jnp.finfo(low.dtype).eps
    below = at < 0
    # Illinois: an end that stays counts half, or the other would creep.
    between = _Bracket(
        jnp.where(below, x, low),
        jnp.where(below, high, x),
        jnp.where(below, at, jnp.where(halved, at_low, 0.5 * at_low)),
        jnp.where(below, jnp.where(halved, at_high, 0.5 * at_high), at),
        x,
        count + 1,
    )
    found = jnp.abs(at) <= 0.5 * eps
    zero = jnp.zeros_like(at)
    between = between._replace(at_low=jnp.where(found, zero, between.at_low))
    # An end that is the root already, to rounding.
    closed = (at_low >= 0) | (at <= 0)
    ends = state._replace(
        at_low=jnp.where(count == -2, at, jnp.where(closed, zero, at_low)),
        at_high=jnp.where(count == -2, at_high, at),
        best=jnp.where(at_low >= 0, low, high),
        num_steps=count + 1,
    )
    new = jax.tree.map(lambda a, b: jnp.where(count < 0, a, b), ends, between)
    return jax.tree.map(lambda a, b: jnp.where(_is_open(state), a, b), new, state)


def _is_open(state: _Bracket) -> Array:
    eps = jnp.finfo(state.low.dtype).eps
    width = jnp.abs(state.high - state.low)
    closed = width <= 2 * eps * jnp.abs(state.best)
    closed |= (state.at_low == 0) | (state.at_high == 0)
    return ~closed | (state.num_steps < 0)


@jax.jit
def _is_unfinished(state: _Bracket) -> Array:
    return jnp.any(_is_open(state)) & (state.num_steps.max() < 4 * 64)


def float_midpoint(
    low: Float[Array, "..."], high: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the float that has as many floats below it down to `low` as above it.

    With it `bisect` needs no more steps than a float has bits, finds the last digit at
    any scale, and crosses zero.

    Example:
        >>> middle = float_midpoint(jnp.asarray(1e-30), jnp.asarray(1e30))
        >>> print(f"{middle:.1f}")
        1.0
    """
    kind = {4: jnp.int32, 8: jnp.int64}[low.dtype.itemsize]
    first, last = (_ordered(jax.lax.bitcast_convert_type(x, kind)) for x in (low, high))
    middle = (first & last) + ((first ^ last) >> 1)  # the mean, without overflow
    return jax.lax.bitcast_convert_type(_ordered(middle), low.dtype)


def num_float_steps(like: Float[Array, "..."]) -> int:
    """Return how often a range of floats can be halved by `float_midpoint`.

    Example:
        >>> num_float_steps(jnp.zeros((), jnp.float32))
        33
    """
    return 8 * like.dtype.itemsize + 1


def _ordered(bits: Array) -> Array:
    """Map the bits of a float to a whole number in the same order, and back."""
    return jnp.where(bits < 0, jnp.iinfo(bits.dtype).min - bits, bits)


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


def invert_tails(
    log_tails: Callable[[Array], tuple[Array, Array]],
    q: Array,
    low: Array,
    high: Array,
    *,
    upper: bool,
) -> Array:
    """Return where a tail is q, between two ends; differentiable in all of the tails.

    Example:
        >>> tails_of = lambda x: (jnp.log(x), jnp.log1p(-x))
        >>> half = jnp.asarray(0.5)
        >>> x = invert_tails(tails_of, half, 0 * half, 2 * half, upper=False)
        >>> print(f"{x:.4f}")
        0.5000
    """
    # The smaller tail has the digits; 1 - q is exact where q is the larger.
    small = q <= 0.5
    log_small = jnp.log(jnp.where(small, q, 1 - q))
    is_upper = small == upper

    def excess(x: Array) -> Array:
        below, above = log_tails(x)
        return jnp.where(is_upper, log_small - above, below - log_small)

    def solve(excess: Residual, low: Array) -> Array:
        return bracketed(excess, low, jax.lax.stop_gradient(high))

    # Between equal ends the root is known, but not how it moves.
    inside = (q > 0) & (q < 1) & (low <= high)
    edge = jnp.where((q > 0) != upper, high, low)
    start = jax.lax.stop_gradient(jnp.where(inside, low, high))
    return jnp.where(inside, implicit_root(excess, start, solve), edge)
