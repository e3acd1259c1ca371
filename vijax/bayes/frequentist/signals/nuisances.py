"""What is known of a background and of an efficiency, beside the counts of a search.

    n ~ Poisson(e s + b),  the signal s >= 0 is asked for

A background or an efficiency may be a number (known), or one of the measurements here.
All terms of the log likelihood are minus deviances: 0 at the best, never positive.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from vijax import printing
from vijax.bayes.numerics.log_gamma import deviance
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks


class Measured(NamedTuple):
    """An estimate with a Gaussian error, of a background or of an efficiency."""

    estimate: Numbers
    error: Numbers

    def __str__(self) -> str:
        estimate, error = map(printing.number, self)
        return f"measured as {estimate} ± {error}"

    def __repr__(self) -> str:
        return str(self)


class Sideband(NamedTuple):
    """Counts y ~ Poisson(τ b) of a region with background only, τ times as large."""

    counts: Numbers
    ratio: Numbers

    def __str__(self) -> str:
        counts, ratio = map(printing.number, self)
        return f"{counts} counts in a sideband {ratio} times as large"

    def __repr__(self) -> str:
        return str(self)


class Selected(NamedTuple):
    """Simulated signal events that passed, z of m: binomial with the efficiency."""

    passed: Numbers
    trials: Numbers

    def __str__(self) -> str:
        passed, trials = map(printing.number, self)
        return f"{passed} of {trials} simulated events passed"

    def __repr__(self) -> str:
        return str(self)


Pair = tuple[Array, Array]


def background(value: Numbers | Measured | Sideband) -> tuple[str, Pair, Array]:
    """Return the kind of a background, its two numbers, and where they are valid.

    Raises:
        ValueError: a negative background, counts that are impossible, an error or a
            ratio that is not positive.

    Example:
        >>> background(Sideband(10, 2.5))[0]
        'sideband'
    """
    if isinstance(value, Sideband):
        counts, valid = value_checks.counts("background.counts", value.counts)
        ratio, other = value_checks.positive("background.ratio", value.ratio)
        both = {"background.counts": counts, "background.ratio": ratio}
        shape_checks.broadcast(**both)
        return "sideband", (counts, ratio), valid & other
    return _known_or_measured("background", value, value_checks.nonnegative)


def efficiency(value: Numbers | Measured | Selected) -> tuple[str, Pair, Array]:
    """Return the kind of an efficiency, its two numbers, and where they are valid.

    Raises:
        ValueError: an efficiency or an error that is not positive, impossible counts,
            no event that passed.

    Example:
        >>> efficiency(0.25)[0]
        'known'
    """
    if isinstance(value, Selected):
        passed, trials, valid = count_checks.binomial(value.passed, value.trials)
        remedy = "give one that passed or more: without, no signal is excluded"
        some = value_checks.checked(passed > 0, "efficiency.passed", passed, remedy)
        return "selected", (passed, trials), valid & some
    return _known_or_measured("efficiency", value, value_checks.positive)


def _known_or_measured(
    name: str, value: Numbers | Measured, checked: Callable[..., tuple[Array, Array]]
) -> tuple[str, Pair, Array]:
    if isinstance(value, Measured):
        estimate, valid = checked(name, value.estimate)
        error, other = value_checks.positive(f"{name}.error", value.error)
        shape_checks.broadcast(**{f"{name}.estimate": estimate, f"{name}.error": error})
        return "measured", (estimate, error), valid & other
    known, valid = checked(name, value)
    return "known", (known, jnp.zeros_like(known)), valid


def best_total(kind: str, counts: Array, mean: Array, numbers: Pair) -> Array:
    """Return the most likely mean of the counts, signal and background, given signal.

    Args:
        kind: as `background` returns it, with its two `numbers`.
        counts: n.
        mean: of the signal counts, e s.
        numbers: of the background.
    """
    first, second = numbers
    if kind == "known":
        return mean + first
    if kind == "measured":
        # t² + (σ² - m) t - n σ² = 0 of the total t, m = e s + b_0
        linear, constant = mean + first - second**2, counts * second**2
    else:
        # (1 + τ) t² - (n + y + (1 + τ) e s) t + n e s = 0, from both Poisson terms
        share = 1 + second
        linear = (counts + first) / share + mean
        root = jnp.sqrt(jnp.maximum(linear**2 - 4 * counts * mean / share, 0.0))
        return 0.5 * (linear + root)
    root = jnp.sqrt(linear**2 + 4 * constant)
    by_product = 2 * constant / jnp.where(linear < 0, root - linear, 1.0)
    return jnp.where(linear < 0, by_product, 0.5 * (linear + root))


def background_log_likelihood(kind: str, background: Array, numbers: Pair) -> Array:
    """Return minus the deviance of a background from what was measured of it."""
    first, second = numbers
    if kind == "known":
        return jnp.zeros_like(background)
    if kind == "measured":
        return -0.5 * ((background - first) / second) ** 2
    return -deviance(first, second * background)


def efficiency_log_likelihood(kind: str, value: Array, numbers: Pair) -> Array:
    """Return minus the deviance of an efficiency from what was measured of it."""
    first, second = numbers
    if kind == "known":
        return jnp.zeros_like(value)
    if kind == "measured":
        return -0.5 * ((value - first) / second) ** 2
    return -deviance(first, second * value) - deviance(
        second - first, second * (1 - value)
    )


def efficiency_slope(kind: str, value: Array, numbers: Pair) -> Any:
    """Return the derivative of `efficiency_log_likelihood`."""
    first, second = numbers
    if kind == "measured":
        return (first - value) / second**2
    return first / value - (second - first) / (1 - value)
