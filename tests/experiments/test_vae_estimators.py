"""The estimators of the VAE experiment are the exact gradient on average."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lecture import vae_estimators
from vijax.vae.models import autoencoders


@pytest.mark.parametrize("kind", ["quadratic", "trained"])
def test_every_estimator_is_unbiased(key, kind):
    if kind == "quadratic":
        found = vae_estimators._quadratic_gradients(20_000, key)
    else:
        model = autoencoders.vae((3, 3), hidden=())
        params = autoencoders.init(model, key)
        x = jnp.eye(3)
        found = vae_estimators._trained_gradients(model, 20_000, params, x, key)
    m = vae_estimators.compare(found)
    assert np.all(np.isfinite(m["gradient_exact"]))
    if kind == "trained":  # f is far from 0 there, which costs without a baseline
        ratio = "variance_ratio_score_function"
        assert m[ratio] > 2 * m[f"{ratio}_with_baseline"] > 2
    for label in ("reparametrised", "score_function", "score_function_with_baseline"):
        assert m[f"gradient_{label}_max_deviation"] < 4
    # Each estimator has draws of its own.
    first, second, third = (values[:, 0] for values in found.draws.values())
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(20_000)
    assert abs(np.corrcoef(second, third)[0, 1]) < 4 / np.sqrt(20_000)
