"""The figures of training draw the numbers that they are given."""

import numpy as np
import pytest

from vijax.plot.vae import vae_training


@pytest.mark.parametrize("epochs", [1, 3])
def test_training_curves(epochs):
    log_likelihood, kl = np.array([-480.0, -95.0, -92.0]), np.array([20.0, 6.0, 8.0])
    train = {"log_likelihood": log_likelihood[-epochs:], "kl": kl[-epochs:]}
    elbo = train["log_likelihood"] - train["kl"]
    left, right = vae_training.training_curves(train, [epochs], [-101.0]).axes
    drawn = {line.get_label(): line.get_xydata() for line in left.lines}
    epoch = 1 + np.arange(epochs)
    np.testing.assert_allclose(drawn["ELBO, training"], np.stack([epoch, elbo], 1))
    np.testing.assert_allclose(drawn["ELBO, test"], [[epochs, -101.0]])
    np.testing.assert_allclose(
        drawn["E[log p(x | z)], training"][:, 1], train["log_likelihood"]
    )
    np.testing.assert_allclose(right.lines[0].get_ydata(), train["kl"])
    # The first epochs may be out of sight, the last may not.
    low, high = left.get_ylim()
    assert low < elbo[-1] < train["log_likelihood"][-1] < high


@pytest.mark.parametrize("epochs", [1, 3])
def test_bound_rises_with_the_draws(epochs):
    bound = np.array([-500.0, -101.0, -100.0])[-epochs:]
    samples, values, errors = [5, 50], [-99.0, -98.0], [0.1, 0.2]
    fig = vae_training.bound_by_samples(bound, samples, values, errors)
    left, right = fig.axes
    np.testing.assert_allclose(
        left.lines[0].get_xydata(), np.stack([1 + np.arange(epochs), bound], 1)
    )
    low, high = left.get_ylim()
    assert low < bound[-1] < high
    (container,) = right.containers
    points, _, (bars,) = container.lines
    np.testing.assert_allclose(points.get_xdata(orig=False), samples)
    np.testing.assert_allclose(points.get_ydata(orig=False), values)
    half = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(half, errors)
    assert right.get_xscale() == "log"


def test_spread_of_elbo_draws_falls_as_their_root():
    draws = np.random.default_rng(0).normal(-90.0, 4.0, size=(3, 4000))
    estimates = {
        1: draws[0],
        4: -90 + (draws[1] + 90) / 2,
        16: -90 + (draws[2] + 90) / 4,
    }
    left, right = vae_training.elbo_draws(estimates, -90.0).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "L = 1",
        "L = 4",
        "L = 16",
        "exact",
    ]
    assert left.lines[0].get_xdata()[0] == -90.0
    spread, expected = (line.get_ydata() for line in right.lines)
    np.testing.assert_allclose(spread, [v.std(ddof=1) for v in estimates.values()])
    np.testing.assert_allclose(expected, spread[0] / np.array([1, 2, 4]))


def test_gradient_noise_has_a_band_for_each_estimator():
    draws = np.array([10, 100])
    running = {
        "path": (np.array([1.1, 1.0]), np.array([0.2, 0.1])),
        "score": (np.array([2.0, 0.5]), np.array([3.0, 1.0])),
    }
    spreads = {"path": [1.0, 2.0], "score": [30.0, 40.0]}
    fig = vae_training.gradient_noise(running, draws, 1.0, spreads, ["a", "b"])
    left, right = fig.axes
    for line, band, (mean, error) in zip(
        left.lines, left.collections, running.values(), strict=False
    ):
        np.testing.assert_allclose(line.get_xydata(), np.stack([draws, mean], 1))
        edge = band.get_paths()[0].vertices
        at_last = edge[edge[:, 0] == 100][:, 1]
        assert at_last.min() == pytest.approx(mean[1] - error[1])
        assert at_last.max() == pytest.approx(mean[1] + error[1])
    assert left.lines[2].get_ydata()[0] == 1.0
    heights = [[bar.get_height() for bar in bars] for bars in right.containers]
    assert heights == list(spreads.values())
    assert [text.get_text() for text in right.get_xticklabels()] == ["a", "b"]
