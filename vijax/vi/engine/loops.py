"""Loops over compiled steps: one program in a trace, outside of it one for each step.

Compiled as a whole, a search is a program of its own for each model, most of which does
not depend on the model. Outside of a trace the loop runs in Python instead: the step's
parts are compiled apart, those that know no model once for all, and a program can be
watched and interrupted between steps. The numbers are the same to rounding.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from vijax.vi.engine.compilation import in_trace

State = TypeVar("State", bound=Any)


def while_running(step: Callable[[State], State], state: State) -> State:
    """Repeat `step` while `state.running`.

    Args:
        step: state -> state of the same shapes.
        state: a NamedTuple with a boolean field `running`.

    Example:
        >>> from typing import NamedTuple
        >>> import jax.numpy as jnp
        >>> class Halving(NamedTuple):
        ...     x: jax.Array
        ...     running: jax.Array
        >>> def halve(state):
        ...     return Halving(state.x / 2, state.x / 2 > 1)
        >>> start = Halving(jnp.array(6.0), jnp.array(True))
        >>> while_running(halve, start).x.item()
        0.75
        >>> jax.jit(lambda s: while_running(halve, s))(start).x.item()
        0.75
    """
    if in_trace():
        return jax.lax.while_loop(lambda state: state.running, step, state)
    while state.running:
        state = step(state)
    return state


def repeat(number: Any, step: Callable[[Any, State], State], state: State) -> State:
    """Apply `step(index, state)` for the indices below `number`.

    Example:
        >>> int(repeat(3, lambda index, total: total + index, 10))
        13
    """
    if in_trace():
        return jax.lax.fori_loop(0, number, step, state)
    for index in range(int(number)):
        state = step(np.int32(index), state)
    return state
