"""Anomaly detection: scores of how unlike its training data an example is.

    scores        of a VAE or an autoencoder: reconstruction, KL, -ELBO, -log p(x),
                  latent distance, unexplained share
    stroke_codes  what a binary image costs in codes that know strokes but no digits,
                  to subtract from -log p(x)

All scores are higher for odder examples. `vijax.metrics` measures how well they
separate anomalies from background (`roc_curve`, `auc_with_error`).
"""

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
    "anomaly_scores",
    "complexity",
    "count_patterns",
    "latent_distance",
    "local_code",
    "reconstruction_error",
    "unexplained_share",
]


def __dir__() -> list[str]:
    return sorted(__all__)
