import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.models import gradient_estimators
from vijax.vae.models.posteriors import Posterior

CURVATURE, SLOPE = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])


@pytest.fixture
def q() -> Posterior:
    return Posterior(jnp.array([0.3, -0.7]), jnp.log(jnp.array([0.5, 0.8])))


def quadratic(z):
    return SLOPE @ z - 0.5 * z @ CURVATURE @ z


def exact(q: Posterior) -> np.ndarray:
    """E[f] = b·μ - μ·A μ / 2 - Σ A_jj σ_j² / 2, differentiated by hand."""
    loc = SLOPE - CURVATURE @ np.asarray(q.loc)
    return np.concatenate([loc, -np.diag(CURVATURE) * np.exp(2 * q.log_scale)])


def estimators():
    score = gradient_estimators.score_function
    return {
        "reparametrised": gradient_estimators.reparametrised,
        "score": score,
        "baseline": lambda *args, **kwargs: score(*args, baseline=True, **kwargs),
    }


@pytest.mark.parametrize("name", ["reparametrised", "score", "baseline"])
def test_the_mean_is_the_exact_gradient(q, key, name):
    draws = estimators()[name](quadratic, q, key, num_samples=100_000)
    draws = np.concatenate(draws, axis=1)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(error < 0.05)
    assert np.all(np.abs(draws.mean(axis=0) - exact(q)) < 4 * error)


@pytest.mark.thorough
def test_the_baseline_of_two_draws_is_the_other_one(q, key):
    def mean_of_two(key):
        draws = gradient_estimators.score_function(
            quadratic, q, key, num_samples=2, baseline=True
        )
        return jnp.mean(draws.loc, axis=0)

    means = jax.jit(jax.vmap(mean_of_two))(jax.random.split(key, 50_000))
    error = np.std(means, axis=0) / np.sqrt(50_000)
    assert np.all(error < 0.05)
    assert np.all(np.abs(means.mean(axis=0) - exact(q)[:2]) < 4 * error)


def test_the_variance_of_the_reparametrised_estimator(q, key):
    # ∂f/∂z_1 = b_1 - (A z)_1: its variance is Σ_j A_1j² σ_j² = 9/4 + 0.64
    draws = gradient_estimators.reparametrised(quadratic, q, key, num_samples=100_000)
    np.testing.assert_allclose(draws.loc[:, 0].var(), 2.89, rtol=0.03)


@pytest.mark.thorough
def test_a_constant_costs_only_the_plain_score_function(q, key):
    def shifted(z):
        return quadratic(z) - 130

    spread = {
        name: float(
            np.var(estimator(shifted, q, key, num_samples=20_000).loc[:, 0])
            / np.var(estimator(quadratic, q, key, num_samples=20_000).loc[:, 0])
        )
        for name, estimator in estimators().items()
    }
    assert spread["score"] > 100
    np.testing.assert_allclose(spread["reparametrised"], 1, rtol=1e-4)
    np.testing.assert_allclose(spread["baseline"], 1, rtol=0.02)


@pytest.mark.thorough
def test_quadrature_is_exact_for_polynomials(q, x64):
    q = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), q)
    np.testing.assert_allclose(
        np.concatenate(gradient_estimators.exact(quadratic, q)), exact(q), rtol=1e-6
    )
    mu, sigma = np.asarray(q.loc), np.exp(q.log_scale)
    expected = SLOPE @ mu - 0.5 * (mu @ CURVATURE @ mu + np.diag(CURVATURE) @ sigma**2)
    np.testing.assert_allclose(
        gradient_estimators.expectation(quadratic, q), expected, rtol=1e-6
    )


def test_one_draw_has_no_spread(q, key):
    with pytest.raises(ValueError, match="num_samples = 1"):
        gradient_estimators.score_function(quadratic, q, key, num_samples=1)
