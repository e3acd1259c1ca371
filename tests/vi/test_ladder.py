"""family = "auto": the cheapest rung that may be trusted, or what it says instead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi


def fit_of(log_density, start, key, **options):
    target = vi.from_log_density(log_density, jnp.asarray(start))
    return vi.fit(target, key, family="auto", **options)


def test_a_normal_takes_a_mean_field(key):
    fit = fit_of(lambda u: -0.5 * jnp.sum(u**2), np.zeros(3), key)
    assert type(fit.q).__name__ == "DiagonalNormal"
    assert fit.trusted
    assert fit.chains is None


def test_correlation_takes_a_full_rank(key):
    root = np.array([[1.0, 0.0], [0.95, 0.3]])
    precision = np.linalg.inv(root @ root.T)
    fit = fit_of(lambda u: -0.5 * u @ precision @ u, np.zeros(2), key)
    assert type(fit.q).__name__ == "FullRankNormal"
    np.testing.assert_allclose(fit.sds, [1.0, np.sqrt(0.95**2 + 0.09)], rtol=0.03)


def test_two_modes_take_a_mixture(key):
    def two(u):
        return jax.nn.logsumexp(-0.5 * (u - jnp.array([-20.0, 20.0])) ** 2)

    fit = fit_of(two, 19.0, key)
    assert type(fit.q).__name__ == "NormalMixture"
    assert fit.trusted
    np.testing.assert_allclose(fit.sds, np.sqrt(401.0), rtol=0.02)


@pytest.mark.slow
def test_what_no_q_fits_is_sampled(key):
    def banana(u):
        return -0.5 * (u[0] ** 2 + (u[1] - 4 * u[0] ** 2) ** 2 / 0.01)

    fit = fit_of(banana, np.zeros(2), key)
    # By chains that agree, or not at all: never by a q that misses the ends.
    if fit.trusted:
        assert fit.chains is not None
        np.testing.assert_allclose(fit.sds, [1.0, np.sqrt(32.01)], rtol=0.15)
    else:
        assert fit.advice.startswith(("Do not", "Use"))


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input_is_named(key):
    target = vi.from_log_density(lambda u: -0.5 * u**2, 0.0)
    with pytest.raises(ValueError, match='family = "auto" chooses its methods'):
        vi.fit(target, key, family="auto", method="laplace")
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda key: vi.fit(target, key, family="auto"))(key)
    with pytest.raises(ValueError, match="seconds = 0"):
        vi.fit(target, key, family="auto", seconds=0.0)
    nowhere = vi.from_log_density(lambda u: u * jnp.nan, 0.0)
    with pytest.raises(ValueError, match="not finite at any of"):
        vi.fit(nowhere, key, family="auto")
