"""Two samples of measurements: is the second mean the larger one, and by how much?"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import printing
from vijax.bayes.frequentist.binomial_tests import ALTERNATIVES
from vijax.bayes.numerics import student
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import seen, where_valid


class WelchTest(NamedTuple):
    """The difference of two means whose variances are unknown and unequal."""

    difference: Float[Array, "..."]  # second mean less the first
    standard_error: Float[Array, "..."]
    df: Float[Array, "..."]  # Welch and Satterthwaite's degrees of freedom
    log_p_value: Float[Array, "..."]
    lower: Float[Array, "..."]  # of the confidence interval of the difference
    upper: Float[Array, "..."]
    level: Float[Array, "..."]  # of that interval

    def __str__(self) -> str:
        about = f"Welch's t test, interval of {printing.percent(self.level)} confidence"
        if printing.is_table(self.difference):
            return printing.described(about, self._asdict())
        values = {
            "difference": printing.in_digits(self.difference, self.standard_error),
            "interval": printing.between(self.lower, self.upper),
            "degrees of freedom": self.df,
            "p-value": printing.p_value(self.log_p_value),
        }
        return printing.described(about, values)

    def __repr__(self) -> str:
        return str(self)


def welch_test(
    first: Numbers,
    second: Numbers,
    level: Numbers = 0.95,
    *,
    alternative: str = "two-sided",
) -> WelchTest:
    r"""Compare two means without assuming equal variances.

    t = (x̄_2 - x̄_1) / sqrt(v_1 + v_2), v_i = s_i² / n_i, with
    (v_1 + v_2)² / (v_1² / (n_1 - 1) + v_2² / (n_2 - 1)) degrees of freedom.

    Args:
        first: one sample, on the last axis, two data or more; pooled along it.
        second: the other sample; leading axes broadcast.
        level: of the confidence interval of the difference, in (0, 1).
        alternative: "two-sided", "greater" (the second mean is larger) or "less".

    Raises:
        ValueError: a sample of fewer than two data, NaN, a level outside (0, 1), an
            unknown alternative, samples without any spread, shapes that do not fit.

    References:
        B. L. Welch (1947), Biometrika 34, 28.

    Example:
        >>> test = welch_test([1.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0])
        >>> print(test)
        Welch's t test, interval of 95 % confidence
          difference          3.0 ± 1.4
          interval            -0.89798 to 6.898
          degrees of freedom  4.0755
          p-value             0.099913
    """
    value_checks.one_of("alternative", alternative, ALTERNATIVES)
    level, level_valid = value_checks.fraction("level", level)
    first, valid = _sample("first", first)
    second, second_valid = _sample("second", second)
    result = _welch(first, second, level, alternative)
    remedy = "give samples with some spread"
    some = seen(result.standard_error) > 0
    spread = value_checks.checked(some, "first", first, remedy)
    return where_valid(valid & second_valid & spread & level_valid, result)


def _sample(name: str, sample: Numbers) -> tuple[Array, Array]:
    sample, valid = value_checks.finite(name, sample)
    size = sample.shape[-1] if sample.ndim else 1
    if size < 2:
        raise ValueError(f"{name} has shape {sample.shape}: give two data or more")
    return sample, valid.all(axis=-1)


@partial(jax.jit, static_argnums=3)
def _welch(first: Array, second: Array, level: Array, alternative: str) -> WelchTest:
    (mean, variance), (other_mean, other_variance) = map(_mean, (first, second))
    mean, other_mean, level = shape_checks.broadcast(
        first=mean, second=other_mean, level=level
    )
    difference, total = other_mean - mean, variance + other_variance
    some = total > 0
    safe = jnp.where(some, total, 1.0)
    error = jnp.sqrt(safe)
    first_part, second_part = (
        jnp.where(some, part / safe, 1.0) ** 2 / (sample.shape[-1] - 1)
        for part, sample in ((variance, first), (other_variance, second))
    )
    df = 1 / (first_part + second_part)
    below, above = student.log_tails(df, difference / error)
    if alternative == "two-sided":
        log_p_value = jnp.minimum(below, above) + jnp.log(2.0)
    else:
        log_p_value = above if alternative == "greater" else below
    half = -error * student.lower_quantile(df, 0.5 * (1 - level))
    ends = difference - half, difference + half
    error = jnp.where(some, error, 0.0)
    return WelchTest(difference, error, df, log_p_value, *ends, level)


def _mean(sample: Array) -> tuple[Array, Array]:
    """Return the mean of every sample, and the variance of that mean."""
    size = sample.shape[-1]
    mean = sample.mean(axis=-1)
    squares = jnp.square(sample - mean[..., None]).sum(axis=-1)
    return mean, squares / (size - 1) / size
