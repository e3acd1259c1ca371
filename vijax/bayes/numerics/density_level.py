"""The two points where a density is equally high, with a given mass between them.

The density has one mode, which lies between the points.

The points are the ends of the highest-density interval. The height is written as
max f · exp(-r²/2). For a given r each end is the root of a convex function, so that
Newton's method finds it; and the r that is wanted is close to that of a Gaussian.

The mass beyond the ends costs most, so it is computed only once or twice. After that,
only the mass between the old ends and the new ones is integrated. This is why the
intervals of a million posteriors take seconds.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.bayes.numerics import significances

_MAX_REFINEMENTS = 60  # one is usual
_FIRST_SIDE_STEPS, _SIDE_STEPS, _LEVEL_STEPS = 8, 2, 3
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_REACH = 0.4  # in e-foldings of the density, over which the nodes leave 1e-13


class Profile(NamedTuple):
    """A density f of x, seen from its maximum, at some d(x) that is 0 there."""

    misfit: Array  # log(max f / f), convex in d
    slope: Array  # its derivative by d
    density: Array  # of d


class _State(NamedTuple):
    """A level and where the density has it."""

    r: Array
    ends: Array  # d of the lower and the upper end, shape (2, …)
    reach: Array  # how far the ends went in the last refinement, in e-foldings
    change: Array  # of r in the last step, as a part of r
    num_refinements: Array


def solve_level(
    profile: Callable[[Array], Profile],
    outside: Callable[[Array], Array],
    start: Callable[[Array], Array],
    curvature: Array,
    mass: Array,
) -> Array:
    """Return the two d where misfit = r²/2, with r such that `mass` lies between.

    It is not differentiable: `intervals.highest_density` knows the derivatives.

    Args:
        profile: of d, element by element.
        outside: the two d, shape (2, …), -> the mass outside of them.
        start: r²/2 -> a first guess of the two d.
        curvature: second derivative of the misfit at 0.
        mass: to lie between.
    """
    sign = jnp.array([-1.0, 1.0], mass.dtype).reshape(2, *[1] * mass.ndim)
    nodes, weights = (
        jnp.asarray(each, mass.dtype).reshape(-1, *[1] * sign.ndim)
        for each in (_NODES, _WEIGHTS)
    )

    def onto_level(ends: Array, r: Array, num_steps: int) -> Array:
        """Solve both sides by Newton's method, which does not overshoot for long."""

        def step(_: Array, ends: Array) -> Array:
            at = profile(ends)
            return ends - (at.misfit - 0.5 * r**2) / at.slope

        return jax.lax.fori_loop(0, num_steps, step, ends)

    def refine(state: _State) -> _State:
        begin, beyond = state.ends, outside(state.ends)

        def step(_: Array, so_far: tuple[Array, ...]) -> tuple[Array, ...]:
            r, ends, _ = so_far
            at, half = profile(ends), 0.5 * (ends - begin)
            density = profile(0.5 * (ends + begin) + nodes * half).density
            passed = half * (weights * density).sum(axis=0)
            missing = beyond - (sign * passed).sum(axis=0) - (1 - mass)
            newton = missing / (r * (sign * at.density / at.slope).sum(axis=0))
            # The mass is nearly the Gaussian's, whose second derivative is known.
            halley = newton / (1 - jnp.clip(0.5 * r * newton, -0.5, 0.5))
            change = jnp.clip(halley, -0.5 * r, r)
            ends = ends + r * change / at.slope
            return r + change, onto_level(ends, r + change, _SIDE_STEPS), change / r

        start = state.r, begin, state.change
        r, ends, change = jax.lax.fori_loop(0, _LEVEL_STEPS, step, start)
        reach = jnp.abs(ends - begin) * (jnp.abs(profile(ends).slope) + 1)
        return _State(r, ends, reach, change, state.num_refinements + 1)

    def unfinished(state: _State) -> Array:
        # Steps are of second order: what is left after the last is its square.
        is_far = jnp.any(state.reach > _REACH)
        moves = jnp.any(jnp.abs(state.change) > jnp.finfo(mass.dtype).eps ** 0.5)
        return (is_far | moves) & (state.num_refinements < _MAX_REFINEMENTS)

    # At the maximum the density, as one of r, is lower than the Gaussian's by about
    # the factor by which r is larger.
    top = profile(jnp.zeros_like(mass)).density * jnp.sqrt(2 * jnp.pi / curvature)
    r = significances.significance(1 - mass, sides=2) / jnp.clip(top, 0.8, 1.0)
    ends = onto_level(start(0.5 * r**2), r, _FIRST_SIDE_STEPS)
    state = _State(r, ends, jnp.full_like(ends, jnp.inf), r, jnp.zeros((), int))
    return jax.lax.while_loop(unfinished, refine, state).ends
