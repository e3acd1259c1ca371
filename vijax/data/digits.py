"""The embedded default: 1,797 real handwritten digits of 8×8 pixels.

Source: UCI "Optical Recognition of Handwritten Digits" (its test part), as shipped
with scikit-learn; 17 grey levels, 0 … 16. Nothing is downloaded.
"""

import numpy as np

from vijax.data.dataset import Dataset, images
from vijax.extras import require


def load() -> Dataset:
    """Return the digits: 1,437 to train, 360 to test, the same share of each digit.

    Example:
        >>> digits = load()
        >>> digits.train.shape, digits.test.shape
        ((1437, 8, 8), (360, 8, 8))
    """
    datasets = require("sklearn.datasets", extra="data", purpose="data.load('digits')")
    levels, labels = datasets.load_digits(return_X_y=True)
    pixels = images(levels.reshape(-1, 8, 8), 17)
    labels = labels.astype(np.int64)
    # Sorted by digit, every fifth is a test image: stratified, and no generator whose
    # stream could change under a fixed seed.
    held_out = np.zeros(labels.size, dtype=bool)
    held_out[np.argsort(labels, kind="stable")[::5]] = True
    return Dataset(
        train=pixels[~held_out],
        test=pixels[held_out],
        train_labels=labels[~held_out],
        test_labels=labels[held_out],
        name="digits",
        num_levels=17,
        label_names=tuple("0123456789"),
    )
