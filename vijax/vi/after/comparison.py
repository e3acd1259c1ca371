"""Several models of the same data, by what they predict of observations left out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax.types import Key
from vijax.vi.after.cross_validation import FEW, Loo, Waic, loo
from vijax.vi.result import Fit

CLEAR_ERRORS = 2.0  # standard errors
CLEAR_NATS = 4.0  # below, a difference says little and its error is too small


class Compared(NamedTuple):
    """One model among several; nats."""

    elpd: float
    elpd_se: float
    difference: float  # of elpd to the best model's, at most 0
    difference_se: (
        float  # for other data, from the differences observation by observation
    )
    monte_carlo_se: float  # of the difference, for other draws
    effective_parameters: float  # p_loo, or p_waic
    trusted: bool


class Comparison(dict[str, Compared]):
    """Models by name, the best first; prints as a table with a statement."""

    statement: str = ""
    criterion: str = "loo"  # or "waic"

    def __str__(self) -> str:
        width = max([5, *map(len, self)])
        names = ["elpd", "elpd_se", "difference", "difference_se", "monte_carlo_se"]
        columns = [*names, "effective_parameters"]
        names.append(f"p_{self.criterion}")
        head = " ".join([" " * width, *(f"{c:>14}" for c in names), "  trusted"])
        lines = [
            " ".join(
                [
                    f"{name:<{width}}",
                    *(f"{getattr(row, c):>14.2f}" for c in columns),
                    "  yes" if row.trusted else "  NO",
                ]
            )
            for name, row in self.items()
        ]
        about = (
            "In nats, higher is better. difference: to the best, ± difference_se for "
            "other data,\n± monte_carlo_se for other draws; "
            f"{names[-1]}: the effective number of parameters."
        )
        return "\n".join([head, *lines, about, self.statement])

    __repr__ = __str__


def compare(
    fits: Mapping[str, Fit | Loo | Waic],
    key: Key | None = None,
    *,
    num_samples: int | None = None,
) -> Comparison:
    r"""Rank models of the same data by elpd, with the errors of the differences.

        difference = Σ_i d_i,  d_i = elpd_i − elpd_i(best),  se = √(n Var(d_i))

    The models' errors are alike at each observation, so that a difference is better
    known than either elpd.

    Args:
        fits: at least two, by name; a Fit is given to `vi.loo` first.
        key: random key of these.
        num_samples: draws of these.

    Returns:
        The Comparison, best first, with a statement of what can be told.

    Raises:
        ValueError: no mapping of names to fits; fewer than two; other observations, in
            number, values or kind (a density against a probability); a Loo against a
            Waic; as `vi.loo`.

    References:
        Vehtari, Gelman & Gabry (2017), arXiv:1507.04544, equation 24; Sivula,
        Magnusson, Matamoros & Vehtari (2020), arXiv:2008.10296 (when it is too small).

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y, scale):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, scale), obs=y)
        >>> y = jnp.linspace(-2.0, 2.0, 30)
        >>> targets = {s: vi.from_numpyro(model, y, s) for s in (0.3, 1.0)}
        >>> fits = {str(s): vi.fit(t, jax.random.key(0)) for s, t in targets.items()}
        >>> list(compare(fits))
        ['1.0', '0.3']
    """
    if not isinstance(fits, Mapping):
        raise ValueError(
            f"fits is not valid: it is a {type(fits).__name__}; name the models, "
            '{"line": fit, "parabola": other}'
        )
    for name, one in fits.items():
        if not isinstance(one, Fit | Loo | Waic):
            raise ValueError(
                f"fits[{name!r}] is not valid: it is a {type(one).__name__}; give what "
                "vi.fit, vi.loo or vi.waic returns"
            )
    if len(fits) < 2:
        raise ValueError(f"fits = {list(fits)} is not valid: give at least two models")
    key = jax.random.key(0) if key is None else key
    found: dict[str, Loo | Waic] = {}
    for number, (name, fit) in enumerate(fits.items()):
        if isinstance(fit, Fit):
            fit = loo(fit, jax.random.fold_in(key, number), num_samples=num_samples)
        found[name] = fit
    _check_same_data(found)
    order = sorted(found, key=lambda name: -_rank(found[name]))
    best = found[order[0]]
    table = Comparison()
    for name in order:
        one = found[name]
        parts = one.pointwise - best.pointwise
        same = one is best
        error = 0.0 if same else np.hypot(one.monte_carlo_se, best.monte_carlo_se)
        table[name] = Compared(
            one.elpd,
            one.elpd_se,
            float(np.sum(parts)),
            float(np.sqrt(len(parts) * np.var(parts, ddof=1))),
            float(error),
            one.p_loo if isinstance(one, Loo) else one.p_waic,
            one.trusted,
        )
    table.criterion = "loo" if isinstance(best, Loo) else "waic"
    table.statement = _statement(table, len(best.pointwise))
    return table


def _rank(one: Loo | Waic) -> float:
    return one.elpd if np.isfinite(one.elpd) else -np.inf


def _check_same_data(found: dict[str, Any]) -> None:
    (first, one), *others = found.items()
    for name, other in others:
        if type(other) is not type(one):
            raise ValueError(
                f"fits is not valid: {first!r} is a {type(one).__name__} and {name!r} "
                f"a {type(other).__name__}; give one kind"
            )
        numbers = len(one.data.names), len(other.data.names)
        same = one.data.values.shape == other.data.values.shape
        if numbers[0] != numbers[1] or not same:
            raise ValueError(
                f"fits is not valid: {first!r} has {numbers[0]} observations and "
                f"{name!r} has {numbers[1]}; compare models of the same data"
            )
        if set(one.data.discrete) != set(other.data.discrete):
            raise ValueError(
                f"fits is not valid: of {first!r} and {name!r} one gives its "
                "observations probabilities, the other densities, which have no common "
                "unit"
            )
        if not np.array_equal(one.data.values, other.data.values, equal_nan=True):
            raise ValueError(
                f"fits is not valid: {first!r} and {name!r} have other observations "
                "(values, units or order); compare models of the same data"
            )


def _statement(table: Comparison, number: int) -> str:
    names = list(table)
    bad = [name for name in names if not table[name].trusted]
    if bad:
        return (
            f"Do not trust it: {', '.join(bad)} is not trusted; see the advice of "
            "vi.loo of it."
        )
    second = table[names[1]]
    error = np.hypot(second.difference_se, second.monte_carlo_se)
    gap = -second.difference
    told = f"{gap:.1f} ± {error:.1f} nats before {names[1]}"
    few = f" Of fewer than {FEW} observations the errors are rough." * (number < FEW)
    if gap < max(CLEAR_NATS, CLEAR_ERRORS * error):
        return f"{names[0]} is {told}: the two cannot be told apart.{few}"
    return f"{names[0]} predicts best, {told}.{few}"
