"""Events from a model: whole counts, distances of pairs, their summary."""

import numpy as np

from experiments.studies import event_samples
from experiments.studies.event_samples import Distances
from experiments.studies.lossy_tables import LOGARITHM, Coder
from vijax.metrics import wasserstein
from vijax.vae import event_tables
from vijax.vae.models import autoencoders


def test_counts_are_whole_again():
    rng = np.random.default_rng(0)
    table = np.exp(rng.normal(size=(20, 6)))
    scale = event_tables.fit_scale(table, logarithm=LOGARITHM)
    coder = Coder(
        autoencoders.vae((6,), hidden=(4,)), autoencoders.ModelParams({}, {}), scale
    )
    found = event_tables.from_scaled(
        event_samples.real_like(event_tables.to_scaled(table, scale), coder), scale
    )
    np.testing.assert_allclose(found[:, :4], table[:, :4])
    np.testing.assert_allclose(found[:, 4:], np.rint(table[:, 4:]), atol=1e-12)


def test_measure_takes_columns_and_their_pairs_in_order():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(2, 30, 3))
    columns, pairs = event_samples.measure(real, generated)
    np.testing.assert_allclose(
        columns, wasserstein.wasserstein_by_column(real, generated)
    )
    expected = [
        wasserstein.wasserstein_distance(real[:, [i, j]], generated[:, [i, j]])
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    np.testing.assert_allclose(pairs, expected)


def test_summary_has_means_and_their_errors():
    columns = np.array([[1.0, 3.0], [3.0, 5.0]])
    found = event_samples.summary({"a": Distances(columns, columns[:, :1])})["a"]
    np.testing.assert_allclose(found["by_column"], [2, 4])
    np.testing.assert_allclose(found["by_column_standard_error"], [1, 1])
    assert found["mean_by_column"] == 3
    assert found["mean_by_column_standard_error"] == 1
    assert found["mean_by_pair"] == 2
