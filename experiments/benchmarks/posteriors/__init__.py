"""Models with the truth about their posteriors, which the verdict is held against.

Each kind of model has a file: a function a model, on synthetic data of a seeded
generator, entered in a table by `register`. `load` returns them all, `get` one by its
name, `errors` compares an answer with its reference. A model's `history` says whether
the verdict's rules were made on it, or it is new to them. References are JSON files in
`references/`, taken by

    python -m experiments.benchmarks.posteriors.reference

which runs long NUTS in float64, or computes exact moments where NUTS cannot be trusted.
"""

from experiments.benchmarks.posteriors.collection import Entry, errors, get, load
from experiments.benchmarks.posteriors.moments import Errors, Moments, Reference

__all__ = ["Entry", "Errors", "Moments", "Reference", "errors", "get", "load"]


def __dir__() -> list[str]:
    return sorted(__all__)
