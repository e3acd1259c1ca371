"""Shapes that no normal q has: funnels, bananas, rings, ridges; mostly exact."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.quadrature import normal_given_scale, spread
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


def _funnel() -> dict[str, Any]:
    """Return Var x = E e^v = e^{9/2}."""
    return {"v": (0.0, 3.0), "x": (np.zeros(9), np.full(9, np.exp(9 / 4)))}


@register("geometry", exact=_funnel)
def funnel() -> Problem:
    """Neal's funnel: nine unknowns whose common log variance v is N(0, 3²)."""

    def model() -> None:
        v = numpyro.sample("v", dist.Normal(0.0, 3.0))
        scale = jnp.exp(v / 2)
        numpyro.sample("x", dist.Normal(0.0, scale).expand([9]).to_event(1))

    return model, ()


def _mild_funnel() -> dict[str, Any]:
    """Return Var x = E e^v = e^{1/2}."""
    return {"v": (0.0, 1.0), "x": (np.zeros(4), np.full(4, np.exp(1 / 4)))}


@register("geometry", exact=_mild_funnel)
def mild_funnel() -> Problem:
    """A funnel as mild as a hierarchy with some data has: v is N(0, 1)."""

    def model() -> None:
        v = numpyro.sample("v", dist.Normal(0.0, 1.0))
        scale = jnp.exp(v / 2)
        numpyro.sample("x", dist.Normal(0.0, scale).expand([4]).to_event(1))

    return model, ()


def _banana() -> dict[str, Any]:
    """Return Var y = 1 + 0.03² Var x² = 1 + 0.0009 · 2 · 10⁴."""
    return {"x": (0.0, 10.0), "y": (0.0, np.sqrt(19.0))}


@register("geometry", exact=_banana)
def banana() -> Problem:
    """Haario's banana: y about a parabola in x."""

    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 10.0))
        numpyro.sample("y", dist.Normal(0.03 * (x**2 - 100.0), 1.0))

    return model, ()


def _ring_axes() -> Axes:
    points = np.linspace(-7.0, 7.0, 1401)
    return {"x": points, "y": points}


@register("geometry", axes=_ring_axes)
def ring() -> Problem:
    """A measured distance from the origin: two coordinates on a ring."""

    def model(distance: Any) -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 5.0))
        y = numpyro.sample("y", dist.Normal(0.0, 5.0))
        radius = jnp.sqrt(x**2 + y**2 + 1e-12)
        numpyro.sample("distance", dist.Normal(radius, 0.4), obs=distance)

    return model, (np.array(3.0),)


def _sum(y: Any) -> dict[str, Any]:
    """Return the normal posterior of (a, b)."""
    precision = np.eye(2) / 100 + len(y) / 0.01**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ np.full(2, y.sum() / 0.01**2)
    sd = np.sqrt(np.diag(covariance))
    return {"a": (mean[0], sd[0]), "b": (mean[1], sd[1])}


@register("geometry", exact=_sum)
def known_sum() -> Problem:
    """Only a + b is measured, to 0.3 %: a ridge 3000 times as long as wide."""

    def model(y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 10.0))
        b = numpyro.sample("b", dist.Normal(0.0, 10.0))
        numpyro.sample("y", dist.Normal(a + b, 0.01), obs=y)

    rng = np.random.default_rng(901)
    return model, (3.0 + 0.01 * rng.normal(size=10),)


def _product_axes() -> Axes:
    points = spread(0.0, 0.5, 14.0, 1801)
    return {"a": points, "b": points}


@register("geometry", axes=_product_axes)
def known_product() -> Problem:
    """Only a · b is measured: a hyperbola of two branches."""

    def model(y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 2.0))
        b = numpyro.sample("b", dist.Normal(0.0, 2.0))
        numpyro.sample("y", dist.Normal(a * b, 0.5), obs=y)

    return model, (np.array(1.5),)


def _twenty_covariance(of: Any) -> Any:
    place = of.arange(20.0)
    return 4.0 * of.exp(-of.abs(place[:, None] - place) / 8.0)


def _twenty(y: Any) -> dict[str, Any]:
    """Return the exact moments: the levels are normal at each sigma of a grid."""
    covariance = _twenty_covariance(np)
    seen = covariance[::2]

    def at(sigma: float) -> tuple[float, np.ndarray, np.ndarray]:
        marginal = seen[:, ::2] + sigma**2 * np.eye(10)
        gain = np.linalg.solve(marginal, seen).T
        misfit = y @ np.linalg.solve(marginal, y)
        log_mass = -0.5 * (np.linalg.slogdet(marginal)[1] + misfit + sigma**2)
        return log_mass, gain @ y, covariance - gain @ seen

    sigma, sigma_sd, mean, sd = normal_given_scale(np.linspace(0, 6, 6001), at)
    return {"level": (mean, sd), "sigma": (sigma, sigma_sd)}


@register("geometry", exact=_twenty)
def twenty_correlated() -> Problem:
    """Levels of twenty places, strongly correlated a priori, half of them measured."""

    def model(y: Any) -> None:
        prior = dist.MultivariateNormal(0.0, _twenty_covariance(jnp))
        level = numpyro.sample("level", prior)
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(level[::2], sigma), obs=y)

    rng = np.random.default_rng(902)
    return model, (np.sin(np.arange(10) / 2) + 0.3 * rng.normal(size=10),)
