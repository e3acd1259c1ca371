"""Dynamics: curves that follow from a law of motion, solved or stepped."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.experimental.ode import odeint

from experiments.benchmarks.posteriors.registry import Problem, register


def _flow(state: Any, t: Any, rates: Any) -> Any:
    prey, hunter = state
    a, b, c, d = rates
    return jnp.array([(a - b * hunter) * prey, (c * prey - d) * hunter])


def _solved(start: Any, times: Any, rates: Any) -> Any:
    return odeint(_flow, start, times, rates, rtol=1e-6, atol=1e-5, mxstep=500)


def _stepped(start: Any, times: Any, rates: Any, steps: int = 25) -> Any:
    """Take Runge–Kutta steps of fourth order, `steps` from each time to the next."""
    size = (times[1] - times[0]) / steps

    def step(state: Any, _: Any) -> tuple[Any, Any]:
        first = _flow(state, 0.0, rates)
        second = _flow(state + size / 2 * first, 0.0, rates)
        third = _flow(state + size / 2 * second, 0.0, rates)
        fourth = _flow(state + size * third, 0.0, rates)
        return state + size / 6 * (first + 2 * second + 2 * third + fourth), state

    _, states = jax.lax.scan(step, start, length=steps * (len(times) - 1) + 1)
    return states[::steps]


def _hunters(solve: Callable[[Any, Any, Any], Any]) -> Problem:
    def model(times: Any, y: Any) -> None:
        centre = jnp.log(jnp.array([0.6, 0.03, 0.03, 0.6]))
        rates = numpyro.sample("rates", dist.LogNormal(centre, 0.5).to_event(1))
        start = numpyro.sample(
            "start", dist.LogNormal(jnp.log(20.0), 1.0).expand([2]).to_event(1)
        )
        sigma = numpyro.sample(
            "sigma", dist.LogNormal(-1.0, 0.5).expand([2]).to_event(1)
        )
        states = solve(start, times, rates)
        likelihood = dist.LogNormal(jnp.log(states), sigma).to_event(2)
        numpyro.sample("y", likelihood, obs=y)

    rng = np.random.default_rng(306)
    state, states = np.array([30.0, 6.0]), []
    for step in range(1200):  # Euler, 100 steps a year: the data's own curve
        if step % 100 == 0:
            states.append(state)
        prey, hunter = state
        change = [(0.55 - 0.028 * hunter) * prey, (0.024 * prey - 0.8) * hunter]
        state = state + 0.01 * np.array(change)
    noisy = np.array(states) * np.exp(0.2 * rng.normal(size=(12, 2)))
    return model, (np.arange(12.0), noisy)


def lynx_by_steps() -> Problem:
    """Write `lynx_and_hare` with fixed steps, which are cheaper and as exact."""
    return _hunters(_stepped)


@register("time_series", twin=lynx_by_steps)
def lynx_and_hare() -> Problem:
    """Lotka–Volterra by `odeint`: four rates, two starts, two errors, 12 times."""
    return _hunters(_solved)


@register("time_series")
def tumour_growth() -> Problem:
    """Gompertz growth of six tumours that share two of three parameters."""

    def model(t: Any, size: Any) -> None:
        top = numpyro.sample("top", dist.LogNormal(4.0, 1.0))
        rate = numpyro.sample("rate", dist.LogNormal(-1.0, 0.7))
        start = numpyro.sample(
            "start", dist.LogNormal(0.0, 1.0).expand([6]).to_event(1)
        )
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
        fall = jnp.exp(-rate * t)
        log_size = jnp.log(top) + jnp.log(start / top)[:, None] * fall
        numpyro.sample("size", dist.LogNormal(log_size, sigma).to_event(2), obs=size)

    rng = np.random.default_rng(310)
    t = np.arange(1.0, 11.0)
    start = rng.lognormal(0, 0.4, (6, 1))
    log_size = np.log(60) + np.log(start / 60) * np.exp(-0.25 * t)
    return model, (t, np.exp(log_size + 0.15 * rng.normal(size=(6, 10))))


@register("time_series")
def outbreak() -> Problem:
    """Daily cases of a discrete SIR epidemic, negative binomial about the curve."""

    def model(cases: Any) -> None:
        reproduction = numpyro.sample("reproduction", dist.LogNormal(0.7, 0.4))
        recovery = numpyro.sample("recovery", dist.LogNormal(-1.5, 0.3))
        first = numpyro.sample("first", dist.LogNormal(1.0, 1.0))
        shape = numpyro.sample("shape", dist.Gamma(2.0, 0.1))

        def step(state: Any, _: Any) -> tuple[Any, Any]:
            susceptible, infected = state
            force = reproduction * recovery * infected / 1000.0
            new = susceptible * -jnp.expm1(-force)
            return (susceptible - new, infected * (1 - recovery) + new), new

        state = (1000.0 - first, first)
        _, expected = jax.lax.scan(step, state, length=len(cases))
        numpyro.sample("cases", dist.NegativeBinomial2(expected, shape), obs=cases)

    rng = np.random.default_rng(311)
    susceptible, infected, cases = 997.0, 3.0, []
    for _ in range(40):
        new = susceptible * (1 - np.exp(-2.2 * 0.2 * infected / 1000))
        susceptible, infected = susceptible - new, infected * 0.8 + new
        cases.append(rng.poisson(new * rng.gamma(15.0, 1 / 15.0)))
    return model, (np.array(cases),)
