"""Scales and condition numbers that float32 does not take lightly."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.quadrature import normal_given_scale
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


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


SUM_WEIGHTS = np.array([1e-4, 1.0, 1e3])
SUM_ERROR = 1e-3


def _weighted_sum(y: Any) -> dict[str, Any]:
    """Return the normal posterior of three unknowns whose weighted sum is measured."""
    prior = np.diag(SUM_WEIGHTS**2)  # in each's own unit, weight · unknown ~ N(0, 1)
    data = np.outer(SUM_WEIGHTS, SUM_WEIGHTS) * len(y) / SUM_ERROR**2
    covariance = np.linalg.inv(prior + data)
    mean = covariance @ SUM_WEIGHTS * y.sum() / SUM_ERROR**2
    sd = np.sqrt(np.diag(covariance))
    return {name: (mean[i], sd[i]) for i, name in enumerate("abc")}


@register("precision", exact=_weighted_sum, history="new")
def weighted_sum() -> Problem:
    """Scales 10⁴, 1 and 10⁻³, and a weighted sum that is known to 0.04 %."""

    def model(y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 1e4))
        b = numpyro.sample("b", dist.Normal(0.0, 1.0))
        c = numpyro.sample("c", dist.Normal(0.0, 1e-3))
        total = SUM_WEIGHTS[0] * a + SUM_WEIGHTS[1] * b + SUM_WEIGHTS[2] * c
        numpyro.sample("y", dist.Normal(total, SUM_ERROR), obs=y)

    rng = np.random.default_rng(8)
    return model, (1.2 + SUM_ERROR * rng.normal(size=5),)


PRIOR_SDS = np.array([10.0, 1e-3, 1e5, 1e3])


def _unlike_units(x: Any, y: Any) -> dict[str, Any]:
    """Return the normal posterior of the coefficients: noise 0.5."""
    covariance = np.linalg.inv(np.diag(PRIOR_SDS**-2) + x.T @ x / 0.25)
    return {"w": (covariance @ x.T @ y / 0.25, np.sqrt(np.diag(covariance)))}


@register("precision", exact=_unlike_units, history="new")
def unlike_units() -> Problem:
    """Predictors of sizes 10⁻⁴ to 10⁴, unscaled, two of them correlated."""

    def model(x: Any, y: Any) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, jnp.asarray(PRIOR_SDS)).to_event(1))
        numpyro.sample("y", dist.Normal(x @ w, 0.5), obs=y)

    rng = np.random.default_rng(9)
    z = rng.normal(size=(40, 4))
    z[:, 0] = 1.0
    z[:, 3] += 0.9 * z[:, 2]
    x = z * np.array([1.0, 1e4, 1e-4, 1e-2])
    return model, (x, x @ [2.0, 1e-4, 5e3, 80.0] + 0.5 * rng.normal(size=40))


def _million_axes() -> Axes:
    return {
        "shift": 0.001 + np.linspace(-0.01, 0.01, 2001),
        "slope": np.linspace(-0.02, 0.02, 2001),
    }


@register("precision", axes=_million_axes, history="new")
def million_counts() -> Problem:
    """Counts near a million: terms of 10⁷ cancel, and rates are known to 0.04 %."""

    def model(x: Any, counts: Any) -> None:
        shift = numpyro.sample("shift", dist.Normal(0.0, 0.1))
        slope = numpyro.sample("slope", dist.Normal(0.0, 0.1))
        rate = 1e6 * jnp.exp(shift + slope * x)
        numpyro.sample("counts", dist.Poisson(rate), obs=counts)

    rng = np.random.default_rng(10)
    x = np.linspace(-1.0, 1.0, 6)
    return model, (x, rng.poisson(1e6 * np.exp(0.001 + 0.002 * x)))


EPOCH = 1.6e9  # seconds since 1970


def _pulse_axes() -> Axes:
    return {
        "t0": EPOCH + np.linspace(-3.0, 3.0, 1201),
        "height": np.linspace(1.0, 9.0, 801),
    }


# All fits were wrong and used, for float32 had moved the data. Now such data are
# refused, with what to do.
@register("precision", axes=_pulse_axes, history="mended")
def pulse_in_unix_time() -> Problem:
    """A pulse of three seconds, in seconds since 1970: float32 rounds them to 128."""

    def model(t: Any, y: Any) -> None:
        t0 = numpyro.sample("t0", dist.Normal(EPOCH, 10.0))
        height = numpyro.sample("height", dist.HalfNormal(10.0))
        curve = height * jnp.exp(-0.5 * ((t - t0) / 3.0) ** 2)
        numpyro.sample("y", dist.Normal(curve, 1.0), obs=y)

    rng = np.random.default_rng(11)
    t = EPOCH + np.linspace(-15.0, 15.0, 40)
    curve = 5 * np.exp(-0.5 * ((t - EPOCH - 0.4) / 3.0) ** 2)
    return model, (t, curve + rng.normal(size=40))
