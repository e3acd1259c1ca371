"""Two sensors count events at unknown rates: how data bend the posterior landscape.

Rows L10 and L11. Sensor i counts n ~ Poisson(λ_i) with true rates (3, 1). Under a
uniform prior on (0, 5)² and under exponential priors with means 3 and 10, the
posterior is drawn after N = 0, 1, 5 and 100 counts of each sensor. Updating datum by
datum gives what updating at once gives, and the moments of the grid are those of the
exact conjugate posteriors: Gamma distributions, cut off at 5 under the uniform prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln, xlogy
from matplotlib.figure import Figure

from experiments import common
from vijax.bayes import gamma_poisson, intervals, truncated_gamma_poisson
from vijax.bayes.grid import landscape, regions
from vijax.plot.bayes import posterior_landscapes as plot
from vijax.validate import check

SENSORS = ("λ₁", "λ₂")
DRAWN = 161  # points of a drawn landscape, each way
REGIONS = (0.5, 0.95)  # probability inside the contour lines


@dataclass(frozen=True)
class Config:
    """The sensors, the priors and the grid."""

    rates: tuple[float, float] = (3.0, 1.0)  # true mean counts, λ1 and λ2
    sizes: tuple[int, ...] = (0, 1, 5, 100)  # numbers of data N, ascending
    upper: float = 5.0  # limit of the uniform prior and of the figures
    means: tuple[float, float] = (3.0, 10.0)  # of the two exponential priors
    points: int = 301  # of the grid that is integrated over, each way
    seed: int = 0


class Prior(NamedTuple):
    """Independent priors of the two rates, with their conjugate family."""

    title: str
    family: Any  # a module of vijax.bayes
    rates: dist.Distribution  # one for each sensor, stacked for vmap
    limit: float  # no rate is above it


class Exact(NamedTuple):
    """The conjugate posteriors after 0, 1, 2, … data: (sizes, sensors, …)."""

    mean: jax.Array
    sd: jax.Array
    interval: jax.Array  # (…, 2), 95 %
    mass_drawn: jax.Array  # probability of what a figure shows
    density: jax.Array  # (…, DRAWN)
    density_at_truth: jax.Array


class Grid(NamedTuple):
    """What the grid says after some data."""

    mean: jax.Array  # (sensors,)
    covariance: jax.Array  # (sensors, sensors)
    levels: jax.Array  # densities that bound the REGIONS
    difference: jax.Array  # between updating at once and datum by datum


def run(config: Config) -> common.Result:
    """Simulate the counts, update both priors, check the grids, draw the landscapes."""
    _check(config)
    with jax.enable_x64(True):
        counts = np.asarray(simulate(config.seed, config.rates, config.sizes[-1]))
        flat = jax.vmap(dist.Uniform)(jnp.zeros(2), jnp.full(2, config.upper))
        decaying = jax.vmap(dist.Gamma)(jnp.ones(2), 1 / jnp.array(config.means))
        box = f"Uniform(0, {config.upper:g})"
        title = "Exponential, means {:g} and {:g}".format(*config.means)
        priors = {
            "uniform": Prior(box, truncated_gamma_poisson, flat, config.upper),
            "exponential": Prior(title, gamma_poisson, decaying, np.inf),
        }
        exact: dict[str, Exact] = {}
        grids: dict[str, list[Grid]] = {}
        differences: list[float] = []
        for name, prior in priors.items():
            one, difference = _exact(config, prior, counts)
            exact[name] = one
            grids[name] = [_grid(config, prior, one, counts[:n]) for n in config.sizes]
            differences.append(difference)
            differences += [float(grid.difference) for grid in grids[name]]
    errors = [
        _moment_error(grid, exact[name].mean[size], exact[name].sd[size])
        for name in priors
        for size, grid in zip(config.sizes, grids[name], strict=True)
    ]
    metrics = {
        "max_moment_error": float(np.max(errors)),
        "max_update_difference": float(np.max(differences)),
        "total_counts": [counts[:size].sum(axis=0) for size in config.sizes],
        **_table(config, exact),
    }
    return common.Result(metrics, _figures(config, priors, exact, grids))


def simulate(seed: int, rates: Sequence[float], size: int) -> jax.Array:
    """Return counts of the sensors, (size, sensors); each draws from its own key."""
    keys = jax.random.split(jax.random.key(seed), len(rates))
    draw = jax.vmap(lambda key, rate: jax.random.poisson(key, rate, (size,)))
    return draw(keys, jnp.array(rates)).T.astype(float)


def _check(config: Config) -> None:
    rates = np.asarray(config.rates)
    inside = (rates > 0) & (rates < config.upper)
    check(inside, "rates", rates, f"give rates between 0 and upper = {config.upper}")
    means = np.asarray(config.means)
    check((means > 0) & (means < np.inf), "means", means, "give means > 0")
    sizes = np.asarray(config.sizes)
    ascending = len(sizes) > 0 and np.all(np.diff(sizes) > 0)
    valid = ascending and sizes[0] >= 0 and 1 <= sizes[-1] <= 10_000
    remedy = "give ascending numbers of data, the last from 1 to 10000"
    check(bool(valid), "sizes", sizes, remedy)
    check(16 <= config.points <= 2000, "points", config.points, "give 16 to 2000")


def _drawn(config: Config) -> np.ndarray:
    """Return the figures' grid; NumPyro's Gamma density is NaN at 0 itself."""
    return np.linspace(1e-12, config.upper, DRAWN)


def _log_likelihood(rates: jax.Array, counts: jax.Array) -> jax.Array:
    """Log p(n₁, n₂ | λ₁, λ₂) of one count of each sensor."""
    return jnp.sum(xlogy(counts, rates) - rates - gammaln(counts + 1))


def _exact(config: Config, prior: Prior, counts: np.ndarray) -> tuple[Exact, float]:
    """Update datum by datum; return the relative difference from at once with it."""
    one_by_one, difference = _update(prior.family, prior.rates, counts)
    # The prior as often as there are data: one compilation serves both, if it can.
    before = jax.tree.map(lambda x: jnp.broadcast_to(x, counts.shape), prior.rates)
    prior_only, later = (
        jax.tree.map(np.asarray, _describe(rates, _drawn(config), config.rates))
        for rates in (before, one_by_one)
    )
    every = jax.tree.map(lambda a, b: np.concatenate([a[:1], b]), prior_only, later)
    return every, float(difference)


@partial(jax.jit, static_argnames="family")
def _update(family: Any, rates: Any, counts: jax.Array) -> tuple[Any, jax.Array]:
    def one_sensor(rate: Any, counts: jax.Array) -> tuple[Any, jax.Array]:
        def add(state: Any, count: jax.Array) -> tuple[Any, Any]:
            return (family.posterior(state, count),) * 2

        first = family.posterior(rate, counts[0])
        last, later = jax.lax.scan(add, first, counts[1:])
        every = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)
        ratios = jax.tree.map(jnp.divide, family.posterior(rate, counts), last)
        return every, jnp.abs(jnp.stack(jax.tree.leaves(ratios)) - 1).max()

    every, differences = jax.vmap(one_sensor, (0, 1), (1, 0))(rates, counts)
    return every, differences.max()


@jax.jit
def _describe(rates: Any, drawn: jax.Array, truth: tuple[float, ...]) -> Exact:
    def one(rate: Any, truth: jax.Array) -> Exact:
        return Exact(
            mean=rate.mean,
            sd=jnp.sqrt(rate.variance),
            interval=jnp.stack(intervals.credible_interval(rate, 0.95)),
            mass_drawn=rate.cdf(drawn[-1]),
            density=jnp.exp(rate.log_prob(drawn)),
            density_at_truth=jnp.exp(rate.log_prob(truth)),
        )

    return jax.vmap(jax.vmap(one), (0, None))(rates, jnp.asarray(truth))


def _grid(config: Config, prior: Prior, exact: Exact, counts: np.ndarray) -> Grid:
    """Update a grid around the exact posterior, at once and datum by datum."""
    mean, sd = exact.mean[len(counts)], exact.sd[len(counts)]
    # A Gamma's upper tail is exponential with the length sd² / mean.
    low = np.maximum(mean - 12 * sd, 1e-12 * sd)  # NumPyro: log_prob(0) is NaN
    high = np.minimum(mean + 7 * sd + 25 * sd**2 / mean, prior.limit)
    axes = tuple(_axis(*ends, config.points) for ends in zip(low, high, strict=True))
    one_by_one = _prior_on_grid(prior.rates, axes)
    at_once = _add(one_by_one, counts) if len(counts) else one_by_one
    for datum in counts:
        one_by_one = _add(one_by_one, datum[None])
    return jax.tree.map(np.asarray, _summary(at_once, one_by_one))


_axis = jax.jit(landscape.axis, static_argnums=2)


@jax.jit
def _prior_on_grid(rates: Any, axes: Any) -> landscape.Landscape:
    def log_prior(theta: jax.Array) -> jax.Array:
        return jax.vmap(lambda rate, at: rate.log_prob(at))(rates, theta).sum()

    return landscape.prior(log_prior, axes)


@jax.jit
def _add(state: landscape.Landscape, counts: jax.Array) -> landscape.Landscape:
    return landscape.update(state, _log_likelihood, counts)


@jax.jit
def _summary(at_once: Any, one_by_one: Any) -> Grid:
    density, other = jnp.exp(at_once.log_density), jnp.exp(one_by_one.log_density)
    mean, covariance = landscape.mean_and_covariance(one_by_one)
    levels = jnp.stack([regions.log_density_level(at_once, m) for m in REGIONS])
    return Grid(
        mean, covariance, levels, jnp.abs(density - other).max() / density.max()
    )


def _moment_error(grid: Grid, mean: jax.Array, sd: jax.Array) -> float:
    """Return the largest error of mean and covariance, in standard deviations."""
    of_mean = np.abs(grid.mean - mean) / sd
    of_covariance = np.abs(grid.covariance / np.outer(sd, sd) - np.eye(len(sd)))
    return float(max(np.max(of_mean), np.max(of_covariance)))


def _table(config: Config, exact: dict[str, Exact]) -> dict[str, Any]:
    """Return the posteriors in numbers, and how much the prior still matters."""
    posteriors = {
        name: [
            {
                "size": size,
                "mean": one.mean[size],
                "sd": one.sd[size],
                "interval": one.interval[size],
                "mass_in_window": one.mass_drawn[size].prod(),
                "density_at_truth": one.density_at_truth[size].prod(),
            }
            for size in config.sizes
        ]
        for name, one in exact.items()
    }
    first, second = exact.values()
    apart = np.abs(first.mean - second.mean) / (0.5 * (first.sd + second.sd))
    return {
        "posteriors": posteriors,
        "priors_apart_in_sd": apart.max(axis=-1)[list(config.sizes)],
    }


def _figures(
    config: Config,
    priors: dict[str, Prior],
    exact: dict[str, Exact],
    grids: dict[str, list[Grid]],
) -> dict[str, Figure]:
    rows = {
        priors[name].title: [
            plot.LandscapePanel(
                f"N = {size}",
                np.outer(*one.density[size]),
                tuple(grid.levels.tolist()) if size else (),
                tuple(one.mean[size].tolist()) if size else None,
            )
            for size, grid in zip(config.sizes, grids[name], strict=True)
        ]
        for name, one in exact.items()
    }
    tracks = {
        sensor: [
            plot.PosteriorTrack(
                priors[name].title, one.mean[:, i], *one.interval[:, i].T
            )
            for name, one in exact.items()
        ]
        for i, sensor in enumerate(SENSORS)
    }
    grid, steps = _drawn(config), np.arange(config.sizes[-1] + 1)
    return {
        "surfaces": plot.landscape_surfaces(
            grid, grid, rows, labels=SENSORS, truth=config.rates
        ),
        "contours": plot.landscape_contours(
            grid, grid, rows, labels=SENSORS, truth=config.rates
        ),
        "updating": plot.posterior_updates(steps, tracks, truth=config.rates),
    }


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()
