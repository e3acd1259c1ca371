"""Heavy tails: Cauchy and Pareto priors, few data, moments that do not exist."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.quadrature import (
    logarithmic,
    normal_given_scale,
    spread,
)
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


def _outlying_axes() -> Axes:
    return {"mu": spread(0.5, 0.2, 500.0, 1201), "s": logarithmic(1e-4, 300.0, 1001)}


@register("heavy_tail", axes=_outlying_axes)
def outlying_data() -> Problem:
    """Location and width of a Cauchy sample, two of whose eight data are far off."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Cauchy(0.0, 10.0))
        s = numpyro.sample("s", dist.HalfCauchy(2.0))
        numpyro.sample("y", dist.Cauchy(mu, s), obs=y)

    return model, (np.array([-0.4, 0.1, 0.3, 0.6, 0.9, 1.3, 8.0, -25.0]),)


def _three_data_axes() -> Axes:
    return {
        "mu": spread(1.2, 0.3, 3e5, 1601),
        "sigma": logarithmic(1e-3, 3e5, 1601),
    }


@register("heavy_tail", axes=_three_data_axes)
def three_data() -> Problem:
    """Mean and width of three normal data under Cauchy priors: tails of fifth power."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Cauchy(0.0, 3.0))
        sigma = numpyro.sample("sigma", dist.HalfCauchy(3.0))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model, (np.array([0.3, 1.1, 2.4]),)


def _separated() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(801)
    x = np.r_[rng.uniform(-2, -0.4, 12), rng.uniform(0.4, 2, 12)]
    return x, rng.normal(size=24), (x > 0).astype(int)


def separated_by_quantiles() -> Problem:
    """Write `separated` with its Cauchy unknowns as quantiles of uniform ones."""

    def model(x: Any, w: Any, y: Any) -> None:
        u = numpyro.sample("u", dist.Uniform().expand([2]).to_event(1))
        cauchy = jnp.tan(jnp.pi * (u - 0.5))
        a = numpyro.deterministic("a", 10.0 * cauchy[0])
        b = numpyro.deterministic("b", 2.5 * cauchy[1])
        c = numpyro.sample("c", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Bernoulli(logits=a + b * x + c * w), obs=y)

    return model, _separated()


# While b grows, the likelihood tends to 1 for every a of moderate size: b keeps the
# prior's tail b⁻², and a, which b must outgrow, has a⁻³.
@register("heavy_tail", twin=separated_by_quantiles, no_moments=("b",), no_sd=("a",))
def separated() -> Problem:
    """Separated classes under Cauchy priors: b has no mean, a no variance."""

    def model(x: Any, w: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Cauchy(0.0, 10.0))
        b = numpyro.sample("b", dist.Cauchy(0.0, 2.5))
        c = numpyro.sample("c", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Bernoulli(logits=a + b * x + c * w), obs=y)

    return model, _separated()


# The likelihood tends to a constant as kappa grows, so that the prior's tail κ^−2.5 is
# the posterior's.
@register("heavy_tail", no_sd=("kappa",))
def free_throws() -> Problem:
    """Partial pooling with a Pareto(1.5) concentration, which keeps its tail."""

    def model(shots: Any, hits: Any) -> None:
        m = numpyro.sample("m", dist.Beta(2.0, 2.0))
        kappa = numpyro.sample("kappa", dist.Pareto(1.0, 1.5))
        with numpyro.plate("players", len(hits)):
            p = numpyro.sample("p", dist.Beta(m * kappa, (1 - m) * kappa))
            numpyro.sample("hits", dist.Binomial(shots, p), obs=hits)

    rng = np.random.default_rng(802)
    shots = rng.integers(20, 40, 12)
    return model, (shots, rng.binomial(shots, rng.beta(45, 15, 12)))


def _three_groups(y: Any, error: Any) -> dict[str, Any]:
    """Return the exact moments: mu and the levels are normal at each tau of a grid.

    The posterior of tau falls as tau⁻⁵: fourth moments do not exist, so that draws
    would not tell how well they know the sd.
    """

    def at(tau: float) -> tuple[float, np.ndarray, np.ndarray]:
        # Precision of (mu, levels): the prior's, and what the data add to it.
        precision = np.diag(np.r_[1 / 20**2 + 3 / tau**2, 1 / tau**2 + 1 / error**2])
        precision[0, 1:] = precision[1:, 0] = -1 / tau**2
        covariance = np.linalg.inv(precision)
        mean = covariance @ np.r_[0.0, y / error**2]
        log_mass = 0.5 * (np.linalg.slogdet(covariance)[1] + mean[1:] @ (y / error**2))
        return log_mass - 3 * np.log(tau) - np.log1p((tau / 3) ** 2), mean, covariance

    grid = logarithmic(1e-5, 1e6, 20_001)
    tau, tau_sd, mean, sd = normal_given_scale(grid, at)
    return {
        "mu": (mean[0], sd[0]),
        "tau": (tau, tau_sd),
        "level": (mean[1:], sd[1:]),
    }


@register("heavy_tail", exact=_three_groups)
def three_groups() -> Problem:
    """Three group means under a half-Cauchy spread: little holds its tail."""

    def model(y: Any, error: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 20.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(3.0))
        prior = dist.Normal(mu, tau).expand([3]).to_event(1)
        level = numpyro.sample("level", prior)
        numpyro.sample("y", dist.Normal(level, error), obs=y)

    return model, (np.array([2.0, 6.0, 3.5]), np.array([1.5, 1.0, 2.0]))


def _sparse_data() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(803)
    x = rng.normal(size=(60, 12))
    return x, x[:, :3] @ [2.0, -1.0, 0.5] + rng.normal(size=60)


def half_centred_horseshoe() -> Problem:
    """Write `horseshoe` centred for the three coefficients that the data know."""

    def model(x: Any, y: Any) -> None:
        tau = numpyro.sample("tau", dist.HalfCauchy(0.3))
        lam = numpyro.sample("lam", dist.HalfCauchy(1.0).expand([12]).to_event(1))
        large = numpyro.sample("large", dist.Normal(0.0, tau * lam[:3]).to_event(1))
        small = numpyro.sample("small", dist.Normal(0.0, 1.0).expand([9]).to_event(1))
        z = jnp.concatenate([large / (tau * lam[:3]), small])
        numpyro.deterministic("z", z)
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        numpyro.sample("y", dist.Normal(x @ (tau * lam * z), sigma), obs=y)

    return model, _sparse_data()


# b_j = λ_j τ z_j: as λ_j grows, z_j must shrink, which leaves λ_j⁻³.
# NUTS diverges in 1 of 700 draws still; run non-centred, it agrees within its errors.
@register("heavy_tail", twin=half_centred_horseshoe, no_sd=("lam",))
def horseshoe() -> Problem:
    """Sparse regression, twelve coefficients under a horseshoe, non-centred."""

    def model(x: Any, y: Any) -> None:
        tau = numpyro.sample("tau", dist.HalfCauchy(0.3))
        lam = numpyro.sample("lam", dist.HalfCauchy(1.0).expand([12]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([12]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        numpyro.sample("y", dist.Normal(x @ (tau * lam * z), sigma), obs=y)

    return model, _sparse_data()


@register("heavy_tail")
def laplace_shrinkage() -> Problem:
    """Sparse regression, ten coefficients under a Laplace prior of unknown width."""

    def model(x: Any, y: Any) -> None:
        width = numpyro.sample("width", dist.HalfCauchy(1.0))
        beta = numpyro.sample(
            "beta", dist.Laplace(0.0, width).expand([x.shape[1]]).to_event(1)
        )
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)

    rng = np.random.default_rng(804)
    x = rng.normal(size=(50, 10))
    return model, (x, x[:, :2] @ [1.5, -0.8] + rng.normal(size=50))


@register("heavy_tail")
def returns() -> Problem:
    """Location, width and degrees of freedom of 80 Student-t data."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        s = numpyro.sample("s", dist.HalfCauchy(2.0))
        inverse_nu = numpyro.sample("inverse_nu", dist.Uniform(0.0, 1.0))
        numpyro.sample("y", dist.StudentT(1 / inverse_nu, mu, s), obs=y)

    rng = np.random.default_rng(805)
    return model, (0.2 + 0.8 * rng.standard_t(3, 80),)


def _five_data_axes() -> Axes:
    return {"mu": spread(1.5, 2.0, 60.0, 2401), "s": logarithmic(1e-3, 400.0, 2001)}


@register("heavy_tail", axes=_five_data_axes, history="new")
def five_laplace_data() -> Problem:
    """Location and width of five Laplace data: a density with five creases in mu."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
        s = numpyro.sample("s", dist.HalfNormal(5.0))
        numpyro.sample("y", dist.Laplace(mu, s), obs=y)

    return model, (np.array([0.1, 0.3, 1.9, 2.2, 8.0]),)
