"""Anomaly detection: scores of how unlike its training data an example is.

    detector = anomaly.fit_detector(key, train)       a raw table or images; no labels
    anomaly.score(detector, x), anomaly.p_value(detector, x)

    detector             the recommended score, with calibrated p-values, in a file
    detector_networks    its VAEs, each without its own part of the rows
    table_columns        raw tables of mixed columns as numbers
    column_reports       how a table's columns were read, in words
    column_checks        columns that say nothing of new rows, refused by name
    neighbours           distances to neighbours at all sizes of neighbourhood
    stroke_directions    images as the directions of their edges
    scores               of a VAE or an autoencoder: reconstruction, KL, -ELBO,
                         -log p(x), latent distance, unexplained share
    stroke_codes         what a binary image costs in codes that know strokes but no
                         digits, to subtract from -log p(x)
    leave_one_out        scores under many models, each trained without one class
    leave_one_out_areas  how well each score finds the class left out
    event_vaes           VAEs of tables of events, several trainings at once
    classical_scores     of events, without a network
    detection            how well a score of events finds anomalies, with errors
    event_studies        two classes in both directions; a signal in the training events

All scores are higher for odder examples. `vijax.metrics` measures how well they
separate anomalies from background (`roc_curve`, `auc_with_error`).
"""

from vijax.vae.anomaly.classical_scores import mahalanobis_distance, pca_residual
from vijax.vae.anomaly.detection import Detection, measure_detection
from vijax.vae.anomaly.detector import (
    Detector,
    DetectorSettings,
    fit_detector,
    load,
    p_value,
    save,
    score,
    score_by_column,
    score_by_pixel,
    threshold,
)
from vijax.vae.anomaly.event_studies import (
    both_directions,
    contaminated_rows,
    injected_signal,
)
from vijax.vae.anomaly.event_vaes import (
    EventDetectorSettings,
    fit_event_vaes,
    score_events,
)
from vijax.vae.anomaly.leave_one_out import (
    RelativeDistances,
    distances_by_model,
    local_code_without_class,
    scores_by_model,
)
from vijax.vae.anomaly.leave_one_out_areas import ClassAreas, class_areas, class_masks
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
    "Detector",
    "DetectorSettings",
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
    "fit_detector",
    "fit_event_vaes",
    "injected_signal",
    "latent_distance",
    "load",
    "local_code",
    "local_code_without_class",
    "mahalanobis_distance",
    "measure_detection",
    "p_value",
    "pca_residual",
    "reconstruction_error",
    "save",
    "score",
    "score_by_column",
    "score_by_pixel",
    "score_events",
    "scores_by_model",
    "threshold",
    "unexplained_share",
]


def __dir__() -> list[str]:
    return sorted(__all__)
