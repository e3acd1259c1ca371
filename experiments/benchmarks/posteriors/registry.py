"""The table that models are entered in: a decorator, and what it keeps of each."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

Problem = tuple[Callable[..., None], tuple[Any, ...]]  # a NumPyro model, its arguments
Axes = dict[str, np.ndarray]  # site -> the points of a grid
Draws = dict[str, Any]  # site -> (chains, draws, *shape)

# What the verdict's rules owe to a model. "tuned": it is of the first list, on which
# the rules were made. "mended": it was written afterwards to mislead the verdict, did
# so, and a rule was changed for it. "new": it was written afterwards, and none was.
History = Literal["tuned", "mended", "new"]


class Specification(NamedTuple):
    """How a model is made, and how the truth about its posterior is found."""

    name: str
    kind: str
    problem: Callable[[], Problem]
    twin: Callable[[], Problem] | None  # the same posterior, written for NUTS
    decentre: tuple[str, ...]  # sites that NUTS sees standardised
    exact: Callable[..., dict[str, Any]] | None  # arguments -> site -> (mean, sd)
    axes: Callable[[], Axes] | None  # () -> points of each unknown, for quadrature
    images: Callable[[Draws], list[Draws]] | None  # draws -> all their symmetric images
    no_sd: tuple[str, ...]  # sites with a mean, but without a variance
    no_moments: tuple[str, ...]  # sites without a mean
    undecided: str  # why there can be no reference, if there is none
    history: History  # what the verdict's rules owe to it


SPECIFICATIONS: dict[str, Specification] = {}


def register(
    kind: str,
    *,
    twin: Callable[[], Problem] | None = None,
    decentre: tuple[str, ...] = (),
    exact: Callable[..., dict[str, Any]] | None = None,
    axes: Callable[[], Axes] | None = None,
    images: Callable[[Draws], list[Draws]] | None = None,
    no_sd: tuple[str, ...] = (),
    no_moments: tuple[str, ...] = (),
    undecided: str = "",
    history: History = "tuned",
) -> Callable[[Callable[[], Problem]], Callable[[], Problem]]:
    """Enter the decorated function in the table, under its own name.

    Args:
        kind: what makes the posterior easy or hard.
        twin: makes another model with the same posterior, whose sites (deterministic
            ones included) have the names of this one's; NUTS then runs on the twin.
        decentre: sites x ~ N(loc, scale) that NUTS sees as z, x = loc + scale z: the
            same posterior without the funnel.
        exact: takes the model's arguments, returns site -> (mean, sd): no NUTS.
        axes: returns the points of each unknown, all of them scalars: no NUTS, but
            quadrature of the joint density.
        images: takes draws, and returns them in all modes that a symmetry makes equal.
        no_sd: sites whose posterior has no variance.
        no_moments: sites whose posterior has no mean.
        undecided: why the model has no reference.
        history: what the verdict's rules owe to the model (see `History`).
    """

    def enter(problem: Callable[[], Problem]) -> Callable[[], Problem]:
        name = problem.__name__
        if name in SPECIFICATIONS:
            raise ValueError(f"name = {name!r} is taken: give the model another")
        SPECIFICATIONS[name] = Specification(
            name,
            kind,
            problem,
            twin,
            decentre,
            exact,
            axes,
            images,
            no_sd,
            no_moments,
            undecided,
            history,
        )
        return problem

    return enter
