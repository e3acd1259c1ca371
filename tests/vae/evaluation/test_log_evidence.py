"""log p(x) by importance sampling and by quadrature, where it is known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.evaluation import log_evidence
from vijax.vae.models import autoencoders, bound_terms, likelihoods
from vijax.vae.models.autoencoders import ModelParams


def shift(params: ModelParams, by: float) -> ModelParams:
    """Move q(z | x) away from the posterior."""
    output = params.encoder["output"]
    moved = output["bias"] + by * jnp.array([1.0, -1.0, 1.0, 1.0])
    return params._replace(encoder={"output": output | {"bias": moved}})


def test_importance_sampling_is_exact_at_the_posterior(linear_vae, key):
    vae = linear_vae
    found = log_evidence.importance_log_evidence(
        vae.model, vae.params, key, vae.x, num_samples=20, chunk_size=10
    )
    np.testing.assert_allclose(found.log_evidence, vae.log_evidence, atol=1e-4)
    np.testing.assert_allclose(found.effective_sample_size, 20, rtol=1e-5)
    assert np.all(found.standard_error < 1e-3)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_one_example_is_enough(linear_vae, key):
    """Its mean has no error over test sets."""
    vae = linear_vae
    x, exact = vae.x[:1], vae.log_evidence[:1]
    found = log_evidence.importance_log_evidence(
        vae.model, vae.params, key, x, num_samples=20, chunk_size=10
    )
    np.testing.assert_allclose(found.log_evidence, exact, atol=1e-4)
    mean = log_evidence.mean_log_evidence(found)
    assert np.isnan(mean.standard_error)
    assert mean.draw_standard_error < 1e-3
    assert "± nan nats per example" in str(mean)


@pytest.mark.thorough
@pytest.mark.parametrize("batch_size", [8, 50])
def test_importance_sampling_finds_the_evidence_from_a_wrong_q(
    linear_vae, key, batch_size
):
    vae, moved = linear_vae, shift(linear_vae.params, 0.3)
    found = log_evidence.importance_log_evidence(
        vae.model, moved, key, vae.x, num_samples=4000, batch_size=batch_size
    )
    deviation = (found.log_evidence - vae.log_evidence) / found.standard_error
    assert np.all(found.standard_error < 0.1)
    assert abs(deviation.mean()) < 4 / np.sqrt(50)
    assert 0.7 < deviation.std() < 1.3  # the error is claimed at its true size
    assert np.all(found.effective_sample_size < 3600)
    summary = log_evidence.mean_log_evidence(found)
    deviation = summary.log_evidence - vae.log_evidence.mean()
    assert abs(deviation) < 4 * summary.draw_standard_error


@pytest.mark.thorough
@pytest.mark.parametrize("chunk_size", [60, 6])  # of one sum, and of ten
def test_effective_sample_size_is_the_weights_own(linear_vae, key, chunk_size):
    vae, moved = linear_vae, shift(linear_vae.params, 0.3)
    settings = {"num_samples": 60, "chunk_size": chunk_size, "batch_size": 50}
    found = log_evidence.importance_log_evidence(
        vae.model, moved, key, vae.x, **settings
    )
    q, first = autoencoders.encode(vae.model, moved, vae.x), jax.random.fold_in(key, 0)
    keys = [jax.random.fold_in(first, i) for i in range(60 // chunk_size)]
    z = jnp.concatenate([bound_terms.draw(k, q, num_samples=chunk_size) for k in keys])
    log_w = sum(bound_terms.log_weights(vae.model, moved, vae.x, q, z))
    w = np.exp(np.asarray(log_w, np.float64))
    expected = w.sum(axis=0) ** 2 / (w**2).sum(axis=0)
    np.testing.assert_allclose(found.effective_sample_size, expected, rtol=1e-3)
    np.testing.assert_allclose(
        found.standard_error, w.std(0, ddof=1) / w.mean(0) / np.sqrt(60), rtol=1e-3
    )


def test_chunks_only_bound_the_memory(linear_vae):
    # With far too many nats in a weight the sums must neither over- nor underflow.
    vae = linear_vae
    params = vae.params._replace(
        decoder={"output": vae.params.decoder["output"] | {"bias": jnp.full(6, 40.0)}}
    )
    found = log_evidence.importance_log_evidence(
        vae.model, params, jax.random.key(0), vae.x, num_samples=100, chunk_size=1
    )
    assert np.all(np.isfinite(found.log_evidence))
    assert np.all(found.log_evidence < -1000)


@pytest.mark.parametrize("num_nodes", [100, 300])
def test_quadrature_is_the_exact_evidence(linear_vae, num_nodes):
    vae = linear_vae
    found = log_evidence.quadrature_log_evidence(
        vae.model, vae.params, vae.x, num_nodes=num_nodes, batch_size=20
    )
    np.testing.assert_allclose(found, vae.log_evidence, atol=2e-4)


@pytest.mark.slow
def test_both_agree_for_a_bernoulli_decoder(key):
    model = autoencoders.vae((8, 8), hidden=(16,))
    params = autoencoders.init(model, key)
    # A decoder with some slope, or else nothing depends on z; q is near the prior.
    params = ModelParams(
        jax.tree.map(lambda leaf: 0.1 * leaf, params.encoder),
        jax.tree.map(lambda leaf: 2 * leaf, params.decoder),
    )
    x = jax.random.bernoulli(key, 0.3, (40, 8, 8)).astype(jnp.float32)
    exact = log_evidence.quadrature_log_evidence(model, params, x, num_nodes=300)
    coarse = log_evidence.quadrature_log_evidence(model, params, x, num_nodes=200)
    np.testing.assert_allclose(coarse, exact, atol=1e-3)
    found = log_evidence.importance_log_evidence(
        model, params, key, x, num_samples=5000
    )
    good = found.effective_sample_size > 100
    assert good.sum() > 20
    deviation = ((found.log_evidence - exact) / found.standard_error)[good]
    assert abs(deviation.mean()) < 4 / np.sqrt(good.sum())
    assert np.max(np.abs(deviation)) < 5


@pytest.mark.thorough
def test_the_table_is_the_same_with_and_without_the_matrix_product(key):
    model = autoencoders.vae(
        (3, 2), hidden=(), likelihood=likelihoods.continuous_bernoulli()
    )
    outputs = jax.random.normal(key, (5, 3, 2, 1))
    x = jax.random.uniform(key, (4, 3, 2))
    slow = model._replace(likelihood=model.likelihood._replace(affine=None))
    np.testing.assert_allclose(
        bound_terms.log_likelihood_table(model, outputs, x),
        bound_terms.log_likelihood_table(slow, outputs, x),
        rtol=1e-4,
        atol=1e-5,
    )


def test_bad_settings(linear_vae, key):
    vae = linear_vae
    with pytest.raises(ValueError, match=r"num_samples = 150 .*multiple of"):
        log_evidence.importance_log_evidence(
            vae.model, vae.params, key, vae.x, num_samples=150
        )
    model = autoencoders.vae((6,), latent=4)
    with pytest.raises(ValueError, match=r"latent = 4 .*use importance"):
        log_evidence.quadrature_log_evidence(
            model, autoencoders.init(model, key), vae.x
        )


@pytest.mark.thorough
def test_quadrature_of_more_nodes_than_a_chunk_adds_nothing_to_the_grid():
    # x = z + 1 + noise. At x = 11 the posterior is N(5, 1/2): near the grid's corner.
    model = autoencoders.vae(
        (1,), latent=1, hidden=(), likelihood=likelihoods.gaussian(1.0)
    )
    params = autoencoders.init(model, jax.random.key(0))
    params = jax.tree.map(jnp.ones_like, params)
    x = jnp.full((2, 1), 11.0)
    settings = {"num_nodes": 2001, "width": 8.0}
    found = log_evidence.quadrature_log_evidence(model, params, x, **settings)
    exact = -25 - 0.5 * np.log(4 * np.pi)  # log N(11 | 1, 2)
    np.testing.assert_allclose(found, exact, atol=1e-4)
    found = log_evidence.quadrature_log_evidence(model, params, x, num_nodes=2001)
    cut = exact + np.log(0.5 * (1 + math.erf(0.5)))  # what lies below z = 5.5
    np.testing.assert_allclose(found, cut, atol=3e-3)
