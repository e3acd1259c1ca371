"""Curves and survival: likelihoods that are not linear in the unknowns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.stats import norm

from experiments.benchmarks.posteriors.registry import Problem, register


@register("nonlinear")
def dose_response() -> Problem:
    """The four-parameter logistic curve, two of its parameters in bounds."""

    def model(log_dose: Any, y: Any) -> None:
        bottom = numpyro.sample("bottom", dist.Normal(0.0, 1.0))
        top = numpyro.sample("top", dist.Normal(5.0, 3.0))
        middle = numpyro.sample("middle", dist.Uniform(-3.0, 3.0))
        slope = numpyro.sample("slope", dist.Uniform(0.2, 6.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        curve = bottom + (top - bottom) * jax.nn.sigmoid(slope * (log_dose - middle))
        numpyro.sample("y", dist.Normal(curve, sigma), obs=y)

    rng = np.random.default_rng(401)
    x = np.repeat(np.linspace(-3, 3, 9), 3)
    curve = 0.3 + 4.2 / (1 + np.exp(-1.8 * (x - 0.4)))
    return model, (x, curve + 0.4 * rng.normal(size=27))


@register("nonlinear")
def enzyme() -> Problem:
    """Michaelis–Menten with data below saturation: top and half-point as one ridge."""

    def model(x: Any, y: Any) -> None:
        top = numpyro.sample("top", dist.LogNormal(1.0, 1.0))
        half = numpyro.sample("half", dist.LogNormal(1.0, 1.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.3))
        numpyro.sample("y", dist.Normal(top * x / (half + x), sigma), obs=y)

    rng = np.random.default_rng(402)
    x = np.linspace(0.2, 3.0, 15)
    return model, (x, 4 * x / (5 + x) + 0.1 * rng.normal(size=15))


@register("nonlinear")
def survival() -> Problem:
    """Weibull survival with a treatment, a third of the times censored."""

    def model(treated: Any, time: Any, died: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 2.0))
        b = numpyro.sample("b", dist.Normal(0.0, 1.0))
        shape = numpyro.sample("shape", dist.Gamma(2.0, 1.0))
        scaled = jnp.log(time) - a - b * treated
        log_hazard = jnp.log(shape) + shape * scaled - jnp.log(time)
        log_survival = -jnp.exp(shape * scaled)
        numpyro.factor("time", jnp.sum(died * log_hazard + log_survival))

    rng = np.random.default_rng(403)
    treated = rng.integers(0, 2, 80)
    time = np.exp(0.5 + 0.6 * treated) * rng.weibull(1.4, 80)
    limit = rng.uniform(0.5, 5, 80)
    return model, (treated, np.minimum(time, limit), (time < limit).astype(float))


@register("nonlinear")
def truncated_sample() -> Problem:
    """A normal sample cut below at 1: mean and sd lie on a ridge."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 3.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(3.0))
        kept = norm.logcdf((mu - 1.0) / sigma)
        log_prob = dist.Normal(mu, sigma).log_prob(y) - kept
        numpyro.factor("y", jnp.sum(log_prob))

    rng = np.random.default_rng(404)
    y = rng.normal(0.8, 1.5, 120)
    return model, (y[y > 1.0],)


@register("nonlinear")
def decay_and_background() -> Problem:
    """Two exponential decays over a background in counts, the second the faster."""

    def model(t: Any, counts: Any) -> None:
        slow = numpyro.sample("slow", dist.LogNormal(-1.0, 0.7))
        gap = numpyro.sample("gap", dist.LogNormal(0.0, 0.7))
        height = numpyro.sample(
            "height", dist.LogNormal(3.0, 1.0).expand([2]).to_event(1)
        )
        background = numpyro.sample("background", dist.Exponential(0.2))
        rates = jnp.stack([slow, slow + gap])
        curve = jnp.exp(-t[:, None] * rates) @ height + background
        numpyro.sample("counts", dist.Poisson(curve), obs=counts)

    rng = np.random.default_rng(405)
    t = np.linspace(0, 10, 50)
    curve = 30 * np.exp(-0.25 * t) + 50 * np.exp(-1.5 * t) + 3
    return model, (t, rng.poisson(curve))


@register("nonlinear")
def absorption() -> Problem:
    """One compartment with absorption, eight patients, in closed form."""

    def model(t: Any, y: Any) -> None:
        centre = numpyro.sample(
            "centre", dist.Normal(jnp.array([0.5, -1.5, 3.0]), 0.7).to_event(1)
        )
        spread = numpyro.sample("spread", dist.HalfNormal(0.5).expand([3]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([8, 3]).to_event(2))
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
        absorb, leave, volume = jnp.exp(centre + spread * z).T[:, :, None]
        # e^(−leave t) − e^(−(leave + absorb) t), in logs that do not underflow.
        risen = jnp.log(-jnp.expm1(-absorb * t)) - leave * t
        log_curve = jnp.log(100.0 * (leave + absorb) / (volume * absorb)) + risen
        likelihood = dist.LogNormal(log_curve, sigma).to_event(2)
        numpyro.sample("y", likelihood, obs=y)

    rng = np.random.default_rng(406)
    t = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
    logs = np.array([0.4, -1.6, 3.2]) + 0.25 * rng.normal(size=(8, 3))
    absorb, leave, volume = np.exp(logs).T[:, :, None]
    fast = leave + absorb
    amount = fast / absorb * (np.exp(-leave * t) - np.exp(-fast * t))
    return model, (t, 100 / volume * amount * np.exp(0.15 * rng.normal(size=(8, 7))))


@register("nonlinear")
def gaussian_copula() -> Problem:
    """Two margins, Gamma and Weibull, tied by a Gaussian copula."""

    def model(x: Any, y: Any) -> None:
        shape = numpyro.sample("shape", dist.LogNormal(0.5, 0.7))
        rate = numpyro.sample("rate", dist.LogNormal(0.0, 1.0))
        scale = numpyro.sample("scale", dist.LogNormal(0.0, 1.0))
        power = numpyro.sample("power", dist.LogNormal(0.0, 0.5))
        rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))
        first, second = dist.Gamma(shape, rate), dist.Weibull(scale, power)
        u = norm.ppf(
            jnp.clip(jax.scipy.special.gammainc(shape, rate * x), 1e-6, 1 - 1e-6)
        )
        v = norm.ppf(jnp.clip(-jnp.expm1(-((y / scale) ** power)), 1e-6, 1 - 1e-6))
        square = 1 - rho**2
        copula = -0.5 * jnp.log(square) - (rho**2 * (u**2 + v**2) - 2 * rho * u * v) / (
            2 * square
        )
        log_prob = first.log_prob(x) + second.log_prob(y) + copula
        numpyro.factor("pairs", jnp.sum(log_prob))

    rng = np.random.default_rng(407)
    common = rng.gamma(1.5, 0.5, 100)
    return model, (
        common + rng.gamma(0.8, 0.5, 100),
        0.5 * common + rng.weibull(1.3, 100),
    )


@register("nonlinear")
def wind_directions() -> Problem:
    """Angles about a mean direction far from the cut: von Mises of unknown width."""

    def model(angles: Any) -> None:
        direction = numpyro.sample("direction", dist.VonMises(0.0, 0.1))
        kappa = numpyro.sample("kappa", dist.Gamma(2.0, 0.5))
        numpyro.sample("angles", dist.VonMises(direction, kappa), obs=angles)

    rng = np.random.default_rng(408)
    return model, (rng.vonmises(0.7, 2.5, 40),)
