r"""Test statistics of the profile likelihood ratio, and their asymptotic p-values.

With t(μ) = −2 log [L(μ, θ̂̂) / L(μ̂, θ̂)],

    q        t(μ) where μ̂ ≤ μ, else 0: upper limits
    qtilde   the same with μ ≥ 0 (the bounds of the workspace say so)
    q0       t(0): discovery

Where μ̂ is at the workspace's upper bound, the maximum is beyond it and t is not known:
the results are NaN, as where a fit did not converge; give μ a wider range.

Every fit is the best one of several starts. Where the likelihood has several maxima, as
where both ends of a systematic move a template the same way, that need not be the
highest.

By Wald's approximation √q is normal; its spread is that of the Asimov data, which are
the expected counts of the background alone (of μ = 1 for q0). CLs = CLs+b / CLb.

References:
    Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554 [arXiv:1007.1727];
    Read (2002), J. Phys. G 28, 2693 (CLs).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array

from vijax import printing
from vijax.array_module import array_module
from vijax.physics.bounded_newton import Minimum
from vijax.physics.histfactory import Observed, constants, expected
from vijax.physics.likelihood_fit import (
    check_some,
    entry_of,
    held_and_start,
    in_double,
    lower_of,
    search_all,
    search_around,
    stacked,
    with_entry,
)
from vijax.physics.target import FitData, parts_of
from vijax.validate import check, where_valid
from vijax.vi.targets.target import Target

STATISTICS = ("qtilde", "q")
BANDS = np.array([2.0, 1.0, 0.0, -1.0, -2.0])  # sigmas of the background's fluctuation
MAX_ROUNDS = 60  # of the search for a limit


class HypothesisTest(NamedTuple):
    """p-values of a signal strength; NaN where a fit did not converge."""

    cls: Any  # CLs+b / CLb: below 0.05, μ is excluded at 95 %
    expected_cls: Any  # (…, 5): with background alone, of −2, −1, 0, 1, 2 σ
    cls_b: Any  # CLs+b = P(q ≥ q_observed | μ)
    cl_b: Any  # CLb = P(q ≥ q_observed | 0)
    statistic: Any  # q
    estimate: Any  # μ̂

    def __str__(self) -> str:
        values = {
            "CLs": self.cls,
            **printing.by_band("CLs expected", self.expected_cls),
            "CLs+b": self.cls_b,
            "CLb": self.cl_b,
            "statistic q": self.statistic,
            "estimate of μ": self.estimate,
        }
        return printing.described("CLs of a signal strength, asymptotic", values)

    def __repr__(self) -> str:
        return str(self)


class Discovery(NamedTuple):
    """The background-only hypothesis; NaN where a fit did not converge."""

    p_value: Any  # P(q0 ≥ observed | 0)
    significance: Any  # in one-sided sigmas, √q0
    expected_significance: Any  # with a signal of μ = 1: the median
    statistic: Any  # q0
    estimate: Any  # μ̂

    def __str__(self) -> str:
        values = {
            "p-value": self.p_value,
            "significance, in σ": self.significance,
            "expected at μ = 1": self.expected_significance,
            "statistic q0": self.statistic,
            "estimate of μ": self.estimate,
        }
        return printing.described("Background alone, asymptotic", values)

    def __repr__(self) -> str:
        return str(self)


class UpperLimit(NamedTuple):
    """Where CLs is 1 − level; NaN where it never is, or a fit did not converge."""

    observed: Any
    expected: Any  # (5,): with background alone, at −2, −1, 0, 1, 2 σ
    level: Any = np.nan  # of confidence

    def __str__(self) -> str:
        held = printing.percent(self.level)
        values = {
            "observed": self.observed,
            **printing.by_band("expected", self.expected),
        }
        return printing.described(
            f"Upper limit of μ at {held} confidence (CLs)", values
        )

    def __repr__(self) -> str:
        return str(self)


class Ratio(NamedTuple):
    """What a test statistic is made of."""

    statistic: Array
    estimate: Array
    converged: Array


@in_double
def hypothesis_test(
    target: Target, mu: Any, *, statistic: str = "qtilde"
) -> HypothesisTest:
    """Test signal strengths by CLs, with asymptotic p-values and expected bands.

    As `pyhf.infer.hypotest`, but for all strengths at once.

    Args:
        target: from `from_pyhf`.
        mu: values of the parameter of interest, any shape.
        statistic: "qtilde", where the workspace keeps μ ≥ 0, or "q", where it lets μ be
            negative.

    Returns:
        The HypothesisTest, arrays of the shape of `mu`.

    Raises:
        ValueError: the target is not a template fit, or has no parameter of interest;
            a strength is not finite, or there is none; an unknown statistic, or one
            that is not of the workspace's lower bound of μ.

    Example:
        >>> from vijax.physics.target import from_pyhf
        >>> channel = {"name": "region", "samples": [
        ...     {"name": "signal", "data": [12.0, 11.0], "modifiers": [
        ...         {"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "background", "data": [50.0, 52.0], "modifiers": [
        ...         {"name": "shape", "type": "shapesys", "data": [3.0, 7.0]}]}]}
        >>> target = from_pyhf({"channels": [channel]}, [51.0, 48.0])
        >>> round(hypothesis_test(target, 1.0).cls.item(), 4)
        0.0525
    """
    layout, data = parts_of(target)
    index = entry_of(layout)
    valid = _check_statistic(statistic, data, index)
    xp = array_module(target, mu)
    mu = xp.asarray(mu, float)
    check(xp.isfinite(mu), "mu", mu, "give finite signal strengths")
    check_some("mu", mu)
    held, start = held_and_start(target)
    free = free_fits(data, held, start, index, 0.0)
    tested = _test_many(data, held, free, index, mu.ravel(), statistic)
    shaped = jax.tree.map(lambda x: x.reshape(*mu.shape, *x.shape[1:]), tested)
    return where_valid(valid, shaped)


@in_double
def discovery_test(target: Target) -> Discovery:
    """Test the background alone against any positive signal, by q0.

    Args:
        target: from `from_pyhf`.

    Returns:
        The Discovery.

    Raises:
        ValueError: the target is not a template fit, or has no parameter of interest.
    """
    layout, data = parts_of(target)
    held, start = held_and_start(target)
    index = entry_of(layout)
    free = free_fits(data, held, start, index, 1.0)
    return _discovery(ratios(data, held, free, index, np.zeros(1)))


@in_double
def upper_limit(
    target: Target, *, level: float = 0.95, statistic: str = "qtilde"
) -> UpperLimit:
    """Return the signal strength that CLs excludes at a level, observed and expected.

    Six curves, CLs(μ) observed and at five quantiles of the background's fluctuations,
    are solved for 1 − level together, to a relative 10⁻⁸.

    Args:
        target: from `from_pyhf`.
        level: of confidence.
        statistic: as in `hypothesis_test`.

    Returns:
        The UpperLimit.

    Raises:
        ValueError: as `hypothesis_test`; the level is not between 0 and 1.
    """
    check(0 < level < 1, "level", level, "give one between 0 and 1")
    layout, data = parts_of(target)
    index = entry_of(layout)
    _check_statistic(statistic, data, index)
    held, start = held_and_start(target)
    free = free_fits(data, held, start, index, 0.0)

    def excess(mu: np.ndarray) -> np.ndarray:
        tested = _test_many(data, held, free, index, mu, statistic)
        curves = np.column_stack(jax.device_get([tested.cls, tested.expected_cls]))
        return np.asarray(np.log(np.diag(curves)) - np.log1p(-level))

    first = max(1e-3, abs(float(free.found.theta[0, index])))
    limits = _solve(excess, np.full(6, first))
    return UpperLimit(limits[0], limits[1:], np.asarray(level))


def _check_statistic(statistic: str, data: FitData, index: int) -> Any:
    """Say whether the workspace's lower bound of μ is that of the statistic."""
    if statistic not in STATISTICS:
        raise ValueError(f"statistic = {statistic!r} is not one of {STATISTICS}")
    lower = data.lower[index]
    fits, remedy = (
        (lower == 0, "qtilde is for 0: take q for one below, or change the workspace")
        if statistic == "qtilde"
        else (lower < 0, "q is for one below 0: take qtilde for 0")
    )
    return check(fits, "lower bound of the parameter of interest", lower, remedy)


def _solve(excess: Any, start: np.ndarray) -> np.ndarray:
    """Find where six falling curves are 0: bracket, then Illinois' secant."""
    low, high = np.zeros_like(start), start.copy()
    of_low, of_high = np.full_like(start, np.nan), excess(high)
    for _ in range(MAX_ROUNDS):
        above = of_high > 0
        if not above.any():
            break
        low, of_low = np.where(above, high, low), np.where(above, of_high, of_low)
        high = np.where(above, 2 * high, high)
        of_high = np.where(above, excess(high), of_high)
    missing = np.isnan(of_low)
    if missing.any():
        of_low = np.where(missing, excess(np.where(missing, 1e-9 * high, low)), of_low)
    for _ in range(MAX_ROUNDS):
        with np.errstate(all="ignore"):
            middle = high - of_high * (high - low) / (of_high - of_low)
        inside = np.isfinite(middle) & (middle > low) & (middle < high)
        middle = np.where(inside, middle, 0.5 * (low + high))
        value = excess(middle)
        right = value > 0  # the root is to the right
        of_high = np.where(right, 0.5 * of_high, value)
        of_low = np.where(right, value, 0.5 * of_low)
        low, high = np.where(right, middle, low), np.where(right, high, middle)
        solved = (high - low <= 1e-8 * high) | (np.abs(value) < 1e-10)
        if (solved | np.isnan(value)).all():
            break
    solved &= (of_low > 0) & (of_high <= 0)  # else the curve never falls to 0
    return np.where(solved, middle, np.nan)


# ---- the fits ----


class FreeFits(NamedTuple):
    """Fits that do not depend on the strength that is tested; data, then Asimov's."""

    observed: Observed  # (2, …)
    found: Minimum  # (2, …)


def free_fits(
    data: FitData, held: Any, start: Any, index: int, strength: float
) -> FreeFits:
    """Fit the data and the Asimov data, which are expected at a strength."""
    both = search_all(
        data,
        stacked(data.observed, data.observed),
        stacked(start, with_entry(start, index, strength)),
        np.stack([held, with_entry(held, index, True)]),
    )
    to_data, at = (jax.tree.map(lambda x, n=n: x[n], both) for n in (0, 1))
    asimov = _asimov(data, at.theta)
    # The data once more, from around where the held fit ended: higher, maybe.
    two = (
        stacked(data.observed, asimov),
        stacked(at.theta, at.theta),
        np.stack([held] * 2),
    )
    again, to_asimov = (
        jax.tree.map(lambda x, n=n: x[n], search_around(data, *two)) for n in (0, 1)
    )
    to_data = lower_of(to_data, again, to_data, again)
    good = to_asimov.converged & at.converged
    pair = stacked(to_data, to_asimov._replace(converged=good))
    return FreeFits(stacked(data.observed, asimov), pair)


@jax.jit
def _asimov(data: FitData, theta: Any) -> Observed:
    """Return the data that are as expected at θ, auxiliary ones included."""
    template = data.template
    main = expected(template, theta)
    poisson = template.tau * theta[template.poisson_of]
    constant = constants(main, poisson, template.sigma)
    return Observed(main, theta[template.normal_of], poisson, constant)


def ratios(data: FitData, held: Any, free: FreeFits, index: int, mu: Any) -> Ratio:
    """Return t(μ), at least 0, of data and of Asimov data: (2, strengths)."""
    number = len(mu)
    xp = array_module(free, mu)
    near = xp.repeat(free.found.theta, number, axis=0)
    found = search_around(
        data,
        jax.tree.map(lambda x: xp.repeat(x, number, axis=0), free.observed),
        with_entry(near, index, xp.concatenate([mu, mu])),
        np.tile(with_entry(held, index, True), (2 * number, 1)),
    )
    # From the best of these, in case that the free fit was in a lower maximum.
    least = xp.where(found.converged, found.value, xp.inf).reshape(2, number)
    best = least.argmin(axis=1) + np.array([0, number])
    starts, helds = xp.where(held, near[best], found.theta[best]), np.stack([held] * 2)
    again = search_all(data, free.observed, starts, helds)
    free_found = lower_of(free.found, again, free.found, again)
    at = free_found.theta[:, index]
    # At the upper bound the likelihood has its maximum beyond: t(μ) is not known.
    inside = xp.where(np.array([True, False]), at < data.upper[index], True)
    good = free_found.converged & (held[index] | inside)
    value = found.value.reshape(2, number) - free_found.value[:, None]
    converged = found.converged.reshape(2, number) & good[:, None]
    estimate = xp.broadcast_to(at[:, None], value.shape)
    return Ratio(2 * xp.maximum(value, 0.0), estimate, converged)


def _test_many(
    data: FitData, held: Any, free: FreeFits, index: int, mu: Any, statistic: str
) -> HypothesisTest:
    return _asymptotic(ratios(data, held, free, index, mu), mu, statistic)


@jax.jit
def _discovery(both: Ratio) -> Discovery:
    """Return the p-value by the asymptotic formula, of data and of Asimov data."""
    statistic = jnp.where(both.estimate < 0, 0.0, both.statistic)[:, 0]
    found, expected_at = jnp.sqrt(statistic)
    return where_valid(
        both.converged.all(),
        Discovery(ndtr(-found), found, expected_at, statistic[0], both.estimate[0, 0]),
    )


@partial(jax.jit, static_argnames="statistic")
def _asymptotic(both: Ratio, mu: Any, statistic: str) -> HypothesisTest:
    """Return p-values by the asymptotic distributions, on the scale of −μ̂/σ."""
    # q is 0 where the estimate is above what is tested.
    value = jnp.where(both.estimate > mu, 0.0, both.statistic)
    root, spread = jnp.sqrt(value)
    place = root - spread
    if statistic == "qtilde":  # beyond the Asimov value q grows linearly in μ̂
        safe = jnp.where(spread > 0, spread, 1.0)
        far = (value[0] - value[1]) / (2 * safe)
        place = jnp.where(root <= spread, place, far)
    cls_b, cl_b = ndtr(-(place + spread)), ndtr(-place)
    # In the precision of the trace: JAX would keep one constant for both precisions.
    sigmas = BANDS.astype(spread.dtype)
    bands = ndtr(-(sigmas + spread[:, None])) / ndtr(-sigmas)
    good = both.converged.all(axis=0)
    found = cls_b / cl_b, cls_b, cl_b, value[0], both.estimate[0]
    cls, *rest = (jnp.where(good, x, jnp.nan) for x in found)
    return HypothesisTest(cls, jnp.where(good[:, None], bands, jnp.nan), *rest)
