"""Events from a model beside real ones: distances of columns and of their pairs."""

from itertools import combinations
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.studies import lossy_tables
from experiments.studies.lossy_tables import Coder
from vijax.metrics import wasserstein
from vijax.types import Key
from vijax.vae import event_tables
from vijax.vae.event_tables import Table
from vijax.vae.models import autoencoders

REAL = "real events"
PRIOR, NO_NOISE, SHUFFLED = "VAE, prior", "VAE, no noise", "columns shuffled"


class Distances(NamedTuple):
    """Of one generator, or real from real: in standard deviations of the columns."""

    by_column: np.ndarray  # (repetitions, columns)
    by_pair: np.ndarray  # (repetitions, pairs of columns)


def draw(coder: Coder, key: Key, size: int) -> dict[str, Table]:
    """Draw scaled events from the prior, with the decoder's own noise and without.

    p(x) is what the decoder's distribution makes of N(0, I). Its mean alone, which is
    often shown, is another distribution, and a narrower one.
    """
    keys = [jax.random.fold_in(key, i) for i in range(2)]
    z = jax.random.normal(keys[0], (size, coder.model.latent))
    outputs = autoencoders.decode(coder.model, coder.params, z)
    likelihood = coder.model.likelihood
    return {
        PRIOR: np.asarray(likelihood.sample(keys[1], outputs), float),
        NO_NOISE: np.asarray(likelihood.mean(outputs), float),
    }


def real_like(scaled: Table, coder: Coder) -> Table:
    """Return scaled events whose counts are whole numbers, as the real ones are."""
    table = event_tables.from_scaled(scaled, coder.scale)
    whole = np.where(lossy_tables.LOGARITHM, table, np.rint(table))
    return event_tables.to_scaled(whole, coder.scale)


def study(
    coder: Coder,
    train: Table,
    test: Table,
    key: Key,
    *,
    size: int,
    repetitions: int,
) -> dict[str, Distances]:
    """Measure each generator against held-out events, and these against real ones.

    Args:
        coder: a VAE of the training events.
        train: training events: of their columns each alone, shuffled, one generator.
        test: held-out events.
        key: random key.
        size: events in a set.
        repetitions: of every measurement, on other events.
    """
    rng = np.random.default_rng(int(jax.random.bits(key)))
    real = event_tables.to_scaled(test, coder.scale)
    before = event_tables.to_scaled(train, coder.scale)
    generated = draw(coder, key, size * repetitions)
    low, high = before.min(axis=0), before.max(axis=0)
    generated = {
        name: np.clip(real_like(x, coder), low, high) for name, x in generated.items()
    }
    many = size * repetitions
    generated[SHUFFLED] = rng.permuted(before, axis=0)[:many]
    sets = {REAL: rng.permutation(before)[:many]} | generated
    measured = {}
    for name, events in sets.items():
        parts = events.reshape(repetitions, size, -1)
        rows = [measure(rng.permutation(real)[:size], part) for part in parts]
        measured[name] = Distances(*map(np.stack, zip(*rows, strict=True)))
    return measured


def measure(real: Table, generated: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of every column and of every pair of columns."""
    pairs = [
        wasserstein.wasserstein_distance(real[:, list(pair)], generated[:, list(pair)])
        for pair in combinations(range(real.shape[1]), 2)
    ]
    return wasserstein.wasserstein_by_column(real, generated), np.array(pairs)


def summary(measured: dict[str, Distances]) -> dict[str, Any]:
    """Return means over repetitions and their errors; and means over columns, pairs."""
    result = {}
    for name, distances in measured.items():
        parts = {}
        for part, values in distances._asdict().items():
            error = np.sqrt(len(values))
            parts[part] = values.mean(axis=0)
            parts[f"{part}_standard_error"] = values.std(axis=0, ddof=1) / error
            parts[f"mean_{part}"] = values.mean()
            parts[f"mean_{part}_standard_error"] = (
                values.mean(axis=1).std(ddof=1) / error
            )
        result[name] = parts
    return result
