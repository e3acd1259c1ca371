r"""Files of events that keep every number within a bound, and what they cost.

    coder = fit_table_coder(key, train, bound=0.01, logarithm=True)
    coded = measure_table_file(coder, train, test, bound=0.01)
    coded.bits_per_number, coded.others["xz"], coded.largest_error
    quantity_errors(quantities(test), quantities(coded.decoded))

A bound is relative for a column that is scaled by its logarithm and absolute for the
others; 0.49 keeps whole numbers exact. `measure_table_file` decodes its own file and
checks every number. `quantity_errors` says what the errors do to the quantities of an
analysis.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import gammaln

from vijax.metrics.wasserstein import wasserstein_by_column
from vijax.types import Key
from vijax.vae import event_tables, training
from vijax.vae.compression import baselines, file_format
from vijax.vae.event_tables import ColumnScale, Events
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check

BATCH_SIZE = 100


@dataclass(frozen=True)
class TableCoderSettings:
    """Architecture and training of the VAE whose density the file codes with."""

    latent: int = 4  # latent dimensions
    hidden: tuple[int, ...] = (64, 64)  # widths of the encoder's hidden layers
    epochs: int = 15  # passes over the events
    batch_size: int = 256  # events in a step
    learning_rate: float = 2e-3  # Adam's at the first step; falls along a cosine
    min_scale: float = 0.01  # least standard deviation of a column, in its own


DEFAULT = TableCoderSettings()


class TableCoder(NamedTuple):
    """A trained VAE of scaled events."""

    model: VAE
    params: ModelParams
    scale: ColumnScale


class TableFileCost(NamedTuple):
    """A file of events; rates in bits per number."""

    decoded: Events  # the events as they come back
    file_bytes: int
    bits_per_number: float
    columns_bits_per_number: float  # of an adaptive code of each column alone
    others: dict[str, float]  # general-purpose code -> bits per number
    largest_error: Float[np.ndarray, " features"]
    encoded_events_per_second: float
    decoded_events_per_second: float


def fit_table_coder(
    key: Key,
    table: Events,
    *,
    bound: Any,
    logarithm: Any = False,
    settings: TableCoderSettings = DEFAULT,
) -> TableCoder:
    """Train a VAE whose density, integrated over bins, is what the file codes with.

    In each step a number is moved at random inside its bin, which is twice as wide as
    its bound. The ELBO of moved numbers is a bound on the log probability of the bins,
    and whole numbers have a finite density.

    Args:
        key: of the training.
        table: (n, features), the training events.
        bound: the finest that will be asked for, of each column or of all.
        logarithm: for each column, whether the network sees its logarithm.
        settings: architecture and training.

    Returns:
        `TableCoder`.

    Raises:
        ValueError: if a bound is not above 0; as `event_tables.fit_scale` and
            `training.fit`.

    References:
        Theis, van den Oord & Bethge (2016), arXiv:1511.01844, section 3.1.

    Example:
        >>> table = np.random.default_rng(0).normal(size=(20, 2))
        >>> small = TableCoderSettings(latent=1, hidden=(), epochs=1)
        >>> coder = fit_table_coder(
        ...     jax.random.key(0), table, bound=0.1, settings=small
        ... )
        >>> coder.model.shape
        (2,)
    """
    scale = event_tables.fit_scale(table, logarithm=logarithm)
    bound = np.broadcast_to(np.asarray(bound, float), scale.loc.shape)
    check(bound > 0, "bound", bound, "give numbers above 0")
    half = np.where(scale.logarithm, np.log1p(bound), bound)
    width = jnp.asarray(2 * half / scale.scale, jnp.float32)

    def prepare(key: Key, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x + width * (jax.random.uniform(key, x.shape, x.dtype) - 0.5)

    likelihood = likelihoods.gaussian(None, min_scale=settings.min_scale)
    model = autoencoders.vae(
        np.shape(table)[1:],
        latent=settings.latent,
        hidden=settings.hidden,
        likelihood=likelihood._replace(prepare=prepare),
    )
    trained = training.fit(
        model,
        key,
        event_tables.to_scaled(table, scale).astype(np.float32),
        epochs=settings.epochs,
        batch_size=min(settings.batch_size, len(table)),
        optimizer=training.Adam(settings.learning_rate),
        description="VAE of events",
    )
    return TableCoder(model, trained.params, scale)


def measure_table_file(
    coder: TableCoder,
    train: Events,
    table: Events,
    *,
    bound: Any,
    batch_size: int = BATCH_SIZE,
) -> TableFileCost:
    """Code held-out events, decode them, and check every number against its bound.

    Args:
        coder: from `fit_table_coder`.
        train: the training events, whose statistics the code of each column alone
            has seen.
        table: (n, features), the events of the file; two or more.
        bound: greatest error of each column or of all: relative where the column is
            scaled by its logarithm, else absolute.
        batch_size: events that the networks see at once, n at the most; for speed.

    Returns:
        `TableFileCost`.

    Raises:
        ValueError: as `file_format.encode_table`.
        RuntimeError: if a number comes back outside its bound.

    Example:
        >>> table = np.random.default_rng(0).normal(size=(20, 2))
        >>> small = TableCoderSettings(latent=1, hidden=(), epochs=1)
        >>> coder = fit_table_coder(jax.random.key(0), table, bound=0.1, settings=small)
        >>> coded = measure_table_file(coder, table, table, bound=0.1)
        >>> bool(coded.largest_error.max() <= 0.1), coded.decoded.shape
        (True, (20, 2))
    """
    table = np.asarray(table, float)
    model, params, scale = coder
    encode = partial(
        file_format.encode_table,
        model,
        params,
        scale=scale,
        bound=bound,
        batch_size=min(batch_size, max(len(table), 1)),
    )
    # Compiles everything, so that the clock sees none of it.
    file_format.decode_table(model, params, encode(table=table[:2]))
    start = time.perf_counter()
    data = encode(table=table)
    encoded = time.perf_counter()
    decoded = file_format.decode_table(model, params, data)
    stop = time.perf_counter()
    error = np.abs(decoded - table) / np.where(scale.logarithm, table, 1.0)
    if not np.all(error <= bound):
        raise RuntimeError(f"errors of {error.max(axis=0)} are above {bound}")
    bins = event_tables.to_bins(table, scale, bound)
    before = np.rint((event_tables.to_scaled(train, scale) - bins.lower) / bins.step)
    smallest = np.uint16 if bins.symbols.max() < 2**16 else np.uint32
    columns = np.ascontiguousarray(bins.symbols.T.astype(smallest)).tobytes()
    sizes = baselines.general_purpose_bits(columns)
    return TableFileCost(
        decoded,
        len(data),
        8 * len(data) / table.size,
        columns_code_length(before.astype(int), bins.symbols) / table.size,
        {name: bits / table.size for name, bits in sizes.items()},
        error.max(axis=0),
        len(table) / (encoded - start),
        len(table) / (stop - encoded),
    )


def columns_code_length(
    train: Int[np.ndarray, "_ features"], symbols: Int[np.ndarray, "_ features"]
) -> float:
    r"""Return the bits of an adaptive code of each column alone, after training data.

    It is `lossy.code_length` in float64 for alphabets of any size, which differ from
    column to column. Training symbols outside a column's alphabet are not counted.

    Args:
        train: symbols of the training data.
        symbols: of the data to be coded, 0 or more.

    Raises:
        ValueError: if a symbol is below 0, or the tables have different columns.

    Example:
        >>> seen, symbols = np.array([[0], [1]]), np.array([[0], [0], [1]])
        >>> bits = columns_code_length(seen, symbols)
        >>> round(bits, 3)  # -log2(1.5/3 · 2.5/4 · 1.5/5)
        3.415
    """
    check(symbols >= 0, "symbols", symbols, "give numbers of 0 or more")
    remedy = f"give {symbols.shape[1]} columns"
    check(train.shape[1] == symbols.shape[1], "train's columns", train.shape[1], remedy)
    nats = 0.0
    for old, new in zip(train.T, symbols.T, strict=True):
        # Of the symbols that occur alone: an alphabet may have 2^31.
        levels, counts = np.unique(new, return_counts=True)
        size = int(new.max()) + 1
        old = np.sort(old[(old >= 0) & (old < size)])
        before = np.searchsorted(old, levels, "right") - np.searchsorted(old, levels)
        alpha = 0.5 + before
        gain = gammaln(alpha + counts) - gammaln(alpha)
        total = 0.5 * size + len(old)
        nats += gammaln(total + len(new)) - gammaln(total) - gain.sum()
    return float(nats / np.log(2))


def quantity_errors(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> dict[str, dict[str, float]]:
    """Return how far each quantity is off, event by event and on the whole.

    Args:
        before: quantity -> its value for each event, not 0; two events or more.
        after: the same quantities of the events as they came back.

    Returns:
        For each quantity: `largest` and `root_mean_square`, its relative error;
        `shift_of_mean`, in standard errors of that mean; `wasserstein`, the distance
        of both distributions in standard deviations.

    Raises:
        ValueError: if the quantities differ in names or lengths, or one is 0 before.

    Example:
        >>> mass = np.array([1.0, 2.0, 3.0])
        >>> found = quantity_errors({"mass": mass}, {"mass": 1.01 * mass})["mass"]
        >>> round(found["largest"], 6), round(found["wasserstein"], 6)
        (0.01, 0.02)
    """
    same = list(before) == list(after)
    check(same, "after", list(after), f"give the quantities {list(before)}")
    result = {}
    for name, values in before.items():
        true, found = np.asarray(values, float), np.asarray(after[name], float)
        remedy = f"give {true.shape}, two events or more"
        fits = true.ndim == 1 and len(true) >= 2 and found.shape == true.shape
        check(fits, f"the shape of after[{name!r}]", found.shape, remedy)
        check(true != 0, f"before[{name!r}]", true, "leave out events where it is 0")
        relative = found / true - 1
        spread = true.std(ddof=1)
        (distance,) = wasserstein_by_column(true[:, None], found[:, None])
        shift = (found.mean() - true.mean()) / (spread / np.sqrt(len(true)))
        result[name] = {
            "largest": float(np.abs(relative).max()),
            "root_mean_square": float(np.sqrt(np.mean(relative**2))),
            "shift_of_mean": float(shift),
            "wasserstein": float(distance / spread),
        }
    return result
