r"""How far the neighbours of an example are, at every size of neighbourhood at once.

With d_k the distance to the k-th nearest of n reference rows, the score is the mean of
log d_k over k = 1, 2, 4, …, n/2 (`near`), or over the larger half of these sizes from
n/16 on (`far`). Each log d_k estimates a density, -log p = D log d_k + constant. Which
k is best differs from table to table and cannot be known without labels, so all count
alike. The far ones still work where anomalies among the reference rows are each
other's neighbours.

It runs on the host, in float64 NumPy.

References:
    Loftsgaarden & Quesenberry (1965), Ann. Math. Stat. 36, 1049.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Rows = Float[np.ndarray, "rows features"]
References = Float[np.ndarray, "references features"]
LEAST = 1e-2  # sds; rows nearer than this count as equal
LEAST_ANGLE = 1e-5  # 1 - cos; rows nearer than this count as equal
FAR = 16  # far neighbourhoods have a share of 1 / FAR or more of the reference rows
BATCH = 512  # rows at once; memory only


class Neighbourhood(NamedTuple):
    """The two scores of each row."""

    near: Float[np.ndarray, " rows"]
    far: Float[np.ndarray, " rows"]


def neighbourhood(
    reference: References, x: Rows, own: Int[np.ndarray, " rows"] | None = None
) -> Neighbourhood:
    """Return the scores of rows among reference rows.

    Args:
        reference: (n, features), two rows or more.
        x: (rows, features).
        own: of each row the number of the reference row that it is itself, and which
            does not count; -1 where it is none.

    Example:
        >>> reference = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> found = neighbourhood(reference, np.array([[4.0]]))
        >>> round(found.near.item(), 4)  # (log 1 + log 2) / 2
        0.3466
    """
    own = np.full(len(x), -1) if own is None else own
    parts = [
        _log_distances(reference, x[i : i + BATCH], own[i : i + BATCH])
        for i in range(0, len(x), BATCH)
    ]
    logs = np.concatenate(parts)
    far = sizes(len(reference)) * FAR >= len(reference)
    return Neighbourhood(logs.mean(axis=1), logs[:, far].mean(axis=1))


def sizes(num_rows: int) -> Int[np.ndarray, " sizes"]:
    """Return the sizes of neighbourhoods among so many rows: powers of two.

    Example:
        >>> sizes(20).tolist()
        [1, 2, 4, 8]
    """
    return 2 ** np.arange(max(int(np.log2(max(num_rows, 2) / 2)) + 1, 1))


def squared_distances(
    reference: References, x: Rows
) -> Float[np.ndarray, "rows references"]:
    """Return the squared distances of all pairs.

    Example:
        >>> squared_distances(np.array([[3.0, 4.0]]), np.zeros((1, 2))).tolist()
        [[25.0]]
    """
    middle = reference.mean(axis=0)  # products of small numbers cancel less
    reference, x = reference - middle, x - middle
    squares = np.sum(x**2, axis=1)[:, None] + np.sum(reference**2, axis=1)
    return np.maximum(squares - 2 * x @ reference.T, 0)


def log_angle(
    units: References, x: Rows, own: Int[np.ndarray, " rows"] | None = None
) -> Float[np.ndarray, " rows"]:
    """Return log (1 - cos) of the angle between each row and the nearest reference row.

    Of images, the angle does not depend on how bright they are. A row of zeros is at a
    right angle to all.

    Args:
        units: (n, features), two reference rows or more, by `unit_rows`.
        x: (rows, features).
        own: as for `neighbourhood`.

    Example:
        >>> units = unit_rows(np.array([[1.0, 0.0], [0.0, 2.0]]))
        >>> round(log_angle(units, np.array([[3.0, 3.0]])).item(), 4)  # 1 - √½
        -1.2279
    """
    own = np.full(len(x), -1) if own is None else own
    found = np.zeros(len(x))
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        here, is_own = unit_rows(x[rows]), own[rows] >= 0
        cosines = here @ units.T
        cosines[np.flatnonzero(is_own), own[rows][is_own]] = -np.inf
        nearest = np.argmax(cosines, axis=1)
        # Products find the nearest one; differences give its angle in full digits.
        gap = here.astype(float) - units[nearest]
        blank = ~here.any(axis=1) | ~units[nearest].any(axis=1)
        found[rows] = np.where(blank, 1.0, 0.5 * np.sum(gap**2, axis=1))
    return np.log(np.maximum(found, LEAST_ANGLE))


def unit_rows(rows: Rows) -> Float[np.ndarray, "rows features"]:
    """Return rows of length 1, in float32; those of zeros as they are.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
        [[0.6..., 0.8...], [0.0, 0.0]]
    """
    length = np.linalg.norm(np.asarray(rows, float), axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def _log_distances(reference: References, x: Rows, own: np.ndarray) -> np.ndarray:
    squared = squared_distances(reference, x)
    is_own = own >= 0
    squared[np.flatnonzero(is_own), own[is_own]] = np.inf
    which = sizes(len(reference)) - 1
    nearest = np.partition(squared, which, axis=1)[:, which]
    return 0.5 * np.log(np.maximum(nearest, LEAST**2))
