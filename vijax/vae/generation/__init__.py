"""Generation: new examples from a VAE, and features to judge them by.

    prior_draws         z from the prior, x from the likelihood
    fitted_priors       a prior that follows the codes of data, after the training
    image_samples       how far generated images are from real ones
    event_samples       how far generated events are from real ones
    feature_classifier  a small classifier whose last hidden layer gives features

No distance means anything without that of real examples from real ones, so
`compare_images` and `compare_events` measure both. Their parts can be used alone:

    drawn = draw_from_prior(key, model, params, num_samples=1000).x
    classifier = train_classifier(key, images, labels)
    real, generated = (classifier_features(classifier, x) for x in (held_out, drawn))
    metrics.frechet_distance_with_error(key, real, generated)
"""

from vijax.vae.generation.event_samples import (
    EventDistances,
    column_and_pair_distances,
    compare_events,
    round_whole_columns,
    summarise_distances,
)
from vijax.vae.generation.feature_classifier import (
    Classifier,
    classifier_accuracy,
    classifier_features,
    train_classifier,
)
from vijax.vae.generation.fitted_priors import (
    ModelWithPrior,
    fit_mixture,
    fit_prior,
)
from vijax.vae.generation.image_samples import (
    ImageComparison,
    SampleQuality,
    compare_images,
    num_comparable_images,
    sample_quality,
)
from vijax.vae.generation.prior_draws import PriorDraws, draw_from_prior

__all__ = [
    "Classifier",
    "EventDistances",
    "ImageComparison",
    "ModelWithPrior",
    "PriorDraws",
    "SampleQuality",
    "classifier_accuracy",
    "classifier_features",
    "column_and_pair_distances",
    "compare_events",
    "compare_images",
    "draw_from_prior",
    "fit_mixture",
    "fit_prior",
    "num_comparable_images",
    "round_whole_columns",
    "sample_quality",
    "summarise_distances",
    "train_classifier",
]


def __dir__() -> list[str]:
    return sorted(__all__)
