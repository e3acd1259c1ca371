"""The figures of compression, generation and anomalies draw what they are given."""

import numpy as np

from vijax.plot import anomaly_detection, compression_rates, generated_events


def test_lossless_sorts_codes_and_adds_the_weights():
    fig = compression_rates.lossless_rates(
        {"gzip": 0.3, "VAE, file": 0.2},
        {"images": [1, 100], "bits_per_pixel": [2.0, 0.2], "best_other": [1.0, 0.3]},
        bound=(0.19, 0.01),
        weights_bits=10.0,
    )
    left, right = fig.axes
    assert [bar.get_width() for bar in left.patches[:2]] == [0.3, 0.2]
    assert [text.get_text() for text in left.get_yticklabels()] == ["gzip", "VAE, file"]
    lines = {line.get_label(): line for line in right.lines}
    x, y = lines["file and weights"].get_data()
    np.testing.assert_allclose(y[0], 2.0 + 10.0 / x[0])
    assert x[-1] <= 100


def test_events_are_drawn_in_percent():
    errors = np.random.default_rng(0).uniform(-0.01, 0.01, 1000)
    fig = compression_rates.bounded_errors(
        (0.1, 0.01), {"VAE, file": [2.0, 5.0]}, {"MR": errors}, shown=0.01
    )
    left, right = fig.axes
    np.testing.assert_allclose(left.lines[0].get_xdata(), [10, 1])
    heights = right.patches[0].get_xy()[:, 1]
    assert 0.4 < heights.max() < 0.8  # ½ per percent between -1 and 1
    assert "1 %" in right.get_title()


def test_distances_of_pairs_carry_both_names():
    values = {"by_column": [0.1, 0.2], "by_column_standard_error": [0.01, 0.01]}
    values |= {"by_pair": [0.3], "by_pair_standard_error": [0.02]}
    fig = generated_events.event_distances(
        {"real": values, "VAE": values}, ["MR", "HT"], floor="real"
    )
    left, right = fig.axes
    assert [text.get_text() for text in right.get_xticklabels()] == ["MR, HT"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), [0.1, 0.2])
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["real", "VAE"]


def test_published_areas_stand_in_every_panel():
    panels = {"a": {"score": ([0.5, 0.7], [0.1, 0.1])}}
    fig = anomaly_detection.auc_by_class(panels, names=["0", "1"], published=[0.9, 0.8])
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    np.testing.assert_allclose(lines["published, mean 0.850"].get_ydata(), [0.9, 0.8])
