r"""Raw tables of mixed columns, as numbers that distances and networks can work on.

    columns = fit_columns(table)              learns the scales, from training rows
    encode(columns, table).normal             (rows, features)

A column of numbers gives one feature, on two scales: `standard`, in standard deviations
from the mean, and `normal`, the normal score of its rank among the training values,
which goes on in standard deviations beyond the lowest and the highest. A category gives
an indicator for each of its levels. Further indicators say that a value is missing,
that a level was never seen, and that a column which was constant is so no more. An
indicator of share p in training is scaled to (indicator - p) / √(p (1 - p)), with
p = (count + 1) / (rows + 2): what happened in no training row is √rows away from it.

`column_checks` refuses columns that say nothing of new rows, such as dates. It runs on
the host, in NumPy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from vijax.vae.anomaly import column_checks
from vijax.validate import check

Features = Float[np.ndarray, "rows features"]


class NumberScale(NamedTuple):
    """How a column of numbers is scaled."""

    loc: Any  # (), mean
    scale: Any  # (), standard deviation, 1 where the column is constant
    values: Any  # (distinct,), the training values in order
    scores: Any  # (distinct,), their normal scores


@dataclass(frozen=True)
class Columns:
    """How the columns of a table are encoded; a pytree of its arrays."""

    names: tuple[str, ...] = field(metadata={"static": True})
    levels: tuple[tuple[str, ...] | None, ...] = field(metadata={"static": True})
    scales: tuple[NumberScale | None, ...]  # None for a category
    shares: Any  # (indicators,), in training, between 0 and 1

    @property
    def owners(self) -> Int[np.ndarray, " features"]:
        """The number of the column that each feature belongs to."""
        counts = [_num_features(levels) for levels in self.levels]
        return np.repeat(np.arange(len(self.names)), counts)

    @property
    def indicator_owners(self) -> Int[np.ndarray, " indicators"]:
        """The number of the column that each indicator belongs to."""
        counts = [2 if n is None else _num_features(n) for n in self.levels]
        return np.repeat(np.arange(len(self.names)), counts)


jax.tree_util.register_dataclass(Columns)


class Encoded(NamedTuple):
    """A table as features, on both scales."""

    standard: Any  # (rows, features)
    normal: Any  # (rows, features)


def fit_columns(table: Any, *, categories: Sequence[Any] = ()) -> Columns:
    """Learn how to encode a table from its training rows.

    Args:
        table: (rows, columns) of numbers, where NaN is missing; or columns by name, a
            dict of arrays, a structured array or a data frame. Text and truth values
            are categories; None is missing there. An array (rows, k) is k columns.
        categories: columns of numbers that are categories: names, or numbers from 0.

    Raises:
        ValueError: fewer than two rows, columns of other lengths, a column that is
            empty, infinite, complex, of dates or of other objects, of numbers and
            words, of whole numbers that float64 rounds, or one with a level for every
            row; a category that is no column. Dates as text, and words among numbers,
            are taken where `categories` names the column.

    Example:
        >>> table = {"mass": [1.0, 2.0, np.nan], "kind": ["a", "b", "a"]}
        >>> columns = fit_columns(table)
        >>> columns.levels
        (None, ('a', 'b'))
        >>> encode(columns, table).standard.shape  # 1 + 2 and 2 + 2 features
        (3, 7)
    """
    raw = column_arrays(table)
    names = tuple(raw)
    chosen = {names[c] if isinstance(c, int) else str(c) for c in categories}
    unknown = sorted(chosen - set(names))
    check(not unknown, "categories", unknown, f"the columns are {', '.join(names)}")
    rows = len(next(iter(raw.values())))
    check(rows >= 2, "rows", rows, "give 2 rows or more")
    levels: list[tuple[str, ...] | None] = []
    scales: list[NumberScale | None] = []
    for name, values in raw.items():
        if name in chosen or values.dtype.kind in "OUSb":
            levels.append(_levels_of(name, values, chosen=name in chosen))
            scales.append(None)
        else:
            column_checks.warn_of_counter(name, values)
            levels.append(None)
            scales.append(_scale_of(name, values))
    columns = Columns(names, tuple(levels), tuple(scales), np.zeros(0))
    indicators = np.concatenate(
        [_indicators(columns, i, values) for i, values in enumerate(raw.values())],
        axis=1,
    )
    shares = (indicators.sum(axis=0) + 1) / (rows + 2)
    return Columns(names, tuple(levels), tuple(scales), shares)


def encode(columns: Columns, table: Any) -> Encoded:
    """Return the features of a table with the same columns.

    Raises:
        ValueError: other columns; as `fit_columns`.

    Example:
        >>> columns = fit_columns(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> encode(columns, np.array([[5.0, 5.0]])).standard[0, 0].item()
        3.0
    """
    raw = column_arrays(table)
    if set(raw) != set(columns.names):
        raise ValueError(
            f"the table has the columns {', '.join(raw)}: give those of the training "
            f"table, {', '.join(columns.names)}"
        )
    raw = {name: raw[name] for name in columns.names}  # in any order
    blocks: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    start = 0
    for index, (name, values) in enumerate(raw.items()):
        on = _indicators(columns, index, values)
        p = columns.shares[start : start + on.shape[1]]
        start += on.shape[1]
        scaled = (on - p) / np.sqrt(p * (1 - p))
        scale, levels = columns.scales[index], columns.levels[index]
        if levels is not None:
            scaled[:, : len(levels)] /= np.sqrt(max(len(levels), 1))
        both = (None, None) if scale is None else _numbers(name, values, scale)
        for block, number in zip(blocks, both, strict=True):
            if number is not None:
                block.append(number[:, None])
            block.append(scaled)
    return Encoded(*(np.concatenate(block, axis=1) for block in blocks))


def text_columns(columns: Columns) -> tuple[str, ...]:
    """Return the columns that held text: categories whose levels are no floats.

    Example:
        >>> text_columns(fit_columns({"a": ["01", "02"], "b": [1, 2]}, categories="b"))
        ('a',)
    """
    named = zip(columns.names, columns.levels, strict=True)
    return tuple(n for n, levels in named if levels and not all(map(_is_float, levels)))


def _is_float(level: str) -> bool:
    return column_checks.is_number(level) and str(float(level)) == level


def _num_features(levels: tuple[str, ...] | None) -> int:
    return 3 if levels is None else len(levels) + 2


def column_arrays(table: Any) -> dict[str, np.ndarray]:
    """Return the columns by name, each with one entry for every row.

    Raises:
        ValueError: no table, columns of other lengths or of what is no number or text.
    """
    if isinstance(table, Mapping):
        raw = {str(name): np.asanyarray(values) for name, values in table.items()}
    elif not isinstance(table, np.ndarray) and hasattr(table, "columns"):
        raw = {str(name): np.asarray(table[name]) for name in table.columns}
    else:
        array = np.asanyarray(table)
        if array.dtype.names:
            raw = {name: array[name] for name in array.dtype.names}
        elif array.ndim == 2:
            raw = {f"column {i}": column for i, column in enumerate(array.T)}
        else:
            raise ValueError(f"the table has shape {array.shape}: give (rows, columns)")
    raw = {
        column: vector
        for name, values in raw.items()
        for column, vector in _vectors(name, values).items()
    }
    lengths = {values.shape for values in raw.values()}
    if len(lengths) != 1 or any(len(shape) != 1 for shape in lengths):
        shapes = {name: values.shape for name, values in raw.items()}
        raise ValueError(
            f"the columns have shapes {shapes}: give vectors of one length"
        )
    return {name: _plain(name, values) for name, values in raw.items()}


def _vectors(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return an array (rows, k) as k columns, name[0] and so on."""
    if values.ndim != 2:
        return {name: values}
    return {f"{name}[{i}]": column for i, column in enumerate(values.T)}


def _plain(name: str, values: np.ndarray) -> np.ndarray:
    """Return floats or text (objects with None); objects that are numbers as floats."""
    if np.ma.isMaskedArray(values):
        mask = np.ma.getmaskarray(values)
        values = np.ma.getdata(values).astype(object)
        values[mask] = None
    if values.dtype.kind == "O":
        values = _plain_objects(name, values)
    if values.dtype.kind in "mM":
        raise ValueError(f"{name} holds times, {column_checks.REMEDY_OF_TIMES}")
    if values.dtype.kind not in "biufOUS":
        raise ValueError(
            f"{name} is of {values.dtype}: give real numbers, text or truth values"
        )
    if values.dtype.kind in "iu":
        is_large = (values > column_checks.EXACT) | (values < -column_checks.EXACT)
        column_checks.check_exact(name, values[is_large])
    if values.dtype.kind in "iuf":
        values = values.astype(float)
        remedy = "remove infinities; NaN is taken as missing"
        check(~np.isinf(values), name, values, remedy)
    return values


def _plain_objects(name: str, values: np.ndarray) -> np.ndarray:
    """Return objects with None where one is missing, or floats if all are numbers."""
    missing = np.array([_is_missing(value) for value in values], bool)
    known = values[~missing]
    if any(isinstance(value, str | bool | np.bool_) for value in known):
        values = values.copy()
        values[missing] = None
        return values
    if any(hasattr(value, "isoformat") for value in known):
        raise ValueError(f"{name} holds times, {column_checks.REMEDY_OF_TIMES}")
    column_checks.check_exact(name, known)
    try:
        return np.where(missing, np.nan, values).astype(float)
    except (TypeError, ValueError) as error:
        kind = type(known[0]).__name__
        raise ValueError(
            f"{name} holds {kind}: give numbers or text, None where missing"
        ) from error


def _is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN, or pandas' NA, which equals nothing."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA says of nothing whether it is true
        return True
    except ValueError:  # an array, which is no value of a column
        return False


def _missing(values: np.ndarray) -> Bool[np.ndarray, " rows"]:
    if values.dtype.kind == "f":
        return np.isnan(values)
    return np.array([value is None for value in values], bool)


def _levels_of(name: str, values: np.ndarray, *, chosen: bool) -> tuple[str, ...]:
    known = [str(value) for value in values[~_missing(values)]]
    check(len(known) > 0, f"{name}'s values", len(known), "leave out an empty column")
    levels = tuple(sorted(set(known)))
    if not chosen:
        column_checks.check_category(name, known)
    column_checks.check_levels(name, levels, known)
    return levels


def _scale_of(name: str, values: np.ndarray) -> NumberScale:
    known = values[~np.isnan(values)]
    check(len(known) > 0, f"{name}'s values", len(known), "leave out an empty column")
    distinct, counts = np.unique(known, return_counts=True)
    # The middle of a tie's ranks.
    ranks = np.cumsum(counts) - 0.5 * (counts - 1)
    scores = ndtri(ranks / (len(known) + 1))
    spread = np.sqrt(np.sum(counts * scores**2) / len(known))
    scores = scores / (spread if spread > 0 else 1.0)
    sd = known.std() if len(distinct) > 1 else 0.0
    return NumberScale(
        np.asarray(known.mean()), np.asarray(sd if sd > 0 else 1.0), distinct, scores
    )


def _indicators(columns: Columns, index: int, values: np.ndarray) -> np.ndarray:
    """Return 0 or 1, (rows, indicators): levels and unseen, or changed; missing."""
    missing = _missing(values)
    levels, scale = columns.levels[index], columns.scales[index]
    if scale is not None:
        constant = len(scale.values) == 1
        changed = (values != scale.values[0]) & constant & ~missing
        return np.stack([changed, missing], axis=1).astype(float)
    assert levels is not None  # without a scale
    texts = np.array([str(value) for value in values])
    column_checks.check_same_kind(
        columns.names[index], texts[~missing].tolist(), levels
    )
    each = texts[:, None] == np.array(levels)
    each &= ~missing[:, None]
    unseen = ~each.any(axis=1) & ~missing
    return np.concatenate([each, unseen[:, None], missing[:, None]], axis=1).astype(
        float
    )


def _numbers(
    name: str, values: np.ndarray, scale: NumberScale
) -> tuple[np.ndarray, np.ndarray]:
    """Return a column on the standard and the normal scale; missing values are 0."""
    if values.dtype.kind != "f":
        text = next((str(v) for v in values if not column_checks.is_number(str(v))), "")
        raise ValueError(
            f"{name} holds text{text and f', such as {text!r}'}: it held numbers in "
            "training; leave an entry empty where it is missing"
        )
    if len(scale.values) == 1:  # a constant has no scale; an indicator says it changed
        return np.zeros(len(values)), np.zeros(len(values))
    standard = (values - scale.loc) / scale.scale
    normal = np.interp(values, scale.values, scale.scores)
    low, high = scale.values[0], scale.values[-1]
    beyond = np.maximum(values - high, 0) - np.maximum(low - values, 0)
    normal = normal + beyond / scale.scale
    missing = np.isnan(values)
    return np.where(missing, 0.0, standard), np.where(missing, 0.0, normal)
