"""Generation: features to judge generated images by.

    feature_classifier  a small classifier whose last hidden layer gives features

Decode draws of the prior with `evaluation.decoded_means`. Map them and held-out real
images to features, and compare the two sets with `vijax.metrics`:

    classifier = train_classifier(key, images, labels)
    real, generated = (classifier_features(classifier, x) for x in (held_out, drawn))
    metrics.frechet_distance_with_error(key, real, generated)
"""

from vijax.vae.generation.feature_classifier import (
    Classifier,
    classifier_accuracy,
    classifier_features,
    train_classifier,
)

__all__ = [
    "Classifier",
    "classifier_accuracy",
    "classifier_features",
    "train_classifier",
]


def __dir__() -> list[str]:
    return sorted(__all__)
