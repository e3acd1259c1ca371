"""Models as textbooks and papers of many fields have them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from experiments.benchmarks.posteriors.quadrature import logarithmic
from experiments.benchmarks.posteriors.registry import Axes, Problem, register


# Turned down until the check of its sum drew no values that the data exclude: there it
# underflows.
@register("application", history="mended")
def site_occupancy() -> Problem:
    """Whether a species lives at a site: seen at none of five visits, it may still."""

    def model(height: Any, seen: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 2.0))
        b = numpyro.sample("b", dist.Normal(0.0, 2.0))
        p = numpyro.sample("p", dist.Beta(1.0, 1.0))
        with numpyro.plate("sites", len(height)):
            lives = numpyro.sample(
                "lives",
                dist.Bernoulli(logits=a + b * height),
                infer={"enumerate": "parallel"},
            )
            numpyro.sample("seen", dist.Binomial(5, lives * p), obs=seen)

    rng = np.random.default_rng(1501)
    height = rng.normal(size=40)
    lives = rng.random(40) < 1 / (1 + np.exp(-0.3 - 1.2 * height))
    return model, (height, rng.binomial(5, 0.3 * lives))


def _shifted(waits: Any) -> dict[str, Any]:
    """Integrate the rate exactly at each shift of a grid."""
    first, number = waits.min(), len(waits)
    grid = first - np.r_[0.0, np.geomspace(1e-7, first - 1e-9, 40_000)][::-1]
    b = 0.5 + np.sum(waits) - number * grid
    a = 1.0 + number
    weights = b**-a / (b[-1] ** -a)
    steps = np.diff(grid) / 2
    weights *= np.r_[steps, 0] + np.r_[0, steps]
    weights /= weights.sum()
    shift, rate = weights @ grid, weights @ (a / b)
    rate_sd = np.sqrt(weights @ (a * (a + 1) / b**2) - rate**2)
    return {
        "shift": (shift, np.sqrt(weights @ (grid - shift) ** 2)),
        "rate": (rate, rate_sd),
    }


@register("application", exact=_shifted, history="new")
def least_wait() -> Problem:
    """Waits of at least an unknown time, then exponential: the mode is at the edge."""

    def model(waits: Any) -> None:
        shift = numpyro.sample("shift", dist.Uniform(0.0, jnp.min(waits)))
        rate = numpyro.sample("rate", dist.Gamma(1.0, 0.5))
        numpyro.sample("waits", dist.Exponential(rate), obs=waits - shift)

    return model, (np.array([2.31, 2.05, 3.4, 2.2, 5.1, 2.62, 2.9, 2.07]),)


def _rats_axes() -> Axes:
    return {"share": np.linspace(1e-4, 0.6, 1201), "size": logarithmic(0.3, 1e9, 2001)}


@register("application", axes=_rats_axes, no_moments=("size",), history="new")
def tumours_of_rats() -> Problem:
    """Beta-binomial of 20 groups with Gelman's improper prior: size has no mean."""

    def model(number: Any, tumours: Any) -> None:
        share = numpyro.sample("share", dist.Uniform(0.0, 1.0))
        positive = dist.ImproperUniform(constraints.positive, (), ())
        size = numpyro.sample("size", positive)
        numpyro.factor("prior", -1.5 * jnp.log(size))
        groups = dist.BetaBinomial(share * size, (1 - share) * size, number)
        numpyro.sample("tumours", groups, obs=tumours)

    rng = np.random.default_rng(1512)
    number = rng.integers(15, 40, 20)
    return model, (number, rng.binomial(number, rng.beta(1.4, 8.6, 20)))


def _on_off_axes() -> Axes:
    return {
        "signal": logarithmic(1e-6, 60.0, 2001),
        "background": logarithmic(0.5, 30, 1001),
    }


@register("application", axes=_on_off_axes, history="new")
def on_and_off() -> Problem:
    """Counts on and off a source, with Jeffreys' priors: a signal of about none."""

    def model(on: Any, off: Any) -> None:
        positive = dist.ImproperUniform(constraints.positive, (), ())
        signal = numpyro.sample("signal", positive)
        background = numpyro.sample("background", positive)
        numpyro.factor(
            "prior", -0.5 * jnp.log(background + signal) - 0.5 * jnp.log(background)
        )
        numpyro.sample("on", dist.Poisson(signal + background), obs=on)
        numpyro.sample("off", dist.Poisson(3.0 * background), obs=off)

    return model, (4, 17)


def _blood(counts: Any) -> dict[str, Any]:
    """Return moments on a grid of the simplex."""
    grid = (np.arange(1000) + 0.5) / 1000
    a, b = (x.ravel() for x in np.meshgrid(grid, grid))
    a, b = a[a + b < 1], b[a + b < 1]
    o = 1 - a - b
    phenotypes = a**2 + 2 * a * o, b**2 + 2 * b * o, 2 * a * b, o**2
    log_p = sum(n * np.log(p) for n, p in zip(counts, phenotypes, strict=True))
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    mean = np.array([weights @ x for x in (a, b, o)])
    square = np.array([weights @ x**2 for x in (a, b, o)])
    return {"genes": (mean, np.sqrt(square - mean**2))}


@register("application", exact=_blood, history="new")
def blood_groups() -> Problem:
    """Shares of three genes by the blood groups of 36 people."""

    def model(counts: Any) -> None:
        genes = numpyro.sample("genes", dist.Dirichlet(jnp.ones(3)))
        a, b, o = genes
        groups = jnp.stack([a**2 + 2 * a * o, b**2 + 2 * b * o, 2 * a * b, o**2])
        numpyro.sample("counts", dist.Multinomial(counts.sum(), groups), obs=counts)

    return model, (np.array([15, 3, 1, 17]),)


@register("application", history="new")
def ricker() -> Problem:
    """Recruits of a stock of fish, with multiplicative noise and a peak not seen."""

    def model(stock: Any, recruits: Any) -> None:
        a = numpyro.sample("a", dist.HalfNormal(5.0))
        b = numpyro.sample("b", dist.HalfNormal(1e-5))
        s = numpyro.sample("s", dist.HalfNormal(1.0))
        mean = jnp.log(a * stock) - b * stock
        numpyro.sample("recruits", dist.LogNormal(mean, s), obs=recruits)

    rng = np.random.default_rng(1519)
    stock = rng.uniform(2e4, 2e5, 15)
    recruits = 2 * stock * np.exp(-3e-6 * stock + 0.4 * rng.normal(size=15))
    return model, (stock, recruits)
