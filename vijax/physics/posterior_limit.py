"""The Bayesian upper limit: a quantile of a parameter's posterior, with its error."""

from typing import Any, NamedTuple

import jax
import numpy as np
from numpyro import diagnostics

from vijax import printing
from vijax.physics.likelihood_fit import entry_of
from vijax.physics.target import parts_of
from vijax.types import Key
from vijax.validate import check
from vijax.vi.checks.importance import weigh
from vijax.vi.checks.summary_table import summary
from vijax.vi.engine.batched_density import constrained_sites
from vijax.vi.engine.precision import precision_of
from vijax.vi.result import Fit

STEP = 0.01  # of probability, that the density at a quantile is found over


class PosteriorLimit(NamedTuple):
    """A quantile of the posterior, and whether to believe it."""

    limit: float
    standard_error: float  # of its finite draws
    trusted: bool
    advice: str  # the verdict on the fit, in words
    mass: float = np.nan  # of the posterior below the limit

    def __str__(self) -> str:
        limit = printing.in_digits(self.limit, self.standard_error)
        held = f"{printing.percent(self.mass)} of the posterior"
        return f"below {limit} ({held}). {self.advice}"

    def __repr__(self) -> str:
        return str(self)


def posterior_upper_limit(
    fit: Fit,
    *,
    mass: float = 0.95,
    parameter: str = "",
    key: Key | None = None,
    num_samples: int = 10_000,
) -> PosteriorLimit:
    r"""Return the value that a parameter is below with a posterior probability.

    Of a fit with chains (`vi.nuts`) it is the quantile of their draws; else that of
    importance-weighted draws of q, so that it does not inherit q's shape. The standard
    error is that of the probability, √(Σ w² (1[θ < limit] − mass)²) of weights that sum
    to 1, over the density at the limit.

    Args:
        fit: of a target from `from_pyhf`.
        mass: of the posterior below the limit.
        parameter: its name, "shape[1]" for one of several entries; by default the
            parameter of interest.
        key: random key of the draws.
        num_samples: draws of q.

    Returns:
        The PosteriorLimit; `trusted` is False where neither q's weights nor the chains
        are good, and `advice` says why.

    Raises:
        ValueError: the fit is of another target; there is no such parameter; the mass
            is not between 0 and 1; fewer than 100 draws.
    """
    layout, _ = parts_of(fit.target)
    check(0 < mass < 1, "mass", mass, "give one between 0 and 1")
    check(num_samples >= 100, "num_samples", num_samples, "give at least 100")
    key = jax.random.key(0) if key is None else key
    index = entry_of(layout, parameter)
    table = summary(fit, key=key)
    draws, weights, factor = _draws(fit, key, num_samples, index)
    order = np.argsort(draws)
    draws, weights = draws[order], weights[order]
    limit = _quantile(draws, weights, mass)
    step = min(STEP, 0.5 * mass, 0.5 * (1 - mass))
    ends = [_quantile(draws, weights, mass + side) for side in (-step, step)]
    density = 2 * step / max(ends[1] - ends[0], np.finfo(float).tiny)
    error = np.sqrt(np.sum(weights**2 * ((draws <= limit) - mass) ** 2)) * factor
    return PosteriorLimit(
        float(limit),
        float(error / density),
        bool(table.correctable),
        table.advice,
        mass,
    )


def _draws(fit: Fit, key: Key, num_samples: int, index: int) -> tuple[Any, Any, float]:
    """Return draws of an entry, weights of sum 1, and what chains add to errors."""
    layout, _ = parts_of(fit.target)
    (parameter,) = (p for p in layout.parameters if p.start <= index < p.start + p.size)
    entry = index - parameter.start
    with precision_of(fit.target):
        if fit.chains is not None:
            positions = np.asarray(fit.chains.positions)
            flat = positions.reshape(-1, positions.shape[-1])
            values = _entry(constrained_sites(fit.target, flat)[parameter.name], entry)
            own = diagnostics.effective_sample_size(values.reshape(positions.shape[:2]))
            weights = np.full(len(values), 1 / len(values))
            return values, weights, float(np.sqrt(len(values) / max(own, 1.0)))
        _, weighed = weigh(fit, key, num_samples)
    values = np.asarray(weighed.draws[parameter.name], float)
    values = values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])
    weights = np.exp(np.asarray(weighed.smoothed.log_weights, float))
    return _entry(values, entry), weights / np.sum(weights), 1.0


def _entry(values: Any, entry: int) -> np.ndarray:
    values = np.asarray(values, float)
    return values if values.ndim == 1 else values[:, entry]


def _quantile(draws: np.ndarray, weights: np.ndarray, mass: float) -> float:
    """Return a weighted quantile of sorted draws, each in the middle of its weight."""
    places = np.cumsum(weights) - 0.5 * weights
    return float(np.interp(mass, places, draws))
