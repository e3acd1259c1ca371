"""Quantiles of Beta and Gamma: vijax beside SciPy, the same points, one run.

A million points, a and b log-uniform over [0.5, 1000], p uniform, float64. Cold is the
first call, compilation included; warm is the median of calls after it, in turn with
SciPy's, so that a slow minute hits both. SciPy takes one core, vijax all that there
are; CPU seconds say what each has used. Errors are against the 2400 points of mpmath at
77 digits in `tests/references`, parameters over [1e-3, 1e6] and p from 1e-12.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
from scipy import special as scipy_special

from vijax import special

POINTS, REPEATS, SCIPY_REPEATS = 1_000_000, 5, 2
TABLE = Path(__file__).parents[2] / "tests" / "references" / "special.npz"
Timing = tuple[float, float, float]  # seconds cold, seconds warm, CPU seconds warm


def draw_shapes(number: int, points: int, low: float, high: float) -> np.ndarray:
    """Return log-uniform parameters, (number, points)."""
    rng = np.random.default_rng(0)
    return np.exp(rng.uniform(np.log(low), np.log(high), (number, points)))


def draw() -> dict[str, tuple[np.ndarray, ...]]:
    """Return the arguments of both functions."""
    a, b = draw_shapes(2, POINTS, 0.5, 1e3)
    p = np.random.default_rng(1).uniform(size=POINTS)
    return {"beta": (a, b, p), "gamma": (a, p)}


def measure(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[Timing, ...]:
    """Time two functions in turn."""
    cold: list[float] = []
    seconds: tuple[list[float], ...] = ([], [])
    cpu: tuple[list[float], ...] = ([], [])
    for repeat in range(1 + REPEATS):
        for side, run in enumerate((ours, theirs)):
            if side == 1 and repeat > SCIPY_REPEATS:
                continue
            start, start_cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(run())
            elapsed = time.perf_counter() - start
            if repeat == 0:
                cold.append(elapsed)
            else:
                seconds[side].append(elapsed)
                cpu[side].append(time.process_time() - start_cpu)
    return tuple((cold[i], median(seconds[i]), median(cpu[i])) for i in range(2))


def show(name: str, timings: tuple[Timing, ...]) -> None:
    """Print both sides and the ratios SciPy : vijax."""
    ours, theirs = timings
    print(
        f"{name:34}{ours[0]:8.2f}{ours[1]:9.3f}{ours[2]:9.3f}"
        f"{theirs[1]:10.3f}{theirs[1] / ours[1]:8.1f}{theirs[2] / ours[2]:9.1f}"
    )


HEADER = (
    f"{'':34}{'vijax: cold s':>8} warm s  CPU s   {'SciPy s':>8}"
    f"{'ratio':>8}{'per CPU':>9}"
)


def errors(name: str) -> str:
    """Return the relative errors of both sides over the reference points."""
    table = np.load(TABLE)
    parameters, p = table[f"{name}_parameters"].T, table[f"{name}_p"]
    upper, x = table[f"{name}_upper"], table[f"{name}_x"]
    texts = []
    for owner, module in (("vijax", special), ("SciPy", scipy_special)):
        below, above = (
            getattr(module, f"{name}inc{c}inv")(*parameters, p) for c in ("", "c")
        )
        value, normal = np.where(upper, above, below), x > 1e-300
        error = np.abs(value[normal] / x[normal] - 1)
        texts.append(f"{owner} median {np.median(error):.1e}, worst {error.max():.1e}")
    return "; ".join(texts)


def main() -> None:
    """Print speed, then accuracy."""
    jax.config.update("jax_enable_x64", True)
    print(__doc__.splitlines()[0])
    print(HEADER)
    for name, arguments in draw().items():
        ours = getattr(special, f"{name}incinv")
        theirs = getattr(scipy_special, f"{name}incinv")
        timings = measure(
            partial(jax.jit(ours), *map(jax.device_put, arguments)),
            partial(theirs, *arguments),
        )
        show(f"{name} quantiles, {POINTS:,} points", timings)
    for name in ("beta", "gamma"):
        print(f"relative error, {name}: {errors(name)}")


if __name__ == "__main__":
    main()
