"""What the three uses and the metrics refuse, by name and with what to give instead."""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from tests.vae.refusals import refuses
from vijax.metrics import (
    ROC,
    auc,
    bayesian_bootstrap,
    frechet_distance,
    mean_and_covariance,
    noise_floor,
    roc_curve,
    true_positive_rate,
    wasserstein_distance,
)
from vijax.vae import event_tables
from vijax.vae.anomaly import (
    anomaly_scores,
    complexity,
    count_patterns,
    latent_distance,
    local_code,
    reconstruction_error,
    unexplained_share,
)
from vijax.vae.compression import (
    Grid,
    bits_per_pixel,
    code_length,
    decode_images,
    dequantise,
    encode_images,
    encode_table,
    peak_signal_to_noise,
    principal_components,
    quantise,
    rate_distortion,
    symbol_concentration,
    uniform_grid,
)
from vijax.vae.generation import Classifier, classifier_features, train_classifier
from vijax.vae.models import autoencoders, likelihoods

KEY = jax.random.key(0)
NAN = np.float32(np.nan)
MODEL = autoencoders.vae((4, 4), latent=2, hidden=(4,))
PLAIN = autoencoders.autoencoder((4, 4))
REAL_MODEL = autoencoders.vae(
    (3,), latent=2, hidden=(4,), likelihood=likelihoods.gaussian(None)
)
PARAMS = None  # everything is refused before the parameters are looked at
IMAGES = np.ones((5, 4, 4), np.float32)
TABLE = np.random.default_rng(0).gamma(3.0, size=(20, 3))
SCALE = event_tables.fit_scale(TABLE)
FEW, MASK = np.arange(6.0), np.arange(6) > 3
GRID = Grid(np.zeros(3), np.ones(3), np.array([9, 9, 9]))
HALF = np.array([[0.5, 0.5]])
DIAGONAL = ROC(np.linspace(0, 1, 3), np.linspace(0, 1, 3), -np.arange(3.0))
CLASSIFIER = Classifier((4, 4), 32, 2, (), None)


SCORES = [
    refuses(
        "x = nan (at index 0, 0, 0)", anomaly_scores, MODEL, PARAMS, KEY, NAN * IMAGES
    ),
    refuses(
        "num_samples = 0", anomaly_scores, MODEL, PARAMS, KEY, IMAGES, num_samples=0
    ),
    refuses(
        "num_samples = 2.5", anomaly_scores, MODEL, PARAMS, KEY, IMAGES, num_samples=2.5
    ),
    refuses("batch_size = 0", anomaly_scores, MODEL, PARAMS, KEY, IMAGES, batch_size=0),
    refuses(
        "an autoencoder's score is reconstruction_error",
        anomaly_scores,
        PLAIN,
        PARAMS,
        KEY,
        IMAGES,
    ),
    refuses("x = nan", reconstruction_error, MODEL, PARAMS, NAN * IMAGES),
    refuses("= nan (at index 0)", unexplained_share, MODEL, PARAMS, NAN * IMAGES),
    refuses(
        "batch_size = 1.5",
        latent_distance,
        MODEL,
        PARAMS,
        IMAGES,
        IMAGES,
        batch_size=1.5,
    ),
    refuses("(n, height, width)", complexity, IMAGES[:0]),
    refuses("(4, 4)", complexity, IMAGES[0]),
    refuses("none empty", count_patterns, IMAGES[:0]),
    refuses("counts have shape (7, 2)", local_code, np.ones((7, 2), int), IMAGES),
    refuses("counts = -1", local_code, -np.ones((4, 2), int), IMAGES),
]
METRICS = [
    refuses("is_anomaly (3,)", auc, FEW, MASK[:3]),
    refuses("dtype int", auc, FEW, 2 * MASK),
    refuses("weights (3,)", auc, FEW, MASK, FEW[:3]),
    refuses("weights = -1.0", auc, FEW, MASK, -1 - FEW),
    refuses("mark at least", auc, FEW, MASK, 1.0 * ~MASK),
    refuses("mark at least 1", roc_curve, FEW[:0], MASK[:0]),
    refuses("false_positive_rate = 1.5", true_positive_rate, DIAGONAL, 1.5),
    refuses(
        "num_resamples = 2.5", bayesian_bootstrap, KEY, np.sum, 3, num_resamples=2.5
    ),
    refuses("batch_size = 0", bayesian_bootstrap, KEY, np.sum, 3, batch_size=0),
    refuses("each of 20 vectors", mean_and_covariance, TABLE, FEW),
    refuses("generated (20, 2)", frechet_distance, TABLE, TABLE[:, :2]),
    refuses(
        "num_splits = 1", noise_floor, KEY, TABLE, TABLE, frechet_distance, num_splits=1
    ),
    refuses("(n, features)", wasserstein_distance, TABLE[:, 0], TABLE[:, 0]),
]
COMPRESSION = [
    refuses("latent = 1.5", principal_components, TABLE, latent=1.5),
    refuses("rows = nan", principal_components, NAN * TABLE, latent=1),
    refuses("one row or more", principal_components, TABLE[:0], latent=1),
    refuses("num_levels = 2.5", uniform_grid, TABLE, num_levels=2.5),
    refuses("latents = nan", uniform_grid, NAN * TABLE, num_levels=3),
    refuses("one example or more", uniform_grid, TABLE[:0], num_levels=3),
    refuses("give (examples, 3)", quantise, GRID, TABLE[:, :2]),
    refuses("symbols are float", dequantise, GRID, TABLE),
    refuses("symbols = 9 (at index 0, 2)", dequantise, GRID, np.array([[1, 2, 9]])),
    refuses(
        "max_levels = 4",
        symbol_concentration,
        GRID,
        np.zeros((2, 3), int),
        max_levels=4,
    ),
    refuses("symbols are float", code_length, np.array([[0.5]]), HALF),
    refuses("give 0 to 1", code_length, np.array([[5]]), HALF),
    refuses("a row of concentration", code_length, np.array([[0, 1]]), HALF),
    refuses(
        "20 latents and images 3", rate_distortion, TABLE, TABLE, TABLE[:3], abs, 4
    ),
    refuses("num_pixels = 2.5", bits_per_pixel, 1.0, 2.5),
    refuses("num_pixels = 0", bits_per_pixel, 1.0, 0),
    refuses("mse = -1.0", peak_signal_to_noise, -1.0),
]
FILES = [
    refuses("give bytes", decode_images, MODEL, PARAMS, "a"),
    refuses("no such file", decode_images, MODEL, PARAMS, b""),
    refuses("pixels are gaussian", encode_images, REAL_MODEL, PARAMS, TABLE),
    refuses("likelihood is bernoulli", encode_table, MODEL, PARAMS, TABLE, SCALE, 0.1),
    refuses(
        "bound has shape (2,)",
        encode_table,
        REAL_MODEL,
        PARAMS,
        TABLE,
        SCALE,
        [0.1, 0.2],
    ),
    refuses("(0, 3)", event_tables.fit_scale, TABLE[:0]),
    refuses("(events, features)", event_tables.fit_scale, TABLE[0]),
    refuses(
        "logarithm has shape (2,)",
        event_tables.fit_scale,
        TABLE,
        logarithm=[True, False],
    ),
    refuses("the scale has shape (3,)", event_tables.to_scaled, TABLE[:, :2], SCALE),
    refuses("for each of 2 columns", event_tables.from_scaled, TABLE[:, :2], SCALE),
]
CLASSIFIERS = [
    refuses("give (n, 4, 4)", classifier_features, CLASSIFIER, IMAGES[:, :3]),
    refuses("images have shape (0, 4, 4)", classifier_features, CLASSIFIER, IMAGES[:0]),
    refuses("images = nan", classifier_features, CLASSIFIER, NAN * IMAGES),
    refuses("labels = 0.5", train_classifier, KEY, IMAGES, np.arange(5) / 2),
    refuses("two classes", train_classifier, KEY, IMAGES, np.zeros(5)),
    refuses(
        "learning_rate = nan",
        train_classifier,
        KEY,
        IMAGES,
        np.arange(5),
        learning_rate=np.nan,
    ),
]


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.usefixtures("as_users_do")
@pytest.mark.parametrize(
    ("call", "says"), [*SCORES, *METRICS, *COMPRESSION, *FILES, *CLASSIFIERS]
)
def test_bad_input_is_named_with_a_remedy(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        call()
