"""Hessians of densities with and without a derivative forwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.ode import odeint

from vijax import vi
from vijax.vi.targets.structure.dependencies import find_structure
from vijax.vi.targets.structure.hessians import hessian

TIMES = jnp.linspace(0.0, 2.0, 5)
SEEN = jnp.exp(-0.7 * TIMES) + jnp.array([0.0, 0.02, -0.03, 0.01, 0.02])


def decayed(y, t, rate):
    return -rate * y


@jax.custom_vjp
def cubed(x):
    return x**3


cubed.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


@pytest.mark.parametrize("cube", [cubed, lambda x: x**3])
def test_hessian_is_that_of_the_formula(cube):
    found = jax.jit(lambda x: hessian(lambda u: jnp.sum(cube(u)) * u[0], x))(
        jnp.array([1.0, 2.0])
    )
    np.testing.assert_allclose(found, [[12.0, 12.0], [12.0, 12.0]])


def test_other_errors_pass():
    with pytest.raises(TypeError, match="scalar"):
        hessian(lambda u: u, jnp.zeros(2))


@pytest.fixture(scope="module")
def decay():
    """A decay by `odeint`, its rate and its noise."""

    def log_density(p):
        rate = jnp.exp(p["rate"])
        solved = odeint(decayed, 1.0, TIMES, rate, rtol=1e-5, atol=1e-5, mxstep=100)
        residuals = (SEEN - solved) / 0.1
        return -0.5 * jnp.sum(residuals**2) - 0.5 * p["rate"] ** 2 - 0.5 * p["a"] ** 2

    return vi.from_log_density(log_density, {"rate": 0.0, "a": 0.0})


@pytest.mark.thorough
def test_parts_of_a_differential_equation_are_found(decay):
    """A fit by family="auto" asked for them, and raised JAX's TypeError."""
    assert find_structure(decay).groups == ()


@pytest.mark.slow
def test_laplace_takes_a_differential_equation(key, decay):
    fit = vi.fit(decay, key, family="laplace")
    assert fit.verdict == "converged"
    slope = jax.jit(jax.grad(decay.log_density))
    np.testing.assert_allclose(slope(fit.q.loc), 0.0, atol=0.02)
    step = 0.05 * jnp.eye(2)
    numeric = [(slope(fit.q.loc + s) - slope(fit.q.loc - s)) / 0.1 for s in step]
    np.testing.assert_allclose(
        fit.sds, (-np.diag(np.array(numeric))) ** -0.5, rtol=0.02
    )
