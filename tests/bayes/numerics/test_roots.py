"""Bisection, and the derivatives of a root."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.bayes.numerics import roots

pytestmark = pytest.mark.usefixtures("x64")


def cube_root(a):
    def solve(residual, start):
        zero = jnp.zeros_like(start)
        return roots.bisect(lambda x: residual(x) < 0, zero, start + 1)[0]

    return roots.implicit_root(lambda x: x**3 - a, a, solve)


def test_bisection_from_either_side():
    low, high = jnp.array([0.0, 3.0]), jnp.array([3.0, 0.0])
    sign = jnp.array([1.0, -1.0])
    inner, outer = roots.bisect(lambda x: sign * (x**2 - 2) < 0, low, high)
    np.testing.assert_allclose(inner, np.sqrt(2), rtol=1e-15)
    np.testing.assert_allclose(outer, np.sqrt(2), rtol=1e-15)


def test_bisection_between_whole_numbers():
    inner, outer = roots.bisect(
        lambda k: k**2 <= 1000,
        jnp.zeros(()),
        jnp.asarray(1e6),
        num_steps=30,
        midpoint=lambda low, high: jnp.floor(0.5 * (low + high)),
    )
    assert (inner, outer) == (31, 32)


def test_bisection_of_what_never_holds_stays_at_low():
    low, high = roots.bisect(lambda x: x < 0, jnp.zeros(()), jnp.ones(()), num_steps=20)
    assert (low, high) == (0.0, 2.0**-20)


@pytest.mark.thorough
def test_derivatives_of_a_root_to_third_order():
    """d³/da³ a^(1/3) = 10/27 a^(-8/3), and the lower ones, at 8 and 27."""
    a, first = jnp.array([8.0, 27.0]), jax.grad(cube_root)
    third = jax.grad(jax.grad(first))
    np.testing.assert_allclose(jax.jit(cube_root)(a), [2, 3], rtol=1e-15)
    np.testing.assert_allclose(jax.vmap(first)(a), a ** (-2 / 3) / 3, rtol=1e-14)
    expected = 10 / 27 * a ** (-8 / 3)
    np.testing.assert_allclose(jax.jit(jax.vmap(third))(a), expected, rtol=1e-13)
    forward = jax.jit(jax.jacfwd(cube_root))(a)
    np.testing.assert_allclose(forward, np.diag(a ** (-2 / 3) / 3), rtol=1e-14)


def test_a_root_of_what_is_flat_does_not_move():
    def anywhere(a):
        return roots.implicit_root(lambda x: 0 * x + 0 * a, a, lambda _, x: x)

    assert jax.grad(anywhere)(1.0) == 0


def test_a_bracketed_root_where_an_end_is_it_or_none_is_there():
    # In order: between, at the low end, at the high end, above it, below the low one.
    wanted = jnp.array([2.0, 1.0, 9.0, 20.0, 0.5])
    low, high = jnp.ones(5), jnp.full(5, 9.0)
    for in_python in (False, True):
        root = roots.bracketed(
            lambda x: jnp.log(x / wanted), low, high, in_python=in_python
        )
        np.testing.assert_allclose(root, [2.0, 1.0, 9.0, 9.0, 1.0], rtol=1e-15)


def test_a_program_has_the_equation_of_a_bracketed_root_once():
    calls = []

    @jax.jit
    def root(a):
        def residual(x):
            calls.append(x)
            return jnp.log(x / a)

        return roots.bracketed(residual, 0 * a + 1.0, 0 * a + 9.0)

    assert abs(root(2.0) - 2.0) < 1e-14
    assert len(calls) == 1
