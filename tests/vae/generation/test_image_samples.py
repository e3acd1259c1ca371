"""Images from a model beside real ones: the floor, the best and the worst generator."""

import jax
import numpy as np
import pytest

from vijax import metrics
from vijax.vae.generation import image_samples


@pytest.fixture(scope="module")
def stripes():
    """Images of two classes: a bright column on the left or on the right, and noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = 0.2 * rng.random((400, 4, 4))
    images[labels == 0, :, 0] += 0.7
    images[labels == 1, :, 3] += 0.7
    return images.astype(np.float32), labels


@pytest.mark.slow
def test_real_images_are_at_the_floor_and_blank_ones_are_not(stripes):
    images, labels = stripes
    found = image_samples.compare_images(
        jax.random.key(0),
        {"again": images[:60], "blank": np.zeros((60, 4, 4), np.float32)},
        images[60:300],
        labels[60:300],
        images[300:],
        labels[300:],
    )
    assert found.classifier_accuracy == 1.0
    assert list(found.by_generator) == [image_samples.REAL, "again", "blank"]
    assert list(found.images) == list(found.by_generator)
    floor, spread = found.noise_floor
    for name in (image_samples.REAL, "again"):
        real = found.by_generator[name]
        assert abs(real.frechet - floor) < 4 * np.hypot(
            spread, real.frechet_standard_error
        )
        assert abs(real.accuracy - 0.5) < 4 * real.accuracy_standard_error
    blank = found.by_generator["blank"]
    assert blank.accuracy == 1.0
    assert blank.frechet > floor + 20 * spread


@pytest.mark.thorough
def test_measure_is_that_of_the_metrics(key):
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(2, 40, 3)).astype(np.float32)
    found = image_samples.sample_quality(key, real, generated)
    expected = metrics.frechet_distance(real, generated)
    # A difference of traces, in float32: the root of a matrix product that is compiled
    # alone rounds differently from one compiled with all the rest, by 1e-5 of it.
    np.testing.assert_allclose(found.frechet, expected, rtol=1e-4)
    accuracy = metrics.two_sample_accuracy(real, generated)
    np.testing.assert_allclose(found.accuracy, accuracy.value, rtol=1e-6)
    np.testing.assert_allclose(found.accuracy_standard_error, accuracy.standard_error)


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(stripes, key):
    images, labels = stripes
    real = images[:100], labels[:100], images[100:], labels[100:]
    with pytest.raises(ValueError, match="images = 0"):
        image_samples.compare_images(key, {}, *real)
    with pytest.raises(ValueError, match="images of 'b'"):
        image_samples.compare_images(key, {"a": images[:9], "b": images[:8]}, *real)
    with pytest.raises(ValueError, match="fewer than 100"):
        image_samples.compare_images(key, {"a": images[:100]}, *real)
    with pytest.raises(ValueError, match="images to compare = 1"):
        image_samples.num_comparable_images(4, 10, 10)
