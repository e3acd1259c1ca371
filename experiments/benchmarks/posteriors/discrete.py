"""Discrete unknowns left to the system, and parameters that are no unknowns."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

from experiments.benchmarks.posteriors.mixture import hidden_regimes_likelihood
from experiments.benchmarks.posteriors.registry import Problem, register

ENUMERATE = {"enumerate": "parallel"}


def _waiting_times() -> tuple[np.ndarray]:
    rng = np.random.default_rng(601)
    return (np.r_[rng.exponential(0.5, 40), rng.exponential(4.0, 30)],)


def summed_queues() -> Problem:
    """Write `two_queues` with its labels summed out."""

    def model(times: Any) -> None:
        share = numpyro.sample("share", dist.Beta(2.0, 2.0))
        fast = numpyro.sample("fast", dist.LogNormal(1.0, 0.5))
        slow = numpyro.sample("slow", dist.LogNormal(-1.0, 0.5))
        mixture = dist.MixtureSameFamily(
            dist.Categorical(jnp.stack([1 - share, share])),
            dist.Exponential(jnp.stack([fast, slow])),
        )
        numpyro.sample("times", mixture, obs=times)

    return model, _waiting_times()


@register("discrete", twin=summed_queues)
def two_queues() -> Problem:
    """Which of two queues each customer was in is a discrete unknown."""

    def model(times: Any) -> None:
        share = numpyro.sample("share", dist.Beta(2.0, 2.0))
        fast = numpyro.sample("fast", dist.LogNormal(1.0, 0.5))
        slow = numpyro.sample("slow", dist.LogNormal(-1.0, 0.5))
        with numpyro.plate("customers", len(times)):
            queue = numpyro.sample("queue", dist.Bernoulli(share), infer=ENUMERATE)
            rate = jnp.where(queue == 1, slow, fast)
            numpyro.sample("times", dist.Exponential(rate), obs=times)

    return model, _waiting_times()


def _weather() -> tuple[np.ndarray]:
    rng = np.random.default_rng(602)
    state, rain = 0, []
    for _ in range(60):
        state = state if rng.uniform() < 0.8 else 1 - state
        rain.append(rng.poisson([1.0, 5.0][state]))
    return (np.array(rain),)


def _climate() -> tuple[Any, Any]:
    prior = jnp.array([[4.0, 1.0], [1.0, 4.0]])
    move = numpyro.sample("move", dist.Dirichlet(prior).to_event(1))
    dry = numpyro.sample("dry", dist.Gamma(2.0, 2.0))
    wet = numpyro.sample("wet", dist.Gamma(10.0, 2.0))
    return move, jnp.stack([dry, wet])


def summed_weather() -> Problem:
    """Write `weather` with its states summed out."""

    def model(rain: Any) -> None:
        move, rates = _climate()
        log_probs = dist.Poisson(rates).log_prob(rain[:, None])
        factor = hidden_regimes_likelihood(move[0], move, log_probs)
        numpyro.factor("rain", factor)

    return model, _weather()


@register("discrete", twin=summed_weather)
def weather() -> Problem:
    """A hidden Markov chain by `scan`, its states left to enumeration."""

    def model(rain: Any) -> None:
        move, rates = _climate()

        def step(state: Any, count: Any) -> tuple[Any, None]:
            state = numpyro.sample(
                "state", dist.Categorical(move[state]), infer=ENUMERATE
            )
            numpyro.sample("rain", dist.Poisson(rates[state]), obs=count)
            return state, None

        scan(step, 0, rain)

    return model, _weather()


def _gamma_poisson(counts: Any) -> dict[str, Any]:
    """Return the posterior at b = 2 / mean, where the marginal likelihood is highest.

    Counts of rates ~ Gamma(2, b) are negative binomial with mean 2 / b, whose maximum
    likelihood mean is the sample's at any fixed shape. Each rate then has a Gamma.
    """
    b = 2.0 / counts.mean()
    shape = 2.0 + counts
    return {"rates": (shape / (b + 1), np.sqrt(shape) / (b + 1))}


@register("param", exact=_gamma_poisson)
def learned_rate() -> Problem:
    """Empirical Bayes: the rate of the Gamma prior is a `numpyro.param`."""

    def model(counts: Any) -> None:
        b = numpyro.param("b", 1.0, constraint=dist.constraints.positive)
        prior = dist.Gamma(2.0, b).expand([len(counts)]).to_event(1)
        rates = numpyro.sample("rates", prior)
        numpyro.sample("counts", dist.Poisson(rates), obs=counts)

    rng = np.random.default_rng(603)
    return model, (rng.poisson(rng.gamma(2.0, 6.0, 15)),)
