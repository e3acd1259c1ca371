"""Posteriors with several modes: far apart, uneven, mirrored, many."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.registry import Draws, Problem, register


@register("multimodal", axes=lambda: {"x": np.linspace(-12, 12, 4001)})
def square_root() -> Problem:
    """A measured square: both signs of x are as probable."""

    def model(y: Any) -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 4.0))
        numpyro.sample("y", dist.Normal(x**2, 2.0), obs=y)

    return model, (np.array([14.0, 17.5, 15.2]),)


def _two_rivals_axes() -> dict[str, np.ndarray]:
    return {"theta": np.linspace(-15, 15, 6001)}


@register("multimodal", axes=_two_rivals_axes)
def two_rivals() -> Problem:
    """A prior of two theories, both of which the data allow: modes of unequal mass."""

    def model(y: Any) -> None:
        theories = dist.Normal(jnp.array([-4.0, 5.0]), jnp.array([1.0, 0.5]))
        shares = dist.Categorical(jnp.array([0.7, 0.3]))
        theta = numpyro.sample("theta", dist.MixtureSameFamily(shares, theories))
        numpyro.sample("y", dist.Normal(theta, 6.0), obs=y)

    return model, (np.array([1.0, 3.0, -2.0, 2.5]),)


def _conflict_axes() -> dict[str, np.ndarray]:
    return {"mu": np.linspace(-60, 60, 40_001)}


def _sources(mu_sd: float) -> Callable[..., None]:
    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, mu_sd))
        numpyro.sample("y", dist.StudentT(2.0, mu, 1.0), obs=y)

    return model


@register("multimodal", axes=_conflict_axes)
def divided_sources() -> Problem:
    """Two data about 0 and two about 14, heavy tails: modes of 3 to 1."""
    return _sources(10.0), (np.array([-0.5, 0.4, 13.6, 14.3]),)


@register("multimodal", axes=_conflict_axes)
def outvoted_source() -> Problem:
    """Three data about 0 and two about 10: a far mode of little mass."""
    return _sources(10.0), (np.array([-0.5, 0.2, 0.9, 9.6, 10.3]),)


def _island(_: Any) -> dict[str, Any]:
    """Return moments of 0.99 N(0, I) + 0.01 N(12 · 1, I)."""
    mean, variance = 0.01 * 12, 1 + 0.99 * 0.01 * 12**2
    return {"x": (np.full(3, mean), np.full(3, np.sqrt(variance)))}


@register("multimodal", exact=_island)
def rare_island() -> Problem:
    """Three unknowns; a far mode of 1 % mass holds more than half the variance."""

    def model(place: Any) -> None:
        shares = dist.Categorical(jnp.array([0.99, 0.01]))
        centres = jnp.stack([jnp.zeros(3), place])
        parts = dist.Normal(centres, 1.0).to_event(1)
        numpyro.sample("x", dist.MixtureSameFamily(shares, parts))

    return model, (np.full(3, 12.0),)


def _frequency(t: Any, y: Any) -> dict[str, Any]:
    """Integrate the two amplitudes exactly at each frequency of a grid."""
    grid = np.linspace(0.05, 3.0, 59_001)
    masses, means, squares = [], [], []
    for f in grid:
        design = np.column_stack([np.sin(2 * np.pi * f * t), np.cos(2 * np.pi * f * t)])
        covariance = np.linalg.inv(np.eye(2) / 4 + design.T @ design / 0.25)
        mean = covariance @ design.T @ y / 0.25
        log_mass = 0.5 * (np.linalg.slogdet(covariance)[1] + mean @ design.T @ y / 0.25)
        masses.append(log_mass)
        means.append(mean)
        squares.append(np.diag(covariance) + mean**2)
    weights = np.exp(np.array(masses) - np.max(masses))
    weights[[0, -1]] /= 2
    weights /= weights.sum()
    mean_f, mean = weights @ grid, weights @ np.array(means)
    sd = np.sqrt(weights @ np.array(squares) - mean**2)
    sd_f = np.sqrt(weights @ (grid - mean_f) ** 2)
    return {"f": (mean_f, sd_f), "amplitude": (mean, sd)}


@register("multimodal", exact=_frequency)
def few_periods() -> Problem:
    """A wave of unknown frequency in nine data: many modes of uneven mass."""

    def model(t: Any, y: Any) -> None:
        f = numpyro.sample("f", dist.Uniform(0.05, 3.0))
        prior = dist.Normal(0.0, 2.0).expand([2]).to_event(1)
        amplitude = numpyro.sample("amplitude", prior)
        angle = 2 * jnp.pi * f * t
        mean = amplitude[0] * jnp.sin(angle) + amplitude[1] * jnp.cos(angle)
        numpyro.sample("y", dist.Normal(mean, 0.5), obs=y)

    rng = np.random.default_rng(701)
    t = np.sort(rng.uniform(0, 3, 9))
    return model, (t, 1.2 * np.sin(2 * np.pi * 1.1 * t) + 0.5 * rng.normal(size=9))


def _both_signs(draws: Draws) -> list[Draws]:
    flipped = {name: -draws[name] for name in ("loading", "score")}
    return [draws, draws | flipped]


@register("multimodal", images=_both_signs)
def factor_analysis() -> Problem:
    """One factor behind four tests of twenty people: its sign is free."""

    def model(y: Any) -> None:
        prior = dist.Normal(0.0, 1.0)
        loading = numpyro.sample("loading", prior.expand([4]).to_event(1))
        score = numpyro.sample("score", prior.expand([20]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(score[:, None] * loading, sigma), obs=y)

    rng = np.random.default_rng(702)
    loading = np.array([1.2, 0.9, -0.8, 0.5])
    y = rng.normal(size=(20, 1)) * loading + 0.5 * rng.normal(size=(20, 4))
    return model, (y,)


def _unit_images(draws: Draws) -> list[Draws]:
    """Swap the two hidden units and turn the sign of each: eight equal modes."""
    images = []
    for order in ([0, 1], [1, 0]):
        for signs in np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]):
            turned = {
                name: draws[name][..., order] * signs for name in ("w", "b", "out")
            }
            images.append(draws | turned)
    return images


@register("multimodal", images=_unit_images)
def small_network() -> Problem:
    """A network of two tanh units: eight equal modes."""

    def model(x: Any, y: Any) -> None:
        prior = dist.Normal(0.0, 1.5).expand([2]).to_event(1)
        w, b, out = (numpyro.sample(name, prior) for name in ("w", "b", "out"))
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
        curve = level + jnp.tanh(x[:, None] * w + b) @ out
        numpyro.sample("y", dist.Normal(curve, sigma), obs=y)

    rng = np.random.default_rng(703)
    x = np.linspace(-3, 3, 40)
    y = 1.5 * np.tanh(2 * x + 2) - 1.2 * np.tanh(1.5 * x - 2.5)
    return model, (x, y + 0.2 * rng.normal(size=40))


def _phase_axes() -> dict[str, np.ndarray]:
    return {
        "phase": np.linspace(-np.pi, np.pi, 2001),
        "amplitude": np.linspace(1e-6, 8.0, 1601),
    }


@register("multimodal", axes=_phase_axes, history="new")
def phase_at_the_cut() -> Problem:
    """A wave whose phase is near π, where its interval ends: one mode in two halves."""

    def model(t: Any, y: Any) -> None:
        phase = numpyro.sample("phase", dist.Uniform(-np.pi, np.pi))
        amplitude = numpyro.sample("amplitude", dist.HalfNormal(2.0))
        wave = amplitude * jnp.sin(2 * t + phase)
        numpyro.sample("y", dist.Normal(wave, 0.5), obs=y)

    rng = np.random.default_rng(13)
    t = np.linspace(0.0, 3.0, 7)
    return model, (t, 1.2 * np.sin(2 * t + 3.1) + 0.5 * rng.normal(size=7))


def _two_ranges_axes() -> dict[str, np.ndarray]:
    points = np.linspace(-12.0, 12.0, 1201)
    return {"x": points, "y": points}


@register("multimodal", axes=_two_ranges_axes, history="new")
def two_ranges() -> Problem:
    """A place by its distances from two stations: bent modes, almost mirrored."""

    def model(distances: Any) -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 3.0))
        y = numpyro.sample("y", dist.Normal(0.5, 3.0))
        ranges = jnp.stack([jnp.hypot(x + 1, y), jnp.hypot(x - 1, y)])
        numpyro.sample("distances", dist.Normal(ranges, 0.3), obs=distances)

    return model, (np.array([3.2, 2.4]),)
