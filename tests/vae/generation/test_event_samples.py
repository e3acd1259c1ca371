"""Events from a model: whole counts, distances and their summary."""

import numpy as np
import pytest

from vijax.metrics import wasserstein
from vijax.vae import event_tables
from vijax.vae.generation import event_samples
from vijax.vae.generation.event_samples import EventDistances

WHOLE = np.array([False, False, True])


def test_counts_are_whole_again():
    table = np.exp(np.random.default_rng(0).normal(size=(20, 3)))
    scale = event_tables.fit_scale(table, logarithm=~WHOLE)
    scaled = event_tables.to_scaled(table, scale)
    found = event_tables.from_scaled(
        event_samples.round_whole_columns(scaled, scale, WHOLE), scale
    )
    np.testing.assert_allclose(found[:, :2], table[:, :2])
    np.testing.assert_allclose(found[:, 2], np.rint(table[:, 2]), atol=1e-12)


def test_distances_take_columns_and_their_pairs_in_order():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(2, 30, 3))
    columns, pairs = event_samples.column_and_pair_distances(real, generated)
    np.testing.assert_allclose(
        columns, wasserstein.wasserstein_by_column(real, generated)
    )
    expected = [
        wasserstein.wasserstein_distance(real[:, [i, j]], generated[:, [i, j]])
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    np.testing.assert_allclose(pairs, expected)


def test_compare_takes_other_events_each_time(key):
    real = np.arange(40.0)[:, None] * np.ones(2)
    generated = {"next": np.arange(30.0)[:, None] * np.ones(2)}
    found = event_samples.compare_events(key, real, generated, size=10, repetitions=3)[
        "next"
    ]
    assert found.by_column.shape == (3, 2)
    # The means of the parts are 4.5, 14.5 and 24.5, those of real events about 19.5.
    assert found.by_column[0, 0] > found.by_column[1, 0]
    again = event_samples.compare_events(key, real, generated, size=10, repetitions=3)[
        "next"
    ]
    np.testing.assert_array_equal(again.by_pair, found.by_pair)


def test_summary_has_means_and_their_errors():
    columns = np.array([[1.0, 3.0], [3.0, 5.0]])
    found = event_samples.summarise_distances(EventDistances(columns, columns[:, :1]))
    np.testing.assert_allclose(found["by_column"], [2, 4])
    np.testing.assert_allclose(found["by_column_standard_error"], [1, 1])
    assert found["mean_by_column"] == 3
    assert found["mean_by_column_standard_error"] == 1
    assert found["mean_by_pair"] == 2


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(key):
    real = np.zeros((4, 2))
    scale = event_tables.fit_scale(real)
    with pytest.raises(ValueError, match="whole's shape"):
        event_samples.round_whole_columns(real, scale, [True])
    with pytest.raises(ValueError, match="size = 5"):
        event_samples.compare_events(key, real, {"a": real}, size=5, repetitions=1)
    with pytest.raises(ValueError, match="events in 'a'"):
        event_samples.compare_events(key, real, {"a": real}, size=4, repetitions=2)
    with pytest.raises(ValueError, match="repetitions"):
        event_samples.summarise_distances(
            EventDistances(np.zeros((1, 2)), np.zeros((1, 1)))
        )
