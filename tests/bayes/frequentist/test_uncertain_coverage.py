"""Coverage with a measured background, against sums of SciPy's probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vijax.bayes import frequentist as freq
from vijax.bayes.frequentist import Measured, Sideband

SIGNALS, BACKGROUNDS, RATIO = np.array([0.5, 4.0]), np.array([1.0, 3.0]), 2.0
ON, OFF = np.meshgrid(np.arange(45), np.arange(45), indexing="ij")


def sums(holds):
    """Return Σ P(n | s + b) P(y | τ b) over pairs that hold a signal."""
    return [
        [
            np.sum(
                stats.poisson.pmf(ON, s + b)
                * stats.poisson.pmf(OFF, RATIO * b)
                * holds(s)
            )
            for s in SIGNALS
        ]
        for b in BACKGROUNDS
    ]


def coverage(method):
    plan = Sideband(RATIO * BACKGROUNDS, RATIO)
    return freq.uncertain_signal_coverage(SIGNALS, plan, 0.9, method=method)


def deviance(n, mean):
    with np.errstate(all="ignore"):
        return 2 * (np.where(n > 0, n * np.log(n / mean), 0.0) + mean - n)


def log_ratio(signal):
    """Return -2 log profile likelihood ratio, against the best s >= 0."""

    def misfit(s):
        # b of both Poisson terms: a quadratic equation
        linear = (1 + RATIO) * s - ON - OFF
        root = np.sqrt(linear**2 + 4 * (1 + RATIO) * s * OFF)
        b = np.maximum((root - linear) / (2 * (1 + RATIO)), 1e-300)
        return deviance(ON, s + b) + deviance(OFF, RATIO * b)

    return misfit(signal) - np.where(RATIO * ON < OFF, misfit(0.0), 0.0)


@pytest.mark.thorough
def test_profile(x64):
    z = stats.norm.isf(0.05)
    exact = sums(lambda s: log_ratio(s) <= z**2)
    np.testing.assert_allclose(coverage("profile"), exact, rtol=1e-9)
    best = np.maximum(ON - OFF / RATIO, 0.0)
    z = stats.norm.isf(0.1)
    exact = sums(lambda s: (log_ratio(s) <= z**2) | (s <= best))
    np.testing.assert_allclose(coverage("profile_limit"), exact, rtol=1e-9)


@pytest.mark.thorough
def test_limits_that_take_the_background_as_known(x64):
    cdf = stats.poisson.cdf
    exact = sums(lambda s: cdf(ON, s + OFF / RATIO) >= 0.1 * cdf(ON, OFF / RATIO))
    np.testing.assert_allclose(coverage("cls"), exact, rtol=1e-9)
    exact = sums(lambda s: cdf(ON, s + OFF / RATIO) >= 0.1)
    np.testing.assert_allclose(coverage("classical"), exact, rtol=1e-9)


def test_gaussian_estimate(x64):
    """Of s < n - estimate + 2, which holds where the estimate is below n + 2 - s."""

    def below(counts, background, level):
        upper = counts + 2 - background.estimate
        return jnp.full_like(upper, -1.0), upper

    plan = Measured(BACKGROUNDS, 0.7)
    value = freq.uncertain_signal_coverage(SIGNALS, plan, interval=below)
    n = np.arange(60)
    for row, b in zip(value, BACKGROUNDS, strict=True):
        for one, s in zip(row, SIGNALS, strict=True):
            tail = np.where(n + 2 >= s, stats.norm.cdf((n + 2 - s - b) / 0.7), 0.0)
            exact = np.sum(stats.poisson.pmf(n, s + b) * tail)
            np.testing.assert_allclose(one, exact, rtol=1e-9)


@pytest.mark.slow
def test_gaussian_estimate_of_the_profile_likelihood(x64):
    """Against the trapezoidal rule over estimates."""
    x = np.linspace(-8, 8, 4001)
    plan = Measured(BACKGROUNDS, 0.7)
    value = freq.uncertain_signal_coverage(SIGNALS, plan, 0.9)
    z = stats.norm.isf(0.05)
    for row, b in zip(value, BACKGROUNDS, strict=True):
        estimates = np.maximum(b + 0.7 * x, 0.0)
        n = np.arange(40)[:, None]
        known = n, Measured(estimates, 0.7)
        at_zero = freq.uncertain_signal_log_likelihood(0.0, *known)
        peak = np.where(n < estimates, at_zero, 0.0)
        for one, s in zip(row, SIGNALS, strict=True):
            at = freq.uncertain_signal_log_likelihood(s, *known)
            holds = 2 * (peak - np.asarray(at)) <= z**2
            of_estimate = np.trapezoid(holds * stats.norm.pdf(x), x, axis=-1)
            exact = np.sum(stats.poisson.pmf(n[:, 0], s + b) * of_estimate)
            np.testing.assert_allclose(one, exact, atol=1e-4)


@pytest.mark.thorough
def test_limit_is_an_upper_end(x64):
    data = np.array([0, 3, 10]), Sideband(3, 2.5)
    limit = freq.uncertain_signal_limit(*data, level=0.95)
    upper = freq.uncertain_signal_interval(*data, level=0.9)[1]
    np.testing.assert_allclose(limit, upper, rtol=1e-12)


def test_bad_input(x64, nan_is_an_answer, as_users_do):
    def all_of(counts, background, level):
        return jnp.zeros_like(counts), jnp.full_like(counts, jnp.inf)

    in_trace = jax.jit(
        lambda s: freq.uncertain_signal_coverage(
            s, Sideband(2.0, 1.0), interval=all_of, max_count=60
        )
    )
    np.testing.assert_allclose(in_trace(2.0), 1.0, rtol=1e-12)
    assert jnp.isnan(in_trace(-1.0))
    with pytest.raises(ValueError, match="background is a number"):
        freq.uncertain_signal_coverage(1.0, 3.0)
    with pytest.raises(ValueError, match=r"shape \(2,\): give one number"):
        freq.uncertain_signal_coverage(1.0, Measured(3.0, [1.0, 2.0]))
    with pytest.raises(ValueError, match=r"level = 0.4"):
        freq.uncertain_signal_limit(3, 2.0, level=0.4)


@pytest.mark.thorough
def test_a_second_map_compiles_nothing(compiled):
    def look(error):
        plan = Measured(1.0, error)
        return float(freq.uncertain_signal_coverage(2.0, plan, 0.9, max_count=20))

    first = look(0.3)
    compiled.clear()
    assert look(0.4) != first
    assert compiled == []
