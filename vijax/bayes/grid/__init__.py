"""A posterior on a grid, for any likelihood of up to three parameters.

landscape    build it, update it with data, integrate and summarise it; its axes
regions      its highest-density regions, which may fall into several pieces
"""

from vijax.bayes.grid import landscape, regions

__all__ = ["landscape", "regions"]


def __dir__() -> list[str]:
    return sorted(__all__)
