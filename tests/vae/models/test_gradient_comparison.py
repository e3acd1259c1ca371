"""Gradient estimators compared: each is the exact gradient on average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.models import gradient_comparison
from vijax.vae.models.posteriors import Posterior

CURVATURE, SLOPE = jnp.array([[3.0, 1.0], [1.0, 2.0]]), jnp.array([1.0, -2.0])
SCALE = jnp.array([0.5, 0.8])


@pytest.fixture(scope="module")
def q():
    return Posterior(jnp.array([0.3, -0.7]), jnp.log(SCALE))


def shifted(z):
    """A quadratic far from 0, which costs the score function without a baseline."""
    return SLOPE @ z - 0.5 * z @ CURVATURE @ z + 30


@pytest.fixture(scope="module")
def found(q):
    return jax.jit(
        lambda key: gradient_comparison.draw_gradients(
            key, shifted, q, num_samples=20_000
        )
    )(jax.random.key(0))


def test_the_exact_gradient_is_the_closed_form(found, q):
    expected = [*(SLOPE - CURVATURE @ q.loc), *(-jnp.diag(CURVATURE) * SCALE**2)]
    np.testing.assert_allclose(found.exact, expected, atol=2e-4)


def test_every_estimator_is_unbiased_and_its_variance_known(found):
    compared = gradient_comparison.compare_estimators(found)
    assert tuple(compared) == gradient_comparison.ESTIMATORS
    for one in compared.values():
        assert one.max_deviation < 4
        error = np.sqrt(one.variance / 20_000)
        assert np.hypot.reduce(one.standard_error) == pytest.approx(error, rel=1e-4)
    plain, score, baseline = (one.variance for one in compared.values())
    # ∂f/∂z = b - A z: variance Σ_j A_ij² σ_j², 2.89 + 2.81, and the part of log σ.
    slopes = found.draws[gradient_comparison.REPARAMETRISED][:, :2]
    np.testing.assert_allclose(slopes.var(axis=0), [2.89, 2.81], rtol=0.04)
    assert score > 20 * baseline > 20 * plain
    ratio = compared[gradient_comparison.SCORE_FUNCTION].variance_ratio
    assert ratio == pytest.approx(score / plain)


def test_each_estimator_has_draws_of_its_own(found):
    first, second, third = (values[:, 0] for values in found.draws.values())
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(20_000)
    assert abs(np.corrcoef(second, third)[0, 1]) < 4 / np.sqrt(20_000)


@pytest.mark.thorough
def test_the_same_key_gives_the_same_gradients_in_every_transformation(q, key):
    def draw(key):
        return gradient_comparison.draw_gradients(key, shifted, q, num_samples=3).draws

    eager = draw(key)
    for other in (jax.jit(draw)(key), jax.vmap(draw)(key[None])):
        for name, values in eager.items():
            np.testing.assert_allclose(
                jnp.reshape(other[name], values.shape), values, rtol=1e-5, atol=1e-4
            )


def test_bad_input_is_named(q, key):
    with pytest.raises(ValueError, match="num_samples = 1"):
        gradient_comparison.draw_gradients(key, shifted, q, num_samples=1)
    draws = {"score function": jnp.zeros((2, 2))}
    with pytest.raises(ValueError, match="reparametrised"):
        gradient_comparison.compare_estimators(
            gradient_comparison.GradientDraws(draws, jnp.zeros(2))
        )
    draws = {gradient_comparison.REPARAMETRISED: jnp.zeros((1, 2))}
    with pytest.raises(ValueError, match="two draws"):
        gradient_comparison.compare_estimators(
            gradient_comparison.GradientDraws(draws, jnp.zeros(2))
        )
