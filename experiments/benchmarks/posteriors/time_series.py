"""Time series: recursions, hidden states, changes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

from experiments.benchmarks.posteriors.registry import Problem, register


def _volatile_returns() -> tuple[np.ndarray]:
    rng = np.random.default_rng(301)
    h = np.zeros(100)
    for t in range(1, 100):
        h[t] = 0.95 * h[t - 1] + 0.3 * rng.normal()
    return (np.exp(h / 2 - 0.5) * rng.normal(size=100),)


@register("time_series")
def stochastic_volatility() -> Problem:
    """Log variance as a stationary AR(1) of 100 steps: 103 unknowns."""

    def model(returns: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 3.0))
        phi = numpyro.sample("phi", dist.Beta(20.0, 1.5))
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([100]).to_event(1))

        def step(h: Any, z_t: Any) -> tuple[Any, Any]:
            h = phi * h + sigma * z_t
            return h, h

        first = sigma * z[0] / jnp.sqrt(1 - phi**2)
        _, rest = jax.lax.scan(step, first, z[1:])
        h = mu + jnp.append(first, rest)
        numpyro.sample("returns", dist.Normal(0.0, jnp.exp(h / 2)), obs=returns)

    return model, _volatile_returns()


@register("time_series")
def second_order() -> Problem:
    """AR(2), conditional on its first two values."""

    def model(y: Any) -> None:
        alpha = numpyro.sample("alpha", dist.Normal(0.0, 2.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))

        def step(last: Any, y_t: Any) -> tuple[Any, Any]:
            mean = alpha + beta[0] * last[0] + beta[1] * last[1]
            numpyro.sample("y", dist.Normal(mean, sigma), obs=y_t)
            return (y_t, last[0]), None

        scan(step, (y[1], y[0]), y[2:])

    rng = np.random.default_rng(302)
    y = np.zeros(90)
    for t in range(2, 90):
        y[t] = 0.3 + 1.1 * y[t - 1] - 0.4 * y[t - 2] + 0.7 * rng.normal()
    return model, (y,)


def _walk() -> tuple[np.ndarray]:
    rng = np.random.default_rng(303)
    steps = np.cumsum(rng.normal(0, 0.4, 25))
    return (2 + steps + rng.normal(0, 0.7, 25),)


def level_by_steps() -> Problem:
    """Write `scanned_level` by its standardised steps."""

    def model(y: Any) -> None:
        start = numpyro.sample("start", dist.Normal(0.0, 5.0))
        drift = numpyro.sample("drift", dist.HalfNormal(1.0))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1))
        level = numpyro.deterministic("level", start + drift * jnp.cumsum(z))
        numpyro.sample("y", dist.Normal(level, noise), obs=y)

    return model, _walk()


@register("scan", twin=level_by_steps)
def scanned_level() -> Problem:
    """A local level of 25 times by `scan` with a latent site, centred: 28 unknowns."""

    def model(y: Any) -> None:
        start = numpyro.sample("start", dist.Normal(0.0, 5.0))
        drift = numpyro.sample("drift", dist.HalfNormal(1.0))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))

        def step(level: Any, y_t: Any) -> tuple[Any, None]:
            level = numpyro.sample("level", dist.Normal(level, drift))
            numpyro.sample("y", dist.Normal(level, noise), obs=y_t)
            return level, None

        scan(step, start, y)

    return model, _walk()


@register("scan")
def scanned_rates() -> Problem:
    """Counts of 20 days whose log rate is an AR(1) written by `scan`."""

    def model(counts: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(1.0, 1.0))
        rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(0.7))

        def step(x: Any, count: Any) -> tuple[Any, None]:
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
            x = rho * x + tau * z
            numpyro.sample("counts", dist.Poisson(jnp.exp(mu + x)), obs=count)
            return x, None

        scan(step, jnp.array(0.0), counts)

    rng = np.random.default_rng(304)
    return model, (rng.poisson(np.exp(1.5 + 0.4 * np.cumsum(rng.normal(size=20)) / 2)),)


@register("time_series")
def smooth_walk() -> Problem:
    """A random walk of 30 steps by `cumsum`, observed with outliers."""

    def model(y: Any) -> None:
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        # Away from 0, where the walk goes through every point.
        sigma = numpyro.sample("sigma", dist.LogNormal(-0.7, 0.5))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1))
        numpyro.sample("y", dist.StudentT(4.0, tau * jnp.cumsum(z), sigma), obs=y)

    rng = np.random.default_rng(305)
    y = np.cumsum(rng.normal(0, 0.5, 30)) + 0.4 * rng.standard_t(4, 30)
    return model, (y,)


@register("time_series")
def coal_changepoint() -> Problem:
    """Counts whose rate changes once; the year of it is summed out."""

    def model(counts: Any) -> None:
        rates = numpyro.sample("rates", dist.Exponential(0.3).expand([2]).to_event(1))
        log_probs = dist.Poisson(rates).log_prob(counts[:, None])  # (years, 2)
        early, late = jnp.cumsum(log_probs, axis=0).T
        changes = early[:-1] + (late[-1] - late[:-1])
        total = jax.nn.logsumexp(changes) - jnp.log(len(changes))
        numpyro.factor("counts", total)

    rng = np.random.default_rng(307)
    return model, (np.r_[rng.poisson(3.2, 40), rng.poisson(1.1, 60)],)


@register("time_series")
def seasonal_trend() -> Problem:
    """A trend and two harmonics of a year of weeks: a linear regression in time."""

    def model(t: Any, y: Any) -> None:
        trend = numpyro.sample("trend", dist.Normal(0.0, 5.0).expand([2]).to_event(1))
        wave = numpyro.sample("wave", dist.Normal(0.0, 2.0).expand([4]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        angle = 2 * jnp.pi * t[:, None] * jnp.array([1.0, 2.0])
        harmonics = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=1)
        mean = trend[0] + trend[1] * t + harmonics @ wave
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    rng = np.random.default_rng(308)
    t = np.arange(78) / 52
    y = 3 - 0.8 * t + np.sin(2 * np.pi * t + 0.4) + 0.5 * rng.normal(size=78)
    return model, (t, y)


@register("time_series")
def clustered_variance() -> Problem:
    """GARCH(1, 1): three parameters in a triangle, the variance by recursion."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        base = numpyro.sample("base", dist.HalfNormal(1.0))
        shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(3)))

        def step(variance: Any, y_t: Any) -> tuple[Any, Any]:
            after = base + shares[0] * (y_t - mu) ** 2 + shares[1] * variance
            return after, variance

        _, variance = jax.lax.scan(step, jnp.var(y), y)
        numpyro.sample("y", dist.Normal(mu, jnp.sqrt(variance)), obs=y)

    rng = np.random.default_rng(309)
    y, variance = np.zeros(200), 1.0
    for t in range(200):
        y[t] = 0.1 + np.sqrt(variance) * rng.normal()
        variance = 0.2 + 0.25 * (y[t] - 0.1) ** 2 + 0.6 * variance
    return model, (y,)
