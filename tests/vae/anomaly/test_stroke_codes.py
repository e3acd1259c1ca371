"""Codes of strokes, read pixel by pixel."""

import numpy as np
import pytest

from vijax.vae.anomaly import stroke_codes


def test_complexity_is_the_code_read_pixel_by_pixel():
    x = (np.random.default_rng(2).random((2, 5, 6)) < 0.4).astype(np.float32)
    expected = []
    for image in np.pad(x, ((0, 0), (1, 0), (1, 1))):
        counts, nats = np.full((2, 2, 2, 2, 2), 0.5), 0.0
        for i, j in np.ndindex(5, 6):
            # Left, above left, above, above right.
            before = image[i + 1, j], *image[i, j : j + 3]
            pattern, pixel = tuple(map(int, before)), int(image[i + 1, j + 1])
            nats -= np.log(counts[pattern][pixel] / counts[pattern].sum())
            counts[pattern][pixel] += 1
        expected.append(nats)
    np.testing.assert_allclose(stroke_codes.complexity(x), expected, rtol=1e-5)


def test_complexity_refuses_grey_images():
    with pytest.raises(ValueError, match=r"x = 0\.5 .* binarise"):
        stroke_codes.complexity(np.full((1, 2, 2), 0.5, np.float32))


def test_local_code_is_the_shares_of_training_pixels():
    rng = np.random.default_rng(4)
    train, x = (rng.random((2, 6, 5, 4)) < 0.4).astype(np.float32)
    counts = stroke_codes.count_patterns(train, num_neighbours=2)
    expected = np.zeros((4, 2))  # left + 2 · above
    cost = np.zeros(6)
    for images, count in ((train, True), (x, False)):
        around = np.pad(images, ((0, 0), (1, 0), (1, 0)))
        for n, row, column in np.ndindex(6, 5, 4):
            left, above = around[n, row + 1, column], around[n, row, column + 1]
            pattern, value = int(left + 2 * above), int(images[n, row, column])
            if count:
                expected[pattern, value] += 1
            else:
                share = (expected[pattern, value] + 0.5) / (expected[pattern].sum() + 1)
                cost[n] -= np.log(share)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(stroke_codes.local_code(counts, x), cost, rtol=1e-5)
    with pytest.raises(ValueError, match="num_neighbours = 9"):
        stroke_codes.count_patterns(train, num_neighbours=9)
    with pytest.raises(ValueError, match="binary images"):
        stroke_codes.local_code(counts, 0.5 * x)
