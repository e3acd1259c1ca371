r"""Tables of events: columns put on one scale, numbers rounded to bins within a bound.

A model of a table is trained on its scaled columns,

    u = (f(x) - loc) / scale,     f the natural logarithm or the identity,

and `from_scaled` undoes them. Everything runs on the host, in float64 NumPy.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vijax.validate import check

MAX_BINS = 2**31  # of a column, so that a bin's number has 32 bits

Table = Float[np.ndarray, "events features"]
Events = Float[np.ndarray, "_ features"]  # a table beside others of other lengths
Column = Float[np.ndarray, " features"]


class ColumnScale(NamedTuple):
    """How each column is scaled."""

    loc: Column
    scale: Column
    logarithm: Bool[np.ndarray, " features"]  # whether f is the logarithm


class BinnedTable(NamedTuple):
    """A table in whole numbers: u = lower + step · symbols, within the bound."""

    symbols: Int[np.ndarray, "events features"]
    lower: Column  # scaled centre of each column's bin 0
    step: Column


def fit_scale(table: Table, *, logarithm: Any = False) -> ColumnScale:
    """Return the scale that gives training columns mean 0 and deviation 1.

    Args:
        table: (events, features), the training events.
        logarithm: for each column or for all, whether its logarithm is taken.

    Raises:
        ValueError: no event, NaN or infinities, a logarithm of what is not positive,
            logarithms for another number of columns.

    Example:
        >>> fit_scale(np.array([[1.0, 5.0], [3.0, 5.0]])).loc.tolist()
        [2.0, 5.0]
    """
    table = _checked(table)
    logarithm = _by_column("logarithm", np.asarray(logarithm, bool), table.shape[1])
    positive = np.where(logarithm, table, 1.0)
    check(positive > 0, "table", positive, "take no logarithm of this column")
    u = np.where(logarithm, np.log(positive), table)
    spread = u.std(axis=0)
    return ColumnScale(u.mean(axis=0), np.where(spread > 0, spread, 1.0), logarithm)


def to_scaled(table: Table, scale: ColumnScale) -> Table:
    """Return what a model of the table is trained on and sees.

    Raises:
        ValueError: another number of columns, a logarithm of what is not positive.

    Example:
        >>> scale = fit_scale(np.array([[1.0], [3.0]]))  # mean 2, deviation 1
        >>> to_scaled(np.array([[5.0]]), scale).tolist()
        [[3.0]]
    """
    _by_column("the scale", scale.loc, np.shape(table)[-1])
    positive = np.where(scale.logarithm, table, 1.0)
    check(positive > 0, "table", positive, "this column is scaled by its logarithm")
    return (
        np.where(scale.logarithm, np.log(positive), table) - scale.loc
    ) / scale.scale


def from_scaled(u: Table, scale: ColumnScale) -> Table:
    """Undo `to_scaled`.

    Raises:
        ValueError: another number of columns.

    Example:
        >>> scale = fit_scale(np.array([[1.0], [4.0]]), logarithm=True)
        >>> from_scaled(to_scaled(np.array([[3.0]]), scale), scale).round(6).tolist()
        [[3.0]]
    """
    _by_column("the scale", scale.loc, np.shape(u)[-1])
    x = u * scale.scale + scale.loc
    return np.where(scale.logarithm, np.exp(np.where(scale.logarithm, x, 0.0)), x)


def to_bins(table: Table, scale: ColumnScale, bound: Any) -> BinnedTable:
    """Return each number's bin; its centre is within the bound of the number.

    A column of whole numbers with a bound below ½ has a bin for each of them, so they
    come back as they are.

    Args:
        table: (events, features).
        scale: of its columns.
        bound: greatest error of each column, or of all: absolute, in the column's
            units; relative where the column is scaled by its logarithm.

    Raises:
        ValueError: no event, NaN or infinities, a bound that is not positive or needs
            more than 2^31 bins, bounds for another number of columns.

    Example:
        >>> table = np.array([[0.0], [0.9], [2.2]])
        >>> to_bins(table, fit_scale(table), 0.5).symbols.ravel().tolist()
        [0, 1, 2]
    """
    table = _checked(table)
    bound = _by_column("bound", np.asarray(bound, float), table.shape[1])
    check(bound > 0, "bound", bound, "give numbers above 0")
    # A hair less than the bound, for the rounding of floats on the way back.
    width = np.where(scale.logarithm, np.log1p(bound), bound) * (1 - 1e-6)
    step = 2 * width / scale.scale
    u = to_scaled(table, scale)
    lower = u.min(axis=0)
    whole = np.all(table == np.rint(table), axis=0) & ~scale.logarithm & (bound < 0.5)
    step = np.where(whole, 1 / scale.scale, step)
    symbols = np.rint((u - lower) / step)
    remedy = "widen the bound: its column has more than 2^31 bins"
    check(symbols.max(axis=0) < MAX_BINS, "bound", bound, remedy)
    return BinnedTable(symbols.astype(np.int32), lower, step)


def from_bins(binned: BinnedTable, scale: ColumnScale) -> Table:
    """Return the centres of the bins; whole numbers where a bin is one.

    Example:
        >>> table = np.array([[0.0], [1.0], [3.0]])
        >>> scale = fit_scale(table)
        >>> from_bins(to_bins(table, scale, 0.4), scale).ravel().tolist()
        [0.0, 1.0, 3.0]
    """
    table = from_scaled(binned.lower + binned.step * binned.symbols, scale)
    first = scale.loc + scale.scale * binned.lower
    near = 1e-9 * (1 + np.abs(first))
    whole = np.isclose(binned.step * scale.scale, 1, rtol=1e-12, atol=0)
    whole &= (np.abs(first - np.rint(first)) < near) & ~scale.logarithm
    return np.where(whole, np.rint(table), table)


def _checked(table: Table) -> Table:
    table = np.asarray(table, float)
    if table.ndim != 2 or not table.size:
        raise ValueError(
            f"table has shape {table.shape}: give (events, features), one or more"
        )
    check(np.isfinite(table), "table", table, "remove NaN and infinities")
    return table


def _by_column(name: str, values: np.ndarray, features: int) -> np.ndarray:
    if values.shape not in ((), (1,), (features,)):
        raise ValueError(
            f"{name} has shape {values.shape}: give one for each of {features} columns"
        )
    return np.broadcast_to(values, (features,))
