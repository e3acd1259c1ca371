"""Draws of a model whose distribution is known."""

import jax
import numpy as np
import pytest

from vijax.vae.generation import draw_from_prior
from vijax.vae.models import autoencoders


def test_draws_of_a_linear_vae_have_its_moments(linear_vae, key):
    vae, size = linear_vae, 4000
    draws = draw_from_prior(key, vae.model, vae.params, num_samples=size)
    weights, bias = (
        np.asarray(vae.params.decoder["output"][name]) for name in ("kernel", "bias")
    )
    np.testing.assert_allclose(draws.mean, draws.z @ weights + bias, atol=1e-5)
    # x ~ N(b, WᵀW + s² I); a mean is known to sd / √n, a covariance to about
    # √(c_ii c_jj + c_ij²) / √n.
    covariance = weights.T @ weights + 0.25 * np.eye(6)
    variance = np.diag(covariance)
    assert np.all(abs(draws.x.mean(axis=0) - bias) < 4.5 * np.sqrt(variance / size))
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / size)
    found = np.cov(draws.x, rowvar=False)
    assert np.all(abs(found - covariance) < 4.5 * error)


@pytest.mark.thorough
def test_batches_change_nothing(linear_vae, key):
    vae = linear_vae
    one, many = (
        draw_from_prior(key, vae.model, vae.params, num_samples=10, batch_size=size)
        for size in (10, 4)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, many)


@pytest.mark.usefixtures("as_users_do")
def test_an_autoencoder_has_no_prior(key):
    with pytest.raises(ValueError, match="not a VAE, so it has no prior"):
        draw_from_prior(key, autoencoders.autoencoder((4,)), None, num_samples=3)


@pytest.mark.usefixtures("as_users_do")
def test_no_draws_are_refused(linear_vae, key):
    vae = linear_vae
    with pytest.raises(ValueError, match="num_samples = 0"):
        draw_from_prior(key, vae.model, vae.params, num_samples=0)
