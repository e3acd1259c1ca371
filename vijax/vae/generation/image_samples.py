r"""How far generated images are from real ones, beside how far real ones are apart.

    real = train, train_labels, test, test_labels
    found = compare_images(key, {"VAE": images}, *real)
    found.by_generator["VAE"].frechet, found.noise_floor

A small classifier is trained on real images, and its features are compared: by their
Fréchet distance, and by how often a second classifier tells real from generated. Real
images that neither the classifier nor the comparison has seen stand among the
generators as `REAL`. Without them no distance means anything.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from vijax import metrics
from vijax.metrics import Estimate
from vijax.types import Key
from vijax.vae.generation import feature_classifier
from vijax.validate import check

REAL = "real images"
MAX_TRAINED = 20_000  # images that the classifier is trained on at most


class SampleQuality(NamedTuple):
    """Figures of merit of one set of images."""

    frechet: float  # Fréchet distance to held-out images, squared units of features
    frechet_standard_error: float
    accuracy: float  # how often a classifier tells them from real ones; ½ is best
    accuracy_standard_error: float


class ImageComparison(NamedTuple):
    """Every generator beside real images."""

    by_generator: dict[str, SampleQuality]  # `REAL` first
    images: dict[str, Float[Any, "images ..."]]  # what was compared, `REAL` first
    noise_floor: Estimate  # Fréchet distance of real from real: mean and spread
    classifier_accuracy: float  # on the test images


def num_comparable_images(num_train: int, num_test: int, max_images: int) -> int:
    """Return how many images of each kind can be compared.

    No more than there are test images, nor than a quarter of the training images, of
    which the rest trains the classifier.

    Args:
        num_train: training images.
        num_test: test images.
        max_images: what is wanted.

    Raises:
        ValueError: if fewer than two are left.

    Example:
        >>> num_comparable_images(1200, 400, 2000)
        300
    """
    number = min(max_images, num_test, num_train // 4)
    check(number >= 2, "images to compare", number, "give more images")
    return number


def compare_images(
    key: Key,
    images: Mapping[str, Any],
    train: Any,
    train_labels: Any,
    test: Any,
    test_labels: Any,
) -> ImageComparison:
    """Measure how far each generator's images are from held-out ones.

    Args:
        key: for the choice of images, the classifier and the bootstrap.
        images: generator -> images (k, *shape), k the same for all; see
            `num_comparable_images`.
        train: (n, *shape), n > k: k of them stand for `REAL`, the others train the
            classifier.
        train_labels: (n,), integers from 0.
        test: (m, *shape), m >= k: what all are compared with.
        test_labels: (m,).

    Returns:
        `ImageComparison`.

    Raises:
        ValueError: if there is no generator, or they have not equally many images, or
            there are too few real ones; as `feature_classifier.train_classifier`.
    """
    check(len(images) >= 1, "images", len(images), "give one generator or more")
    train, test = np.asarray(train), np.asarray(test)
    size = len(next(iter(images.values())))
    for name, some in images.items():
        remedy = f"give as many as the first generator, {size}"
        check(len(some) == size, f"images of {name!r}", len(some), remedy)
    remedy = f"give fewer than {len(train)} and at most {len(test)}"
    check(2 <= size < len(train) and size <= len(test), "images", size, remedy)
    keys = [jax.random.fold_in(key, i) for i in range(6)]
    # Real images that neither the classifier nor the test set has: the noise floor's.
    order = np.asarray(jax.random.permutation(keys[4], len(train)))
    kept, rest = order[:size], order[size:][:MAX_TRAINED]
    classifier = feature_classifier.train_classifier(
        keys[0], train[rest], np.asarray(train_labels)[rest]
    )
    every = {REAL: train[kept]} | dict(images)
    order = np.asarray(jax.random.permutation(keys[5], len(test)))
    y = feature_classifier.classifier_features(
        classifier, np.concatenate([test[order[:size]], *every.values()])
    )
    real, *generated = np.split(np.asarray(y), 1 + len(every))
    found = {
        name: sample_quality(keys[2], real, y)
        for name, y in zip(every, generated, strict=True)
    }
    floor = metrics.frechet_noise_floor(keys[3], real, generated[0])
    return ImageComparison(
        found,
        every,
        jax.tree.map(float, floor),
        float(feature_classifier.classifier_accuracy(classifier, test, test_labels)),
    )


def sample_quality(key: Key, real: Any, generated: Any) -> SampleQuality:
    """Return both figures of merit of two sets of feature vectors, with their errors.

    Args:
        key: for the bootstrap of the Fréchet distance.
        real: (n, features).
        generated: (n, features).

    Raises:
        ValueError: as `metrics.frechet_distance`.

    Example:
        >>> y = np.arange(100.0)[:, None]
        >>> found = sample_quality(jax.random.key(0), y, y + 1000)
        >>> round(found.frechet), found.accuracy
        (1000000, 1.0)
    """
    frechet = metrics.frechet_distance_with_error(key, real, generated)
    accuracy = _accuracy(real, generated)
    return SampleQuality(
        float(frechet.value),
        float(frechet.standard_error),
        float(accuracy.value),
        float(accuracy.standard_error),
    )


_accuracy = jax.jit(metrics.two_sample_accuracy)
