"""What the density itself tells of its unknowns.

dependencies     which are independent of each other, given a few of them
hessians         products with the Hessian
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__
