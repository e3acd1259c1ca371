"""Steps, loops and first guesses with which the quantiles of Beta and Gamma are found.

t is the logit (of Beta) or the log (of Gamma) of the quantile, and g(t) = log(tail / w)
is to be zero. The log of either tail is concave in t, so that even Newton's method
cannot fail. The higher derivatives of g are those of the density, which are known; so
the step is one of fourth order, and two or three of them give all digits. A bisection
would need fifty evaluations.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vijax.special.elementary import Elements, Mask

EXACT = 1e-4  # steps below this size, in the scale on which g bends, leave 1e-16
MAX_STEPS = 40
STRAGGLERS = 256  # unsolved elements of a large batch that go on together


def until_done(
    advance: Callable[[Any, Any], tuple[Any, Mask]], args: Any, state: Any, done: Mask
) -> Any:
    """Repeat `advance(args, state) -> state, done` until every element is done."""

    def update(carry: Any) -> Any:
        state, done, count = carry
        new, now = advance(args, state)
        keep = partial(jax.tree.map, lambda a, b: jnp.where(done, a, b))
        return keep(state, new), done | now, count + 1

    def unfinished(carry: Any) -> Mask:
        return jnp.any(~carry[1]) & (carry[2] < MAX_STEPS)

    return jax.lax.while_loop(unfinished, update, (state, done, 0))[0]


def finish(
    advance: Callable[[Any, Any], tuple[Any, Mask]], args: Any, state: Any, done: Mask
) -> Any:
    """Repeat `advance` for the unfinished elements only, gathered from a large batch.

    Steps of the whole batch for its slowest few would otherwise be most of the work.
    """
    left = jnp.nonzero(~done, size=done.size, fill_value=done.size)[0]

    def solve_some(carry: Any) -> Any:
        state, first = carry
        some = jax.lax.dynamic_slice(left, (first,), (STRAGGLERS,))
        few, part = jax.tree.map(lambda v: v.at[some].get(mode="clip"), (args, state))
        solved = until_done(advance, few, part, some == done.size)
        state = jax.tree.map(lambda v, p: v.at[some].set(p, mode="drop"), state, solved)
        return state, first + STRAGGLERS

    number = jnp.sum(~done)
    carry = jax.lax.while_loop(lambda carry: carry[1] < number, solve_some, (state, 0))
    return carry[0]


class Step(NamedTuple):
    """A step in t, and its size in the scale on which g bends."""

    value: Elements
    size: Elements


def householder(g: Elements, rise: Elements, d1: Elements, d2: Elements) -> Step:
    """Return the step to g = 0, to fourth order.

    Args:
        g: log(tail / w).
        rise: g', which is density over tail.
        d1: the first derivative of the log density.
        d2: the second one, negative.
    """
    newton = -g / rise
    bend = d1 - rise  # g'' / g'
    twist = bend * bend + d2 - rise * bend  # g''' / g'
    factor = (1 + 0.5 * newton * bend) / (
        1 + newton * bend + newton * newton * twist / 6
    )
    factor = jnp.where((factor > 0.2) & (factor < 4), factor, 1.0)  # far off: Newton
    value = newton * factor
    return Step(value, jnp.abs(value) * (rise + jnp.abs(d1) + jnp.sqrt(-d2)))


def normal_quantile(log_w: Elements) -> Elements:
    """Return z < 0 with Φ(z) = w <= ½, to 5e-4 (Abramowitz and Stegun 26.2.23)."""
    s = jnp.sqrt(-2 * log_w)
    top = 2.515517 + s * (0.802853 + s * 0.010328)
    bottom = 1 + s * (1.432788 + s * (0.189269 + s * 0.001308))
    return top / bottom - s


def log_gamma_cumulants(a: Elements) -> list[Elements]:
    """Return the four cumulants of the log of a Gamma(a) variable, roughly.

    They are digamma and its derivatives: shifted by 3, then asymptotic.
    """
    r = [1 / (a + j) for j in range(3)]
    i = 1 / (a + 3)
    squares = [v * v for v in r]
    return [
        -jnp.log(i) - i * (0.5 + i / 12) - sum(r),
        i * (1 + i * (0.5 + i / 6)) + sum(squares),
        -i * i * (1 + i * (1 + 0.5 * i)) - 2 * sum(map(jnp.multiply, squares, r)),
        i * i * i * (2 + i * (3 + 2 * i)) + 6 * sum(v * v for v in squares),
    ]


def cornish_fisher(z: Elements, cumulants: Sequence[Elements]) -> Elements:
    """Return the quantile of a nearly normal variable from that of the normal one."""
    mean, variance, third, fourth = cumulants
    sd = jnp.sqrt(variance)
    skew, kurtosis = third / (sd * variance), fourth / (variance * variance)
    z2 = z * z
    return mean + sd * (
        z
        + (z2 - 1) * skew / 6
        + z * (z2 - 3) * kurtosis / 24
        - z * (2 * z2 - 5) * skew * skew / 36
    )
