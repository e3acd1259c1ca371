"""The figures of compression draw the rates that they are given."""

import numpy as np

from vijax.plot.vae import compression_rates


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
