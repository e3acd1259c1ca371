"""The figure of generated events names columns and pairs of columns."""

import numpy as np

from vijax.plot.vae import generated_events


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
