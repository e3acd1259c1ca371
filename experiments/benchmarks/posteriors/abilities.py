"""Abilities: people, items and players whose strengths are unknown."""

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.registry import Problem, register


@register("hierarchical")
def rasch() -> Problem:
    """Item response with one parameter: thirty people, ten items."""

    def model(y: Any) -> None:
        spread = numpyro.sample("spread", dist.HalfNormal(2.0))
        with numpyro.plate("people", 30):
            ability = numpyro.sample("ability", dist.Normal(0.0, 1.0))
        with numpyro.plate("items", 10):
            difficulty = numpyro.sample("difficulty", dist.Normal(0.0, 2.0))
        logits = spread * ability[:, None] - difficulty
        numpyro.sample("y", dist.Bernoulli(logits=logits).to_event(2), obs=y)

    rng = np.random.default_rng(209)
    logits = rng.normal(0, 1.2, (30, 1)) - rng.normal(0, 1.0, 10)
    return model, ((rng.logistic(size=(30, 10)) < logits).astype(int),)


@register("hierarchical")
def two_parameter_items() -> Problem:
    """Item response with discriminations: forty people, eight items."""

    def model(y: Any) -> None:
        ability = numpyro.sample(
            "ability", dist.Normal(0.0, 1.0).expand([40]).to_event(1)
        )
        items = dist.LogNormal(0.0, 0.5).expand([8]).to_event(1)
        slope = numpyro.sample("slope", items)
        level = numpyro.sample("level", dist.Normal(0.0, 1.5).expand([8]).to_event(1))
        logits = slope * (ability[:, None] - level)
        numpyro.sample("y", dist.Bernoulli(logits=logits).to_event(2), obs=y)

    rng = np.random.default_rng(210)
    logits = rng.lognormal(0, 0.4, 8) * (rng.normal(size=(40, 1)) - rng.normal(size=8))
    return model, ((rng.logistic(size=(40, 8)) < logits).astype(int),)


@register("hierarchical", decentre=("strength",))
def bradley_terry() -> Problem:
    """Strengths of ten players from 120 games, of unknown spread."""

    def model(first: Any, second: Any, won: Any) -> None:
        tau = numpyro.sample("tau", dist.HalfNormal(1.5))
        strength = numpyro.sample(
            "strength", dist.Normal(0.0, tau).expand([10]).to_event(1)
        )
        logits = strength[first] - strength[second]
        numpyro.sample("won", dist.Bernoulli(logits=logits), obs=won)

    rng = np.random.default_rng(211)
    first = rng.integers(0, 10, 120)
    second = (first + rng.integers(1, 10, 120)) % 10
    strength = rng.normal(0, 1, 10)
    won = rng.logistic(size=120) < strength[first] - strength[second]
    return model, (first, second, won.astype(int))
