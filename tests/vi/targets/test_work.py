"""What an evaluation costs, counted in its program."""

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.ode import odeint

from vijax import vi
from vijax.vi.engine.batched_density import enough_draws
from vijax.vi.targets.work import UNKNOWN_TRIPS, work_of


def work(function, *arguments):
    return work_of(jax.make_jaxpr(function)(*arguments).jaxpr)


def repeated(x):
    return jax.lax.scan(lambda x, _: (jnp.sin(x), None), x, length=7)[0]


def until_large(x):
    # One comparison in the condition and one product in the body, a number each.
    return jax.lax.while_loop(lambda x: x < 9.0, lambda x: 2.0 * x, x)


@pytest.mark.parametrize(
    ("function", "argument", "expected"),
    [
        (jnp.sin, jnp.ones(5), 5),
        (repeated, jnp.ones(5), 35),
        (until_large, jnp.ones(()), 2 * UNKNOWN_TRIPS),
        (lambda x: x @ x.T, jnp.ones((3, 8)), 24 + 9 * 8),  # the transpose, the product
    ],
)
def test_numbers_are_counted_loops_multiplied(function, argument, expected):
    assert work(function, argument) == expected


def test_a_factorisation_is_cubic():
    assert 20**3 <= work(jnp.linalg.cholesky, jnp.eye(20)) < 2 * 20**3


def test_a_differential_equation_is_looked_at_by_fewer_draws():
    times = jnp.arange(12.0)

    def decay(log_rate):
        path = odeint(lambda y, t: -jnp.exp(log_rate) * y, 1.0, times)
        return -0.5 * jnp.sum((path - 0.5) ** 2) - 0.5 * log_rate**2

    def formula(log_rate):
        path = jnp.exp(-jnp.exp(log_rate) * times)
        return -0.5 * jnp.sum((path - 0.5) ** 2) - 0.5 * log_rate**2

    costly, cheap = (vi.from_log_density(f, 0.0) for f in (decay, formula))
    assert cheap.cost == 1
    assert costly.cost > 100
    assert enough_draws(costly) < enough_draws(cheap)
