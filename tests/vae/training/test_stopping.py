"""Early stopping, on a given sequence of held-out values and in a real training."""

import numpy as np
import pytest

from vijax import data
from vijax.vae.evaluation import elbo
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import ModelParams
from vijax.vae.training import stopping, train


def run(values, **settings):
    held_out = iter(values)
    on_epoch, best = stopping.early_stopping(lambda params: next(held_out), **settings)
    for epoch in range(1, 100):
        if on_epoch(epoch, ModelParams({"a": np.array(epoch)}, {}), {}):
            return epoch, best()
    return None


def test_stops_when_patience_is_over_and_keeps_the_best():
    epoch, best = run([1.0, 3.0, 2.0, 3.0, 2.5, 9.0], patience=3)
    assert (epoch, best.epoch, best.value) == (5, 2, 3.0)
    assert best.params.encoder["a"] == 2


def test_a_value_that_is_nan_is_no_improvement():
    epoch, best = run([1.0, np.nan, np.nan, 2.0], patience=2)
    assert (epoch, best.epoch) == (3, 1)


def test_evaluates_every_few_epochs():
    epoch, best = run([1.0, 2.0, 1.5, 1.0], patience=4, every=2)
    assert (epoch, best.epoch) == (8, 4)


@pytest.mark.slow
def test_a_network_that_overfits_is_stopped(key):
    images = data.load("digits")
    few = likelihoods.binarize(key, images.train[:40])
    x = likelihoods.binarize(key, images.test)
    bernoulli = likelihoods.bernoulli(binary=True)
    model = autoencoders.vae((8, 8), hidden=(32,), likelihood=bernoulli)

    def held_out(params):
        return elbo.held_out_elbo(model, params, key, x, num_samples=4).elbo

    on_epoch, best = stopping.early_stopping(held_out, patience=40, every=20)
    settings = {"batch_size": 40, "learning_rate": 1e-2, "final_fraction": 1.0}
    trained = train.fit(model, key, few, epochs=2000, on_epoch=on_epoch, **settings)
    assert best().epoch < len(trained.loss) < 2000
    np.testing.assert_allclose(held_out(best().params), best().value, rtol=1e-5)
    assert held_out(trained.params) < best().value


def test_bad_settings():
    with pytest.raises(ValueError, match="patience = 0"):
        stopping.early_stopping(lambda params: 0.0, patience=0)
    _, best = stopping.early_stopping(lambda params: 0.0, patience=1)
    with pytest.raises(ValueError, match="no epoch was evaluated"):
        best()
