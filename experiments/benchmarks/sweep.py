"""A million Beta priors at once: vijax.sweep beside SciPy, seconds and memory.

Each prior goes through posterior, log evidence, equal-tailed and highest-density
interval of the coin, in float64; its row of the result has five numbers. Every run of
vijax is a process of its own, since the peak of its resident memory is measured: what
the imports take is printed first. SciPy has no highest-density interval: beside it
stands what its users write, a root of the difference of two densities, prior by prior,
on a subsample and scaled up.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple

import jax
import numpy as np
import numpyro.distributions as dist
from scipy import optimize
from scipy import special as scipy_special

from vijax.bayes import beta_binomial, intervals
from vijax.sweep import sweep

SIZES = (1_000_000, 10_000_000)
VECTORISED, ONE_BY_ONE = 100_000, 300  # rows of SciPy's subsamples
SUCCESSES, TRIALS, MASS = 10.0, 14.0, 0.95


class Run(NamedTuple):
    """One process of vijax."""

    cold: float  # seconds of the first sweep, compilation included
    warm: float  # median seconds of the sweeps after it, if any
    warm_cpu: float  # the same in CPU seconds, of all cores together
    imported: float  # GiB of resident memory before the first sweep
    peak: float  # GiB, the highest ever
    first: np.ndarray  # the first rows of the result, to compare


def row(shape: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
    """Take one prior through the data."""
    prior = dist.Beta(*shape)
    posterior = beta_binomial.posterior(prior, SUCCESSES, TRIALS)
    return (
        beta_binomial.log_evidence(prior, SUCCESSES, TRIALS),
        *intervals.credible_interval(posterior, MASS),
        *intervals.credible_interval(posterior, MASS, kind="highest_density"),
    )


def draw(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a and b of all priors, log-uniform over [0.1, 100]."""
    low, high = np.log(0.1), np.log(100)
    a, b = np.exp(np.random.default_rng(0).uniform(low, high, (2, size)))
    return a, b


def run_vijax(size: int, repeats: int) -> Run:
    """Sweep once, then again; meant for a fresh process."""
    jax.config.update("jax_enable_x64", True)
    jax.devices()
    imported, seconds, cpu = peak_memory(), [], []
    a, b = draw(size)
    results: tuple[np.ndarray, ...] = ()
    for _ in range(1 + repeats):
        del results  # or two results lie in memory
        start, start_cpu = time.perf_counter(), time.process_time()
        results = sweep(row, (a, b))
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    first = np.stack([leaf[:ONE_BY_ONE] for leaf in results])
    warm, warm_cpu = (median(each[1:] or each) for each in (seconds, cpu))
    return Run(seconds[0], warm, warm_cpu, imported, peak_memory(), first)


def peak_memory() -> float:
    """Return the highest resident memory of this process, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def run_scipy(size: int) -> tuple[float, float, np.ndarray]:
    """Return seconds for `size` priors: all but the highest density, and that."""
    a, b = (v[:VECTORISED] for v in draw(size))
    start = time.perf_counter()
    after = a + SUCCESSES, b + TRIALS - SUCCESSES
    coefficient = -np.log(TRIALS + 1) - scipy_special.betaln(
        SUCCESSES + 1, TRIALS - SUCCESSES + 1
    )
    evidence = coefficient + scipy_special.betaln(*after) - scipy_special.betaln(a, b)
    tail = 0.5 * (1 - MASS)
    lower = scipy_special.betaincinv(*after, tail)
    upper = scipy_special.betainccinv(*after, tail)
    vectorised = (time.perf_counter() - start) * size / VECTORISED
    start = time.perf_counter()
    few = (v[:ONE_BY_ONE] for v in after)
    dense = [_highest_density(p, q) for p, q in zip(*few, strict=True)]
    one_by_one = (time.perf_counter() - start) * size / ONE_BY_ONE
    columns = [v[:ONE_BY_ONE] for v in (evidence, lower, upper)]
    return vectorised, one_by_one, np.stack([*columns, *np.transpose(dense)])


def _highest_density(a: float, b: float) -> tuple[float, float]:
    """Return the interval whose ends have the same density, for a, b > 1."""

    def end(below: float) -> float:
        return scipy_special.betaincinv(a, b, below + MASS)

    def rise(below: float) -> float:
        x, y = scipy_special.betaincinv(a, b, below), end(below)
        return (a - 1) * np.log(y / x) + (b - 1) * (np.log1p(-y) - np.log1p(-x))

    below = optimize.brentq(rise, 1e-9, 1 - MASS - 1e-9, xtol=1e-13)
    return scipy_special.betaincinv(a, b, below), end(below)


def main() -> None:
    """Print vijax at both sizes, SciPy scaled from its subsamples, and agreement."""
    print(__doc__.splitlines()[0])
    print(
        f"{'':24}{'cold s':>9}{'warm s':>9}{'CPU s':>9}"
        f"{'imports GiB':>13}{'peak GiB':>10}"
    )
    runs = []
    for size, repeats in zip(SIZES, (3, 0), strict=True):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            runs.append(run := pool.submit(run_vijax, size, repeats).result())
        print(
            f"vijax, {size:>12,} rows{run.cold:9.2f}{run.warm:9.2f}{run.warm_cpu:9.2f}"
            f"{run.imported:13.2f}{run.peak:10.2f}",
            flush=True,
        )
    vectorised, one_by_one, expected = run_scipy(SIZES[0])
    print(
        f"SciPy, {SIZES[0]:>12,} rows: {vectorised:.2f} s for evidence and equal tails "
        f"(from {VECTORISED:,} rows), {one_by_one:.0f} s for the highest density "
        f"(from {ONE_BY_ONE} rows): {(vectorised + one_by_one) / runs[0].warm:.0f} "
        "times vijax"
    )
    gap = np.max(np.abs(runs[0].first / expected - 1), axis=1)
    names = ("log evidence", "lower", "upper", "lower HD", "upper HD")
    print(
        "largest relative difference: "
        + ", ".join(
            f"{name} {value:.0e}" for name, value in zip(names, gap, strict=True)
        )
    )


if __name__ == "__main__":
    main()
