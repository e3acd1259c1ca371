"""Columns that say nothing of new rows, or are not what they seem: refused by name.

Text that holds dates is no category, for new rows have new dates. Text most of which is
numbers is a column of numbers with a word for what is missing, or of codes: only the
user knows. Names and numbers of rows have a level for every row. A column that rises or
falls from row to row, a counter or a time, is warned of.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vijax.data.files.text_table import EXACT
from vijax.validate import is_whole

MOST_LEVELS = 100  # of a category, above which each must have two rows or more
RISING = 20  # values from which on a column that rises with the rows is no accident
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
DATE = re.compile(
    rf"(\d{{4}}[-./]\d{{1,2}}[-./]\d{{1,2}}|\d{{1,2}}[-./]\d{{1,2}}[-./]\d{{2,4}}"
    rf"|\d{{1,2}}[-. ]+{_MONTH}[-., ]+\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}})([T ].*)?",
    re.IGNORECASE,
)
REMEDY_OF_TIMES = (
    "and new rows have new ones: leave it out, or give a number such as the hour of "
    "the day"
)


def is_number(text: str) -> bool:
    """Say whether a text is a number; NaN is none.

    Example:
        >>> is_number("1e3"), is_number("2024_01"), is_number("nan")
        (True, False, False)
    """
    try:
        return "_" not in text and float(text) == float(text)
    except ValueError:
        return False


def check_category(name: str, values: Sequence[str]) -> None:
    """Raise ValueError if text holds dates, or numbers and words.

    Args:
        name: of the column.
        values: text of the rows where it is not missing.

    Example:
        >>> check_category("pt", ["1.5", "2.5", "n.a.", "3"])
        Traceback (most recent call last):
        ...
        ValueError: pt holds numbers, and text such as 'n.a.': leave such entries...
    """
    if values and all(DATE.fullmatch(value) for value in set(values)):
        raise ValueError(
            f"{name} holds dates, such as {min(values)!r}, {REMEDY_OF_TIMES}, "
            "or name it among the categories"
        )
    words = [value for value in values if not is_number(value)]
    if 0 < len(words) < 0.5 * len(values):
        raise ValueError(
            f"{name} holds numbers, and text such as {words[0]!r}: leave such entries "
            "empty where a number is missing, or name the column among the categories"
        )


def check_levels(name: str, levels: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError if a category has a level for every row, or nearly so.

    Example:
        >>> check_levels("id", tuple("abcdefgh"), list("abcdefgh"))
        Traceback (most recent call last):
        ...
        ValueError: id holds text with 8 different values in 8 rows, such as 'a':...
    """
    few = len(levels) <= max(MOST_LEVELS, len(known) // 2)
    if not few or (len(levels) == len(known) >= 8):
        numbers = all(map(is_number, levels))
        remedy = (
            "give them as numbers, or leave the column out"
            if numbers
            else "leave out a column of names or numbers of rows, which say nothing of "
            "new rows"
        )
        raise ValueError(
            f"{name} holds text with {len(levels)} different values in {len(known)} "
            f"rows, such as {known[0]!r}: {remedy}"
        )


def check_exact(name: str, values: Iterable[Any]) -> None:
    """Raise ValueError at whole numbers that float64 does not hold.

    Example:
        >>> check_exact("event", [1, 2**53 + 1])
        Traceback (most recent call last):
        ...
        ValueError: event holds 9007199254740993, which would be rounded: leave it...
    """
    for value in values:
        if is_whole(value) and abs(int(value)) > EXACT and int(float(value)) != value:
            raise ValueError(
                f"{name} holds {value}, which would be rounded: leave it out, or give "
                "text if it is a code"
            )


def warn_of_counter(name: str, values: np.ndarray) -> None:
    """Warn of numbers that rise or fall from row to row; a few rows may share one."""
    values = values[~np.isnan(values)]
    if len(np.unique(values)) < RISING:
        return
    steps = np.diff(values)
    for way, along in (("rises", steps >= 0), ("falls", steps <= 0)):
        if np.all(along) and np.mean(steps != 0) > 0.5:
            warnings.warn(
                f"{name} {way} from row to row: if it counts rows or tells the time, "
                "leave it out, for all later rows would look odd",
                RuntimeWarning,
                stacklevel=4,
            )


def check_same_kind(name: str, values: Sequence[str], levels: Sequence[str]) -> None:
    """Raise ValueError if a category was written in another way in training.

    Text "1" is not the number 1, and neither is True. Where no row has a level of
    training, and either they are of different types or they are equal as numbers, all
    rows would look odd for the way they were read.

    Args:
        name: of the column.
        values: text of the rows where it is not missing.
        levels: of training.

    Example:
        >>> check_same_kind("charge", ["1.0"], ["1", "x"])
        Traceback (most recent call last):
        ...
        ValueError: charge holds '1.0', and in training such as '1': give the values...
    """
    if not values or set(values) & set(levels):
        return
    numbers, known = (
        {float(text) for text in texts if is_number(text)} for texts in (values, levels)
    )
    other_kind = not {_kind(text) for text in values} & {_kind(t) for t in levels}
    if other_kind or numbers & known:
        raise ValueError(
            f"{name} holds {values[0]!r}, and in training such as {levels[0]!r}: give "
            "the values as they were there"
        )


def _kind(text: str) -> str:
    if text in ("True", "False"):
        return "truth value"
    return "number" if is_number(text) else "text"
