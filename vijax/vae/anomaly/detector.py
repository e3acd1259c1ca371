r"""A detector of anomalies: fitted without labels, with calibrated p-values.

    detector = fit_detector(key, train)         a raw table, or images
    score(detector, x)                          higher is odder
    p_value(detector, x)                        uniform on background
    threshold(detector, 0.01)                   score at a false-positive rate
    score_by_column(detector, x)                why is it odd

The score is the mean of several views, each centred and scaled by what it gives for
training rows that were held out. Which view is best differs from data set to data set,
and only labels could tell.

    tables   near and far neighbours (`neighbours`), on two scales of the columns
             (`table_columns`); from 2,000 rows on also -ELBO of VAEs
    images   log of the share that VAEs cannot draw, log of the distance to the
             nearest training latents, and of the angle to the nearest training image,
             compared by where their edges run (`stroke_directions`)

A tenth of a table's rows, the oddest, are no neighbours of others: anomalies that were
left in training are each other's neighbours. Every training row is held out once: from
its own neighbours, and from one of the VAEs, each of which leaves out its part of the
rows. So with n rows

    p_value = (1 + number of held-out scores >= score) / (n + 1),

which is uniform in n + 1 steps if background is like the training rows. Anomalies that
were left among them make p-values larger, never smaller.

References:
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World;
    Barber et al. (2021), arXiv:1905.02928 (out-of-fold scores).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from vijax import archive
from vijax.types import Key
from vijax.vae import store
from vijax.vae.anomaly import (
    column_reports,
    detector_networks,
    neighbours,
    table_columns,
)
from vijax.vae.anomaly.detector_networks import Networks
from vijax.vae.anomaly.table_columns import Columns, Encoded, NumberScale
from vijax.validate import check, is_whole

KIND = "detector of vijax.vae.anomaly"
NETWORK_ROWS = 2000  # from which on a network learns more of a table than neighbours


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector is fitted; None takes what suits the data.

    Raises:
        ValueError: a number is out of its range.
    """

    networks: bool | None = None  # VAEs of a table; by default from 2,000 rows on
    trainings: int = 4  # VAEs, each without its own part of the rows
    hidden: tuple[int, ...] | None = None  # widths of the encoder's hidden layers
    latent: int | None = None  # latent dimensions
    steps: int = 2500  # of optimisation
    trim: float = 0.1  # share of a table's rows, the oddest, that are no references
    max_references: int = 4096  # rows, or latents, that neighbours are sought among
    max_images: int = 20_000  # training images that the nearest one is sought among

    def __post_init__(self) -> None:
        for name, least in (
            ("trainings", 2),
            ("steps", 1),
            ("max_references", 2),
            ("max_images", 2),
        ):
            value = getattr(self, name)
            valid = is_whole(value) and value >= least
            check(valid, name, value, f"give a whole number of {least} or more")
        check(0 <= self.trim <= 0.5, "trim", self.trim, "give a share of 0 to 0.5")


DEFAULT = DetectorSettings()


@dataclass(frozen=True)
class Detector:
    """A fitted detector, a pytree of its arrays. `print` shows what it holds."""

    columns: Columns | None  # of a table; None of images
    references: Encoded | None  # a table's rows that neighbours are sought among
    networks: Networks | None
    centre: Any  # (views,), of each view over held-out rows
    spread: Any  # (views,)
    held_out: Any  # (rows,), scores of training rows, in order

    def __str__(self) -> str:
        rows = len(self.held_out)
        what = (
            "images" if self.columns is None else f"{len(self.columns.names)} columns"
        )
        trained = 0 if self.networks is None else self.networks.num_trainings
        lines = [
            f"detector of {what}",
            *(
                []
                if self.columns is None
                else column_reports.readings(self.columns, rows)
            ),
            f"views       {', '.join(view_names(self))}",
            f"networks    {trained}",
            f"calibrated  on {rows} rows held out, p-values from {1 / (rows + 1):.2g}",
        ]
        for rate in (0.01, 0.05):
            if rate * (rows + 1) >= 1:
                cut = threshold(self, rate)
                lines.append(
                    f"threshold   {cut:.4g} at a false-positive rate of {rate}"
                )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


jax.tree_util.register_dataclass(Detector)
TYPES = store.TYPES | {
    kind.__name__: kind for kind in (Detector, Columns, NumberScale, Encoded, Networks)
}


class _Views(NamedTuple):
    """Names of the views of each part."""

    neighbours: tuple[str, ...] = ("near", "far")
    table_networks: tuple[str, ...] = ("negative ELBO",)
    images: tuple[str, ...] = ("unexplained share", "latent distance", "angle")


def fit_detector(
    key: Key,
    train: Any,
    *,
    categories: Sequence[Any] = (),
    settings: DetectorSettings = DEFAULT,
) -> Detector:
    """Fit a detector to training data that are background, or mostly so.

    Args:
        key: of the networks and of which rows they leave out.
        train: a table, as for `table_columns.fit_columns`: numbers, counts, text,
            missing values; or images (n, height, width) or with colours, 0 or more.
        categories: columns of numbers that are categories, of a table.
        settings: see `DetectorSettings`.

    Returns:
        `Detector`.

    Raises:
        ValueError: fewer than 8 rows, columns or pixels that are not as described, a
            number out of its range.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> p_value(detector, np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])).round(2)
        array([1.  , 0.01])
    """
    if isinstance(train, np.ndarray | jax.Array) and np.ndim(train) >= 3:
        remedy = "images have no columns"
        check(not categories, "categories", list(categories), remedy)
        of_images, held_out = detector_networks.fit_images(key, train, settings)
        views = np.stack(held_out, axis=1)
        return _calibrated(Detector(None, None, of_images, *_no_views()), views)
    columns = table_columns.fit_columns(train, categories=categories)
    encoded = table_columns.encode(columns, train)
    rows = len(encoded.standard)
    check(rows >= 8, "rows", rows, "give 8 rows or more")
    of_references, of_networks = jax.random.split(key)
    order = np.asarray(jax.random.permutation(of_references, rows))
    chosen = order[: settings.max_references]
    chosen = _without_oddest(encoded, chosen, settings.trim)
    references, own = _references(encoded, chosen)
    parts = [_neighbour_views(references, encoded, own)]
    networks: Networks | None = None
    if settings.networks or (settings.networks is None and rows >= NETWORK_ROWS):
        networks, negative_elbo = detector_networks.fit_table(
            of_networks, encoded, settings
        )
        parts.append(negative_elbo[:, None])
    detector = Detector(columns, references, networks, *_no_views())
    return _calibrated(detector, np.concatenate(parts, axis=1))


def score(detector: Detector, x: Any) -> Float[np.ndarray, " rows"]:
    """Return how odd each row or image is, in spreads of background; higher is odder.

    The score of a row does not depend on the others: a stream may come in batches of
    any size.

    Args:
        detector: from `fit_detector`.
        x: rows with the columns of the training table, or images of the same shape.

    Raises:
        ValueError: other columns or another shape, as `fit_detector`.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> near, far = score(detector, np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]))
        >>> bool(near < far)
        True
    """
    if detector.columns is None:
        views = detector_networks.image_views(_networks(detector), x)
    else:
        encoded = table_columns.encode(detector.columns, x)
        views = _table_views(detector, encoded)
    return _combined(detector, views)


def p_value(detector: Detector, x: Any) -> Float[np.ndarray, " rows"]:
    """Return the chance that background looks at least as odd as each row.

        p = (1 + number of held-out scores >= score) / (n + 1)

    Args:
        detector: from `fit_detector`.
        x: as for `score`.

    Raises:
        ValueError: as `score`.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> p_value(detector, np.full((1, 3), 9.0)).item()  # 1 / (99 + 1)
        0.01
    """
    return p_value_of_score(detector, score(detector, x))


def p_value_of_score(
    detector: Detector, scores: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """Return the p-values of scores that are known already; see `p_value`.

    Args:
        detector: from `fit_detector`.
        scores: by `score`.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> p_value_of_score(detector, np.array([-np.inf, np.inf])).tolist()
        [1.0, 0.01]
    """
    below = np.searchsorted(detector.held_out, scores, side="left")
    return (1 + len(detector.held_out) - below) / (len(detector.held_out) + 1)


def threshold(detector: Detector, false_positive_rate: float) -> float:
    """Return the score from which on p-values are at or below a rate.

    Args:
        detector: from `fit_detector`.
        false_positive_rate: of background that is to be called odd.

    Raises:
        ValueError: a rate that is not between 1 / (n + 1) and 1: n rows cannot tell.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> cut = threshold(detector, 0.05)
        >>> int(np.sum(detector.held_out >= cut))  # 0.05 · (99 + 1) - 1
        4
    """
    rows = len(detector.held_out)
    valid = 1 / (rows + 1) <= false_positive_rate <= 1
    remedy = f"{rows} rows were held out: give {1 / (rows + 1):.3g} to 1"
    check(valid, "false_positive_rate", false_positive_rate, remedy)
    allowed = int(np.floor(false_positive_rate * (rows + 1) * (1 + 1e-12))) - 1
    if allowed >= rows:
        return -np.inf
    return float(np.nextafter(detector.held_out[rows - 1 - allowed], np.inf))


def score_by_column(detector: Detector, x: Any) -> Float[np.ndarray, "rows columns"]:
    """Say why rows of a table are odd: what each column adds to the score.

    A column's share is how much the score falls if the column is as in the training row
    that is nearest in all the others. For images see `score_by_pixel`.

    Args:
        detector: of a table.
        x: as for `score`.

    Raises:
        ValueError: a detector of images; as `score`.

    Example:
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> int(score_by_column(detector, np.array([[0.0, 9.0, 0.0]])).argmax())
        1
    """
    if detector.columns is None or detector.references is None:
        raise ValueError("the detector is of images: use score_by_pixel")
    encoded, references = table_columns.encode(detector.columns, x), detector.references
    whole = _combined(detector, _table_views(detector, encoded))
    squared = neighbours.squared_distances(references.standard, encoded.standard)
    shares = []
    for column in range(len(detector.columns.names)):
        of = np.flatnonzero(detector.columns.owners == column)
        here = neighbours.squared_distances(
            references.standard[:, of], encoded.standard[:, of]
        )
        nearest = np.argmin(squared - here, axis=1)
        changed = Encoded(*(np.array(part) for part in encoded))
        for part, reference in zip(changed, references, strict=True):
            part[:, of] = reference[nearest][:, of]
        shares.append(whole - _combined(detector, _table_views(detector, changed)))
    return np.stack(shares, axis=1)


def score_by_pixel(detector: Detector, x: Any) -> Float[np.ndarray, "..."]:
    """Say where images are odd: each pixel's part of what the networks cannot draw.

    Args:
        detector: of images.
        x: as for `score`.

    Returns:
        (n, *shape), the squared residual, mean over the networks, as a share of the
        image's; the shares of an image add up to 1.

    Raises:
        ValueError: a detector of a table; as `score`.
    """
    if detector.columns is not None:
        raise ValueError("the detector is of a table: use score_by_column")
    return detector_networks.pixel_shares(_networks(detector), x)


def save(path: Path | str, detector: Detector) -> Path:
    """Write a detector to one file, without pickle; return its path.

    Raises:
        ValueError: the path is a folder.
        OSError: the file cannot be written; what was there before is intact.

    Example:
        >>> import tempfile
        >>> train = np.random.default_rng(0).normal(size=(99, 3))
        >>> detector = fit_detector(jax.random.key(0), train)
        >>> path = save(Path(tempfile.mkdtemp()) / "detector.npz", detector)
        >>> bool((score(load(path), train) == score(detector, train)).all())
        True
    """
    if not isinstance(detector, Detector):
        raise ValueError(
            f"detector is not valid: it is of type {type(detector).__name__}; give "
            "save(path, detector), the path first and then what fit_detector returns"
        )
    return archive.write(path, detector, kind=KIND, types=TYPES)


def load(path: Path | str) -> Detector:
    """Return the detector that `save` wrote, in any process.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, foreign, or not a detector's.
    """
    return archive.read(path, kind=KIND, types=TYPES)


def view_names(detector: Detector) -> tuple[str, ...]:
    """Return what each view of a detector measures."""
    names = _Views()
    if detector.columns is None:
        return names.images
    return names.neighbours + (names.table_networks if detector.networks else ())


def _networks(detector: Detector) -> Networks:
    assert detector.networks is not None  # of images always
    return detector.networks


def _no_views() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(0), np.zeros(0), np.zeros(0)


def _neighbour_views(
    references: Encoded, encoded: Encoded, own: np.ndarray | None = None
) -> Float[np.ndarray, "rows views"]:
    """Return near and far, mean over both scales of the columns."""
    found = [
        neighbours.neighbourhood(reference, part, own)
        for reference, part in zip(references, encoded, strict=True)
    ]
    return np.mean([np.stack(one, axis=1) for one in found], axis=0)


def _references(
    encoded: Encoded, chosen: np.ndarray
) -> tuple[Encoded, Int[np.ndarray, " rows"]]:
    """Return the chosen rows, and of all rows which of them each is, -1 for none."""
    own = np.full(len(encoded.standard), -1)
    own[chosen] = np.arange(len(chosen))
    return Encoded(*(part[chosen] for part in encoded)), own


def _without_oddest(encoded: Encoded, chosen: np.ndarray, share: float) -> np.ndarray:
    """Return the chosen rows without the share of them that is oddest among the rest.

    Anomalies that were left in training are each other's neighbours. Twice, for the
    first judgement is made among them.
    """
    kept = chosen
    for _ in range(2 if share else 0):
        references, own = _references(encoded, kept)
        candidates = Encoded(*(part[chosen] for part in encoded))
        views = _neighbour_views(references, candidates, own[chosen])
        centre, spread = _centre_and_spread(views[own[chosen] >= 0])
        oddness = np.mean((views - centre) / spread, axis=1)
        number = max(len(chosen) - int(share * len(chosen)), 2)
        kept = chosen[np.sort(np.argsort(oddness, kind="stable")[:number])]
    return kept


def _table_views(detector: Detector, encoded: Encoded) -> np.ndarray:
    assert detector.references is not None
    views = [_neighbour_views(detector.references, encoded)]
    if detector.networks is not None:
        views.append(detector_networks.table_view(detector.networks, encoded)[:, None])
    return np.concatenate(views, axis=1)


def _calibrated(detector: Detector, views: np.ndarray) -> Detector:
    """Fill in centre, spread and held-out scores from views of held-out rows."""
    centre, spread = _centre_and_spread(views)
    detector = replace(detector, centre=centre, spread=spread)
    return replace(detector, held_out=np.sort(_combined(detector, views)))


def _centre_and_spread(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = np.median(views, axis=0)
    # Of the lower half: anomalies left in training widen the upper one.
    spread = centre - np.quantile(views, 0.16, axis=0)
    return centre, np.where(spread > 0, spread, 1.0)


def _combined(detector: Detector, views: np.ndarray) -> np.ndarray:
    """Return the mean of the views.

    arsinh, a logarithm in the tail, keeps nats from drowning logarithms of distances.
    """
    scaled = (views - detector.centre) / detector.spread
    nats = [name == "negative ELBO" for name in view_names(detector)]
    return np.mean(np.where(nats, np.arcsinh(scaled), scaled), axis=1)
