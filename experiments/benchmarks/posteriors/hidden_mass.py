"""Mass that draws of q hardly meet: slabs, needles, shoulders, many wells; all exact.

Most densities here are mixtures of normals about a common line: each unknown has the
same margin, so that one mean and one sd are the whole truth.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from numpyro.distributions import constraints

from experiments.benchmarks.posteriors.registry import Problem, register


class Part(NamedTuple):
    """One normal of a mixture, alike along every axis."""

    mass: float
    mean: float
    sd: float


def _truth(parts: tuple[Part, ...], dim: int) -> Callable[[], dict[str, Any]]:
    def truth() -> dict[str, Any]:
        """Return E x = Σ m μ and E x² = Σ m (σ² + μ²)."""
        mass, mean, sd = np.array(parts).T
        centre = mass @ mean
        width = np.sqrt(mass @ (sd**2 + mean**2) - centre**2)
        return {"x": (np.full(dim, centre), np.full(dim, width))}

    return truth


def _mixture(parts: tuple[Part, ...], dim: int) -> Problem:
    """Write a mixture as a flat prior and a factor, as users write their densities."""
    mass, mean, sd = np.array(parts).T

    def model() -> None:
        x = numpyro.sample("x", dist.ImproperUniform(constraints.real, (), (dim,)))
        square = jnp.sum(((x - mean[:, None]) / sd[:, None]) ** 2, axis=-1)
        numpyro.factor("parts", logsumexp(jnp.log(mass / sd**dim) - 0.5 * square))

    return model, ()


WIDE_TENTH = Part(0.9, 0.0, 1.0), Part(0.1, 0.0, 10.0)


@register("hidden_mass", exact=_truth(WIDE_TENTH, 1), history="new")
def wide_tenth() -> Problem:
    """A tenth of the mass is ten times as wide: 92 % of the variance."""
    return _mixture(WIDE_TENTH, 1)


WIDE_HUNDREDTH = Part(0.99, 0.0, 1.0), Part(0.01, 0.0, 30.0)


# The verdict trusted q, with an sd of 1 for 3.2; since then it weighs the density where
# its climbers started.
@register("hidden_mass", exact=_truth(WIDE_HUNDREDTH, 1), history="mended")
def wide_hundredth() -> Problem:
    """A hundredth is thirty times as wide: draws of q miss it, and it has no mode."""
    return _mixture(WIDE_HUNDREDTH, 1)


WIDE_TWENTIETH = Part(0.95, 0.0, 1.0), Part(0.05, 0.0, 5.0)


# Trusted with one key of two; mended with `wide_hundredth`.
@register("hidden_mass", exact=_truth(WIDE_TWENTIETH, 6), history="mended")
def wide_twentieth() -> Problem:
    """A twentieth is five times as wide along each of six axes."""
    return _mixture(WIDE_TWENTIETH, 6)


SPIKE = Part(0.5, 0.0, 1.0), Part(0.5, 1.5, 0.02)


@register("hidden_mass", exact=_truth(SPIKE, 1), history="new")
def spike() -> Problem:
    """Half of the mass is a spike inside the other half, fifty times as narrow."""
    return _mixture(SPIKE, 1)


NEEDLE = Part(0.5, 0.0, 1.0), Part(0.5, 1.5, 0.1)


# Missed by all fits when it was entered: no draw and no climber comes near the needle.
@register("hidden_mass", exact=_truth(NEEDLE, 4), history="new")
def needle() -> Problem:
    """A spike in four dimensions: it has 10⁻⁴ of the volume of the other half."""
    return _mixture(NEEDLE, 4)


SHOULDER = Part(0.93, 0.0, 1.0), Part(0.07, 4.0, 0.7)


@register("hidden_mass", exact=_truth(SHOULDER, 1), history="new")
def shoulder() -> Problem:
    """A small mode four sds off, just beyond most draws of q."""
    return _mixture(SHOULDER, 1)


CORNER = Part(0.93, 0.0, 1.0), Part(0.07, 3.0, 0.7)


# Trusted with one key of two: draws of q came as far along each axis, but not along all
# at once, and the climber that found the mode was taken for one that had come home.
@register("hidden_mass", exact=_truth(CORNER, 3), history="mended")
def corner_shoulder() -> Problem:
    """A small mode in the corner of the box that draws of q fill."""
    return _mixture(CORNER, 3)


THREE = Part(0.2, -6.0, 1.0), Part(0.5, 0.0, 0.5), Part(0.3, 9.0, 2.0)


@register("hidden_mass", exact=_truth(THREE, 1), history="new")
def three_in_line() -> Problem:
    """Three modes of unequal mass, width and distance: q is fitted to one."""
    return _mixture(THREE, 1)


def _wells_truth(dim: int, square: float) -> Callable[[], dict[str, Any]]:
    def truth() -> dict[str, Any]:
        """Return the sd of exp(−(x² − c)²/2) on a grid; the mean is 0."""
        x = np.linspace(-6.0, 6.0, 20_001)
        density = np.exp(-0.5 * (x**2 - square) ** 2)
        sd = np.sqrt(density @ x**2 / density.sum())
        return {"x": (np.zeros(dim), np.full(dim, sd))}

    return truth


def _wells(dim: int, square: float) -> Problem:
    def model() -> None:
        x = numpyro.sample("x", dist.ImproperUniform(constraints.real, (), (dim,)))
        numpyro.factor("wells", -0.5 * jnp.sum((x**2 - square) ** 2))

    return model, ()


@register("hidden_mass", exact=_wells_truth(5, 4.0), history="mended")
def deep_wells() -> Problem:
    """Five unknowns whose squares are about 4: 32 equal modes, clearly apart."""
    return _wells(5, 4.0)


@register("hidden_mass", exact=_wells_truth(6, 1.5), history="new")
def shallow_wells() -> Problem:
    """Six unknowns whose squares are about 1.5: 64 modes that run into each other."""
    return _wells(6, 1.5)
