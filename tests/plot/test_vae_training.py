"""Figures of training."""

import numpy as np
import pytest

from vijax.plot import vae_training as plot


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_last_epochs_are_in_sight(epochs):
    bound = np.array([-500.0, -101.0, -100.0])[-epochs:]
    figure = plot.bound_by_samples(bound, [5, 50], [-99.0, -98.0], [0.1, 0.1])
    low, high = figure.axes[0].get_ylim()
    assert low < bound[-1] < high
    train = {"log_likelihood": bound, "kl": np.zeros(epochs)}
    figure = plot.training_curves(train, [epochs], bound[-1:])
    low, high = figure.axes[0].get_ylim()
    assert low < bound[-1] < high
