"""Which column makes a row odd: for a file of scores, and for the eye."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vijax.vae.anomaly import column_reports, table_columns
from vijax.vae.anomaly.detector import Detector, score_by_column

SHOWN = 5  # rows that are printed


class Explanations(NamedTuple):
    """Of the rows that are odd enough."""

    rows: Int[np.ndarray, " odd"]  # their numbers, from 0
    names: tuple[str, ...]  # of the columns
    shares: Float[np.ndarray, "odd columns"]  # what each column adds to the score
    texts: list[tuple[str, str]]  # the oddest column, and what is odd in it
    number: int  # of all rows
    lines: list[str]  # for the eye, the oddest first

    def columns(self, text: bool) -> dict[str, np.ndarray]:
        """Return columns for the file of scores; rows that are not odd are left blank.

        Args:
            text: name the oddest column and what is odd; else the shares as numbers,
                NaN where a row is not odd.
        """
        if not text:
            shares = np.full((self.number, len(self.names)), np.nan)
            shares[self.rows] = self.shares
            named = zip(self.names, shares.T, strict=True)
            return {f"share_of_{name}": share for name, share in named}
        found = np.full((self.number, 2), "", object)
        if self.texts:
            found[self.rows] = self.texts
        return {"odd_column": found[:, 0], "why": found[:, 1]}


def of_odd_rows(
    detector: Detector,
    table: Any,
    scores: Float[np.ndarray, " rows"],
    p_values: Float[np.ndarray, " rows"],
    most: float,
) -> Explanations:
    """Explain the rows whose p-value is at most so large.

    Args:
        detector: of a table.
        table: the rows.
        scores: of them.
        p_values: of them.
        most: p-value up to which a row is explained; 0 for none.
    """
    assert detector.columns is not None
    names = detector.columns.names
    rows = np.flatnonzero(p_values <= most)
    if not len(rows):
        return Explanations(rows, names, np.zeros((0, len(names))), [], len(scores), [])
    odd = {n: array[rows] for n, array in table_columns.column_arrays(table).items()}
    shares = score_by_column(detector, odd)
    texts = column_reports.reasons(detector.columns, odd, shares)
    lines = ["oddest rows, counted from 1 without the header:"]
    lines += [
        f"  {rows[i] + 1:6}  p = {p_values[rows[i]]:.2g}  {texts[i][1]}"
        for i in np.argsort(-scores[rows], kind="stable")[:SHOWN]
    ]
    return Explanations(rows, names, shares, texts, len(scores), lines)
