"""Mixtures and other models whose discrete unknowns are summed out by hand."""

from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.registry import Draws, Problem, register


def relabelled(draws: Draws) -> list[Draws]:
    """Return draws under every order of the components, the last axis of each site."""
    size = max(value.shape[-1] for value in draws.values() if value.ndim > 2)
    return [
        {
            name: value[..., list(order)] if value.ndim > 2 else value
            for name, value in draws.items()
        }
        for order in permutations(range(size))
    ]


def _two_clusters(y: Any, ordered: bool) -> None:
    w = numpyro.sample("w", dist.Dirichlet(2.0 * jnp.ones(2)))
    prior = dist.Normal(0.0, 4.0).expand([2]).to_event(1)
    if ordered:
        prior = dist.TransformedDistribution(
            dist.Normal(0.0, 2.0).expand([2]).to_event(1),
            dist.transforms.OrderedTransform(),
        )
    m = numpyro.sample("m", prior)
    s = numpyro.sample("s", dist.LogNormal(0.0, 0.7).expand([2]).to_event(1))
    mixture = dist.MixtureSameFamily(dist.Categorical(w), dist.Normal(m, s))
    numpyro.sample("y", mixture, obs=y)


def _clusters(seed: int) -> tuple[np.ndarray]:
    rng = np.random.default_rng(seed)
    return (np.r_[rng.normal(-1.5, 0.8, 70), rng.normal(1.8, 0.6, 50)],)


@register("mixture")
def ordered_clusters() -> Problem:
    """Two normal components whose means are in order: one mode."""

    def model(y: Any) -> None:
        _two_clusters(y, ordered=True)

    return model, _clusters(501)


@register("mixture", images=relabelled)
def two_clusters() -> Problem:
    """Two normal components without order: two equal modes."""

    def model(y: Any) -> None:
        _two_clusters(y, ordered=False)

    return model, _clusters(502)


@register("mixture", images=relabelled)
def three_clusters() -> Problem:
    """Three normal components of one width without order: six equal modes."""

    def model(y: Any) -> None:
        w = numpyro.sample("w", dist.Dirichlet(3.0 * jnp.ones(3)))
        m = numpyro.sample("m", dist.Normal(0.0, 5.0).expand([3]).to_event(1))
        s = numpyro.sample("s", dist.LogNormal(0.0, 0.5))
        mixture = dist.MixtureSameFamily(dist.Categorical(w), dist.Normal(m, s))
        numpyro.sample("y", mixture, obs=y)

    rng = np.random.default_rng(503)
    return model, (np.repeat([-4.0, 0.0, 3.5], 40) + 0.7 * rng.normal(size=120),)


@register("mixture", images=relabelled)
def two_rates() -> Problem:
    """Counts of two Poisson rates without order."""

    def model(counts: Any) -> None:
        w = numpyro.sample("w", dist.Dirichlet(jnp.ones(2)))
        rates = numpyro.sample("rates", dist.Gamma(2.0, 0.2).expand([2]).to_event(1))
        mixture = dist.MixtureSameFamily(dist.Categorical(w), dist.Poisson(rates))
        numpyro.sample("counts", mixture, obs=counts)

    rng = np.random.default_rng(504)
    return model, (np.r_[rng.poisson(3, 40), rng.poisson(15, 60)],)


@register("mixture")
def contaminated_line() -> Problem:
    """A line with a share of bad points, far wider than the good ones."""

    def model(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        b = numpyro.sample("b", dist.Normal(0.0, 5.0))
        bad = numpyro.sample("bad", dist.Beta(1.0, 5.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        wide = numpyro.sample("wide", dist.HalfNormal(10.0))
        parts = dist.Normal((a + b * x)[:, None], jnp.stack([sigma, sigma + wide]))
        shares = dist.Categorical(jnp.stack([1 - bad, bad]))
        numpyro.sample("y", dist.MixtureSameFamily(shares, parts), obs=y)

    rng = np.random.default_rng(505)
    x = rng.uniform(-2, 2, 50)
    y = 1 + 2 * x + 0.3 * rng.normal(size=50)
    y[:8] += rng.normal(0, 6, 8)
    return model, (x, y)


@register("mixture")
def extra_zeros() -> Problem:
    """Zero-inflated Poisson regression: both the zeros and the rate depend on x."""

    def model(x: Any, counts: Any) -> None:
        rate = numpyro.sample("rate", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
        gate = numpyro.sample("gate", dist.Normal(0.0, 1.5).expand([2]).to_event(1))
        likelihood = dist.ZeroInflatedPoisson(
            jax.nn.sigmoid(gate[0] + gate[1] * x), rate=jnp.exp(rate[0] + rate[1] * x)
        )
        numpyro.sample("counts", likelihood, obs=counts)

    rng = np.random.default_rng(506)
    x = rng.normal(size=100)
    there = rng.uniform(size=100) > 1 / (1 + np.exp(0.6 + 0.8 * x))
    return model, (x, there * rng.poisson(np.exp(0.8 + 0.5 * x)))


@register("mixture")
def annotators() -> Problem:
    """Dawid–Skene: five annotators, 50 items, three classes, the classes summed out."""

    def model(labels: Any) -> None:
        share = numpyro.sample("share", dist.Dirichlet(5.0 * jnp.ones(3)))
        right = 1.0 + 5.0 * jnp.eye(3)  # holds the classes' names
        prior = dist.Dirichlet(jnp.broadcast_to(right, (5, 3, 3))).to_event(2)
        confusion = numpyro.sample("confusion", prior)
        chosen = jnp.log(confusion)[jnp.arange(5), :, labels]  # (items, annotators, 3)
        log_probs = jnp.log(share) + chosen.sum(axis=1)
        numpyro.factor("labels", jax.nn.logsumexp(log_probs, axis=1).sum())

    rng = np.random.default_rng(507)
    truth = rng.choice(3, 50, p=[0.5, 0.3, 0.2])
    skill = np.array([0.9, 0.8, 0.7, 0.6, 0.85])
    wrong = rng.integers(1, 3, (50, 5))
    right = rng.uniform(size=(50, 5)) < skill
    return model, (np.where(right, truth[:, None], (truth[:, None] + wrong) % 3),)


def hidden_regimes_likelihood(start: Any, move: Any, log_probs: Any) -> Any:
    """Return the log likelihood of a hidden Markov chain, by the forward recursion."""

    def step(forward: Any, log_prob: Any) -> tuple[Any, None]:
        ahead = jax.nn.logsumexp(forward[:, None] + jnp.log(move), axis=0)
        return ahead + log_prob, None

    forward, _ = jax.lax.scan(step, jnp.log(start) + log_probs[0], log_probs[1:])
    return jax.nn.logsumexp(forward)


@register("mixture")
def hidden_regimes() -> Problem:
    """A hidden Markov chain of two regimes with levels in order, 120 times."""

    def model(y: Any) -> None:
        stay = jnp.array([[8.0, 2.0], [2.0, 8.0]])
        move = numpyro.sample("move", dist.Dirichlet(stay).to_event(1))
        levels = dist.TransformedDistribution(
            dist.Normal(0.0, 2.0).expand([2]).to_event(1),
            dist.transforms.OrderedTransform(),
        )
        level = numpyro.sample("level", levels)
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        log_probs = dist.Normal(level, sigma).log_prob(y[:, None])
        start = jnp.full(2, 0.5)
        numpyro.factor("y", hidden_regimes_likelihood(start, move, log_probs))

    rng = np.random.default_rng(508)
    state, states = 0, []
    for _ in range(120):
        state = state if rng.uniform() < 0.85 else 1 - state
        states.append(state)
    return model, (np.array([-0.5, 1.5])[states] + rng.normal(0, 0.8, 120),)


@register("mixture")
def recaptures() -> Problem:
    """Capture–recapture over six occasions (Cormack–Jolly–Seber), deaths summed out."""

    def model(seen: Any, last: Any) -> None:
        survive = numpyro.sample("survive", dist.Uniform().expand([5]).to_event(1))
        logit = numpyro.sample("logit", dist.Normal(0.0, 1.5))
        catch = jax.nn.sigmoid(logit)
        unseen = [jnp.ones(())]  # from each occasion on, backwards
        for phi in survive[::-1]:
            unseen.append(1 - phi + phi * (1 - catch) * unseen[-1])
        log_unseen = jnp.log(jnp.stack(unseen[::-1]))
        steps = jnp.arange(5)
        alive = steps < last[:, None]  # known to live through the step
        caught = jnp.where(seen[:, 1:], jnp.log(catch), jnp.log1p(-catch))
        log_prob = jnp.where(alive, jnp.log(survive) + caught, 0.0).sum(axis=1)
        numpyro.factor("seen", jnp.sum(log_prob + log_unseen[last]))

    rng = np.random.default_rng(509)
    alive, seen = np.ones(80, bool), [np.ones(80, bool)]
    for _ in range(5):
        alive &= rng.uniform(size=80) < 0.75
        seen.append(alive & (rng.uniform(size=80) < 0.6))
    seen_then = np.array(seen).T
    return model, (seen_then, 5 - np.argmax(seen_then[:, ::-1], axis=1))
