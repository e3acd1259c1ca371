"""Two studies of anomaly detection in tables of events, from training to errors.

    both_directions   each of two classes in turn is background, the other anomaly
    injected_signal   more and more signal hides among the training events

Both train several VAEs for each answer, score test events and measure every score, with
standard errors of the events and of the trainings.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from vijax.types import Key
from vijax.vae import event_tables
from vijax.vae.anomaly.classical_scores import mahalanobis_distance, pca_residual
from vijax.vae.anomaly.detection import Detection, measure_detection
from vijax.vae.anomaly.event_vaes import (
    DEFAULT,
    EventDetectorSettings,
    fit_event_vaes,
    score_events,
)
from vijax.vae.event_tables import Events
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check, is_whole

MAHALANOBIS, PCA = "Mahalanobis", "PCA residual"


def _measure_vae(
    model: VAE, params: ModelParams, key: Key, events: Any, is_anomaly: Any
) -> dict[str, Detection]:
    """Score events with several trainings and measure each score."""
    found = score_events(model, params, key, events)
    return {
        name: measure_detection(values, is_anomaly) for name, values in found.items()
    }


def both_directions(
    key: Key,
    train: tuple[Events, Any],
    test: tuple[Events, Any],
    *,
    names: tuple[str, str] = ("0", "1"),
    num_trainings: int = 5,
    settings: EventDetectorSettings = DEFAULT,
) -> dict[str, dict[str, Detection]]:
    """Take each of two classes in turn as background, the other as anomaly.

    A score may find one class among the other and miss it the other way round: a broad
    background hides a narrow anomaly. Only both directions show this.

    Args:
        key: of all trainings and scores.
        train: events and their labels, 0 or 1.
        test: events and their labels, 0 or 1.
        names: of the classes 0 and 1.
        num_trainings: VAEs for each direction, which differ in their random numbers.
        settings: architecture and training.

    Returns:
        "<name> is background" -> score -> `Detection`, class 1 as background first.
        The scores are those of the VAE and the two without a network.

    Raises:
        ValueError: if a label is neither 0 nor 1, or `num_trainings` is not a whole
            number of 1 or more; as `fit_event_vaes` and `measure_detection`.
    """
    _check_trainings(num_trainings)
    (train_events, labels), (test_events, test_labels) = (
        (np.asarray(events, float), np.asarray(labels))
        for events, labels in (train, test)
    )
    for name, values in (("train's labels", labels), ("test's labels", test_labels)):
        check(np.isin(values, (0, 1)), name, values, "give 0 or 1")
    result = {}
    for background, direction_key in zip((1, 0), jax.random.split(key), strict=True):
        fit_key, score_key = jax.random.split(direction_key)
        own = train_events[labels == background]
        scale = event_tables.fit_scale(own)
        own, events = (event_tables.to_scaled(x, scale) for x in (own, test_events))
        rows = np.tile(np.arange(len(own)), (num_trainings, 1))
        model, params = fit_event_vaes(fit_key, own, rows, settings)
        mask = test_labels != background
        without_network = {
            MAHALANOBIS: mahalanobis_distance(own, events),
            PCA: pca_residual(own, events, latent=settings.latent),
        }
        result[f"{names[background]} is background"] = _measure_vae(
            model, params, score_key, events, mask
        ) | {
            name: measure_detection(values, mask)
            for name, values in without_network.items()
        }
    return result


def contaminated_rows(
    key: Key, num_background: int, num_signal: int, fraction: float
) -> Int[np.ndarray, " rows"]:
    """Choose training events of which a given share is signal.

    The number of events stays the same: what signal comes in, background leaves.

    Args:
        key: for the choice.
        num_background: background events; their rows are 0 to `num_background` − 1.
        num_signal: signal events; their rows follow.
        fraction: share of signal, in [0, 1).

    Returns:
        `num_background` rows.

    Raises:
        ValueError: if the fraction is outside [0, 1), or asks for more signal events
            than there are.

    Example:
        >>> rows = contaminated_rows(jax.random.key(0), 100, 50, 0.2)
        >>> len(rows), int((rows >= 100).sum())
        (100, 20)
    """
    check(0 <= fraction < 1, "fraction", fraction, "give a share from 0 to below 1")
    number = round(fraction * num_background)
    remedy = f"it needs {number} signal events, there are {num_signal}: give less"
    check(number <= num_signal, "fraction", fraction, remedy)
    first, second = jax.random.split(key)
    kept = jax.random.permutation(first, num_background)[: num_background - number]
    taken = num_background + jax.random.permutation(second, num_signal)[:number]
    return np.concatenate([kept, taken])


def injected_signal(
    key: Key,
    train: tuple[Events, Events],
    test: tuple[Events, Events],
    *,
    fractions: Sequence[float],
    logarithm: Any = False,
    num_trainings: int = 5,
    settings: EventDetectorSettings = DEFAULT,
) -> list[dict[str, Detection]]:
    """Train with more and more signal among the events, and find it in others.

    In data nobody can train on pure background. A VAE that has seen the signal calls
    it less odd; this study measures how much less.

    Args:
        key: of all choices, trainings and scores.
        train: background and signal events (events, features) to train on.
        test: other background and signal events, all of which are scored.
        fractions: shares of signal among the training events, each in [0, 1).
        logarithm: for each column, whether the networks see its logarithm.
        num_trainings: VAEs at each fraction; they see different events too.
        settings: architecture and training.

    Returns:
        For each fraction: score -> `Detection`.

    Raises:
        ValueError: if `num_trainings` is not a whole number of 1 or more; as
            `contaminated_rows`, `event_tables.fit_scale`, `fit_event_vaes` and
            `measure_detection`.
    """
    _check_trainings(num_trainings)
    check(len(fractions) >= 1, "fractions", fractions, "give one or more")
    row_key, fit_key, score_key = jax.random.split(key, 3)
    background, signal = (np.asarray(part, float) for part in train)
    sizes = len(background), len(signal)
    shares = [fraction for fraction in fractions for _ in range(num_trainings)]
    keys = jax.random.split(row_key, len(shares))
    rows = [
        contaminated_rows(own, *sizes, share)
        for own, share in zip(keys, shares, strict=True)
    ]
    scale = event_tables.fit_scale(background, logarithm=logarithm)
    pool = event_tables.to_scaled(np.concatenate([background, signal]), scale)
    model, params = fit_event_vaes(fit_key, pool, np.stack(rows), settings)
    events = event_tables.to_scaled(np.concatenate(test), scale)
    mask = np.arange(len(events)) >= len(test[0])
    results = []
    for start in range(0, len(shares), num_trainings):
        own = jax.tree.map(lambda leaf, at=start: leaf[at : at + num_trainings], params)
        results.append(_measure_vae(model, own, score_key, events, mask))
    return results


def _check_trainings(number: int) -> None:
    valid = is_whole(number) and number >= 1
    check(valid, "num_trainings", number, "give a whole number of 1 or more")
