import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from vijax.vae.evaluation import latent_usage
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.likelihoods import gaussian
from vijax.vae.models.posteriors import Posterior


def test_usage_of_a_model_with_a_dead_latent(linear_vae):
    vae = linear_vae
    output = vae.params.encoder["output"]
    # The second latent's loc and log scale no longer depend on x: the prior's.
    dead = jnp.array([1.0, 0.0, 1.0, 0.0])
    output = {"kernel": output["kernel"] * dead, "bias": output["bias"] * dead}
    params = vae.params._replace(encoder={"output": output})
    found = latent_usage.active_units(vae.model, params, vae.x)
    np.testing.assert_array_equal(found.active, [True, False])
    np.testing.assert_allclose(found.variance_of_means[1], 0, atol=1e-12)
    np.testing.assert_allclose(found.kl[1], 0, atol=1e-7)
    q = autoencoders.encode(vae.model, params, vae.x)
    np.testing.assert_allclose(
        found.kl[0], np.mean(bound_terms.kl_to_prior(q)), rtol=1e-5
    )


@pytest.mark.thorough
def test_aggregate_of_the_generating_model_is_the_prior(linear_vae, key):
    # For data drawn from the model itself q(z) is N(0, I), and the mutual information
    # is that of a Gaussian channel: ½ Σ_j log(1 + |w_j|² / s²).
    vae = linear_vae
    weights = np.asarray(vae.params.decoder["output"]["kernel"], np.float64)
    bias = np.asarray(vae.params.decoder["output"]["bias"])
    random = np.random.default_rng(1)
    z = random.normal(size=(8000, 2))
    x = z @ weights + bias + 0.5 * random.normal(size=(8000, 6))
    found = latent_usage.aggregate_posterior(vae.model, vae.params, key, x)
    information = 0.5 * np.sum(np.log1p(np.sum(weights**2, axis=1) / 0.25))
    # 8000 draws of a quantity with sd about 1: an error of 0.011 nats.
    np.testing.assert_allclose(found.mutual_information, information, atol=0.045)
    np.testing.assert_allclose(found.marginal_kl, 0, atol=0.03)
    np.testing.assert_allclose(found.mean, [0, 0], atol=4 / np.sqrt(8000))
    np.testing.assert_allclose(
        found.standard_deviation, [1, 1], atol=4 / np.sqrt(2 * 8000)
    )


@pytest.mark.thorough
def test_aggregate_sees_codes_that_miss_the_prior(linear_vae, key):
    vae = linear_vae
    kernel = np.asarray(vae.params.decoder["output"]["kernel"])
    shifted = np.asarray(vae.x) + 5 * kernel[0]  # z₁ + 5 in x
    found = latent_usage.aggregate_posterior(vae.model, vae.params, key, shifted)
    near = latent_usage.aggregate_posterior(vae.model, vae.params, key, vae.x)
    assert found.marginal_kl > near.marginal_kl + 8
    np.testing.assert_allclose(
        found.mutual_information, near.mutual_information, atol=0.5
    )


def test_pairs_in_batches_are_the_direct_densities(key):
    q = Posterior(
        *jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 3)), jnp.float32)
    )
    z = latent_usage._draw(key, q).z
    every = latent_usage._log_mean_density(q, z)
    z, loc, log_scale = map(np.asarray, (z, *q))
    direct = norm.logpdf(z[:, None], loc, np.exp(log_scale)).sum(axis=-1)
    expected = logsumexp(direct, axis=1) - np.log(7)
    np.testing.assert_allclose(every, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_sharp_codes_tell_all_that_the_estimate_can(key):
    """Where no two q overlap, the information is log n: differences keep digits."""
    model = autoencoders.vae((1,), latent=1, hidden=(), likelihood=gaussian(1.0))
    encoder = {"kernel": jnp.array([[1.0, 0.0]]), "bias": jnp.array([0.0, -7.6])}
    params = autoencoders.init(model, key)._replace(encoder={"output": encoder})
    x = jnp.linspace(-3, 3, 100)[:, None]
    found = latent_usage.aggregate_posterior(model, params, key, x)
    np.testing.assert_allclose(found.mutual_information, np.log(100), rtol=1e-6)
