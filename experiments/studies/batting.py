"""Eighteen batters of 1970: their first 45 at bats, and the rest of the season.

The counts are those of Efron & Morris (1975), J. Am. Stat. Assoc. 70(350), table 1, and
Efron & Morris (1977), Scientific American 236(5): hits of the first 45 at bats, and at
bats and hits of the remaining season. Three models say how far players differ.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

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


def one_average(at_bats: Any, hits: Any) -> None:
    """All players are alike."""
    mu = numpyro.sample("mu", dist.Normal(-1.0, 0.5))
    average = jax.nn.sigmoid(mu) * jnp.ones(len(at_bats))
    _seen(at_bats, average, hits)


def own_averages(at_bats: Any, hits: Any) -> None:
    """No player says anything of another."""
    with numpyro.plate("players", len(at_bats)):
        logit = numpyro.sample("logit", dist.Normal(-1.0, 1.0))
    _seen(at_bats, jax.nn.sigmoid(logit), hits)


def partly_pooled(at_bats: Any, hits: Any) -> None:
    """Players differ by a spread that is itself unknown; non-centred."""
    mu = numpyro.sample("mu", dist.Normal(-1.0, 0.5))
    tau = numpyro.sample("tau", dist.HalfNormal(0.5))
    with numpyro.plate("players", len(at_bats)):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    _seen(at_bats, jax.nn.sigmoid(mu + tau * z), hits)


def _seen(at_bats: Any, average: Any, hits: Any) -> None:
    numpyro.deterministic("average", average)
    numpyro.sample("hits", dist.Binomial(at_bats, average), obs=hits)


POOLED = "partly pooled"
POOLINGS = {
    "all alike": one_average,
    "each for himself": own_averages,
    POOLED: partly_pooled,
}
