"""Scales and condition numbers that float32 does not take lightly."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.quadrature import normal_given_scale
from experiments.benchmarks.posteriors.registry import Problem, register


@register("precision")
def bird_counts() -> Problem:
    """Counts along a line, log rates a Gaussian process with a jitter of 10⁻⁹."""

    def model(x: Any, counts: Any) -> None:
        rho = numpyro.sample("rho", dist.InverseGamma(5.0, 15.0))
        alpha = numpyro.sample("alpha", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(1.0, 1.0))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([len(x)]).to_event(1))
        distance = (x[:, None] - x) / rho
        kernel = jnp.exp(-0.5 * distance**2) + 1e-9 * jnp.eye(len(x))
        log_rate = level + alpha * jnp.linalg.cholesky(kernel) @ z
        numpyro.sample("counts", dist.Poisson(jnp.exp(log_rate)), obs=counts)

    rng = np.random.default_rng(1101)
    x = np.linspace(0.0, 10.0, 14)
    return model, (x, rng.poisson(np.exp(1.2 + 0.8 * np.sin(x / 1.5))))


@register("precision")
def smooth_curve() -> Problem:
    """A Gaussian process with its values integrated out: three scales."""

    def model(x: Any, y: Any) -> None:
        rho = numpyro.sample("rho", dist.LogNormal(0.0, 1.0))
        alpha = numpyro.sample("alpha", dist.LogNormal(0.0, 1.0))
        sigma = numpyro.sample("sigma", dist.LogNormal(-2.0, 1.0))
        distance = (x[:, None] - x) / rho
        kernel = alpha**2 * jnp.exp(-0.5 * distance**2)
        noise = (sigma**2 + 1e-6) * jnp.eye(len(x))
        numpyro.sample("y", dist.MultivariateNormal(0.0, kernel + noise), obs=y)

    rng = np.random.default_rng(1102)
    x = np.sort(rng.uniform(-3, 3, 25))
    return model, (x, np.sin(1.5 * x) + 0.1 * rng.normal(size=25))


def _normal_posterior(design: Any, y: Any) -> dict[str, Any]:
    """Return the normal posterior of the coefficients: prior sd 10, noise 1."""
    covariance = np.linalg.inv(np.eye(design.shape[1]) / 100 + design.T @ design)
    return {"beta": (covariance @ design.T @ y, np.sqrt(np.diag(covariance)))}


@register("precision", exact=_normal_posterior)
def raw_powers() -> Problem:
    """A quartic in raw powers of x up to 8: columns from 1 to 4096."""

    def model(design: Any, y: Any) -> None:
        prior = dist.Normal(0.0, 10.0).expand([5]).to_event(1)
        beta = numpyro.sample("beta", prior)
        numpyro.sample("y", dist.Normal(design @ beta, 1.0), obs=y)

    rng = np.random.default_rng(1103)
    x = np.linspace(0.0, 8.0, 40)
    design = x[:, None] ** np.arange(5)
    return model, (design, 3 - x + 0.2 * x**2 + rng.normal(size=40))


def _centred_years(year: Any, y: Any) -> Any:
    """Return the exact moments by integrating the line out on a grid of sigma."""
    design = np.column_stack([np.ones(len(year)), year - 2000.0])
    # In a' = a + 2000 b the prior is a ~ N(0, 500²), b ~ N(0, 1) still, correlated.
    turn = np.array([[1.0, 2000.0], [0.0, 1.0]])  # (a, b) -> (a', b)
    prior = np.linalg.inv(turn @ np.diag([500.0**2, 1.0]) @ turn.T)
    back = np.linalg.inv(turn)

    def at(sigma: float) -> tuple[float, np.ndarray, np.ndarray]:
        covariance = np.linalg.inv(prior + design.T @ design / sigma**2)
        mean = covariance @ design.T @ y / sigma**2
        misfit = (y @ y - mean @ design.T @ y) / sigma**2
        log_mass = 0.5 * (np.linalg.slogdet(covariance)[1] - misfit - sigma**2)
        log_mass -= len(y) * np.log(sigma)
        return log_mass, back @ mean, back @ covariance @ back.T

    sigma, sigma_sd, mean, sd = normal_given_scale(np.linspace(0.02, 3, 30_001), at)
    return {
        "a": (mean[0], sd[0]),
        "b": (mean[1], sd[1]),
        "sigma": (sigma, sigma_sd),
    }


@register("precision", exact=_centred_years)
def raw_years() -> Problem:
    """A trend in calendar years, not centred: intercept and slope correlate to 10⁻⁵."""

    def model(year: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 500.0))
        b = numpyro.sample("b", dist.Normal(0.0, 1.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(a + b * year, sigma), obs=y)

    rng = np.random.default_rng(1104)
    year = np.arange(1985.0, 2020.0)
    return model, (year, 9.0 + 0.03 * (year - 2000) + 0.4 * rng.normal(size=35))


def in_picometres() -> Problem:
    """Write `small_units` in units of 10⁻¹²."""
    _, (y,) = small_units()

    def model(y: Any) -> None:
        mu = numpyro.sample("mu_scaled", dist.Normal(0.0, 500.0))
        sigma = numpyro.sample("sigma_scaled", dist.HalfNormal(100.0))
        numpyro.deterministic("mu", mu * 1e-12)
        numpyro.deterministic("sigma", sigma * 1e-12)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model, (y * 1e12,)


@register("precision", twin=in_picometres)
def small_units() -> Problem:
    """Lengths of atoms in metres: mean and width near 10⁻¹⁰."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5e-10))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1e-10))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    rng = np.random.default_rng(1105)
    return model, (1.4e-10 + 2e-11 * rng.normal(size=20),)


@register("many")
def many_wards() -> Problem:
    """Two hundred wards of three patients each, non-centred: 203 unknowns."""

    def model(ward: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        with numpyro.plate("wards", 200):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mu + tau * z[ward], sigma), obs=y)

    rng = np.random.default_rng(1106)
    ward = np.repeat(np.arange(200), 3)
    y = 2 + 0.5 * rng.normal(size=200)[ward] + rng.normal(size=600)
    return model, (ward, y)
