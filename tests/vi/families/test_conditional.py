"""The locals' distribution given the globals, against dense matrices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.vi.families.conditional import conditional
from vijax.vi.targets.structure.dependencies import find_structure

ROWS = 12
RETURNS = 0.3 * np.random.default_rng(5).normal(size=ROWS)


def log_density(z):
    """A walk of log variances, and returns that are normal given them."""
    log_scale, h = z["log_scale"], z["h"]
    walk = -0.5 * jnp.sum((jnp.diff(h) / jnp.exp(log_scale)) ** 2)
    returns = -0.5 * jnp.sum(h + RETURNS**2 * jnp.exp(-h))
    first = -0.5 * (log_scale + 1) ** 2 - 0.5 * (h[0] / 3) ** 2
    return walk - (ROWS - 1) * log_scale + returns + first


def best_normal(theta):
    """Mode, the step from it, the precision there, and the sds, by dense matrices."""

    def of_locals(h):
        return log_density({"log_scale": theta[0], "h": h})

    curvature = jax.hessian(of_locals)
    mode = jax.lax.fori_loop(
        0,
        30,
        lambda _, h: h - jnp.linalg.solve(curvature(h), jax.grad(of_locals)(h)),
        jnp.zeros(ROWS),
    )
    covariance = jnp.linalg.inv(-curvature(mode))

    def expected(h):
        return of_locals(h) + 0.5 * jnp.sum(covariance * curvature(h))

    precision = -jax.hessian(expected)(mode)
    move = jnp.linalg.solve(precision, jax.grad(expected)(mode))
    return mode, move, precision, jnp.sqrt(jnp.diag(covariance))


@pytest.mark.thorough
def test_chain_has_the_best_normal_to_the_next_order(x64):
    """One Newton step for log p − ½ tr(V H), from the mode, V the inverse of H there.

    The step is a tenth of an sd and more, and is found to 0.003 of it.
    """
    zeros = {"log_scale": jnp.zeros(()), "h": jnp.zeros(ROWS)}
    target = vi.from_log_density(log_density, zeros)
    structure = find_structure(target)
    (group,) = structure.groups
    group = replace(group, is_normal=False)
    structure = replace(structure, groups=(group,))
    theta = jnp.array([-1.0])
    start = (jnp.zeros((1, ROWS)),)
    given = jax.jit(conditional)(target, structure, theta, start)

    mode, move, precision, sd = jax.jit(best_normal)(theta)
    assert jnp.abs(move / sd).max() > 0.1
    order = np.argsort(np.asarray(group.index[0]))
    centre = np.asarray(given.centre[0][0])[order]
    np.testing.assert_allclose((centre - mode - move) / sd, 0.0, atol=3e-3)
    bands = np.asarray(given.factors[0][0])[order]
    lower = np.diag(bands[:, 0]) + np.diag(bands[1:, 1], -1)
    np.testing.assert_allclose(lower @ lower.T, precision, rtol=0.01, atol=1e-6)
