"""The figures of the three uses draw the numbers that they are given."""

import numpy as np
import pytest

from vijax.plot.vae import use_cases as plot


@pytest.fixture
def anomaly():
    rates = np.linspace(0, 1, 11)
    return plot.classes_left_out(
        [rates, rates],
        [rates, np.sqrt(rates)],
        {"−ELBO": [0.5, 2 / 3], "KL": [0.3, 0.4]},
        {"−ELBO": [0.02, 0.03], "KL": [0.01, 0.02]},
        names=["cat", "dog"],
        shown="−ELBO",
    )


def test_roc_curves_carry_their_areas(anomaly):
    left = anomaly.axes[0]
    lines = {line.get_label(): line for line in left.lines}
    np.testing.assert_allclose(
        lines["dog   0.67"].get_ydata(), np.sqrt(np.linspace(0, 1, 11))
    )
    assert "cat   0.50" in lines
    assert "−ELBO" in left.get_title()


def test_areas_have_95_percent_bars_and_means(anomaly):
    right = anomaly.axes[1]
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["−ELBO, mean 0.58", "KL, mean 0.35"]
    container = right.containers[0]
    np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), [0.5, 2 / 3])
    segments = container.lines[2][0].get_segments()
    half = [(segment[1, 1] - segment[0, 1]) / 2 for segment in segments]
    np.testing.assert_allclose(half, [1.96 * 0.02, 1.96 * 0.03])
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["cat", "dog"]


def test_compression_draws_the_best_of_each_rate_and_every_code():
    fig = plot.lossy_and_lossless(
        {"autoencoder": ([0.1, 0.4, 0.2], [10.0, 9.0, 12.0]), "PCA": ([0.3], [8.0])},
        {"raw bits": 1.0, "gzip": 0.7, "VAE": 0.5},
        bound="VAE",
        bound_error=0.02,
    )
    left, right = fig.axes
    best = {line.get_label(): line for line in left.lines}["autoencoder"]
    np.testing.assert_allclose(best.get_xdata(), [0.1, 0.2, 0.4])
    np.testing.assert_allclose(best.get_ydata(), [10, 12, 12])
    np.testing.assert_allclose(
        [bar.get_width() for bar in right.patches], [1, 0.7, 0.5]
    )
    assert [tick.get_text() for tick in right.get_yticklabels()] == [
        "raw bits",
        "gzip",
        "VAE",
    ]


def test_generation_stands_distances_beside_images():
    images = {"real": np.zeros((3, 4, 5)), "model": np.ones((3, 4, 5))}
    fig = plot.samples_and_distances(
        images,
        {"real": 1.0, "model": 20.0},
        {"real": 0.1, "model": 2.0},
        {"real": 0.5, "model": 0.9},
        {"real": 0.02, "model": 0.01},
        floor=(1.2, 0.2),
    )
    picture, middle, right = fig.axes
    mosaic = picture.images[0].get_array()
    assert mosaic.shape == (8, 15)
    assert mosaic[:4].max() == 0
    assert mosaic[4:].min() == 1
    np.testing.assert_allclose(
        middle.containers[0].lines[0].get_xdata(orig=False), [1, 20]
    )
    np.testing.assert_allclose(
        right.containers[0].lines[0].get_xdata(orig=False), [0.5, 0.9]
    )
    band = middle.patches[0].get_extents().transformed(middle.transData.inverted())
    np.testing.assert_allclose([band.x0, band.x1], [0.8, 1.6])
    fig.canvas.draw()
    heights = [ax.get_window_extent().height for ax in fig.axes]
    np.testing.assert_allclose(heights, heights[0], rtol=0.02)
