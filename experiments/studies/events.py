"""Anomaly detection in tables of events: both directions, and a signal injected."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from experiments.studies.lossy_tables import LOGARITHM
from vijax.data import Dataset
from vijax.metrics import Estimate, roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.types import Key
from vijax.vae import event_tables, training
from vijax.vae.anomaly import scores
from vijax.vae.compression import lossy
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check

SCORES = ("−ELBO", "reconstruction", "KL")
MET, MAHALANOBIS, PCA = "missing energy alone", "Mahalanobis", "PCA residual"


class Network(NamedTuple):
    """Settings of a table's VAE."""

    hidden: tuple[int, ...] = (64, 64)
    latent: int = 4
    min_scale: float = 0.05  # of a column's deviation; peaks are not worth more
    steps: int = 2500
    batch_size: int = 128
    learning_rate: float = 2e-3


class Found(NamedTuple):
    """What one score finds."""

    auc: float  # mean over trainings
    auc_standard_error: float  # of test events and trainings together
    training_spread: float  # standard deviation of the AUC from training to training
    true_positive_rate: np.ndarray  # on `RATES`, mean over trainings
    found_at: (
        np.ndarray
    )  # true positive rates at `FALSE_POSITIVES`, mean over trainings
    found_at_standard_error: np.ndarray  # of test events, bootstrapped, and trainings


FALSE_POSITIVES = (0.01, 0.1)
RATES = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 121)])


def fit(
    events: np.ndarray, rows: np.ndarray, key: Key, network: Network
) -> tuple[VAE, ModelParams]:
    """Train a VAE on each set of rows of scaled events, all in one vmap."""
    model = autoencoders.vae(
        events.shape[1:],
        latent=network.latent,
        hidden=network.hidden,
        likelihood=likelihoods.gaussian(None, min_scale=network.min_scale),
    )
    batch_size = min(network.batch_size, rows.shape[1])
    trained = training.fit_ensemble(
        model,
        key,
        events.astype(np.float32),
        rows,
        epochs=training.num_epochs(rows.shape[1], network.steps, batch_size),
        batch_size=batch_size,
        optimizer=training.Adam(network.learning_rate),
        description="VAEs of events",
    )
    return model, trained.params


def found_by_vae(
    model: VAE, params: ModelParams, events: np.ndarray, mask: np.ndarray, key: Key
) -> dict[str, Found]:
    """Return what each score finds; params (trainings, ...)."""
    values = _scores(model, params, key, jnp.asarray(events, jnp.float32))
    return {name: found(values[i], mask) for i, name in enumerate(SCORES)}


@partial(jax.jit, static_argnums=0)
def _scores(model: VAE, params: ModelParams, key: Key, x: Array) -> Array:
    def one(params: ModelParams) -> Array:
        s = scores.anomaly_scores(model, params, key, x)
        return jnp.stack([s.negative_elbo, s.reconstruction, s.kl])

    return jnp.moveaxis(jax.lax.map(one, params), 0, 1)  # (scores, trainings, events)


def found(values: Any, mask: np.ndarray) -> Found:
    """Measure one score of (trainings, events)."""
    values = jnp.atleast_2d(jnp.asarray(values, jnp.float32))
    number = len(values)
    areas, rates = jax.tree.map(np.asarray, _measure(values, jnp.asarray(mask)))
    # The same weights of the events for every score, so that they compare.
    key = jax.random.key(0)
    (each, found_at), (_, error_at) = with_bootstrap_error(
        key, _found_at, mask.size, values, mask, num_resamples=100
    )
    spread, spread_at = (
        y.std(axis=0, ddof=1) if number > 1 else np.zeros_like(y[0])
        for y in (areas.value, each)
    )
    error = np.hypot(areas.standard_error.mean(), spread / np.sqrt(number))
    return Found(
        float(areas.value.mean()),
        float(error),
        float(spread),
        rates.mean(axis=0),
        found_at,
        np.hypot(error_at, spread_at / np.sqrt(number)),
    )


def _found_at(weights: Array, values: Array, mask: Array) -> tuple[Array, Array]:
    """Return the rates of (trainings, events) at `FALSE_POSITIVES`, and their mean."""

    def one(values: Array) -> Array:
        curve = roc.roc_curve(values, mask, weights)
        return roc.true_positive_rate(curve, jnp.asarray(FALSE_POSITIVES))

    each = jax.vmap(one)(values)
    return each, each.mean(axis=0)


@jax.jit
def _measure(values: Array, mask: Array) -> tuple[Estimate, Array]:
    def one(values: Array) -> tuple[Estimate, Array]:
        rates = roc.true_positive_rate(roc.roc_curve(values, mask), jnp.asarray(RATES))
        return roc.auc_with_error(values, mask), rates

    return jax.vmap(one)(values)


def baselines(
    train: np.ndarray, events: np.ndarray, mask: np.ndarray, *, latent: int
) -> dict[str, Found]:
    """Return what two scores without a network find, on scaled events."""
    centred = events - train.mean(axis=0)
    covariance = np.cov(train, rowvar=False)
    distance = np.einsum("ni,ni->n", centred, np.linalg.solve(covariance, centred.T).T)
    pca = lossy.principal_components(jnp.asarray(train), latent=latent)
    kept = centred @ np.asarray(pca.components).T @ np.asarray(pca.components)
    residual = np.sum((centred - kept) ** 2, axis=1)
    return {MAHALANOBIS: found(distance, mask), PCA: found(residual, mask)}


def both_directions(
    dataset: Dataset,
    key: Key,
    network: Network,
    *,
    trainings: int,
    names: tuple[str, str],
) -> dict[str, dict[str, Found]]:
    """Take each class in turn as background, the other as anomaly.

    Args:
        dataset: a table with labels 0 and 1.
        key: random key.
        network: the VAE's settings.
        trainings: VAEs for each direction, which differ in their random numbers.
        names: of the classes 0 and 1.
    """
    result = {}
    labels = np.asarray(dataset.train_labels)
    for background, direction_key in zip((1, 0), jax.random.split(key), strict=True):
        fit_key, score_key = jax.random.split(direction_key)
        train = dataset.train[labels == background]
        scale = event_tables.fit_scale(train)
        train, test = (event_tables.to_scaled(x, scale) for x in (train, dataset.test))
        rows = np.tile(np.arange(len(train)), (trainings, 1))
        model, params = fit(train, rows, fit_key, network)
        mask = np.asarray(dataset.test_labels) != background
        result[f"{names[background]} is background"] = found_by_vae(
            model, params, test, mask, score_key
        ) | baselines(train, test, mask, latent=network.latent)
    return result


def add_invisible(
    events: np.ndarray, rng: np.random.Generator, *, mean_energy: float
) -> np.ndarray:
    """Give CMS multijet events an invisible particle: the signal that is injected.

    A toy that keeps what the detector did to real events. A transverse momentum that
    is exponential in size and uniform in azimuth is added to the missing one, and
    Rsq, which is proportional to the missing energy at fixed jets, is scaled with it.

    Args:
        events: columns MR, Rsq, HT, MET, nJets, nBJets.
        rng: random generator.
        mean_energy: mean of the exponential, GeV.
    """
    size = rng.exponential(mean_energy, len(events))
    angle = rng.uniform(0, 2 * np.pi, len(events))
    met = events[:, 3]
    changed = np.sqrt(met**2 + size**2 + 2 * met * size * np.cos(angle))
    signal = events.copy()
    signal[:, 1], signal[:, 3] = events[:, 1] * changed / met, changed
    return signal


def injected(
    dataset: Dataset,
    key: Key,
    network: Network,
    *,
    fractions: tuple[float, ...],
    mean_energy: float,
    trainings: int,
) -> tuple[list[dict[str, Found]], Found]:
    """Train with more and more signal among the events; find it in others.

    Returns:
        What each score finds at each fraction, and what the missing energy alone does.
    """
    inside = np.asarray(fractions)
    remedy = "give shares from 0 to below 1"
    check((inside >= 0) & (inside < 1), "fractions", inside, remedy)
    choice_key, fit_key, score_key = jax.random.split(key, 3)
    rng = np.random.default_rng(int(jax.random.bits(choice_key)))
    # Each part: half stays background, the other half may turn into signal.
    (background, spare), (test, other) = (
        np.array_split(rng.permutation(part), 2)
        for part in (dataset.train, dataset.test)
    )
    signal, test_signal = (
        add_invisible(part, rng, mean_energy=mean_energy) for part in (spare, other)
    )
    scale = event_tables.fit_scale(background, logarithm=LOGARITHM)
    pool = event_tables.to_scaled(np.concatenate([background, signal]), scale)
    size = len(background)
    runs = []
    for fraction in fractions:
        for _ in range(trainings):
            number = round(fraction * size)
            kept = rng.permutation(size)[: size - number]
            taken = size + rng.permutation(len(signal))[:number]
            runs.append(np.concatenate([kept, taken]))
    model, params = fit(pool, np.stack(runs), fit_key, network)
    events = np.concatenate([test, test_signal])
    mask = np.arange(len(events)) >= len(test)
    scaled = event_tables.to_scaled(events, scale)
    results = []
    for i in range(len(fractions)):
        own = slice(i * trainings, (i + 1) * trainings)
        part = jax.tree.map(lambda leaf, own=own: leaf[own], params)
        results.append(found_by_vae(model, part, scaled, mask, score_key))
    return results, found(events[:, 3], mask)
