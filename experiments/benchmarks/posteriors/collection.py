"""The collection: all models with their arguments and references, by name."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from experiments.benchmarks.posteriors import abilities as abilities
from experiments.benchmarks.posteriors import applications as applications
from experiments.benchmarks.posteriors import bounded as bounded
from experiments.benchmarks.posteriors import discrete as discrete
from experiments.benchmarks.posteriors import dynamics as dynamics
from experiments.benchmarks.posteriors import geometry as geometry
from experiments.benchmarks.posteriors import groups as groups
from experiments.benchmarks.posteriors import heavy_tail as heavy_tail
from experiments.benchmarks.posteriors import hidden_mass as hidden_mass
from experiments.benchmarks.posteriors import hierarchical as hierarchical
from experiments.benchmarks.posteriors import jumps as jumps
from experiments.benchmarks.posteriors import mixture as mixture
from experiments.benchmarks.posteriors import moments
from experiments.benchmarks.posteriors import multimodal as multimodal
from experiments.benchmarks.posteriors import nonlinear as nonlinear
from experiments.benchmarks.posteriors import precision as precision
from experiments.benchmarks.posteriors import regression as regression
from experiments.benchmarks.posteriors import student_t as student_t
from experiments.benchmarks.posteriors import time_series as time_series
from experiments.benchmarks.posteriors import traps as traps
from experiments.benchmarks.posteriors.moments import Errors, Reference
from experiments.benchmarks.posteriors.registry import SPECIFICATIONS, History


class Entry(NamedTuple):
    """One model with its data, and the truth about its posterior where it is known."""

    name: str
    kind: str
    model: Callable[..., None]
    args: tuple[Any, ...]
    reference: Reference | None  # None where no truth is known
    history: History = "tuned"  # what the verdict's rules owe to it


@cache
def load() -> tuple[Entry, ...]:
    """Return all models, made once: the same model is compiled once.

    Example:
        >>> len(load())
        148
    """
    return tuple(get(name) for name in SPECIFICATIONS)


@cache
def get(name: str) -> Entry:
    """Return one model.

    Raises:
        ValueError: there is no model of this name.

    Example:
        >>> entry = get("divorce")
        >>> entry.kind, sorted(entry.reference)
        ('regression', ['a', 'b_age', 'b_marriage', 'sigma'])
        >>> entry.history
        'tuned'
    """
    if name not in SPECIFICATIONS:
        raise ValueError(f"name = {name!r} is not one of {', '.join(SPECIFICATIONS)}")
    specification = SPECIFICATIONS[name]
    model, arguments = specification.problem()
    record = moments.read(specification.kind).get(name)
    reference = record and {
        site: moments.from_json(values) for site, values in record["sites"].items()
    }
    kind, history = specification.kind, specification.history
    return Entry(name, kind, model, arguments, reference, history)


def errors(entry: Entry, means: dict[str, Any], sds: dict[str, Any]) -> Errors:
    """Return the worst errors of an answer, over all entries whose moments exist.

    Raises:
        ValueError: the model has no reference, or the answer lacks one of its sites.
    """
    if entry.reference is None:
        raise ValueError(f"{entry.name} has no reference: leave it out of the count")
    return moments.worst_errors(entry.reference, means, sds)
