"""One key gives one set of numbers: eagerly, under jit, and under vmap over keys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from vijax import metrics
from vijax.vae import anomaly, evaluation, generation
from vijax.vae.evaluation import DecodedData, Walk

Y = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
DECODED = DecodedData(jnp.zeros((1, 1)), jnp.arange(40.0))
WALK = Walk(num_steps=2, num_chains=2, num_leapfrog=1)


def mean(weights, x):
    return jnp.sum(weights[:, None] * x, axis=0) / jnp.sum(weights)


def square_gap(a, b):
    return jnp.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)


def sets(function, **settings):
    """Return a distance of two sets of vectors as a function of the key alone."""
    return lambda key: function(key, Y, Y[:20] + 1, **settings)


OF_A_KEY = {
    "bootstrap": lambda key: metrics.with_bootstrap_error(
        key, mean, len(Y), Y, num_resamples=20
    ),
    "frechet": sets(metrics.frechet_distance_with_error, num_resamples=20),
    "frechet floor": sets(metrics.frechet_noise_floor, num_splits=19),
    "floor": sets(metrics.noise_floor, distance=square_gap, num_splits=5),
    "uniform": lambda key: evaluation.uniform_in_box(
        key, jnp.asarray(Y), num_samples=5
    ),
    "off data": lambda key: evaluation.share_off_data(
        jnp.arange(50.0), DECODED, key, num_resamples=20
    ),
    "wasserstein": lambda key: evaluation.sliced_wasserstein(Y, key, num_projections=3),
}
OF_A_VAE = {
    "elbo": partial(evaluation.held_out_elbo, num_samples=2),
    "importance": partial(evaluation.importance_log_evidence, num_samples=4),
    "annealed": partial(evaluation.annealed_lower_bound, walk=WALK),
    "aggregate": evaluation.aggregate_posterior,
    "anomaly": partial(anomaly.anomaly_scores, num_samples=2),
}


def assert_same_numbers(function):
    keys = jax.random.split(jax.random.key(7), 2)
    eager = [function(key) for key in keys]
    pairs = zip(*map(jax.tree.leaves, eager), strict=True)
    assert any(np.any(a != b) for a, b in pairs)  # two keys, two draws
    many = jax.vmap(function)(keys)
    for i, one in enumerate(eager):
        alone = jax.tree.map(lambda leaf, i=i: leaf[i], many)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-4), one, alone)
    compiled = jax.jit(function)(keys[0])
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-4), eager[0], compiled)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", slow_except(set(OF_A_KEY) - {"off data", "frechet floor"}, OF_A_KEY)
)
def test_metrics(name):
    assert_same_numbers(OF_A_KEY[name])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", slow_except({"elbo", "importance", "anomaly"}, OF_A_VAE)
)
def test_evaluation(name, linear_vae):
    vae = linear_vae
    function = partial(OF_A_VAE[name], vae.model, vae.params, x=vae.x[:4])
    assert_same_numbers(lambda key: function(key=key))


@pytest.mark.thorough
def test_generation(linear_vae):
    vae = linear_vae
    assert_same_numbers(
        lambda key: generation.draw_from_prior(
            key, vae.model, vae.params, num_samples=3
        )
    )


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_pixels_are_nan_in_a_trace(linear_vae, key):
    vae = linear_vae
    x = vae.x[:4].at[2, 0].set(jnp.nan)
    found = jax.jit(partial(evaluation.elbo_per_example, vae.model))(vae.params, key, x)
    np.testing.assert_array_equal(
        np.isnan(found.log_likelihood), [False, False, True, False]
    )
