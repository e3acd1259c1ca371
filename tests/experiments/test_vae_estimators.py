"""The gradient study of the VAE experiment: its numbers are those of the estimators."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lecture import vae_estimators
from vijax.vae.models import autoencoders


@pytest.mark.thorough
def test_gradients_of_a_model_are_unbiased_and_need_a_baseline(key):
    model = autoencoders.vae((3, 3), hidden=())
    params = autoencoders.init(model, key)
    found = vae_estimators._trained_gradients(model, 20_000, params, jnp.eye(3), key)
    m = vae_estimators.gradient_metrics(found)
    # f is far from 0 here, which costs without a baseline.
    ratio = "variance_ratio_score_function"
    assert m[ratio] > 2 * m[f"{ratio}_with_baseline"] > 2
    for label in ("reparametrised", "score_function", "score_function_with_baseline"):
        assert m[f"gradient_{label}_max_deviation"] < 4
        assert m[f"gradient_{label}"].shape == (4,)
        assert m[f"gradient_{label}_variance"] > 0


def test_exact_gradient_of_the_quadratic_is_its_closed_form(key):
    found = vae_estimators._quadratic_gradients(100, key)
    # b - A μ with μ = (0.3, -0.7), and -A_jj σ_j² with σ = (0.5, 0.8).
    np.testing.assert_allclose(found.exact, [0.8, -0.9, -0.75, -1.28], rtol=1e-5)


def test_every_draw_is_used_once_for_each_number_of_draws():
    sizes = [vae_estimators.REPEATS * n for n in vae_estimators.NUMBERS]
    found = vae_estimators.split_draws(np.arange(sum(sizes), dtype=float))
    assert {n: len(values) for n, values in found.items()} == dict.fromkeys(
        vae_estimators.NUMBERS, vae_estimators.REPEATS
    )
    np.testing.assert_allclose(found[10][0], np.arange(2000, 2010).mean())
