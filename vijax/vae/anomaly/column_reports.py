"""What a person reads of a detector's columns: their kinds, and what is odd in a row.

`readings` says of every column whether it is numbers, a category or a constant, and how
much of it is missing. `reasons` says of odd rows which column is to blame, with its
value beside what training held.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from vijax.vae.anomaly.table_columns import Columns, column_arrays

SHOWN = 12  # columns of a kind, or levels of a category, that are named


def readings(columns: Columns, rows: int) -> list[str]:
    """Return a line for each kind of column: numbers, categories, constant, missing.

    Args:
        columns: from `table_columns.fit_columns`.
        rows: of the training table.

    Example:
        >>> from vijax.vae.anomaly.table_columns import fit_columns
        >>> table = {"pt": [1.0, np.nan, 3.0, 4.0], "kind": ["a", "b", "a", "a"]}
        >>> for line in readings(fit_columns(table | {"run": [7, 7, 7, 7]}), 4):
        ...     print(line)
        numbers     pt
        categories  kind (2: a, b)
        constant    run (7)
        missing     pt (25.0 %)
    """
    kinds: dict[str, list[str]] = {
        "numbers": [],
        "categories": [],
        "constant": [],
        "missing": [],
    }
    shares = missing_shares(columns, rows)
    for index, name in enumerate(columns.names):
        levels, scale = columns.levels[index], columns.scales[index]
        values: Any = levels if scale is None else scale.values
        if len(values) == 1:
            kinds["constant"].append(f"{name} ({_number(values[0])})")
        elif levels is None:
            kinds["numbers"].append(name)
        else:
            kinds["categories"].append(
                f"{name} ({len(levels)}: {_first(list(levels), 4)})"
            )
        if shares[index] > 0:
            kinds["missing"].append(f"{name} ({100 * shares[index]:.1f} %)")
    return [
        f"{kind:12}{_first(names, SHOWN)}" for kind, names in kinds.items() if names
    ]


def missing_shares(columns: Columns, rows: int) -> Float[np.ndarray, " columns"]:
    """Return the share of the training rows in which each column is missing."""
    owners = columns.indicator_owners
    last = [np.flatnonzero(owners == i)[-1] for i in range(len(columns.names))]
    counts = columns.shares[last] * (rows + 2) - 1
    return np.rint(counts) / rows


def reasons(
    columns: Columns, table: Any, shares: Float[np.ndarray, "rows columns"]
) -> list[tuple[str, str]]:
    """Return for each row the column that adds most to its score, and what is odd.

    Args:
        columns: of the detector.
        table: rows with these columns.
        shares: from `detector.score_by_column` of these rows.

    Example:
        >>> from vijax.vae.anomaly.table_columns import fit_columns
        >>> columns = fit_columns({"pt": [1.0, 2.0], "kind": ["a", "b"]})
        >>> row = {"pt": [-40.0], "kind": ["a"]}
        >>> reasons(columns, row, np.array([[3.0, 0.1]]))
        [('pt', 'pt = -40, 1 to 2 in training')]
    """
    raw = column_arrays(table)
    found = []
    for row, index in enumerate(np.argmax(shares, axis=1)):
        name = columns.names[index]
        found.append((name, _odd_value(columns, int(index), raw[name][row])))
    return found


def _odd_value(columns: Columns, index: int, value: Any) -> str:
    name, scale = columns.names[index], columns.scales[index]
    if value is None or value != value:
        return f"{name} is missing"
    if scale is None:
        known = columns.levels[index] or ()
        here = np.flatnonzero(columns.indicator_owners == index)
        if str(value) not in known:
            return f"{name} = {value}, never in training"
        share = columns.shares[here[known.index(str(value))]]
        return f"{name} = {value}, {100 * share:.2g} % in training"
    low, high = scale.values[0], scale.values[-1]
    there = f"always {_number(low)}" if low == high else f"{low:.6g} to {high:.6g}"
    return f"{name} = {_number(value)}, {there} in training"


def _number(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.6g}"


def _first(names: list[str], most: int) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
