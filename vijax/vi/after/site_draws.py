"""A dict of draws by site that says where they come from and what they are worth."""

import html
from typing import Any

import jax
import numpy as np

from vijax.vi.after.posterior_draws import PosteriorDraws

MAX_ROWS = 30  # of the printed table
COLUMNS = ("mean", "mean_se", "sd", "5 %", "95 %")


class SiteDraws(dict[str, Any]):
    """Draws by site, draws first; prints as a table, with what they are worth below."""

    source: str = ""  # "q", "importance", "chains" or "prior"
    trusted: Any = False  # whether the draws of the unknowns stand for the posterior
    khat: Any = np.nan  # of the importance weights, where these were used
    effective_sample_size: Any = np.nan  # independent draws of as small an error
    advice: str = ""

    @classmethod
    def of(cls, values: dict[str, Any], posterior: PosteriorDraws) -> "SiteDraws":
        """Return what was made of draws of the posterior, with what these are worth."""
        found = cls(values)
        found.source, found.advice = posterior.source, posterior.advice
        found.trusted, found.khat = posterior.trusted, posterior.khat
        found.effective_sample_size = posterior.effective_sample_size
        return found

    def __str__(self) -> str:
        rows = [*self._rows()]
        width = max([8, *(len(label) for label, *_ in rows)])
        head = " ".join([" " * width, *(f"{c:>12}" for c in COLUMNS)])
        lines = [
            " ".join([f"{label:<{width}}", *(f"{x:>12.5g}" for x in numbers)])
            for label, *numbers in rows
        ]
        more = sum(x[0].size for x in self.values()) - len(rows)
        lines += [f"… {more} more"] if more else []
        return "\n".join([head, *lines, self._about()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("", *COLUMNS))
        lines = "".join(
            f"<tr><td>{html.escape(label)}</td>"
            + "".join(f"<td>{x:.5g}</td>" for x in numbers)
            + "</tr>"
            for label, *numbers in self._rows()
        )
        about = html.escape(self._about())
        return f"<table><tr>{head}</tr>{lines}</table><p>{about}</p>"

    def _about(self) -> str:
        number = len(next(iter(self.values()))) if self else 0
        worth = f", worth {self.effective_sample_size:.0f}"
        corrected = worth if self.source in ("importance", "chains") else ""
        of = {"importance": "q, corrected", "chains": "NUTS", "prior": "the prior"}
        text = f"{number} draws of {of.get(self.source, self.source)}{corrected}."
        return f"{text} {self.advice}".strip()

    def _rows(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        # What is predicted comes last in a model, and is what is asked for.
        for name, x in reversed(self.items()):
            for index in np.ndindex(*np.shape(x)[1:]):
                if len(found) == MAX_ROWS:
                    return found
                column = np.asarray(x[(slice(None), *index)], float)
                label = f"{name}[{', '.join(map(str, index))}]" if index else name
                sd = np.std(column)
                error = sd / np.sqrt(self.effective_sample_size)
                edges = np.quantile(column, (0.05, 0.95))
                found.append((label, np.mean(column), error, sd, *edges))
        return found


def _flatten(x: SiteDraws) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    numbers = (x.trusted, x.khat, x.effective_sample_size)
    return (dict(x), *numbers), (x.source, x.advice, tuple(x))


def _unflatten(about: tuple[Any, ...], leaves: tuple[Any, ...]) -> SiteDraws:
    values, *numbers = leaves
    source, advice, order = about
    found = SiteDraws({name: values[name] for name in order})
    found.source, found.advice = source, advice
    found.trusted, found.khat, found.effective_sample_size = numbers
    return found


jax.tree_util.register_pytree_node(SiteDraws, _flatten, _unflatten)
