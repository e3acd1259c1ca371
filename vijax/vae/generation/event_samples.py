r"""Events drawn from a VAE, and how far sets of events are from real ones.

    scaled = draw(model, params, key, 2000)                  from p(x), and its mean
    found = compare(key, real, {"VAE": generated}, size=500, repetitions=4)
    summarise(found["VAE"])["mean_by_column"]

Distances are Wasserstein distances W₁ of every column and of every pair of columns.
They are above zero even between sets of real events. So put such a set among the
generated ones: its distance is what a perfect generator would have. Put all columns on
one scale before (`event_tables.scaled`); distances are then in standard deviations.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from vijax.metrics import wasserstein
from vijax.types import Key
from vijax.vae import event_tables
from vijax.vae.event_tables import Scale
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check, is_whole

Events = Float[np.ndarray, "_ features"]  # the numbers of events may differ


class Drawn(NamedTuple):
    """Events from the prior of a VAE, as its decoder sees them."""

    sample: Float[Array, "events features"]  # with the decoder's own noise
    mean: Float[Array, "events features"]  # without: a narrower distribution


class Distances(NamedTuple):
    """Of one set of events from real ones, in the units of the columns."""

    by_column: Float[np.ndarray, "repetitions columns"]
    by_pair: Float[np.ndarray, "repetitions pairs"]


def draw(model: VAE, params: ModelParams, key: Key, num_samples: int) -> Drawn:
    """Draw events from the prior, with the decoder's own noise and without.

    p(x) is what the decoder's distribution makes of N(0, I). Its mean alone, which is
    often shown, is another distribution, and a narrower one.

    Args:
        model: the architecture.
        params: its parameters.
        key: for z and for the decoder's noise.
        num_samples: events, 1 or more.

    Returns:
        `Drawn`, on the scale that the VAE was trained on.

    Raises:
        ValueError: if `num_samples` is not a whole number of 1 or more.

    Example:
        >>> from vijax.vae.models.likelihoods import gaussian
        >>> model = autoencoders.vae((3,), hidden=(), likelihood=gaussian(1.0))
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> drawn = draw(model, params, jax.random.key(1), 5)
        >>> drawn.sample.shape, drawn.mean.shape
        ((5, 3), (5, 3))
    """
    valid = is_whole(num_samples) and num_samples >= 1
    check(valid, "num_samples", num_samples, "give a whole number of 1 or more")
    keys = [jax.random.fold_in(key, i) for i in range(2)]
    z = jax.random.normal(keys[0], (num_samples, model.latent))
    outputs = autoencoders.decode(model, params, z)
    sample = model.likelihood.sample(keys[1], outputs)
    return Drawn(sample, model.likelihood.mean(outputs))


def with_whole_numbers(scaled: Events, scale: Scale, whole: Any) -> Events:
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
        >>> with_whole_numbers(np.array([[0.3]]), scale, [True]).tolist()  # 2.3 is 2
        [[0.0]]
    """
    whole = np.asarray(whole, bool)
    columns = np.shape(scaled)[1:]
    remedy = f"give one for each column, {columns}"
    check(whole.shape == columns, "whole's shape", whole.shape, remedy)
    table = event_tables.unscaled(scaled, scale)
    return event_tables.scaled(np.where(whole, np.rint(table), table), scale)


def compare(
    key: Key,
    real: Events,
    generated: Mapping[str, Events],
    *,
    size: int,
    repetitions: int,
) -> dict[str, Distances]:
    """Measure sets of events against real ones, again and again on other events.

    Rows are chosen by NumPy on the host, from a seed that the key gives.

    Args:
        key: for the choice of real events.
        real: (n, features), n >= `size`: held-out events.
        generated: name -> (`size` · `repetitions` events or more, features). Put real
            events that nothing was trained on among them, for the floor.
        size: events in a set; the time of pairs grows as its cube.
        repetitions: of every measurement, on other events; 2 or more for errors.

    Returns:
        Name -> `Distances`.

    Raises:
        ValueError: if there are too few events, or sizes are not 1 or more; as
            `wasserstein.wasserstein`.

    Example:
        >>> real = np.zeros((3, 2))
        >>> found = compare(
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
    rng = np.random.default_rng(int(jax.random.bits(key)))
    measured = {}
    for name, events in generated.items():
        parts = np.asarray(events)[:many].reshape(repetitions, size, -1)
        rows = [distances(rng.permutation(real)[:size], part) for part in parts]
        measured[name] = Distances(*map(np.stack, zip(*rows, strict=True)))
    return measured


def distances(
    real: Events, generated: Events
) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " pairs"]]:
    """Return W₁ of every column, and of every pair of columns.

    Args:
        real: (n, features).
        generated: as many events of the same columns.

    Returns:
        Distances of the columns, and of the pairs (0, 1), (0, 2), …, (1, 2), ….

    Raises:
        ValueError: as `wasserstein.wasserstein`.

    Example:
        >>> columns, pairs = distances(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
        >>> columns.tolist(), pairs.tolist()
        ([3.0, 4.0], [5.0])
    """
    pairs = [
        wasserstein.wasserstein(real[:, list(pair)], generated[:, list(pair)])
        for pair in combinations(range(real.shape[1]), 2)
    ]
    return wasserstein.by_column(real, generated), np.array(pairs, float)


def summarise(found: Distances) -> dict[str, Any]:
    """Return means over repetitions with their errors, and means over columns, pairs.

    Args:
        found: from `compare`, of two repetitions or more.

    Returns:
        `by_column` and `by_pair`, `mean_by_column` and `mean_by_pair`, each with a
        `…_standard_error`.

    Raises:
        ValueError: if there is only one repetition.

    Example:
        >>> columns = np.array([[1.0, 3.0], [3.0, 5.0]])
        >>> found = summarise(Distances(columns, columns[:, :1]))
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
