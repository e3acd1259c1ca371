"""Variational families: the distributions q that a fit chooses from.

    MeanField()           a normal with a diagonal covariance
    FullRank()            a normal with all correlations
    LowRank(rank=10)      a diagonal and a few directions, for many unknowns
    Mixture()             a normal at every mode
    Flow()                a normalising flow: skewed, with long tails, not elliptical
    Structured()          few globals, and many locals that are independent given them

`vi.fit(target, key, family=LowRank(rank=20))`; the names "mean_field", "full_rank",
"low_rank", "mixture", "flow" and "structured" stand for their defaults. A family of
your own is an object with `init(loc, scale) -> q`; `families.base` says what a q needs.
The others here, DiagonalNormal to StructuredNormal, are the q themselves.
"""

from vijax.vi.families.flow import CouplingFlow, Flow
from vijax.vi.families.gaussian import (
    DiagonalNormal,
    FullRank,
    FullRankNormal,
    MeanField,
)
from vijax.vi.families.low_rank import LowRank, LowRankNormal
from vijax.vi.families.mixture import Mixture, NormalMixture
from vijax.vi.families.spiked import SpikedNormal
from vijax.vi.families.structured import Structured, StructuredNormal

__all__ = [
    "CouplingFlow",
    "DiagonalNormal",
    "Flow",
    "FullRank",
    "FullRankNormal",
    "LowRank",
    "LowRankNormal",
    "MeanField",
    "Mixture",
    "NormalMixture",
    "SpikedNormal",
    "Structured",
    "StructuredNormal",
]


def __dir__() -> list[str]:
    return __all__
