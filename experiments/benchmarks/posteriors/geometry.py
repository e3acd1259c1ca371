"""Shapes that no normal q has: funnels, bananas, rings, ridges; mostly exact."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from numpyro.distributions import constraints
from scipy.special import expit

from experiments.benchmarks.posteriors.quadrature import (
    logarithmic,
    normal_given_scale,
    spread,
)
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


def _x_shape() -> dict[str, Any]:
    """Return the moments of each arm, which are those of both: 0 and 1."""
    return {"x": (np.zeros(2), np.ones(2))}


@register("geometry", exact=_x_shape, history="new")
def x_shape() -> Problem:
    """Two thin normals, one along each diagonal: an X whose arms share their centre."""

    def model() -> None:
        x = numpyro.sample("x", dist.ImproperUniform(constraints.real, (), (2,)))

        def log_arm(rho: float) -> Any:
            square = jnp.sum(x**2) - 2 * rho * x[0] * x[1]
            return -square / (2 * (1 - rho**2))

        # log_arm leaves out the same constant for both.
        numpyro.factor("arms", jnp.logaddexp(log_arm(0.98), log_arm(-0.98)))

    return model, ()


def _shell() -> dict[str, Any]:
    """Return Var x = E r²/3, with r² N(r; 3, 0.3²) the density of the radius."""
    r = np.linspace(0.0, 6.0, 60_001)
    density = r**2 * np.exp(-0.5 * ((r - 3.0) / 0.3) ** 2)
    sd = np.sqrt(density @ r**2 / density.sum() / 3)
    return {"x": (np.zeros(3), np.full(3, sd))}


@register("geometry", exact=_shell, history="new")
def shell() -> Problem:
    """A hollow ball: three coordinates about a sphere."""

    def model() -> None:
        x = numpyro.sample("x", dist.ImproperUniform(constraints.real, (), (3,)))
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        numpyro.factor("radius", -0.5 * ((radius - 3.0) / 0.3) ** 2)

    return model, ()


def _moons_axes() -> Axes:
    points = np.linspace(-5.0, 5.0, 1601)
    return {"a": points, "b": points}


@register("geometry", axes=_moons_axes, history="new")
def two_moons() -> Problem:
    """Two sickles, the left and the right of a ring."""

    def model() -> None:
        real = dist.ImproperUniform(constraints.real, (), ())
        a, b = numpyro.sample("a", real), numpyro.sample("b", real)
        radius = jnp.sqrt(a**2 + b**2 + 1e-12)
        sides = jnp.logaddexp(
            -0.5 * ((a - 2.0) / 0.6) ** 2, -0.5 * ((a + 2.0) / 0.6) ** 2
        )
        numpyro.factor("moons", sides - 0.5 * ((radius - 2.0) / 0.4) ** 2)

    return model, ()


def _rosenbrock() -> dict[str, Any]:
    """Return E b = E a² = 2 and Var b = Var a² + 0.15² = 6.0225."""
    return {"a": (1.0, 1.0), "b": (2.0, np.sqrt(6.0225))}


@register("geometry", exact=_rosenbrock, history="new")
def rosenbrock() -> Problem:
    """Rosenbrock's banana: four times as thin as `banana`, and lopsided."""

    def model() -> None:
        a = numpyro.sample("a", dist.Normal(1.0, 1.0))
        numpyro.sample("b", dist.Normal(a**2, 0.15))

    return model, ()


def _turnout_axes() -> Axes:
    return {
        "size": 20 + logarithmic(0.01, 4e4, 3001),
        "share": expit(np.linspace(-9.0, 7.0, 1201)),
    }


@register("geometry", axes=_turnout_axes, history="mended")
def unknown_size_and_share() -> Problem:
    """Binomial counts of an unknown number of trials: a hyperbola with a long arm."""

    def model(counts: Any) -> None:
        beyond = dist.transforms.AffineTransform(
            20.0, 1.0, domain=dist.constraints.positive
        )
        prior = dist.TransformedDistribution(dist.LogNormal(3.0, 1.5), beyond)
        size = numpyro.sample("size", prior)
        share = numpyro.sample("share", dist.Beta(1.0, 1.0))
        ways = gammaln(size + 1) - gammaln(counts + 1) - gammaln(size - counts + 1)
        log_prob = ways + counts * jnp.log(share) + (size - counts) * jnp.log1p(-share)
        numpyro.factor("counts", jnp.sum(log_prob))

    return model, (np.array([16.0, 18.0, 20.0, 17.0, 19.0]),)
