"""Events from a model: drawn from p(x), whole counts, distances and their summary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.metrics import wasserstein
from vijax.vae import event_tables
from vijax.vae.generation import event_samples
from vijax.vae.generation.event_samples import Distances

WHOLE = np.array([False, False, True])


def test_draws_have_the_moments_of_a_linear_model(linear_vae):
    """x = W z + b + noise: mean b, covariance W Wᵀ, plus the noise in a sample."""
    model, params, _, _ = linear_vae
    drawn = event_samples.draw(model, params, jax.random.key(0), 40_000)
    weights = np.asarray(params.decoder["output"]["kernel"])
    for values, noise in ((drawn.mean, 0.0), (drawn.sample, 0.25)):
        expected = np.diag(weights.T @ weights) + noise
        np.testing.assert_allclose(values.var(axis=0), expected, rtol=0.04, atol=1e-3)
        centre = params.decoder["output"]["bias"]
        error = np.sqrt(expected / 40_000)
        assert np.all(np.abs(values.mean(axis=0) - centre) < 4 * error + 1e-6)


def test_the_same_key_gives_the_same_events_in_every_transformation(linear_vae, key):
    def draw(key):
        return event_samples.draw(*linear_vae[:2], key, 5)

    eager = draw(key)
    for other in (jax.jit(draw)(key), jax.vmap(draw)(key[None])):
        for mine, theirs in zip(eager, other, strict=True):
            np.testing.assert_allclose(jnp.reshape(theirs, mine.shape), mine, atol=1e-5)


def test_counts_are_whole_again():
    table = np.exp(np.random.default_rng(0).normal(size=(20, 3)))
    scale = event_tables.fit_scale(table, logarithm=~WHOLE)
    scaled = event_tables.scaled(table, scale)
    found = event_tables.unscaled(
        event_samples.with_whole_numbers(scaled, scale, WHOLE), scale
    )
    np.testing.assert_allclose(found[:, :2], table[:, :2])
    np.testing.assert_allclose(found[:, 2], np.rint(table[:, 2]), atol=1e-12)


def test_distances_take_columns_and_their_pairs_in_order():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(2, 30, 3))
    columns, pairs = event_samples.distances(real, generated)
    np.testing.assert_allclose(columns, wasserstein.by_column(real, generated))
    expected = [
        wasserstein.wasserstein(real[:, [i, j]], generated[:, [i, j]])
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    np.testing.assert_allclose(pairs, expected)


def test_compare_takes_other_events_each_time(key):
    real = np.arange(40.0)[:, None] * np.ones(2)
    generated = {"next": np.arange(30.0)[:, None] * np.ones(2)}
    found = event_samples.compare(key, real, generated, size=10, repetitions=3)["next"]
    assert found.by_column.shape == (3, 2)
    # The means of the parts are 4.5, 14.5 and 24.5, those of real events about 19.5.
    assert found.by_column[0, 0] > found.by_column[1, 0]
    again = event_samples.compare(key, real, generated, size=10, repetitions=3)["next"]
    np.testing.assert_array_equal(again.by_pair, found.by_pair)


def test_summary_has_means_and_their_errors():
    columns = np.array([[1.0, 3.0], [3.0, 5.0]])
    found = event_samples.summarise(Distances(columns, columns[:, :1]))
    np.testing.assert_allclose(found["by_column"], [2, 4])
    np.testing.assert_allclose(found["by_column_standard_error"], [1, 1])
    assert found["mean_by_column"] == 3
    assert found["mean_by_column_standard_error"] == 1
    assert found["mean_by_pair"] == 2


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(linear_vae, key):
    real = np.zeros((4, 2))
    with pytest.raises(ValueError, match="num_samples = 0"):
        event_samples.draw(*linear_vae[:2], key, 0)
    scale = event_tables.fit_scale(real)
    with pytest.raises(ValueError, match="whole's shape"):
        event_samples.with_whole_numbers(real, scale, [True])
    with pytest.raises(ValueError, match="size = 5"):
        event_samples.compare(key, real, {"a": real}, size=5, repetitions=1)
    with pytest.raises(ValueError, match="events in 'a'"):
        event_samples.compare(key, real, {"a": real}, size=4, repetitions=2)
    with pytest.raises(ValueError, match="repetitions"):
        event_samples.summarise(Distances(np.zeros((1, 2)), np.zeros((1, 1))))
