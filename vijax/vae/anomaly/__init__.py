"""Anomaly detection: scores of how unlike its training data an example is.

    scores         of a VAE or an autoencoder: reconstruction, KL, -ELBO, -log p(x),
                   latent distance, unexplained share
    leave_one_out  of many models, each without a class: which score finds that class
    event_scores   VAEs of tables of events, scores without a network, two studies
    stroke_codes   what a binary image costs in codes that know strokes but no digits,
                   to subtract from -log p(x)

All scores are higher for odder examples. `vijax.metrics` measures how well they
separate anomalies from background (`roc_curve`, `auc_with_error`).
"""

from vijax.vae.anomaly.event_scores import (
    Detection,
    EventDetectorSettings,
    both_directions,
    contaminated_rows,
    fit_event_vaes,
    injected_signal,
    mahalanobis_distance,
    measure_detection,
    pca_residual,
    score_events,
)
from vijax.vae.anomaly.leave_one_out import (
    ClassAreas,
    RelativeDistances,
    class_areas,
    class_masks,
    distances_by_model,
    local_code_without_class,
    scores_by_model,
)
from vijax.vae.anomaly.scores import (
    AnomalyScores,
    anomaly_scores,
    latent_distance,
    reconstruction_error,
    unexplained_share,
)
from vijax.vae.anomaly.stroke_codes import complexity, count_patterns, local_code

__all__ = [
    "AnomalyScores",
    "ClassAreas",
    "Detection",
    "EventDetectorSettings",
    "RelativeDistances",
    "anomaly_scores",
    "both_directions",
    "class_areas",
    "class_masks",
    "complexity",
    "contaminated_rows",
    "count_patterns",
    "distances_by_model",
    "fit_event_vaes",
    "injected_signal",
    "latent_distance",
    "local_code",
    "local_code_without_class",
    "mahalanobis_distance",
    "measure_detection",
    "pca_residual",
    "reconstruction_error",
    "score_events",
    "scores_by_model",
    "unexplained_share",
]


def __dir__() -> list[str]:
    return sorted(__all__)
