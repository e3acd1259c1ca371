"""The level at which a density with one mode cuts off a given mass.

The level is max f · exp(-r²/2): for a given r both ends are roots of a convex function,
and the right r is near the Gaussian's. So a million priors take seconds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax.bayes import sigmas

Ends = tuple[Array, Array]

_ROUGH_STEPS = 6  # with Gaussian tails
_MAX_STEPS = 60  # with the exact ones; three are usual
_FIRST_SIDE_STEPS = 8
_SIDE_STEPS = 3


class _State(NamedTuple):
    """A level and where the density has it."""

    r: Array
    low: Array
    high: Array
    num_steps: Array
    step: Array  # the last change of r


def solve_level(
    misfit: Callable[[Array], tuple[Array, Array]],
    outside: Callable[[Array, Array], Array],
    shape: Callable[[Array, Array], tuple[Array, Array, Array]],
    start: Callable[[Array], Ends],
    mass: Array,
) -> Ends:
    """Return the two d where misfit = r²/2, with r such that `mass` lies between.

    Args:
        misfit: d -> log(max f / f) and its slope.
        outside: the two d -> the mass outside of them.
        shape: d and r²/2 -> the density of d, and minus its logarithm's first and
            second derivative.
        start: r²/2 -> a first guess of the two d.
        mass: to lie between.
    """

    def solve_side(d: Array, level: Array, steps: int) -> Array:
        for _ in range(steps):
            value, slope = misfit(d)
            d = d - (value - level) / slope
        return d

    def move(
        state: _State, tails_beyond: Callable[[_State, Any, Any], Array]
    ) -> _State:
        """Take one step in r and follow both ends, which are exact before it."""
        r, low, high, _, step = state
        level = 0.5 * r**2
        low_shape, high_shape = shape(low, level), shape(high, level)
        low_slope, high_slope = misfit(low)[1], misfit(high)[1]
        gain = r * (high_shape[0] / high_slope - low_shape[0] / low_slope)
        beyond = tails_beyond(state, low_shape, high_shape)
        newton = (beyond - (1 - mass)) / gain
        # The mass is nearly the Gaussian's, whose second derivative is known: Halley.
        step = newton / (1 - jnp.clip(0.5 * r * newton, -0.5, 0.5))
        step = jnp.clip(step, -0.5 * r, r)
        level = 0.5 * (r + step) ** 2
        low = solve_side(low + r * step / low_slope, level, _SIDE_STEPS)
        high = solve_side(high + r * step / high_slope, level, _SIDE_STEPS)
        return _State(r + step, low, high, state.num_steps + 1, step)

    def rough(_: Array, state: _State) -> _State:
        moved = move(state, lambda _, low, high: _tail(low, -1.0) + _tail(high, 1.0))
        # A small mass lies around the maximum, where the tails are no special.
        small = mass <= 0.5
        return jax.tree.map(
            lambda old, new: jnp.where(small, old, new), state, moved
        )._replace(num_steps=state.num_steps)

    def exact(state: _State) -> _State:
        return move(state, lambda state, *_: outside(state.low, state.high))

    def unfinished(state: _State) -> Array:
        tolerance = jnp.finfo(mass.dtype).eps ** 0.5
        moving = jnp.abs(state.step) > tolerance * state.r
        return jnp.any(moving) & (state.num_steps < _MAX_STEPS)

    r = sigmas.significance(1 - mass, sides=2)
    low, high = start(0.5 * r**2)
    low = solve_side(low, 0.5 * r**2, _FIRST_SIDE_STEPS)
    high = solve_side(high, 0.5 * r**2, _FIRST_SIDE_STEPS)
    state = _State(r, low, high, jnp.zeros((), int), r)
    state = jax.lax.fori_loop(0, _ROUGH_STEPS, rough, state)
    state = state._replace(step=r)
    state = jax.lax.while_loop(unfinished, exact, state)
    return state.low, state.high


def _tail(shape: tuple[Array, Array, Array], sign: float) -> Array:
    """Return the mass beyond a point as if the density went on as a Gaussian."""
    density, slope, curvature = shape
    fall = jnp.maximum(sign * slope, -0.7 * jnp.sqrt(curvature))
    # Boyd's bound of the Mills ratio, which is 1 % at most above it.
    root = jnp.sqrt(fall**2 + 2 * jnp.pi * curvature)
    return density * jnp.pi / ((jnp.pi - 1) * fall + root)
