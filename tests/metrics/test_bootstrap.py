"""The Bayesian bootstrap against errors that are known otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.metrics import roc
from vijax.metrics.bootstrap import bayesian_bootstrap, with_bootstrap_error


@pytest.mark.thorough
def test_error_of_a_mean_is_sd_over_sqrt_n():
    x = jnp.asarray(np.random.default_rng(0).gamma(2.0, size=400), jnp.float32)
    draws = bayesian_bootstrap(
        jax.random.key(1),
        lambda weights, x: jnp.sum(weights * x) / jnp.sum(weights),
        400,
        x,
        num_resamples=4_000,
        batch_size=500,
    )
    # The posterior variance of a mean is exactly var / (n + 1); 4,000 draws know its
    # square root to 1.1 %, its mean to error / sqrt(4000).
    error = x.std() / np.sqrt(401)
    np.testing.assert_allclose(draws.std(), error, rtol=0.04)
    assert abs(draws.mean() - x.mean()) < 4 * error / np.sqrt(4_000)


@pytest.mark.thorough
def test_error_of_an_auc_is_delongs():
    rng = np.random.default_rng(2)
    is_anomaly = rng.random(500) < 0.3
    scores = (rng.normal(size=500) + is_anomaly).astype(np.float32)
    draws = bayesian_bootstrap(
        jax.random.key(3),
        lambda weights, *data: roc.auc(*data, weights),
        500,
        scores,
        is_anomaly,
        num_resamples=1_000,
        batch_size=100,
    )
    value, error = roc.auc_with_error(scores, is_anomaly)
    np.testing.assert_allclose(draws.std(), error, rtol=0.07)  # 3 of its own errors
    assert abs(draws.mean() - value) < 4 * error / np.sqrt(1_000)


def test_statistic_may_be_a_pytree():
    draws = bayesian_bootstrap(
        jax.random.key(4),
        lambda weights: {"sum": weights.sum(), "weights": weights},
        3,
        num_resamples=7,
    )
    assert draws["weights"].shape == (7, 3)
    np.testing.assert_allclose(draws["sum"], draws["weights"].sum(1), rtol=1e-6)


def test_value_is_at_equal_weights_and_error_is_the_draws_spread():
    x = np.arange(5.0, dtype=np.float32)

    def total(weights, x):
        return {"sum": jnp.sum(weights * x)}

    key = jax.random.key(5)
    value, error = with_bootstrap_error(key, total, 5, x, num_resamples=9)
    draws = bayesian_bootstrap(key, total, 5, x, num_resamples=9)
    assert value["sum"] == 10
    np.testing.assert_allclose(error["sum"], draws["sum"].std(ddof=1), rtol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="num_resamples = 1"):
        bayesian_bootstrap(jax.random.key(0), jnp.sum, 3, num_resamples=1)
    with pytest.raises(ValueError, match="num_examples = 0"):
        bayesian_bootstrap(jax.random.key(0), jnp.sum, 0)
