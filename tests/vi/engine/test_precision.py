"""float32 that is not enough is noticed, and the fit runs in float64."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.vi.engine import precision
from vijax.vi.engine.precision import own_precision

X = np.linspace(-1.0, 1.0, 8)
PRIOR = np.exp(-0.5 * (X[:, None] - X) ** 2 / 2.0**2)


def smooth(u):
    """L ε of a nearly singular Gaussian process, of which float32 has no Cholesky."""
    scale = jnp.exp(0.1 * u[0])
    cov = scale**2 * jnp.asarray(PRIOR, u.dtype) + 1e-9 * jnp.eye(8, dtype=u.dtype)
    z = jnp.linalg.cholesky(cov) @ u[1:]
    return -0.5 * jnp.sum(u**2) - 0.5 * jnp.sum((z - 1.0) ** 2)


@pytest.mark.thorough
def test_lost_digits_are_counted(key, nan_is_an_answer):
    def fine(u):
        return -0.5 * jnp.sum(u**2)

    z = np.random.default_rng(0).normal(size=(20, 9))
    one = np.ones(9)
    assert precision.lost_digits(vi.from_log_density(fine, jnp.zeros(9)), z, one) < 1e-4
    rough = vi.from_log_density(smooth, jnp.zeros(9))
    assert precision.lost_digits(rough, z, one) > precision.ENOUGH

    def large(u):  # a constant of ten million nats leaves one digit after the point
        return -0.5 * jnp.sum(u**2) + 1e7

    assert precision.lost_digits(vi.from_log_density(large, jnp.zeros(9)), z, one) > 0.2


def test_a_fit_that_float32_cannot_do_is_done_in_float64(
    key, float32, nan_is_an_answer
):
    fit = vi.fit(vi.from_log_density(smooth, jnp.zeros(9)), key, family="full_rank")
    assert fit.target.init.dtype == np.float64
    assert fit.q.loc.dtype == np.float64
    assert fit.verdict == "converged"
    assert "in float64, for float32 loses digits" in str(fit)
    table = vi.summary(fit)
    assert np.isfinite(table["params"]["sd"]).all()
    assert vi.sample(fit, key, 10)["params"].dtype == np.float64
    with jax.enable_x64(True):  # the same, where JAX is told so
        wide = vi.from_log_density(smooth, jnp.zeros(9))
        expected = vi.fit(wide, key, family="full_rank")
    np.testing.assert_allclose(fit.means, expected.means, atol=0.02)


@pytest.mark.slow
def test_an_unknown_with_a_large_offset_is_fitted_in_float64(key, float32):
    """2000 ± 0.001, a measurement of the same size: 0.001 / √2, known in float64."""

    def log_density(year):
        off = 1e3 * (year - 2000.0)
        return -0.5 * (off**2 + (off - 2.0) ** 2)

    fit = vi.fit(vi.from_log_density(log_density, 0.0), key)
    assert fit.target.init.dtype == np.float64
    np.testing.assert_allclose(fit.means, 2000.001, atol=1e-5)
    np.testing.assert_allclose(fit.sds, 1e-3 / 2**0.5, rtol=1e-3)
    assert fit.trusted


def test_what_is_neither_fit_nor_target_is_named():
    class Fit(NamedTuple):
        target: Any

    @own_precision
    def take(fit: Fit, number: int = 1) -> int:
        return number

    @own_precision
    def take_both(target: "Target | Fit") -> int:
        return 2

    target = vi.from_log_density(lambda p: -(p["x"] ** 2), {"x": 0.0})
    assert take(Fit(target), 3) == take(fit=Fit(target), number=3) == 3
    assert take_both(target) == take_both(target=Fit(target)) == 2
    with pytest.raises(ValueError, match=r"fit is not valid: vi\.take takes what vi"):
        take(target)
    with pytest.raises(ValueError, match="and was given a float"):
        take_both(1.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        take()
