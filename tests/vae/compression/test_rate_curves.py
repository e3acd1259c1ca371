"""Rate against distortion, beside `lossy.rate_distortion` and scikit-learn's PCA."""

from functools import partial

import jax
import numpy as np
import pytest
from sklearn.decomposition import PCA

from vijax.vae.compression import lossy, rate_curves
from vijax.vae.models import autoencoders


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.random((60, 3, 4)).astype(np.float32)


@pytest.mark.thorough
def test_each_point_is_the_rate_and_distortion_of_its_run_and_levels(images):
    model = autoencoders.autoencoder((3, 4), latent=2, hidden=())
    keys = jax.random.split(jax.random.key(0), 2)
    params = jax.vmap(lambda key: autoencoders.init(model, key))(keys)
    train, test = images[:40], images[40:]
    found = rate_curves.autoencoder_curves(model, params, train, test, levels=(3, 8))
    own = jax.tree.map(lambda leaf: leaf[1], params)
    expected = lossy.rate_distortion(
        autoencoders.latent_mean(model, own, train),
        autoencoders.latent_mean(model, own, test),
        test,
        partial(autoencoders.decoded_mean, model, own),
        8,
        max_levels=9,
    )
    for curve, point in zip(found, expected, strict=True):
        np.testing.assert_allclose(curve[1, 1], point, rtol=1e-5)


@pytest.mark.thorough
def test_fine_levels_of_pca_lose_what_sklearns_loses(images):
    train, test = images[:40], images[40:]
    found = rate_curves.pca_curves(train, test, latents=(1, 5), levels=(2, 4096))
    for run, latent in enumerate((1, 5)):
        pca = PCA(latent).fit(train.reshape(40, -1))
        flat = test.reshape(20, -1)
        rebuilt = pca.inverse_transform(pca.transform(flat))
        mse = np.mean((rebuilt - flat) ** 2)
        # Test latents beyond the training ones are cut to the grid.
        np.testing.assert_allclose(found.mse[run, 1], mse, rtol=0.03)
        assert found.bits[run, 1] > found.bits[run, 0]


def test_the_front_is_what_no_other_point_surpasses():
    rng = np.random.default_rng(1)
    rate, psnr = rng.random((2, 50))
    kept_rate, kept_psnr = rate_curves.pareto_front(rate, psnr)
    kept = {(r, q) for r, q in zip(kept_rate, kept_psnr, strict=True)}
    for r, q in zip(rate, psnr, strict=True):
        surpassed = np.any((rate <= r) & (psnr >= q) & ((rate < r) | (psnr > q)))
        assert ((r, q) in kept) == (not surpassed)
    assert np.all(np.diff(kept_rate) > 0)


def test_the_best_saving_is_at_equal_quality():
    # The other code: 1 bit at 10 dB, 3 bits at 20 dB; a dear point is ignored.
    other = [1.0, 3.0, 9.0], [10.0, 20.0, 12.0]
    found = rate_curves.best_saving([1.0, 2.0, 0.1], [15.0, 20.0, 25.0], *other)
    assert found == rate_curves.Saving(0, 2.0, 2.0)
    assert rate_curves.best_saving([1.0], [9.0], *other) is None


def test_sizes_count_what_the_receiver_needs():
    # 2·3 + 3 numbers, then 3·4 + 4.
    assert rate_curves.decoder_bits((2, 2), latent=2, hidden=(3,)) == 32 * 25
    assert rate_curves.pca_bits((2, 2), latent=2) == 32 * 3 * 4


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(images):
    for levels in ((), (1,), (2.5,)):
        with pytest.raises(ValueError, match="levels"):
            rate_curves.pca_curves(images, images, latents=(1,), levels=levels)
    with pytest.raises(ValueError, match="psnr's shape"):
        rate_curves.pareto_front([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="latent = 0"):
        rate_curves.pca_bits((2, 2), latent=0)
