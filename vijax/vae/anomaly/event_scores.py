r"""Anomaly detection in tables of events: train VAEs, score, and say how well it works.

    settings = EventDetectorSettings(latent=2)
    model, params = fit_event_vaes(key, scaled, rows, settings)   (trainings, ...)
    found = score_events(model, params, key, events)     score -> (trainings, events)
    measure_detection(found["−ELBO"], is_anomaly)        Detection

Two studies put these parts together. `both_directions` takes each of two classes in
turn as background. `injected_signal` hides more and more signal among the training
events. `mahalanobis_distance` and `pca_residual` are scores without a network, to hold
a VAE against.

Events are tables (events, features); the networks see them through
`event_tables.to_scaled`. One training of a network differs from another, so several are
trained at once and their spread is part of every error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vijax.metrics import Estimate, roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.types import Key
from vijax.vae import event_tables, training
from vijax.vae.anomaly import scores
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check, is_whole

Events = Float[np.ndarray, "_ features"]  # the numbers of events may differ
BOUND, RECONSTRUCTION, KL = "−ELBO", "reconstruction", "KL"
SCORES = (BOUND, RECONSTRUCTION, KL)
MAHALANOBIS, PCA = "Mahalanobis", "PCA residual"
# Of background: where `Detection.found_at` and `Detection.true_positive_rate` are read.
CUT_RATES = (0.01, 0.1)
CURVE_RATES = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 121)])


@dataclass(frozen=True)
class EventDetectorSettings:
    """Architecture and training of a VAE of a table, with a Gaussian likelihood."""

    hidden: tuple[int, ...] = (64, 64)  # widths of the encoder's hidden layers
    latent: int = 4  # latent dimensions
    # The least standard deviation of a column, in its own: peaks are not worth more.
    min_scale: float = 0.05
    steps: int = 2500  # of optimisation
    batch_size: int = 128  # events in a step
    learning_rate: float = 2e-3  # Adam's at the first step; falls along a cosine


DEFAULT = EventDetectorSettings()


class Detection(NamedTuple):
    """How well one score finds anomalies, averaged over trainings.

    Standard errors are of the test events and of the trainings together.
    """

    auc: float
    auc_standard_error: float
    training_spread: float  # standard deviation of the AUC from training to training
    true_positive_rate: Float[np.ndarray, " rates"]  # at `CURVE_RATES`
    found_at: Float[np.ndarray, " cuts"]  # true positive rates at `CUT_RATES`
    found_at_standard_error: Float[np.ndarray, " cuts"]


def fit_event_vaes(
    key: Key,
    events: Events,
    rows: Int[Any, "trainings rows"],
    settings: EventDetectorSettings = DEFAULT,
) -> tuple[VAE, ModelParams]:
    """Train one VAE for each set of rows, all in one `vmap`.

    Args:
        key: of every training.
        events: (n, features), scaled.
        rows: the events that each training sees, equally many for all.
        settings: architecture and training.

    Returns:
        The model, and parameters with a leading axis of trainings.

    Raises:
        ValueError: as `autoencoders.vae` and `training.fit_ensemble`.

    Example:
        >>> events = np.random.default_rng(0).normal(size=(40, 3))
        >>> rows = np.tile(np.arange(40), (2, 1))
        >>> small = EventDetectorSettings(hidden=(4,), latent=1, steps=2)
        >>> model, params = fit_event_vaes(jax.random.key(0), events, rows, small)
        >>> params.encoder["output"]["bias"].shape  # 2 trainings, mean and log scale
        (2, 2)
    """
    events, rows = np.asarray(events, np.float32), np.asarray(rows)
    model = autoencoders.vae(
        events.shape[1:],
        latent=settings.latent,
        hidden=settings.hidden,
        likelihood=likelihoods.gaussian(None, min_scale=settings.min_scale),
    )
    batch_size = min(settings.batch_size, rows.shape[1])
    trained = training.fit_ensemble(
        model,
        key,
        events,
        rows,
        epochs=training.num_epochs(rows.shape[1], settings.steps, batch_size),
        batch_size=batch_size,
        optimizer=training.Adam(settings.learning_rate),
        description="VAEs of events",
    )
    return model, trained.params


def score_events(
    model: VAE, params: ModelParams, key: Key, events: Any
) -> dict[str, Float[Array, "trainings events"]]:
    """Return the scores of every event under each training.

    Args:
        model: the architecture.
        params: with a leading axis of trainings.
        key: for z ~ q(z | x); the same draws for every training.
        events: (n, features), scaled as the training events were.

    Returns:
        Score -> (trainings, events), higher for what looks more anomalous.

    Raises:
        ValueError: if the events are not finite or not of the model's features.

    Example:
        >>> events = np.random.default_rng(0).normal(size=(40, 3))
        >>> small = EventDetectorSettings(hidden=(4,), latent=1, steps=2)
        >>> rows = np.tile(np.arange(40), (2, 1))
        >>> model, params = fit_event_vaes(jax.random.key(0), events, rows, small)
        >>> found = score_events(model, params, jax.random.key(1), events[:5])
        >>> {name: values.shape for name, values in found.items()}
        {'−ELBO': (2, 5), 'reconstruction': (2, 5), 'KL': (2, 5)}
    """
    x = check_in_support(model, jnp.asarray(events, jnp.float32), least=1)
    return dict(zip(SCORES, _score_events(model, params, key, x), strict=True))


@partial(jax.jit, static_argnums=0)
def _score_events(model: VAE, params: ModelParams, key: Key, x: Array) -> Array:
    def one(params: ModelParams) -> Array:
        found = scores.anomaly_scores(model, params, key, x)
        return jnp.stack([found.negative_elbo, found.reconstruction, found.kl])

    return jnp.moveaxis(jax.lax.map(one, params), 0, 1)  # (scores, trainings, events)


def mahalanobis_distance(train: Events, events: Events) -> Float[np.ndarray, " events"]:
    r"""Return the squared Mahalanobis distance, (x − m)ᵀ C⁻¹ (x − m).

    m and C are mean and covariance of the training events. Up to a constant it is
    twice −log p(x) of the normal distribution that fits them, so it is what a VAE with
    nothing to learn beyond correlations would find.

    Args:
        train: (n, features), more events than features.
        events: (m, features).

    Raises:
        ValueError: if the tables have different columns, or are not finite, or the
            covariance is singular.

    Example:
        >>> train = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
        >>> events = np.array([[1.0, 0.0], [0.0, 2.0]])
        >>> mahalanobis_distance(train, events).round(3).tolist()
        [1.5, 1.5]
    """
    train, events = _same_columns(train, events)
    covariance = np.atleast_2d(np.cov(train, rowvar=False))
    rank = int(np.linalg.matrix_rank(covariance))
    remedy = "leave out columns that are constant or follow from the others"
    check(rank == len(covariance), "the rank of train's covariance", rank, remedy)
    centred = events - train.mean(axis=0)
    return np.einsum("ni,ni->n", centred, np.linalg.solve(covariance, centred.T).T)


def pca_residual(
    train: Events, events: Events, *, latent: int
) -> Float[np.ndarray, " events"]:
    """Return the squared distance from the plane of the principal components.

    It is the squared reconstruction error of a linear autoencoder.

    Args:
        train: (n, features).
        events: (m, features).
        latent: components kept, 1 to the number of features.

    Raises:
        ValueError: if the tables have different columns, or are not finite; if
            `latent` is not among 1 to the number of features.

    Example:
        >>> train = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> events = np.array([[5.0, 5.0], [3.0, 1.0]])
        >>> np.abs(pca_residual(train, events, latent=1).round(3)).tolist()
        [0.0, 2.0]
    """
    train, events = _same_columns(train, events)
    features = train.shape[1]
    remedy = f"give 1 to the number of features, {features}"
    check(is_whole(latent) and 1 <= latent <= features, "latent", latent, remedy)
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(train, rowvar=False)))
    left_out = vectors[:, : features - latent]  # the smallest variances come first
    return np.sum(((events - train.mean(axis=0)) @ left_out) ** 2, axis=1)


def _same_columns(train: Events, events: Events) -> tuple[np.ndarray, np.ndarray]:
    train, events = np.asarray(train, float), np.asarray(events, float)
    if train.ndim != 2 or events.ndim != 2 or train.shape[1:] != events.shape[1:]:
        raise ValueError(
            f"train has shape {train.shape} and events {events.shape}: give tables "
            "(events, features) of the same columns"
        )
    for name, table in (("train", train), ("events", events)):
        check(np.isfinite(table), name, table, "remove NaN and infinities")
    return train, events


def measure_detection(values: Any, is_anomaly: Bool[Any, " events"]) -> Detection:
    """Say how well a score finds anomalies, over one or several trainings.

    The AUC's error is DeLong's for the test events, added in quadrature to that of a
    mean over trainings. Rates at a fixed share of background get theirs from a
    Bayesian bootstrap with the same resamples for every score.

    Args:
        values: the score, (trainings, events) or (events,), higher for what looks more
            anomalous.
        is_anomaly: (events,), a mask.

    Returns:
        `Detection`.

    Raises:
        ValueError: if the mask is not one, or does not fit the values; if a value is
            NaN, or there are fewer than two anomalies or two other events.

    Example:
        >>> is_anomaly = np.array([False, False, True, True])
        >>> found = measure_detection(np.array([0.1, 0.4, 0.35, 0.8]), is_anomaly)
        >>> found.auc, round(found.auc_standard_error, 4), found.training_spread
        (0.75, 0.3536, 0.0)
    """
    values, mask = np.atleast_2d(np.asarray(values, np.float32)), np.asarray(is_anomaly)
    if mask.dtype != bool or values.shape[1:] != mask.shape:
        raise ValueError(
            f"values have shape {values.shape}, is_anomaly {mask.shape} of {mask.dtype}"
            ": give a mask, as labels == 1, with one entry for every event"
        )
    check(~np.isnan(values), "values", values, "remove NaN")
    remedy = "mark at least 2 anomalies and leave 2 as background"
    enough = mask.sum() >= 2 and (~mask).sum() >= 2
    check(enough, "is_anomaly", mask, remedy)
    number = len(values)
    areas, rates = jax.tree.map(np.asarray, _measure(values, mask))
    (each, found_at), (_, error_at) = with_bootstrap_error(
        jax.random.key(0), _found_at, mask.size, values, mask, num_resamples=100
    )
    spread, spread_at = (
        y.std(axis=0, ddof=1) if number > 1 else np.zeros_like(y[0])
        for y in (areas.value, each)
    )
    error = np.hypot(areas.standard_error.mean(), spread / np.sqrt(number))
    return Detection(
        float(areas.value.mean()),
        float(error),
        float(spread),
        rates.mean(axis=0),
        found_at,
        np.hypot(error_at, spread_at / np.sqrt(number)),
    )


@jax.jit
def _measure(values: Array, mask: Array) -> tuple[Estimate, Array]:
    def one(values: Array) -> tuple[Estimate, Array]:
        curve = roc.roc_curve(values, mask)
        rates = roc.true_positive_rate(curve, jnp.asarray(CURVE_RATES))
        return roc.auc_with_error(values, mask), rates

    return jax.vmap(one)(values)


def _found_at(weights: Array, values: Array, mask: Array) -> tuple[Array, Array]:
    """Return the rates of (trainings, events) at `CUT_RATES`, and their mean."""

    def one(values: Array) -> Array:
        curve = roc.roc_curve(values, mask, weights)
        return roc.true_positive_rate(curve, jnp.asarray(CUT_RATES))

    each = jax.vmap(one)(values)
    return each, each.mean(axis=0)


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
