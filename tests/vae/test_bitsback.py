"""Files that decode to the input bit for bit, of the length that the bound says."""

import jax
import numpy as np
import pytest

from vijax.vae import bitsback, evaluate, likelihoods, models

init = jax.jit(models.init, static_argnums=0)


def make(likelihood, num_levels, num_images=200, shape=(5, 5)):
    """Return a model as it is drawn, and images of random levels."""
    model = models.vae(shape, latent=3, hidden=(16,), likelihood=likelihood)
    params = init(model, jax.random.key(0))
    rng = np.random.default_rng(1)
    levels = rng.binomial(num_levels - 1, 0.3, size=(num_images, *shape))
    return model, params, (levels / (num_levels - 1)).astype(np.float32)


@pytest.fixture(scope="module")
def binary():
    return make(likelihoods.bernoulli(), 2)


@pytest.mark.parametrize(
    ("likelihood", "num_levels"),
    [
        (likelihoods.bernoulli(), 2),
        (likelihoods.beta_binomial(17), 17),
        (likelihoods.discretised_logistic(17), 17),
    ],
)
def test_file_decodes_exactly_and_is_as_long_as_the_bound(likelihood, num_levels):
    """The rate is the model's -ELBO, whether the model is good or, as here, is not."""
    model, params, x = make(likelihood, num_levels)
    data = bitsback.encode(model, params, x, num_levels=num_levels)
    decoded = bitsback.decode(model, params, data)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, x)
    estimate = evaluate.elbo(model, params, jax.random.key(2), x, num_samples=200)
    bound = -float(estimate.elbo) * len(x) / np.log(2)
    # One draw of z for each image: sd of log p(x, z) / q(z | x) is below 4 nats, in
    # 200 images below 82 bits. Header and first image add 35 bytes and 50 bits.
    assert abs(8 * (len(data) - 35) - 50 - bound) < 4 * 82


def test_bits_come_back(binary):
    """Ten times finer latents cost log2(10) bits each, unless they come back."""
    model, params, x = binary
    coarse, fine = (
        len(bitsback.encode(model, params, x, latent_step=step))
        for step in (2.0**-5, 2.0**-9)
    )
    lost = 4 * 3 * len(x) / 8  # 4 bits for each of 3 latents of all images, in bytes
    assert abs(fine - coarse) < 0.05 * lost


@pytest.mark.parametrize("num_images", [1, 2, 33])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_any_number_of_images(binary, num_images, batch_size):
    model, params, x = binary
    data = bitsback.encode(model, params, x[:num_images], batch_size=batch_size)
    np.testing.assert_array_equal(bitsback.decode(model, params, data), x[:num_images])


def test_extreme_probabilities_decode(binary):
    """Pixels that the model is certain of, and wrong about, still decode."""
    model, params, x = binary
    certain = jax.tree.map(lambda leaf: 100 * leaf, params)
    data = bitsback.encode(model, certain, x)
    np.testing.assert_array_equal(bitsback.decode(model, certain, data), x)


def test_damage_is_found(binary):
    model, params, x = binary
    data = bitsback.encode(model, params, x)
    for position in (len(data) - 1, len(data) // 2, 60):
        broken = bytearray(data)
        broken[position] ^= 1
        with pytest.raises(ValueError, match=r"does not decode|damaged"):
            bitsback.decode(model, params, bytes(broken))
    with pytest.raises(ValueError, match=r"damaged|does not decode"):
        bitsback.decode(model, params, data[:-4])
    with pytest.raises(ValueError, match="damaged"):
        bitsback.decode(model, params, data[:-1])


def test_foreign_files_are_refused(binary):
    model, params, x = binary
    data = bitsback.encode(model, params, x)
    with pytest.raises(ValueError, match="no file of"):
        bitsback.decode(model, params, b"PK" + data)
    with pytest.raises(ValueError, match="no file of"):
        bitsback.decode(model, params, data[:10])
    other = init(model, jax.random.key(9))
    with pytest.raises(ValueError, match="other parameters"):
        bitsback.decode(model, other, data)


def test_bad_input_is_refused(binary):
    model, params, x = binary
    with pytest.raises(ValueError, match="bernoulli data are 0 or 1"):
        bitsback.encode(model, params, 0.5 * x)
    with pytest.raises(ValueError, match="x has shape"):
        bitsback.encode(model, params, x[:, :4])
    with pytest.raises(ValueError, match=r"latent_step = 0\.0"):
        bitsback.encode(model, params, x, latent_step=0.0)
