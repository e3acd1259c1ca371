"""Two ends of an interval that remember how much they hold, and how they were found."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from vijax import printing
from vijax.array_module import array_module
from vijax.validate import is_traced

Ends = tuple[Array, Array]


@jax.tree_util.register_pytree_node_class
class Interval(tuple[Any, Any]):
    """The tuple (lower, upper), which prints with its level and its method.

    It is taken apart as any pair, `lower, upper = interval`. As a pytree it has three
    leaves, the ends and the level, all of one shape, so that it comes out of jit and
    vmap as it went in.

    Example:
        >>> print(Interval(0.0, 9.99, 0.9, "confidence, Feldman–Cousins"))
        0 to 9.99 (90 % confidence, Feldman–Cousins)
    """

    level: Any  # or the mass of a credible interval, in (0, 1)
    about: str  # what the level is of, and the method: "confidence, Wilson"

    def __new__(cls, lower: Any, upper: Any, level: Any, about: str) -> "Interval":
        """Make one of two ends, the level of each, and what the level is of."""
        self = super().__new__(cls, (lower, upper))
        self.level, self.about = level, about
        return self

    @classmethod
    def of(cls, ends: Ends, level: Any, about: str) -> "Interval":
        """Return two ends, with a level that broadcasts to their shape."""
        level = level if is_traced(level) else np.asarray(level)
        shape = np.shape(ends[0])
        return cls(*ends, array_module(level).broadcast_to(level, shape), about)

    @property
    def lower(self) -> Any:
        """The first of the two ends."""
        return self[0]

    @property
    def upper(self) -> Any:
        """The second of the two ends."""
        return self[1]

    def __str__(self) -> str:
        lower, upper = self
        levels = jax.tree.leaves(self.level)
        held = f"{printing.percent(levels[0] if levels else None)} {self.about}"
        if isinstance(lower, dict):
            rows = {name: printing.between(lower[name], upper[name]) for name in lower}
            return printing.described(held, rows)
        if is_traced(*self) or not np.ndim(lower):
            return f"{printing.between(*self)} ({held})"
        columns = {"lower": lower, "upper": upper}
        if np.size(self.level) and np.ptp(self.level) != 0:
            columns["level"] = self.level
            held = self.about[0].upper() + self.about[1:]
        return printing.described(held, columns)

    __repr__ = __str__

    def __getnewargs__(self) -> tuple[Any, Any, Any, str]:
        return self[0], self[1], self.level, self.about

    def tree_flatten(self) -> tuple[tuple[Any, Any, Any], str]:
        """Return the leaves, and what is not traced."""
        return (self[0], self[1], self.level), self.about

    @classmethod
    def tree_unflatten(cls, about: str, leaves: tuple[Any, Any, Any]) -> "Interval":
        """Put an interval together again."""
        return cls(*leaves, about)
