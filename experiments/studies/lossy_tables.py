"""Tables of events into a file, every number within its bound, and what that does."""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import gammaln
from scipy.stats import wasserstein_distance

from vijax.types import Key
from vijax.vae import event_tables, training
from vijax.vae.compression import file_format, lossy
from vijax.vae.event_tables import ColumnScale, Table
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

BATCH_SIZE = 100
# Columns of CMS multijet events: kinematic ones by their logarithm, counts exactly.
LOGARITHM = np.array([True, True, True, True, False, False])
COUNT_BOUND = 0.49


class Coder(NamedTuple):
    """A trained VAE of scaled events."""

    model: VAE
    params: ModelParams
    scale: ColumnScale


def bounds(relative: float) -> np.ndarray:
    """Return each column's bound: relative for kinematics, below ½ for counts."""
    return np.where(LOGARITHM, relative, COUNT_BOUND)


def fit(
    table: Table,
    key: Key,
    *,
    finest: float,
    latent: int,
    hidden: tuple[int, ...],
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> Coder:
    """Train a VAE whose density, integrated over bins, is what the file codes with.

    Numbers are moved at random inside their bins in each step. The ELBO of that is a
    bound on the bins' own log probability, and whole numbers have a finite density.

    References:
        Theis, van den Oord & Bethge (2016), arXiv:1511.01844, section 3.1.
    """
    scale = event_tables.fit_scale(table, logarithm=LOGARITHM)
    width = np.where(LOGARITHM, 2 * np.log1p(finest), 1.0) / scale.scale
    width = jnp.asarray(width, jnp.float32)

    def prepare(key: Key, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x + width * (jax.random.uniform(key, x.shape, x.dtype) - 0.5)

    likelihood = likelihoods.gaussian(None, min_scale=0.01)._replace(prepare=prepare)
    model = autoencoders.vae(
        table.shape[1:], latent=latent, hidden=hidden, likelihood=likelihood
    )
    trained = training.fit(
        model,
        key,
        event_tables.to_scaled(table, scale).astype(np.float32),
        epochs=epochs,
        batch_size=min(batch_size, len(table)),
        optimizer=training.Adam(learning_rate),
        description="VAE of events",
    )
    return Coder(model, trained.params, scale)


def code(
    coder: Coder, train_table: Table, table: Table, relative: float
) -> tuple[dict[str, Any], Table]:
    """Code held-out events, decode them, and check every number against its bound.

    Returns:
        Metrics, and the events as they come back.

    Raises:
        RuntimeError: if a number comes back outside its bound.
    """
    bound = bounds(relative)
    encode = partial(
        file_format.encode_table, *coder[:2], scale=coder.scale, bound=bound
    )
    batch_size = min(BATCH_SIZE, len(table))
    file_format.decode_table(*coder[:2], encode(table=table[:2], batch_size=batch_size))
    start = time.perf_counter()
    data = encode(table=table, batch_size=batch_size)
    encoded = time.perf_counter()
    decoded = file_format.decode_table(*coder[:2], data)
    stop = time.perf_counter()
    error = np.abs(decoded - table) / np.where(LOGARITHM, table, 1.0)
    if not np.all(error <= bound):
        raise RuntimeError(f"errors of {error.max(axis=0)} are above {bound}")
    bins = event_tables.to_bins(table, coder.scale, bound)
    before = np.rint(
        (event_tables.to_scaled(train_table, coder.scale) - bins.lower) / bins.step
    )
    smallest = np.uint16 if bins.symbols.max() < 2**16 else np.uint32
    columns = np.ascontiguousarray(bins.symbols.T.astype(smallest)).tobytes()
    sizes = lossy.general_purpose_bits(columns)
    return {
        "bound": relative,
        "bits_per_number": 8 * len(data) / table.size,
        "file_bytes": len(data),
        "columns_bits_per_number": columns_alone(before, bins.symbols) / table.size,
        "others": {name: bits / table.size for name, bits in sizes.items()},
        "largest_error": error.max(axis=0),
        "encoded_events_per_second": len(table) / (encoded - start),
        "decoded_events_per_second": len(table) / (stop - encoded),
    }, decoded


def weights_bytes(coder: Coder) -> int:
    """Return what the receiver needs before the first event."""
    return lossy.parameter_bits(coder.params) // 8


def columns_alone(before: np.ndarray, symbols: np.ndarray) -> float:
    """Return bits of an adaptive code of each column alone that has seen training data.

    Example:
        >>> seen, symbols = np.array([[0], [1]]), np.array([[0], [0], [1]])
        >>> round(columns_alone(seen, symbols), 3)  # -log2(1.5/3 · 2.5/4 · 1.5/5)
        3.415
    """
    nats = 0.0
    for old, new in zip(before.T.astype(int), symbols.T, strict=True):
        size = new.max() + 1
        alpha = 0.5 + np.bincount(old[(old >= 0) & (old < size)], minlength=size)
        counts = np.bincount(new, minlength=size)
        gain = gammaln(alpha + counts) - gammaln(alpha)
        total = alpha.sum()
        nats += gammaln(total + len(new)) - gammaln(total) - gain.sum()
    return nats / np.log(2)


def physics(table: Table) -> dict[str, np.ndarray]:
    """Return what an analysis makes of the columns: each has errors of several.

    Args:
        table: columns MR, Rsq, HT, MET, nJets, nBJets.
    """
    mr, rsq, ht, met = table[:, :4].T
    return {
        "MR": mr,
        "MET": met,
        "transverse mass MR √Rsq": mr * np.sqrt(rsq),
        "MET / √HT": met / np.sqrt(ht),
    }


def damage(table: Table, decoded: Table) -> dict[str, dict[str, float]]:
    """Return how far each quantity of physics is off, event by event and on the whole.

    Returns:
        For each quantity its largest and root mean square relative error, the shift
        of its mean in standard errors of that mean, and the Wasserstein distance of
        the distributions in standard deviations.
    """
    result = {}
    for (name, true), found in zip(
        physics(table).items(), physics(decoded).values(), strict=True
    ):
        relative = found / true - 1
        spread = true.std(ddof=1)
        shift = (found.mean() - true.mean()) / (spread / np.sqrt(len(true)))
        result[name] = {
            "largest": np.abs(relative).max(),
            "root_mean_square": np.sqrt(np.mean(relative**2)),
            "shift_of_mean": shift,
            "wasserstein": wasserstein_distance(true, found) / spread,
        }
    return result
