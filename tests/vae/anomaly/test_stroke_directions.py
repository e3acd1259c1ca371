"""Images as the directions of their edges."""

import numpy as np
import pytest

from vijax.vae.anomaly.stroke_directions import DIRECTIONS, PLACES, directions


def _sums(images):
    found = directions(np.asarray(images))
    return found.reshape(len(found), PLACES, PLACES, DIRECTIONS) ** 2


def _hat(pixel, place, pixels):
    """Return a pixel's weight in one of seven places, none less than a pixel wide."""
    apart = abs(pixel + 0.5 - (place + 0.5) * pixels / PLACES)
    return max(1 - apart / max(pixels / PLACES, 1), 0)


def _by_hand(image):
    """Return the sums of one image of grey levels, pixel by pixel."""
    height, width = image.shape
    sums = np.zeros((PLACES, PLACES, DIRECTIONS))
    for i in range(height):
        for j in range(width):
            above, below = image[max(i - 1, 0), j], image[min(i + 1, height - 1), j]
            left, right = image[i, max(j - 1, 0)], image[i, min(j + 1, width - 1)]
            down, across = (below - above) / 2, (right - left) / 2
            step = np.arctan2(down, across) / (2 * np.pi) * DIRECTIONS
            for p in range(PLACES):
                for q in range(PLACES):
                    for d in range(DIRECTIONS):
                        gap = abs((step - d + DIRECTIONS / 2) % DIRECTIONS - 6)
                        hats = _hat(i, p, height), _hat(j, q, width), max(1 - gap, 0)
                        sums[p, q, d] += np.hypot(down, across) * np.prod(hats)
    return sums


def test_sums_are_those_by_hand():
    image = np.random.default_rng(0).uniform(size=(8, 5))
    np.testing.assert_allclose(_sums(image[None])[0], _by_hand(image), atol=2e-6)


@pytest.mark.parametrize(("turn", "direction"), [(0, 0), (1, 9), (2, 6), (3, 3)])
def test_an_edge_has_its_direction(turn, direction):
    image = np.zeros((28, 28))
    image[:, 14:] = 1.0
    found = _sums(np.rot90(image, turn)[None]).sum(axis=(0, 1, 2))
    assert np.flatnonzero(found > 1e-4 * found.sum()).tolist() == [direction]


def test_levels_and_colours():
    """Brightness scales all sums, a constant adds nothing, and colours add up."""
    images = np.random.default_rng(1).uniform(size=(3, 12, 12))
    sums = _sums(images)
    np.testing.assert_allclose(_sums(7 * images + 2), 7 * sums, rtol=1e-3, atol=1e-4)
    colours = np.stack([images, images[::-1]], axis=-1)
    np.testing.assert_allclose(_sums(colours), sums + sums[::-1], rtol=1e-4, atol=1e-5)
    levels = (images * 255).astype(np.uint8)
    np.testing.assert_allclose(_sums(levels), _sums(levels.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 7), (64, 40)])
def test_images_of_any_size(shape):
    assert directions(np.ones((2, *shape))).tolist() == [[0.0] * 588] * 2
    noise = np.random.default_rng(2).uniform(size=(3, *shape))
    assert np.all(np.isfinite(directions(noise)))


def test_batches_do_not_matter():
    images = np.random.default_rng(3).uniform(size=(600, 3, 4))
    few = directions(images[[0, 599]])
    np.testing.assert_allclose(directions(images)[[0, 599]], few, rtol=1e-6)


def test_none():
    assert directions(np.zeros((0, 28, 28))).shape == (0, 588)
