"""Eighteen batters of 1970: their first 45 at bats, and the rest of the season.

The counts are those of Efron & Morris (1975), J. Am. Stat. Assoc. 70(350), table 1, and
Efron & Morris (1977), Scientific American 236(5): hits of the first 45 at bats, and at
bats and hits of the remaining season.
"""

from typing import NamedTuple

import numpy as np

FIRST_AT_BATS = 45
# name: hits of the first 45 at bats, remaining at bats, hits of these
PLAYERS = {
    "Clemente": (18, 367, 127),
    "F. Robinson": (17, 426, 127),
    "F. Howard": (16, 521, 144),
    "Johnstone": (15, 275, 61),
    "Berry": (14, 418, 114),
    "Spencer": (14, 466, 126),
    "Kessinger": (13, 586, 155),
    "L. Alvarado": (12, 138, 29),
    "Santo": (11, 510, 137),
    "Swoboda": (11, 200, 46),
    "Petrocelli": (10, 538, 142),
    "E. Rodriguez": (10, 186, 42),
    "Scott": (10, 435, 132),
    "Unser": (10, 277, 73),
    "Williams": (10, 591, 195),
    "Campaneris": (9, 558, 159),
    "Munson": (8, 408, 129),
    "Alvis": (7, 70, 14),
}


class Batting(NamedTuple):
    """One number a player."""

    names: tuple[str, ...]
    at_bats: np.ndarray  # first part of the season
    hits: np.ndarray
    later_at_bats: np.ndarray  # the rest of it
    later_hits: np.ndarray


def load() -> Batting:
    """Return the table.

    Example:
        >>> table = load()
        >>> table.hits[0] / table.at_bats[0], len(table.names)
        (np.float64(0.4), 18)
    """
    hits, later_at_bats, later_hits = np.array(list(PLAYERS.values())).T
    at_bats = np.full(len(PLAYERS), FIRST_AT_BATS)
    return Batting(tuple(PLAYERS), at_bats, hits, later_at_bats, later_hits)
