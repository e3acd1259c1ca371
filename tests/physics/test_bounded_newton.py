"""Minima between bounds, where they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.physics.bounded import bounded, from_bounds, log_jacobian, to_bounds
from vijax.physics.bounded_newton import minimise


def search(function, start, lower, upper):
    lower, upper = (jnp.full(len(start), x) for x in (lower, upper))
    held = jnp.zeros(len(start), bool)
    return minimise(function, jnp.array(start), lower, upper, held)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.thorough
def test_minimum_in_a_curved_valley(x64):
    found = search(rosenbrock, [-1.2, 1.0], -5.0, 5.0)
    assert found.converged
    np.testing.assert_allclose(found.theta, [1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(
        found.hessian, [[802.0, -400.0], [-400.0, 200.0]], rtol=1e-5
    )


def test_minimum_at_a_bound(x64):
    """With x at most 0.5 the valley's lowest point is (0.5, 0.25)."""
    found = search(rosenbrock, [-0.4, 0.3], -0.5, 0.5)
    assert found.converged
    np.testing.assert_allclose(found.theta, [0.5, 0.25], rtol=1e-7)
    np.testing.assert_array_equal(found.free, [False, True])


@pytest.mark.thorough
def test_nan_is_never_accepted_and_no_minimum_is_not_called_one(x64):
    found = search(lambda x: jnp.log(x[0]) ** 2, [0.01], -1.0, 9.0)
    np.testing.assert_allclose(found.theta, [1.0], rtol=1e-6)
    assert found.converged
    assert not search(lambda x: jnp.nan * x[0], [0.0], -1.0, 1.0).converged


def test_where_the_hessian_is_not_convex_the_stand_in_leads(x64):
    """x⁴ − x² from near its maximum at 0: the minima are at ±√½."""
    one = jnp.ones(1)
    found = minimise(
        lambda x: jnp.sum(x**4 - x**2),
        0.01 * one,
        -3 * one,
        3 * one,
        jnp.zeros(1, bool),
        stand_in=lambda x: jnp.eye(1),
    )
    assert found.converged
    np.testing.assert_allclose(found.theta, [0.5**0.5], rtol=1e-7)


@pytest.mark.slow
def test_held_entries_stay_and_many_starts_are_mapped(x64):
    def one(start, held):
        return minimise(rosenbrock, start, jnp.full(2, -5.0), jnp.full(2, 5.0), held)

    starts = jnp.array([[-1.2, 1.0], [0.5, 1.0]])
    helds = jnp.array([[False, False], [True, False]])
    found = jax.vmap(one)(starts, helds)
    np.testing.assert_allclose(found.theta, [[1.0, 1.0], [0.5, 0.25]], rtol=1e-6)
    assert found.converged.all()


MAPS = bounded(
    [0.0, -5.0, 1e-10, 2.0],
    [10.0, 5.0, 10.0, 3.0],
    [np.nan, 0.0, 1.0, 0.0],
    [np.nan, 1.0, 0.2, 1.0],
)


@pytest.mark.thorough
def test_map_has_its_jacobian_and_its_inverse(x64):
    maps = jax.tree.map(jnp.asarray, MAPS)
    np.testing.assert_array_equal(MAPS.is_normal, [False, True, True, False])
    for u in (-4.0, -1.0, 0.0, 2.0, 4.0):
        position = jnp.full(4, u)
        slopes = jax.jacobian(lambda u: to_bounds(maps, u))(position)
        step = 1e-6
        ends = [to_bounds(maps, position + side) for side in (-step, step)]
        np.testing.assert_allclose(
            jnp.diag(slopes), (ends[1] - ends[0]) / (2 * step), rtol=1e-3, atol=1e-12
        )
        log_det = jnp.sum(jnp.log(jnp.diag(slopes)))
        np.testing.assert_allclose(log_jacobian(maps, position), log_det, atol=1e-9)
        back = from_bounds(maps, to_bounds(maps, position))
        np.testing.assert_allclose(back, position, rtol=1e-6, atol=1e-12)


def test_a_constraint_term_is_a_standard_normal_of_u(x64):
    """N(θ | 0, 1) dθ/du over the probability between the bounds is N(u | 0, 1)."""
    maps = jax.tree.map(lambda x: jnp.asarray(x[1:2]), MAPS)
    for u in (-3.0, 0.5, 4.0):
        position = jnp.array([u])
        theta = to_bounds(maps, position)
        density = -0.5 * theta[0] ** 2 + log_jacobian(maps, position)
        inside = jnp.log(1 - 2 * jax.scipy.special.ndtr(-5.0))
        np.testing.assert_allclose(density, -0.5 * u**2 + inside, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("u", [-40.0, 40.0])
def test_far_out_the_map_stays_between_the_bounds(u):
    theta = to_bounds(jax.tree.map(jnp.asarray, MAPS), jnp.full(4, u))
    assert (theta >= MAPS.lower).all()
    assert (theta <= MAPS.upper).all()
