"""From which count on a signal is significant, and what that count will be.

    known background b        one critical count
    Sideband                  one for each off count y: binomial test, or Li and Ma
    Measured                  one for each estimate: the profile likelihood

Before there are data the critical count is random, because the measurement of the
background is. Its distribution is all that chances of a discovery need.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array

from vijax import special
from vijax.bayes.frequentist.signals import nuisances
from vijax.bayes.frequentist.signals.nuisances import Measured, Pair, Sideband
from vijax.bayes.numerics import count_pmfs, count_quantiles, roots, significances
from vijax.bayes.numerics.log_gamma import deviance
from vijax.bayes.validation import Numbers, shape_checks, value_checks

WIDTH = 12.0  # standard errors of a background that are looked at
_TESTS = {
    "known": ("exact",),
    "sideband": ("exact", "profile"),
    "measured": ("profile",),
}


def plan(value: Numbers | Measured | Sideband) -> tuple[str, Pair, Array]:
    """Return what `nuisances.background` does, of expected counts, whole or not.

    Raises:
        ValueError: a background or counts that are negative, an error or a ratio that
            is not positive.

    Example:
        >>> plan(Sideband(7.5, 2.5))[0]
        'sideband'
    """
    if not isinstance(value, Sideband):
        return nuisances.background(value)
    counts, valid = value_checks.nonnegative("background.counts", value.counts)
    ratio, other = value_checks.positive("background.ratio", value.ratio)
    shape_checks.broadcast(**{"background.counts": counts, "background.ratio": ratio})
    return "sideband", (counts, ratio), valid & other


def checked_test(kind: str, test: str | None) -> str:
    """Return the test of a kind of background, where there is none its own.

    Raises:
        ValueError: a test that this kind does not have.

    Example:
        >>> checked_test("measured", None)
        'profile'
    """
    test = _TESTS[kind][0] if test is None else test
    return value_checks.one_of("test", test, _TESTS[kind])


def mean_background(kind: str, numbers: Pair) -> Array:
    """Return b of a plan."""
    return numbers[0] / numbers[1] if kind == "sideband" else numbers[0]


def log_p_value(kind: str, test: str, counts: Array, numbers: Pair) -> Array:
    """Return the log p-value of a count, element by element."""
    first, second = numbers
    if kind == "known":
        return special.log_poisson_tails(counts, first).at_least
    if test == "exact":
        some = counts > 0
        tail = special.log_betainc(
            jnp.where(some, counts, 1), first + 1, 1 / (1 + second)
        )
        return jnp.where(some, tail, 0.0)
    return significances.log_p_value(profile_root(kind, counts, numbers))


def profile_root(kind: str, counts: Array, numbers: Pair) -> Array:
    """Return sqrt(-2 log L(0, b̂) / L(ŝ, b̂)), and 0 of a deficit."""
    misfit = no_signal_misfit(kind, counts, numbers)
    some = misfit > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, misfit, 1.0)), 0.0)


def no_signal_misfit(kind: str, counts: Array, numbers: Pair) -> Array:
    """Return -2 log L(0, b̂) / L(ŝ, b̂) of an excess, and 0 of a deficit."""
    total = nuisances.best_total(kind, counts, jnp.zeros_like(counts), numbers)
    of_background = nuisances.background_log_likelihood(kind, total, numbers)
    excess = counts > mean_background(kind, numbers)
    return jnp.where(excess, 2 * (deviance(counts, total) - of_background), 0.0)


@partial(jax.jit, static_argnums=(0, 1))
def critical(kind: str, test: str, numbers: Pair, sigmas: Array) -> Array:
    """Return the smallest count whose p-value is at most P(Z > sigmas)."""
    numbers, sigmas = jax.lax.stop_gradient((numbers, sigmas))
    log_p = significances.log_p_value(sigmas)
    mean = mean_background(kind, numbers)

    def is_likely(n: Array) -> Array:
        if test == "profile":  # without the way over p-values: smaller errors
            low = n <= mean
            return low | (no_signal_misfit(kind, n, numbers) < sigmas**2)
        return log_p_value(kind, test, n, numbers) > log_p

    # Chernoff: P(N >= m + x) <= exp(-x² / (2 (m + x / 3))) of a known mean, and
    # P(N >= n) <= exp(-misfit / 2) of the binomial test.
    high = jnp.ceil(mean + jnp.sqrt(-2 * mean * log_p) - 2 * log_p + 2)
    if kind != "known":

        def grow(n: Array) -> Array:
            return jnp.where(is_open(n), 2 * n, n)

        def is_open(n: Array) -> Array:
            return no_signal_misfit(kind, n, numbers) < -2 * log_p + 1e-3

        high = jax.lax.while_loop(lambda n: is_open(n).any(), grow, high)
    return count_quantiles.smallest_count(is_likely, high)


def num_terms(kind: str, test: str, numbers: Pair, sigmas: Array) -> int:
    """Return how many critical counts there are to sum over, of concrete numbers."""
    if kind == "known":
        return 1
    if kind == "sideband":
        most = float(np.max(np.asarray(numbers[0])))
        return _padded(2 * (WIDTH * most**0.5 + 30) + 1)
    lowest, highest = (
        critical(kind, test, (_shifted(numbers, side), numbers[1]), sigmas)
        for side in (-WIDTH, WIDTH)
    )
    return _padded(float(np.max(np.asarray(highest - lowest))) + 2)


def _padded(size: float) -> int:
    """Return the next power of two, from 128: similar sizes share programs."""
    return 1 << max(int(size).bit_length(), 7)


def _shifted(numbers: Pair, sigmas: float) -> Array:
    return jnp.maximum(numbers[0] + sigmas * numbers[1], 0.0)


def distribution(
    kind: str, test: str, numbers: Pair, sigmas: Array, size: int
) -> tuple[Array, Array]:
    """Return the weights and the critical counts, on a new last axis.

    The weights are NaN where the terms are too few to sum to 1.
    """
    first, second = (x[..., None] for x in numbers)
    sigmas = sigmas[..., None]
    if kind == "known":
        return jnp.ones_like(first), critical(kind, test, (first, second), sigmas)
    if kind == "sideband":
        off, weights = off_counts(first, size)
        counts = critical(kind, test, (off, second), sigmas)
    else:
        weights, counts = _of_estimates(first, second, sigmas, size)
    enough = is_all(jnp.sum(weights, axis=-1, keepdims=True))
    return jnp.where(enough, weights, jnp.nan), counts


def is_all(probability: Array) -> Array:
    """Return whether a sum of probabilities is 1, but for rounding."""
    return probability > 1 - max(1e-6, 1e3 * float(jnp.finfo(probability.dtype).eps))


def off_counts(mean: Array, size: int) -> tuple[Array, Array]:
    """Return counts around a mean, on its last axis, and their probabilities."""
    start = jax.lax.stop_gradient(jnp.maximum(jnp.floor(mean) - (size - 1) // 2, 0.0))
    counts = start + jnp.arange(size, dtype=mean.dtype)
    return counts, jnp.exp(count_pmfs.poisson_log_pmf(counts, mean))


@partial(jax.jit, static_argnums=3)
def _of_estimates(
    mean: Array, error: Array, sigmas: Array, size: int
) -> tuple[Array, Array]:
    """Return P(n is critical) = P(estimate <= B(n)) - P(estimate <= B(n - 1))."""
    low = _shifted((mean, error), -WIDTH)
    start = critical("measured", "profile", (low, error), sigmas)
    counts = start + jnp.arange(size, dtype=mean.dtype)
    at_most = estimate_tail(counts, mean, error, sigmas)
    before = jnp.concatenate(
        [jnp.zeros_like(at_most[..., :1]), at_most[..., :-1]], axis=-1
    )
    return at_most - before, counts


def estimate_tail(counts: Array, mean: Array, error: Array, sigmas: Array) -> Array:
    """Return P(the estimate is so small that the count is significant).

    An estimate below 0 counts as 0.
    """
    counts, mean, error, sigmas = jnp.broadcast_arrays(counts, mean, error, sigmas)

    def misfit(estimate: Array) -> Array:
        return no_signal_misfit("measured", counts, (estimate, error))

    def lack(estimate: Array) -> Array:
        # Of order one, for the search.
        value = misfit(estimate)
        scale = jnp.where(value + sigmas**2 > 0, value + sigmas**2, 1.0)
        return (sigmas**2 - value) / scale

    def solve(lack: roots.Residual, start: Array) -> Array:
        return roots.bracketed(lack, start, counts)

    none = jnp.zeros_like(mean)
    largest = roots.implicit_root(lack, none, solve)
    possible = (counts > 0) & (misfit(none) >= sigmas**2)
    return jnp.where(possible, ndtr((largest - mean) / error), 0.0)
