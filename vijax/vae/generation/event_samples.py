r"""How far generated events are from real ones, column by column and pair by pair.

    generated = draw_from_prior(draw_key, model, params, num_samples=2000).x
    found = compare_events(key, real, {"VAE": generated}, size=500, repetitions=4)
    summarise_distances(found["VAE"])["mean_by_column"]

Distances are Wasserstein distances W₁ of every column and of every pair of columns.
They are above zero even between sets of real events. So put such a set among the
generated ones: its distance is what a perfect generator would have. Put all columns on
one scale before (`event_tables.to_scaled`); distances are then in standard deviations.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from vijax.metrics import wasserstein
from vijax.types import Key
from vijax.vae import event_tables
from vijax.vae.event_tables import ColumnScale, Events
from vijax.validate import check, is_whole


class EventDistances(NamedTuple):
    """Of one set of events from real ones, in the units of the columns."""

    by_column: Float[np.ndarray, "repetitions columns"]
    by_pair: Float[np.ndarray, "repetitions pairs"]


def round_whole_columns(scaled: Events, scale: ColumnScale, whole: Any) -> Events:
    """Round the columns that are whole numbers in real events.

    Args:
        scaled: (events, features).
        scale: of the columns.
        whole: (features,), which columns are whole numbers.

    Returns:
        Scaled events again.

    Raises:
        ValueError: if `whole` or the scale have another number of columns.

    Example:
        >>> scale = event_tables.fit_scale(np.array([[1.0], [3.0]]))  # (x - 2) / 1
        >>> round_whole_columns(np.array([[0.3]]), scale, [True]).tolist()  # 2.3 is 2
        [[0.0]]
    """
    whole = np.asarray(whole, bool)
    columns = np.shape(scaled)[1:]
    remedy = f"give one for each column, {columns}"
    check(whole.shape == columns, "whole's shape", whole.shape, remedy)
    table = event_tables.from_scaled(scaled, scale)
    return event_tables.to_scaled(np.where(whole, np.rint(table), table), scale)


def compare_events(
    key: Key,
    real: Events,
    generated: Mapping[str, Events],
    *,
    size: int,
    repetitions: int,
) -> dict[str, EventDistances]:
    """Measure sets of events against real ones, again and again on other events.

    Args:
        key: for the choice of real events.
        real: (n, features), n >= `size`: held-out events.
        generated: name -> (`size` · `repetitions` events or more, features). Put real
            events that nothing was trained on among them, for the floor.
        size: events in a set; the time of pairs grows as its cube.
        repetitions: of every measurement, on other events; 2 or more for errors.

    Returns:
        Name -> `EventDistances`.

    Raises:
        ValueError: if there are too few events, or sizes are not 1 or more; as
            `wasserstein.wasserstein_distance`.

    Example:
        >>> real = np.zeros((3, 2))
        >>> found = compare_events(
        ...     jax.random.key(0), real, {"shifted": real + 2.0}, size=1, repetitions=3
        ... )
        >>> found["shifted"].by_column[0].tolist(), found["shifted"].by_pair[0].round(3)
        ([2.0, 2.0], array([2.828]))
    """
    for name, value in (("size", size), ("repetitions", repetitions)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    remedy = f"give at most the number of real events, {len(real)}"
    check(size <= len(real), "size", size, remedy)
    many = size * repetitions
    for name, events in generated.items():
        remedy = f"give size · repetitions = {many} or more"
        check(len(events) >= many, f"events in {name!r}", len(events), remedy)
    orders = _orders(key, len(generated) * repetitions, len(real))[:, :size]
    measured = {}
    for i, (name, events) in enumerate(generated.items()):
        parts = np.asarray(events)[:many].reshape(repetitions, size, -1)
        chosen = orders[i * repetitions : (i + 1) * repetitions]
        rows = [
            column_and_pair_distances(real[order], part)
            for order, part in zip(chosen, parts, strict=True)
        ]
        measured[name] = EventDistances(*map(np.stack, zip(*rows, strict=True)))
    return measured


def _orders(key: Key, number: int, num_events: int) -> Int[np.ndarray, "_ _"]:
    """Return shuffled row numbers, each in an order of its own."""
    rows = np.tile(np.arange(num_events), (number, 1))
    return np.asarray(jax.random.permutation(key, rows, axis=1, independent=True))


def column_and_pair_distances(
    real: Events, generated: Events
) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " pairs"]]:
    """Return W₁ of every column, and of every pair of columns.

    Args:
        real: (n, features).
        generated: as many events of the same columns.

    Returns:
        Distances of the columns, and of the pairs (0, 1), (0, 2), …, (1, 2), ….

    Raises:
        ValueError: as `wasserstein.wasserstein_distance`.

    Example:
        >>> real, generated = np.zeros((1, 2)), np.array([[3.0, 4.0]])
        >>> columns, pairs = column_and_pair_distances(real, generated)
        >>> columns.tolist(), pairs.tolist()
        ([3.0, 4.0], [5.0])
    """
    pairs = [
        wasserstein.wasserstein_distance(real[:, list(pair)], generated[:, list(pair)])
        for pair in combinations(range(real.shape[1]), 2)
    ]
    return wasserstein.wasserstein_by_column(real, generated), np.array(pairs, float)


def summarise_distances(found: EventDistances) -> dict[str, Any]:
    """Return means over repetitions with their errors, and means over columns, pairs.

    Args:
        found: from `compare_events`, of two repetitions or more.

    Returns:
        `by_column` and `by_pair`, `mean_by_column` and `mean_by_pair`, each with a
        `…_standard_error`.

    Raises:
        ValueError: if there is only one repetition.

    Example:
        >>> columns = np.array([[1.0, 3.0], [3.0, 5.0]])
        >>> found = summarise_distances(EventDistances(columns, columns[:, :1]))
        >>> found["by_column"].tolist(), float(found["mean_by_column_standard_error"])
        ([2.0, 4.0], 1.0)
    """
    number = len(found.by_column)
    check(number >= 2, "repetitions", number, "give 2 or more")
    root = np.sqrt(number)
    result: dict[str, Any] = {}
    for part, values in found._asdict().items():
        result[part] = values.mean(axis=0)
        result[f"{part}_standard_error"] = values.std(axis=0, ddof=1) / root
        result[f"mean_{part}"] = values.mean()
        spread = values.mean(axis=1).std(ddof=1)
        result[f"mean_{part}_standard_error"] = spread / root
    return result
