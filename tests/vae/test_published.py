"""Published numbers, reached with the published settings. Minutes: all are slow."""

import jax
import pytest

from vijax import data
from vijax.vae import training
from vijax.vae.evaluation import elbo
from vijax.vae.models import autoencoders, likelihoods

# Test ELBO of flax's example after epochs 1, 10 and 20 (google/flax, pull request
# 1361): static binarisation, 784-500-20, Adam 1e-3, batch 128, one draw.
FLAX = {1: -119.74, 10: -103.60, 20: -101.83}


@pytest.mark.slow
def test_static_binarised_mnist_after_twenty_epochs(shared):
    images = data.load("binarized_mnist", data_dir=shared / "data")
    model = autoencoders.vae(
        images.train.shape[1:],
        latent=20,
        hidden=(500,),
        activation="relu",
        likelihood=likelihoods.bernoulli(binary=True),
    )
    found = {}

    def on_epoch(epoch, params, terms):
        if epoch in FLAX:
            key = jax.random.key(1)
            estimate = elbo.held_out_elbo(
                model, params, key, images.test, num_samples=4
            )
            found[epoch] = (float(estimate.elbo), float(estimate.elbo_standard_error))

    training.fit(
        model,
        jax.random.key(0),
        images.train,
        epochs=20,
        batch_size=128,
        optimizer=training.Adam(1e-3, final_fraction=1.0),  # constant, as theirs
        on_epoch=on_epoch,
    )
    # Found: -122.13, -103.36 and -101.53 ± 0.26. Their initial values are others than
    # ours, which one epoch does not make up for.
    assert abs(found[1][0] - FLAX[1]) < 3
    assert found[10][0] > FLAX[10]
    assert found[20][0] > FLAX[20]
