"""Bounded unknowns: intervals, simplexes, edges, bounds that depend on unknowns."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from experiments.benchmarks.posteriors.quadrature import logarithmic, spread
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


def _two_betas(visitors: Any, sales: Any) -> dict[str, Any]:
    """Return the Beta posteriors."""
    a, b = 1.0 + sales, 1.0 + visitors - sales
    mean = a / (a + b)
    return {"p": (mean, np.sqrt(mean * (1 - mean) / (a + b + 1)))}


@register("bounded", exact=_two_betas)
def two_pages() -> Problem:
    """An A/B test: two shares of sales, uniform priors."""

    def model(visitors: Any, sales: Any) -> None:
        p = numpyro.sample("p", dist.Uniform().expand([2]).to_event(1))
        numpyro.sample("sales", dist.Binomial(visitors, p), obs=sales)

    return model, (np.array([120, 110]), np.array([9, 17]))


def _dirichlet(counts: Any) -> dict[str, Any]:
    """Return the Dirichlet posterior."""
    a = 0.5 + counts
    mean = a / a.sum()
    return {"share": (mean, np.sqrt(mean * (1 - mean) / (a.sum() + 1)))}


@register("bounded", exact=_dirichlet)
def rare_species() -> Problem:
    """Shares of six species, two of them never seen: a simplex with mass at edges."""

    def model(counts: Any) -> None:
        share = numpyro.sample("share", dist.Dirichlet(0.5 * jnp.ones(6)))
        total = counts.sum()
        numpyro.sample("counts", dist.Multinomial(total, share), obs=counts)

    return model, (np.array([14, 9, 4, 1, 0, 0]),)


def _nothing_axes() -> Axes:
    return {
        "signal": np.linspace(1e-9, 20.0, 2001),
        "background": np.linspace(1e-9, 6.0, 1201),
    }


@register("bounded", axes=_nothing_axes)
def nothing_seen() -> Problem:
    """One event where two of background are expected: a signal that is near zero."""

    def model(events: Any, side: Any) -> None:
        signal = numpyro.sample("signal", dist.Uniform(0.0, 20.0))
        background = numpyro.sample("background", dist.Uniform(0.0, 6.0))
        numpyro.sample("events", dist.Poisson(signal + background), obs=events)
        numpyro.sample("side", dist.Poisson(5.0 * background), obs=side)

    return model, (np.array(1), np.array(10))


def _edge_axes() -> Axes:
    return {"x": 1 - logarithmic(1e-9, 1 - 1e-9, 8001)[::-1]}


@register("bounded", axes=_edge_axes)
def at_the_edge() -> Problem:
    """An efficiency that the data push against one."""

    def model(y: Any) -> None:
        x = numpyro.sample("x", dist.Uniform(0.0, 1.0))
        numpyro.sample("y", dist.Normal(x, 0.1), obs=y)

    return model, (np.array([1.05, 1.12, 0.98]),)


@register("bounded")
def dating_layers() -> Problem:
    """Dates of three layers, each bounded by the one above: supports that depend."""

    def model(y: Any) -> None:
        first = numpyro.sample("first", dist.Uniform(0.0, 10.0))
        second = numpyro.sample("second", dist.Uniform(first, 10.0))
        third = numpyro.sample("third", dist.Uniform(second, 10.0))
        dates = jnp.stack([first, second, third])
        numpyro.sample("y", dist.Normal(dates, 1.0), obs=y)

    return model, (np.array([3.2, 3.0, 5.5]),)


@register("bounded")
def three_correlations() -> Problem:
    """The correlation matrix of three measured columns, by its Cholesky factor."""

    def model(y: Any) -> None:
        scale = numpyro.sample("scale", dist.HalfNormal(2.0).expand([3]).to_event(1))
        factor = numpyro.sample("factor", dist.LKJCholesky(3, 1.0))
        noise = dist.MultivariateNormal(0.0, scale_tril=scale[:, None] * factor)
        numpyro.sample("y", noise, obs=y)

    rng = np.random.default_rng(1001)
    covariance = [[1.0, 0.6, -0.3], [0.6, 1.5, 0.0], [-0.3, 0.0, 0.5]]
    return model, (rng.multivariate_normal(np.zeros(3), covariance, 40),)


def _flat_axes() -> Axes:
    return {"mu": spread(2.0, 0.3, 1e5, 1601), "sigma": logarithmic(0.05, 1e5, 1601)}


@register("bounded", axes=_flat_axes)
def flat_priors() -> Problem:
    """Eight normal data, improper priors on both unknowns."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.ImproperUniform(constraints.real, (), ()))
        sigma = numpyro.sample(
            "sigma", dist.ImproperUniform(constraints.positive, (), ())
        )
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    rng = np.random.default_rng(1002)
    return model, (2.0 + 1.3 * rng.normal(size=8),)


@register("bounded")
def missing_scores() -> Problem:
    """Nested plates of schools and tests with a mask over what is missing."""

    def model(scores: Any, there: Any) -> None:
        mean = numpyro.sample("mean", dist.Normal(50.0, 20.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
        with numpyro.plate("tests", 4):
            hard = numpyro.sample("hard", dist.Normal(0.0, 10.0))
        with numpyro.plate("schools", 7, dim=-2):
            good = numpyro.sample("good", dist.Normal(0.0, 5.0))
            with numpyro.plate("scores_of_tests", 4, dim=-1):
                noise = dist.Normal(mean + good - hard, sigma).mask(there)
                numpyro.sample("scores", noise, obs=scores)

    rng = np.random.default_rng(1003)
    scores = 55 + rng.normal(0, 5, (7, 1)) + rng.normal(0, 8, 4)
    there = rng.uniform(size=(7, 4)) < 0.8
    return model, (np.where(there, scores + rng.normal(0, 4, (7, 4)), 0.0), there)


def _beta_moments(a: float, b: float) -> tuple[float, float]:
    mean = a / (a + b)
    return mean, np.sqrt(mean * (1 - mean) / (a + b + 1))


def _both_ends() -> dict[str, Any]:
    """Return the moments of Beta(0.3, 0.3)."""
    return {"p": _beta_moments(0.3, 0.3)}


@register("bounded", exact=_both_ends, history="new")
def at_both_ends() -> Problem:
    """A share that is near 0 or near 1: its density is infinite at both ends."""

    def model() -> None:
        numpyro.sample("p", dist.Beta(0.3, 0.3))

    return model, ()


def _near_zero() -> dict[str, Any]:
    """Return the moments of Beta(1, 40) and Gamma(0.3, 2)."""
    return {"p": _beta_moments(1.0, 40.0), "rate": (0.3 / 2, np.sqrt(0.3) / 2)}


@register("bounded", exact=_near_zero, history="new")
def near_zero() -> Problem:
    """A share and a rate that crowd at zero, the rate's density without bound there."""

    def model() -> None:
        numpyro.sample("p", dist.Beta(1.0, 40.0))
        numpyro.sample("rate", dist.Gamma(0.3, 2.0))

    return model, ()
