"""Densities that jump, so that gradients do not say where the mass ends."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats
from scipy.special import gammaln

from experiments.benchmarks.posteriors.registry import Problem, register

CUT = 0.5


def _cut_normal() -> dict[str, Any]:
    """Return the moments of a normal cut below."""
    kept = stats.truncnorm(CUT, np.inf)
    return {"x": (kept.mean(), kept.std()), "y": (0.0, 1.0)}


@register("jumps", exact=_cut_normal, history="new")
def cut_by_factor() -> Problem:
    """A normal cut below by a factor of 0: minus infinity for a third of the prior."""

    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(0.0, 1.0))
        numpyro.factor("cut", jnp.where(x > CUT, 0.0, -jnp.inf))

    return model, ()


def _ordered_pair() -> dict[str, Any]:
    """Return the moments of the lesser and greater of two normals: ±1/√π, 1 − 1/π."""
    mean = 1 / np.sqrt(np.pi)
    sd = np.sqrt(1 - mean**2)
    return {"low": (-mean, sd), "high": (mean, sd)}


@register("jumps", exact=_ordered_pair, history="new")
def ordered_by_factor() -> Problem:
    """Two normals kept in order by a penalty of 10¹⁰, not by a transformation."""

    def model() -> None:
        low = numpyro.sample("low", dist.Normal(0.0, 1.0))
        high = numpyro.sample("high", dist.Normal(0.0, 1.0))
        numpyro.factor("order", jnp.where(low < high, 0.0, -1e10))

    return model, ()


def _rate_posterior(counts: np.ndarray) -> tuple[float, float, float]:
    """Return log evidence, mean and mean square of a rate with a Gamma(2, 1) prior."""
    shape, rate = 2.0 + counts.sum(), 1.0 + len(counts)
    log_evidence = gammaln(shape) - shape * np.log(rate)
    return log_evidence, shape / rate, shape * (shape + 1) / rate**2


def _switch(t: Any, counts: Any) -> dict[str, Any]:
    """Return the moments by a sum over days; within a day, the time is uniform."""
    days = np.arange(len(t))
    before = np.array([_rate_posterior(counts[t <= day]) for day in days])
    after = np.array([_rate_posterior(counts[t > day]) for day in days])
    log_mass = before[:, 0] + after[:, 0]
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()

    def moments(mean: np.ndarray, square: np.ndarray) -> tuple[float, float]:
        centre = mass @ mean
        return centre, np.sqrt(mass @ square - centre**2)

    middle = days + 0.5
    return {
        "early": moments(before[:, 1], before[:, 2]),
        "late": moments(after[:, 1], after[:, 2]),
        "switch": moments(middle, middle**2 + 1 / 12),
    }


@register("jumps", exact=_switch, history="new")
def switch_time() -> Problem:
    """The time at which a rate changes: the density in it is a staircase."""

    def model(t: Any, counts: Any) -> None:
        early = numpyro.sample("early", dist.Gamma(2.0, 1.0))
        late = numpyro.sample("late", dist.Gamma(2.0, 1.0))
        switch = numpyro.sample("switch", dist.Uniform(0.0, len(t)))
        rate = jnp.where(t < switch, early, late)
        numpyro.sample("counts", dist.Poisson(rate), obs=counts)

    rng = np.random.default_rng(1)
    t = np.arange(40.0)
    return model, (t, rng.poisson(np.where(t < 23.3, 4.0, 1.5)))
