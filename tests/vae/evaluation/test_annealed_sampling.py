"""Annealed importance sampling where log p(x) is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.evaluation import Walk, annealed_sampling, log_evidence
from vijax.vae.models import autoencoders


@pytest.mark.slow
def test_forward_and_reverse_walks_find_the_exact_evidence(linear_vae, key):
    vae = linear_vae
    weights, bias = (vae.params.decoder["output"][name] for name in ("kernel", "bias"))
    keys = jax.random.split(key, 3)
    z = jax.random.normal(keys[0], (50, 2))
    x = z @ weights + bias + 0.5 * jax.random.normal(keys[1], (50, 6))
    exact = log_evidence.quadrature_log_evidence(vae.model, vae.params, x)
    settings = {"walk": Walk(150, 20, 5), "batch_size": 50}
    for found in (
        annealed_sampling.annealed_lower_bound(
            vae.model, vae.params, key, x, **settings
        ),
        annealed_sampling.annealed_upper_bound(
            vae.model, vae.params, key, x, z, **settings
        ),
    ):
        deviation = found.log_evidence - exact
        error = np.sqrt(np.mean(found.standard_error**2) / 50)
        assert error < 0.03
        assert abs(np.mean(deviation)) < 4 * error
        assert 0.5 < np.mean(found.acceptance) < 0.95


@pytest.mark.thorough
def test_few_steps_enclose_the_evidence(linear_vae, key):
    # Seen from so few temperatures the bounds are loose, each to its own side.
    vae = linear_vae
    weights, bias = (vae.params.decoder["output"][name] for name in ("kernel", "bias"))
    z = jax.random.normal(key, (50, 2))
    x = z @ weights + bias + 0.5 * jax.random.normal(jax.random.key(1), (50, 6))
    exact = log_evidence.quadrature_log_evidence(vae.model, vae.params, x).mean()
    settings = {"walk": Walk(4, 2, 2), "batch_size": 50}
    below = annealed_sampling.annealed_lower_bound(
        vae.model, vae.params, key, x, **settings
    )
    above = annealed_sampling.annealed_upper_bound(
        vae.model, vae.params, key, x, z, **settings
    )
    assert below.log_evidence.mean() + 0.3 < exact < above.log_evidence.mean() - 0.3


@pytest.mark.slow
def test_it_needs_no_encoder_and_finds_both_modes(key):
    # A decoder of z² has two modes, ±z; q sits at one of them.
    model = autoencoders.vae((3,), latent=1, hidden=(2,), activation="relu")
    decoder = {  # |z| = relu(z) + relu(-z)
        "Dense_0": {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.zeros(2)},
        "output": {"kernel": jnp.full((2, 3), 4.0), "bias": jnp.full(3, -4.0)},
    }
    encoder = jax.tree.map(jnp.zeros_like, autoencoders.init(model, key).encoder)
    loc_and_log_scale = jnp.array([1.5, -1.0])
    encoder["output"]["bias"] = loc_and_log_scale
    params = autoencoders.ModelParams(encoder, decoder)
    x = jnp.ones((2, 3))
    exact = log_evidence.quadrature_log_evidence(model, params, x)
    missed = log_evidence.importance_log_evidence(
        model, params, key, x, num_samples=1000
    )
    np.testing.assert_allclose(missed.log_evidence, exact - np.log(2), atol=0.1)
    assert np.all(missed.standard_error < 0.1)  # and knows nothing of it
    found = annealed_sampling.annealed_lower_bound(
        model, params, key, x, walk=Walk(100, 100, 5)
    )
    deviation = (found.log_evidence - exact) / found.standard_error
    assert np.all(np.abs(deviation) < 4)
    assert np.all(found.standard_error < 0.1)


@pytest.mark.parametrize("setting", ["num_steps", "num_chains", "num_leapfrog"])
def test_bad_settings(setting):
    with pytest.raises(ValueError, match=f"{setting} = 0"):
        Walk(**{setting: 0})


@pytest.mark.usefixtures("nan_is_an_answer")
def test_walks_from_bad_latents(linear_vae, key):
    vae = linear_vae
    z = jnp.full((50, 2), jnp.nan)
    with pytest.raises(ValueError, match="z = nan"):
        annealed_sampling.annealed_upper_bound(vae.model, vae.params, key, vae.x, z)
