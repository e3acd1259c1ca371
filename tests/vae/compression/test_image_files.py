"""Files of images: of the size that is stated, beside what everybody has."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from vijax.vae.compression import general_purpose_bits, image_files
from vijax.vae.models import autoencoders


@pytest.fixture(scope="module")
def images():
    x = np.random.default_rng(0).random((40, 5, 3)) < 0.2
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def coder():
    model = autoencoders.vae((5, 3), latent=2, hidden=(4,))
    return model, autoencoders.init(model, jax.random.key(0))


def test_png_holds_every_pixel_of_every_image(images):
    sheet = np.asarray(Image.open(io.BytesIO(image_files.png_of_images(images))))
    assert sheet.shape == (6 * 5, 7 * 3)
    tiles = sheet.reshape(6, 5, 7, 3).swapaxes(1, 2).reshape(42, 5, 3)
    np.testing.assert_array_equal(tiles[:40], images)
    assert not tiles[40:].any()


@pytest.mark.thorough
def test_rates_count_bytes_and_weights(coder, images):
    found = image_files.measure_image_file(*coder, jax.random.key(1), images)
    assert found.bits_per_pixel == 8 * found.file_bytes / 600
    # 15·4 + 4 + 4·4 + 4 numbers in the encoder, 2·4 + 4 + 4·15 + 15 in the decoder.
    assert found.weights_bytes == 4 * (84 + 87)
    weights = 32 * 171 / 600
    assert found.bits_per_pixel_with_weights == found.bits_per_pixel + weights
    # An untrained model costs more than its own bound by the header and first image.
    assert found.bits_per_pixel > found.bound_bits_per_pixel
    expected = -found.elbo / (15 * np.log(2))
    assert found.bound_bits_per_pixel == pytest.approx(expected, rel=1e-6)
    packed = np.packbits(images.astype(np.uint8)).tobytes()
    assert found.others["gzip"] == general_purpose_bits(packed)["gzip"] / 600
    assert found.others[found.best_other] == min(found.others.values())
    saved = 15 * (found.others[found.best_other] - found.bits_per_pixel)
    expected = None if saved <= 0 else 32 * 171 / saved
    assert found.break_even_images == expected


@pytest.mark.thorough
def test_a_longer_file_is_cheaper_and_ends_at_the_whole_one(coder, images):
    found = image_files.rates_of_first_images(*coder, images, (1, 3, 10, 30, 40))
    assert np.all(np.diff(found["bits_per_pixel"]) < 0)
    whole = image_files.measure_image_file(*coder, jax.random.key(1), images)
    assert found["bits_per_pixel"][-1] == whole.bits_per_pixel
    assert found["best_other"][-1] == min(whole.others.values())


def test_bad_input_is_named(coder, images):
    with pytest.raises(ValueError, match="numbers"):
        image_files.rates_of_first_images(*coder, images, (1, 41))
    with pytest.raises(ValueError, match="binarise"):
        image_files.packed_image_rates(images + 0.5)
    with pytest.raises(ValueError, match="shape"):
        image_files.png_of_images(images[0])
