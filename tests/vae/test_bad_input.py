"""What the three uses refuse, by name and with what to give instead."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from vijax.metrics import (
    bootstrap,
    roc,
    sample_distances,
    wasserstein,
)
from vijax.vae import event_tables
from vijax.vae.anomaly import scores, stroke_codes
from vijax.vae.compression import file_format, latent_grids, lossy
from vijax.vae.generation import feature_classifier
from vijax.vae.models import autoencoders, likelihoods

KEY = jax.random.key(0)
NAN = np.float32(np.nan)
MODEL = autoencoders.vae((4, 4), latent=2, hidden=(4,))
REAL_MODEL = autoencoders.vae(
    (3,), latent=2, hidden=(4,), likelihood=likelihoods.gaussian(None)
)
PARAMS, REAL_PARAMS = (autoencoders.init(model, KEY) for model in (MODEL, REAL_MODEL))
IMAGES = np.ones((5, 4, 4), np.float32)
TABLE = np.random.default_rng(0).gamma(3.0, size=(20, 3))
SCALE = event_tables.fit_scale(TABLE)
FEW, MASK = np.arange(6.0), np.arange(6) > 3
GRID = latent_grids.uniform_grid(TABLE, num_levels=9)
CLASSIFIER = feature_classifier.Classifier(
    (4, 4), 32, 2, (), None
)  # refused before it is used

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "scores of NaN": (
        lambda: scores.anomaly_scores(MODEL, PARAMS, KEY, NAN * IMAGES),
        "x = nan (at index 0, 0, 0)",
    ),
    "no draws": (
        lambda: scores.anomaly_scores(MODEL, PARAMS, KEY, IMAGES, num_samples=0),
        "num_samples = 0",
    ),
    "half a draw": (
        lambda: scores.anomaly_scores(MODEL, PARAMS, KEY, IMAGES, num_samples=2.5),
        "num_samples = 2.5",
    ),
    "scores of an autoencoder": (
        lambda: scores.anomaly_scores(
            autoencoders.autoencoder((4, 4)), PARAMS, KEY, IMAGES
        ),
        "an autoencoder's score is reconstruction_error",
    ),
    "half a batch": (
        lambda: scores.latent_distance(MODEL, PARAMS, IMAGES, IMAGES, batch_size=1.5),
        "batch_size = 1.5",
    ),
    "half a resample": (
        lambda: bootstrap.bayesian_bootstrap(KEY, np.sum, 3, num_resamples=2.5),
        "num_resamples = 2.5",
    ),
    "half a component": (
        lambda: lossy.principal_components(TABLE, latent=1.5),
        "latent = 1.5",
    ),
    "half a level": (
        lambda: latent_grids.uniform_grid(TABLE, num_levels=2.5),
        "num_levels = 2.5",
    ),
    "halves of symbols": (
        lambda: latent_grids.dequantize(GRID, TABLE),
        "symbols are float",
    ),
    "symbols beyond the grid": (
        lambda: latent_grids.dequantize(GRID, np.array([[1, 2, 9]])),
        "symbols = 9 (at index 0, 2)",
    ),
    "code of halves": (
        lambda: lossy.code_length(np.array([[0.5]]), np.array([[0.5, 0.5]])),
        "symbols are float",
    ),
    "half a pixel": (lambda: lossy.bits_per_pixel(1.0, 2.5), "num_pixels = 2.5"),
    "text for a file": (
        lambda: file_format.decode_images(MODEL, PARAMS, "a"),
        "give bytes",
    ),
    "no batch": (
        lambda: scores.anomaly_scores(MODEL, PARAMS, KEY, IMAGES, batch_size=0),
        "batch_size = 0",
    ),
    "error of NaN": (
        lambda: scores.reconstruction_error(MODEL, PARAMS, NAN * IMAGES),
        "x = nan",
    ),
    "share of NaN": (
        lambda: scores.unexplained_share(MODEL, PARAMS, NAN * IMAGES),
        "= nan (at index 0)",
    ),
    "complexity of nothing": (
        lambda: stroke_codes.complexity(IMAGES[:0]),
        "(n, height, width)",
    ),
    "complexity of one image": (lambda: stroke_codes.complexity(IMAGES[0]), "(4, 4)"),
    "patterns of nothing": (
        lambda: stroke_codes.count_patterns(IMAGES[:0]),
        "none empty",
    ),
    "other counts": (
        lambda: stroke_codes.local_code(np.ones((7, 2), int), IMAGES),
        "counts have shape (7, 2)",
    ),
    "negative counts": (
        lambda: stroke_codes.local_code(-np.ones((4, 2), int), IMAGES),
        "counts = -1",
    ),
    "labels of another length": (lambda: roc.auc(FEW, MASK[:3]), "is_anomaly (3,)"),
    "labels that are numbers": (lambda: roc.auc(FEW, 2 * MASK), "dtype int"),
    "weights of another length": (lambda: roc.auc(FEW, MASK, FEW[:3]), "weights (3,)"),
    "negative weights": (lambda: roc.auc(FEW, MASK, -1 - FEW), "weights = -1.0"),
    "weightless anomalies": (lambda: roc.auc(FEW, MASK, 1.0 * ~MASK), "mark at least"),
    "no scores": (lambda: roc.roc_curve(FEW[:0], MASK[:0]), "mark at least 1"),
    "rate above one": (
        lambda: roc.true_positive_rate(roc.roc_curve(FEW, MASK), 1.5),
        "false_positive_rate = 1.5",
    ),
    "no resamples at once": (
        lambda: bootstrap.bayesian_bootstrap(KEY, np.sum, 3, batch_size=0),
        "batch_size = 0",
    ),
    "components of NaN": (
        lambda: lossy.principal_components(NAN * TABLE, latent=1),
        "rows = nan",
    ),
    "components of nothing": (
        lambda: lossy.principal_components(TABLE[:0], latent=1),
        "one row or more",
    ),
    "grid of NaN": (
        lambda: latent_grids.uniform_grid(NAN * TABLE, num_levels=3),
        "latents = nan",
    ),
    "grid of nothing": (
        lambda: latent_grids.uniform_grid(TABLE[:0], num_levels=3),
        "one example or more",
    ),
    "latents of another grid": (
        lambda: latent_grids.quantize(GRID, TABLE[:, :2]),
        "give (examples, 3)",
    ),
    "fewer levels than there are": (
        lambda: lossy.symbol_concentration(
            GRID, latent_grids.quantize(GRID, TABLE), max_levels=4
        ),
        "max_levels = 4",
    ),
    "symbol without a level": (
        lambda: lossy.code_length(np.array([[5]]), np.array([[0.5, 0.5]])),
        "give 0 to 1",
    ),
    "columns without a code": (
        lambda: lossy.code_length(np.array([[0, 1]]), np.array([[0.5, 0.5]])),
        "a row of concentration",
    ),
    "images of other latents": (
        lambda: lossy.rate_distortion(TABLE, TABLE, TABLE[:3], lambda z: z, 4),
        "20 latents and images 3",
    ),
    "no pixels": (lambda: lossy.bits_per_pixel(1.0, 0), "num_pixels = 0"),
    "negative square": (lambda: lossy.peak_signal_to_noise(-1.0), "mse = -1.0"),
    "lossless real pixels": (
        lambda: file_format.encode_images(REAL_MODEL, REAL_PARAMS, TABLE),
        "pixels are gaussian",
    ),
    "table of a binary model": (
        lambda: file_format.encode_table(MODEL, PARAMS, TABLE, SCALE, 0.1),
        "likelihood is bernoulli",
    ),
    "bounds of other columns": (
        lambda: file_format.encode_table(
            REAL_MODEL, REAL_PARAMS, TABLE, SCALE, [0.1, 0.2]
        ),
        "bound has shape (2,)",
    ),
    "empty file": (
        lambda: file_format.decode_images(MODEL, PARAMS, b""),
        "no such file",
    ),
    "scale of nothing": (lambda: event_tables.fit_scale(TABLE[:0]), "(0, 3)"),
    "scale of one event": (
        lambda: event_tables.fit_scale(TABLE[0]),
        "(events, features)",
    ),
    "logarithms of other columns": (
        lambda: event_tables.fit_scale(TABLE, logarithm=[True, False]),
        "logarithm has shape (2,)",
    ),
    "scale of other columns": (
        lambda: event_tables.to_scaled(TABLE[:, :2], SCALE),
        "the scale has shape (3,)",
    ),
    "unscaled other columns": (
        lambda: event_tables.from_scaled(TABLE[:, :2], SCALE),
        "for each of 2 columns",
    ),
    "weights of other vectors": (
        lambda: sample_distances.mean_and_covariance(TABLE, FEW),
        "each of 20 vectors",
    ),
    "other features": (
        lambda: sample_distances.frechet_distance(TABLE, TABLE[:, :2]),
        "generated (20, 2)",
    ),
    "one split": (
        lambda: sample_distances.noise_floor(
            KEY, TABLE, TABLE, sample_distances.frechet_distance, num_splits=1
        ),
        "num_splits = 1",
    ),
    "images of another shape": (
        lambda: feature_classifier.classifier_features(CLASSIFIER, IMAGES[:, :3]),
        "give (n, 4, 4)",
    ),
    "features of nothing": (
        lambda: feature_classifier.classifier_features(CLASSIFIER, IMAGES[:0]),
        "images have shape (0, 4, 4)",
    ),
    "features of NaN": (
        lambda: feature_classifier.classifier_features(CLASSIFIER, NAN * IMAGES),
        "images = nan",
    ),
    "half a class": (
        lambda: feature_classifier.train_classifier(KEY, IMAGES, np.arange(5) / 2),
        "labels = 0.5",
    ),
    "one class": (
        lambda: feature_classifier.train_classifier(KEY, IMAGES, np.zeros(5)),
        "two classes",
    ),
    "no learning rate": (
        lambda: feature_classifier.train_classifier(
            KEY, IMAGES, np.arange(5), learning_rate=np.nan
        ),
        "learning_rate = nan",
    ),
    "distance of a list": (
        lambda: wasserstein.wasserstein_distance(TABLE[:, 0], TABLE[:, 0]),
        "(n, features)",
    ),
}


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_a_remedy(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(ValueError, match=re.escape(says)):
        call()
