"""How results print: named numbers, one to a line, or a row for each element.

    described("Welch's t test", {"difference": 3.0, "p-value": 0.0999})

Results are NamedTuples of arrays. They print in words and digits wherever they are
asked to: single numbers, arrays, and inside of jit and vmap, where nothing but the
type and the shape of a number is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vijax.validate import is_traced

MAX_ROWS = 20  # of a table
BANDS = ("−2σ", "−1σ", "median", "+1σ", "+2σ")  # of what is expected, as they print
_MAX_INLINE = 9  # numbers of an array that does not fit into the table


def number(value: Any, digits: int = 5) -> str:
    """Return one value as text; of an array, or in a trace, what is known of it.

    Args:
        value: a number, an array, a traced value, or anything else, as it prints.
        digits: significant ones.

    Example:
        >>> number(np.float32(1 / 3)), number([1.0, 2.5]), number(np.zeros((40, 3)))
        ('0.33333', '[1, 2.5]', '40 × 3 numbers')
    """
    if is_traced(value):
        return f"traced {value.dtype}{list(np.shape(value))}"
    array = _numeric(value)
    if array is None:
        return str(value)
    if not array.ndim:
        is_flag = array.dtype == bool
        return str(bool(array)) if is_flag else f"{array.item():.{digits}g}"
    if array.size <= _MAX_INLINE:
        return f"[{', '.join(number(one, digits) for one in array)}]"
    return f"{' × '.join(map(str, array.shape))} numbers"


def between(lower: Any, upper: Any) -> str:
    """Return two ends as text.

    Example:
        >>> between(0.0, np.float32(9.99))
        '0 to 9.99'
    """
    return f"{number(lower)} to {number(upper)}"


def p_value(log_p_value: Any) -> str:
    """Return a p-value, as a power of e where it is smaller than any float.

    Example:
        >>> p_value(np.log(0.0123)), p_value(-2000.0)
        ('0.0123', 'exp(-2000)')
    """
    if is_traced(log_p_value) or np.ndim(log_p_value):
        return number(log_p_value)
    value = np.exp(np.asarray(log_p_value, float))
    return f"exp({number(log_p_value)})" if value == 0 else number(value)


def by_band(label: str, bands: Any) -> dict[str, Any]:
    """Return what is expected, (…, 5) at −2 … +2 σ, by names that begin with a label.

    Example:
        >>> list(by_band("limit", np.arange(5.0)))
        ['limit, −2σ', 'limit, −1σ', 'limit, median', 'limit, +1σ', 'limit, +2σ']
    """
    if not np.ndim(bands) or np.shape(bands)[-1] != len(BANDS):
        return {label: bands}
    return {f"{label}, {name}": bands[..., i] for i, name in enumerate(BANDS)}


def percent(share: Any) -> str:
    """Return a level or a mass in percent; "? %" where there is not one for all.

    Example:
        >>> percent(np.float32(0.95)), percent(0.6827)
        ('95 %', '68.27 %')
    """
    array = None if is_traced(share) else _numeric(share)
    if array is None or not array.size or np.ptp(array) != 0:
        return "? %"
    share = float(array.flat[0])
    return f"{100 * share:.6g} %" if 0 < share < 1 else "? %"


def in_digits(value: Any, error: Any) -> str:
    """Return a number with two digits of its standard error, as a paper prints it.

    Args:
        value: a number; of an array or a traced value only the shape is told.
        error: its standard error, in the same units.

    Example:
        >>> in_digits(-101.532, 0.264), in_digits(1234.5, 56.0), in_digits(1.5, 0.0)
        ('-101.53 ± 0.26', '1234 ± 56', '1.5 ± 0')
    """
    if is_traced(value, error):
        return number(value if is_traced(value) else error)
    centre, width = _numeric(value), _numeric(error)
    if centre is None or width is None:
        return f"{value} ± {error}"
    if centre.ndim or width.ndim:
        return f"estimates of shape {centre.shape}"
    value, error = float(centre), float(width)
    if not (np.isfinite(error) and error > 0):
        return f"{value:.6g} ± {error:g}"
    exponent = int(f"{error:.1e}".partition("e")[2])  # of the error as it is printed
    decimals = max(1 - exponent, 0)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


class Estimate(NamedTuple):
    """A number and its standard error.

    Example:
        >>> print(Estimate(np.float32(0.8712), np.float32(0.0123)))
        0.871 ± 0.012
    """

    value: Any
    standard_error: Any

    def __str__(self) -> str:
        """Return the value with two digits of its error; of arrays a table."""
        if is_traced(*self) or not np.ndim(self.value):
            return in_digits(*self)
        return described("Estimates", self._asdict())

    def __repr__(self) -> str:
        return str(self)


def is_table(value: Any) -> bool:
    """Say whether a value is an array of numbers that are known."""
    array = None if is_traced(value) else _numeric(value)
    return array is not None and array.ndim > 0


def described(
    title: str,
    values: Mapping[str, Any],
    *,
    labels: Sequence[str] | None = None,
    note: str = "",
) -> str:
    """Return a title and what is below it.

    Args:
        title: one line.
        values: by name. Arrays of one shape become the columns of a table, a row for
            each element, after `MAX_ROWS` of them cut; all others a line each.
        labels: of the table's rows; by default their places, "[0]".
        note: a last line.

    Example:
        >>> print(described("Counts", {"signal": 3.0, "limit": 7.75}))
        Counts
          signal  3
          limit   7.75
        >>> print(described("Counts", {"signal": [1, 2], "limit": [4.74, 6.3]}))
        Counts
                signal    limit
          [0]        1     4.74
          [1]        2      6.3
    """
    columns = _columns(values)
    rest = {name: value for name, value in values.items() if name not in columns}
    width = max([0, *map(len, rest)])
    lines = [title, *(f"  {name:<{width}}  {number(x)}" for name, x in rest.items())]
    if columns:
        lines += _table(columns, labels)
    return "\n".join([*lines, note] if note else lines)


def _numeric(value: Any) -> np.ndarray | None:
    """Return a value as an array of numbers, or None if it is none."""
    if value is None or isinstance(value, (str, dict)):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return (
        array if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16" else None
    )


def _columns(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays that have the shape of the first array among the values."""
    if is_traced(list(values.values())):
        return {}
    arrays = {name: _numeric(value) for name, value in values.items()}
    some = {name: array for name, array in arrays.items() if array is not None}
    shape = next((array.shape for array in some.values() if array.ndim), ())
    return {name: x for name, x in some.items() if shape and x.shape == shape}


def _table(columns: dict[str, np.ndarray], names: Sequence[str] | None) -> list[str]:
    """Return lines: the names, then a row for each element."""
    shape = next(iter(columns.values())).shape
    size = int(np.prod(shape))
    shown = [np.unravel_index(i, shape) for i in range(min(size, MAX_ROWS))]
    cells = [[number(array[place]) for array in columns.values()] for place in shown]
    places = [str([int(i) for i in place]) for place in shown]
    labels = places if names is None else [*names[: len(shown)]]
    first = max([0, *map(len, labels)])
    widths = [
        max([7, len(name), *(len(row[i]) for row in cells)])
        for i, name in enumerate(columns)
    ]

    def line(label: str, row: Any) -> str:
        own = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        return f"  {label:<{first}}  {'  '.join(own)}"

    more = size - len(shown)
    return [
        line("", columns),
        *(line(label, row) for label, row in zip(labels, cells, strict=True)),
        *([f"  … {more} more"] if more else []),
    ]
