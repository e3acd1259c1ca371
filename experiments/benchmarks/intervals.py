"""Credible intervals: vijax beside SciPy, the same posteriors, one run.

Posteriors with shapes log-uniform over [1.5, 300], 95 %, float64. SciPy's equal tails
are two vectorised quantiles. It has no highest-density interval: beside ours stands
what its users write, a root of the difference of two densities, prior by prior, on a
subsample and scaled up.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
from scipy import optimize
from scipy import special as scipy_special

from experiments.benchmarks.special import HEADER, draw_shapes, measure, show
from vijax.bayes.intervals import credible_interval

POINTS, ONE_BY_ONE, MASS = 1_000_000, 300, 0.95
TAIL = 0.5 * (1 - MASS)
Quantiles = tuple[Callable[..., Any], Callable[..., Any]]  # of the lower, upper tail
QUANTILES: dict[str, Quantiles] = {
    "beta": (scipy_special.betaincinv, scipy_special.betainccinv),
    "gamma": (scipy_special.gammaincinv, scipy_special.gammainccinv),
}


def interval(kind: str, *shape: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return vijax's interval: of Beta given two shapes, of Gamma given one."""
    posterior = dist.Beta(*shape) if len(shape) == 2 else dist.Gamma(*shape, 1.0)
    return credible_interval(posterior, MASS, kind=kind)


def equal_tails(name: str, *shape: np.ndarray) -> list[np.ndarray]:
    """Return SciPy's two quantiles."""
    return [function(*shape, TAIL) for function in QUANTILES[name]]


def highest_density(name: str, *shapes: np.ndarray) -> np.ndarray:
    """Return SciPy's highest-density intervals, one root each."""
    return np.array([_one(name, *shape) for shape in zip(*shapes, strict=True)]).T


def _one(name: str, a: float, b: float = 1.0) -> tuple[float, float]:
    shape = (a, b) if name == "beta" else (a,)
    below, above = QUANTILES[name]

    def rise(mass_below: float) -> float:
        x, y = below(*shape, mass_below), above(*shape, 1 - MASS - mass_below)
        if name == "gamma":
            return (a - 1) * np.log(y / x) - (y - x)
        return (a - 1) * np.log(y / x) + (b - 1) * (np.log1p(-y) - np.log1p(-x))

    root = optimize.brentq(rise, 1e-9, 1 - MASS - 1e-9, xtol=1e-13)
    return below(*shape, root), above(*shape, 1 - MASS - root)


def main() -> None:
    """Print both kinds for both families."""
    jax.config.update("jax_enable_x64", True)
    print(__doc__.splitlines()[0])
    print(HEADER)
    for name, number in (("beta", 2), ("gamma", 1)):
        shapes = draw_shapes(number, POINTS, 1.5, 300.0)
        on_device = [jax.device_put(shape) for shape in shapes]
        ours = jax.jit(partial(interval, "equal_tailed"))
        timings = measure(
            partial(ours, *on_device), partial(equal_tails, name, *shapes)
        )
        show(f"{name}, equal tails, {POINTS:,}", timings)

        ours = jax.jit(partial(interval, "highest_density"))
        few = [shape[:ONE_BY_ONE] for shape in shapes]
        start = time.perf_counter()
        expected = highest_density(name, *few)
        scaled = (time.perf_counter() - start) * POINTS / ONE_BY_ONE
        (cold, warm, cpu), _ = measure(partial(ours, *on_device), lambda: None)
        show(
            f"{name}, highest density, {POINTS:,}",
            ((cold, warm, cpu), (scaled, scaled, scaled)),
        )
        ends = np.array([end[:ONE_BY_ONE] for end in ours(*on_device)])
        gap = np.max(np.abs(ends / expected - 1))
        print(f"{'':4}SciPy's from {ONE_BY_ONE} rows; largest difference {gap:.0e}")


if __name__ == "__main__":
    main()
