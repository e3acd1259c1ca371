"""Generation: new examples from a VAE, and features to judge them by.

    prior_draws         z from the prior, x from the likelihood
    feature_classifier  a small classifier whose last hidden layer gives features

Map generated and held-out real images to features, and compare the two sets with
`vijax.metrics`:

    drawn = draw_from_prior(key, model, params, num_samples=1000).x
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
from vijax.vae.generation.prior_draws import PriorDraws, draw_from_prior

__all__ = [
    "Classifier",
    "PriorDraws",
    "classifier_accuracy",
    "classifier_features",
    "draw_from_prior",
    "train_classifier",
]


def __dir__() -> list[str]:
    return sorted(__all__)
