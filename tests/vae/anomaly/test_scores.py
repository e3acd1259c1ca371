"""Scores by their definition, and runs in one vmap against runs one by one."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import stats

from vijax.metrics import roc
from vijax.vae.anomaly import scores
from vijax.vae.models import autoencoders, likelihoods


@pytest.fixture(scope="module")
def linear():
    """A linear-Gaussian VAE, whose expectations under q are known."""
    model = autoencoders.vae(
        (4,), latent=2, hidden=(), likelihood=likelihoods.gaussian(0.7)
    )
    params = jax.jit(autoencoders.init, static_argnums=0)(model, jax.random.key(0))
    # q near the prior: 4,000 draws of it cover the posterior, so weights are tame.
    encoder = jax.tree.map(lambda leaf: 0.3 * leaf, params.encoder)
    return model, params._replace(encoder=encoder)


def test_scores_of_a_linear_gaussian_vae_are_exact(linear):
    model, params = linear
    score = jax.jit(partial(scores.anomaly_scores, model, params, num_samples=4_000))
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    s = score(jax.random.key(2), x)
    q = autoencoders.encode(model, params, x)
    kernel, bias = (params.decoder["output"][name] for name in ("kernel", "bias"))
    variance = np.exp(2 * q.log_scale)
    mean = q.loc @ kernel + bias
    # E_q ‖x - W z - b‖² = ‖x - W loc - b‖² + Σ_j scale_j² ‖W_j‖²
    squares = np.sum((x - mean) ** 2, axis=1) + variance @ np.sum(kernel**2, axis=1)
    reconstruction = squares / (2 * 0.7**2) + 2 * np.log(2 * np.pi * 0.7**2)
    kl = 0.5 * np.sum(variance + q.loc**2 - 1 - 2 * q.log_scale, axis=1)
    # 4,000 draws know the first to about 0.05 nats of some 10; 4 such errors.
    np.testing.assert_allclose(s.reconstruction, reconstruction, rtol=0.05)
    np.testing.assert_allclose(s.kl, kl, rtol=1e-5)
    np.testing.assert_allclose(s.negative_elbo, s.reconstruction + s.kl, rtol=1e-6)
    np.testing.assert_allclose(s.latent_norm, np.linalg.norm(q.loc, axis=1), rtol=1e-5)
    # p(x) = N(x | b, W'W + 0.7² I) for a linear decoder.
    evidence = stats.multivariate_normal(bias, kernel.T @ kernel + 0.49 * np.eye(4))
    np.testing.assert_allclose(s.negative_log_evidence, -evidence.logpdf(x), atol=0.1)
    for near, far in zip(s, score(jax.random.key(3), x + 50), strict=True):
        assert roc.auc(np.concatenate([near, far]), np.arange(12) >= 6) == 1


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_unexplained_share_is_a_likelihood_ratio(linear):
    model, params = linear
    x = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)
    share = np.asarray(scores.unexplained_share(model, params, x))
    again = np.asarray(autoencoders.reconstruct(model, params, x))
    # The best scale of a Gaussian is the root mean square of what it leaves.
    fits = [
        stats.norm(loc, np.sqrt(np.mean((x - loc) ** 2, axis=1, keepdims=True)))
        for loc in (again, 0.0)
    ]
    model_fit, noise = (fit.logpdf(x).sum(axis=1) for fit in fits)
    np.testing.assert_allclose(share, np.exp((noise - model_fit) / 2), rtol=1e-4)
    blank = np.where(np.arange(6)[:, None] == 2, 0, x)
    with pytest.raises(ValueError, match=r"0\.0 \(at index 2\) .* blank"):
        scores.unexplained_share(model, params, blank)
    traced = jax.jit(partial(scores.unexplained_share, model, params))(blank)
    np.testing.assert_array_equal(np.isnan(traced), np.arange(6) == 2)


@pytest.mark.thorough
def test_latent_distance_is_to_the_nearest_of_all(linear):
    model, params = linear
    rng = np.random.default_rng(6)
    x, background = rng.normal(size=(2, 7, 4)).astype(np.float32)
    z, known = (autoencoders.latent_mean(model, params, y) for y in (x, background))
    expected = [min(np.linalg.norm(a - b) for b in known) for a in z]
    found = scores.latent_distance(model, params, x, background, batch_size=3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    again = scores.latent_distance(model, params, background, background)
    np.testing.assert_array_equal(again, 0)
    with pytest.raises(ValueError, match="background = nan"):
        scores.latent_distance(model, params, x, background * np.float32(np.nan))


@pytest.mark.thorough
def test_a_second_call_compiles_nothing(linear, compiled):
    model, params = linear
    x = np.random.default_rng(7).normal(size=(5, 4)).astype(np.float32)
    for seed in (0, 1):
        compiled.clear()
        scores.anomaly_scores(model, params, jax.random.key(seed), x, num_samples=2)
        scores.unexplained_share(model, params, x)
        scores.latent_distance(model, params, x, x)
    assert not compiled


@pytest.mark.parametrize("shape", [(0, 4), (3, 5), (4,)])
def test_data_of_another_shape_are_refused(linear, shape):
    model, params = linear
    with pytest.raises(ValueError, match=r"give \(n, 4\), n >= 1"):
        scores.anomaly_scores(
            model, params, jax.random.key(0), np.zeros(shape, np.float32)
        )
    with pytest.raises(ValueError, match="x has shape"):
        scores.reconstruction_error(model, params, np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="x has shape"):
        scores.unexplained_share(model, params, np.zeros(shape, np.float32))
