"""Chances of a discovery above a measured background, against sums of SciPy's."""

import jax
import numpy as np
import pytest
from scipy import stats

from vijax.bayes import frequentist as freq
from vijax.bayes.frequentist import Measured, Sideband

ON, OFF = np.meshgrid(np.arange(100), np.arange(100), indexing="ij")
TRUTHS = np.array([0.0, 20.0, 10.0]), np.array([9.0, 9.0, 3.0])  # s, b
RATIO = 2.0


def significances(test):
    if test == "exact":
        p = stats.binom.sf(ON - 1, ON + OFF, 1 / (1 + RATIO))
        return stats.norm.isf(p)
    total = ON + OFF
    likely = total / (1 + RATIO), total * RATIO / (1 + RATIO)
    with np.errstate(all="ignore"):
        terms = [
            np.where(n > 0, n * np.log(n / mean), 0.0)
            for n, mean in zip((ON, OFF), likely, strict=True)
        ]
    root = np.sqrt(np.maximum(2 * sum(terms), 0.0))
    return np.where(OFF < RATIO * ON, root, 0.0)


def probabilities(signal, background):
    of_on = stats.poisson.pmf(ON, signal + background)
    return of_on * stats.poisson.pmf(OFF, RATIO * background)


@pytest.mark.thorough
@pytest.mark.parametrize("test", ["exact", "profile"])
def test_sideband(test, x64):
    signal, background = TRUTHS
    plan = Sideband(RATIO * background, RATIO)
    z, truths = significances(test), list(zip(*TRUTHS, strict=True))
    for sigmas in (1.0, 3.0, 5.0):
        exact = [probabilities(*truth)[z >= sigmas].sum() for truth in truths]
        power = freq.discovery_probability(signal, plan, sigmas, test=test)
        np.testing.assert_allclose(power, exact, rtol=1e-10)
        # The binomial test keeps its promise at every background.
        assert test == "profile" or power[0] <= stats.norm.sf(sigmas)


@pytest.mark.thorough
def test_median_of_a_sideband(x64):
    signal, background = TRUTHS
    z = significances("exact").ravel()
    order = np.argsort(-z)
    exact = []
    for truth in zip(*TRUTHS, strict=True):
        above = np.cumsum(probabilities(*truth).ravel()[order])
        exact.append(z[order][np.argmax(above >= 0.5)])
    plan = Sideband(RATIO * background, RATIO)
    median = freq.median_significance(signal, plan)
    np.testing.assert_allclose(median, exact, rtol=1e-9, atol=1e-9)
    # Asimov's formula is that of Li and Ma's significance: smooth, and a little larger.
    asimov = freq.asimov_significance(signal, background, (background / RATIO) ** 0.5)
    assert (np.abs(asimov - median) < 0.4).all()


def misfit(counts, estimate, error):
    """Return -2 log likelihood ratio of no signal, with the background at its best."""
    linear = estimate - error**2
    best = 0.5 * (linear + np.sqrt(linear**2 + 4 * counts * error**2))
    of_counts = counts * np.log(counts / best) + best - counts
    value = 2 * of_counts + ((best - estimate) / error) ** 2
    return np.where(counts > estimate, value, 0.0)


def of_estimates(signal, background, error):
    """Return the significances of counts and estimates in 16 errors, and weights."""
    x = np.linspace(-8, 8, 20_001)
    estimates = np.maximum(background + error * x, 0.0)
    z = np.array([np.sqrt(misfit(n, estimates, error)) for n in range(1, 60)])
    of_on = stats.poisson.pmf(np.arange(1, 60), signal + background)[:, None]
    return z, of_on * stats.norm.pdf(x) * (x[1] - x[0])


@pytest.mark.thorough
def test_gaussian_estimate(x64):
    """Against the trapezoidal rule over estimates."""
    z, weights = of_estimates(20.0, 9.0, 3.0)
    power = freq.discovery_probability(20.0, Measured(9.0, 3.0), 3.0)
    np.testing.assert_allclose(power, np.sum(weights * (z >= 3.0)), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("background", [0.5, 9.0])
def test_median_of_a_gaussian_estimate(background, x64):
    z, weights = of_estimates(20.0, background, 3.0)
    median = freq.median_significance(20.0, Measured(background, 3.0))
    below, above = (np.sum(weights * (z >= median * share)) for share in (0.999, 1.001))
    assert above - 2e-4 < 0.5 < below + 2e-4
    assert below - above < 0.2


@pytest.mark.thorough
def test_discoverable_signal(x64):
    plan = Sideband(18.0, RATIO)
    signal = freq.discoverable_signal(plan, 0.9, 3.0, max_terms=256)
    power = freq.discovery_probability(signal, plan, 3.0)
    np.testing.assert_allclose(power, 0.9, rtol=1e-12)


@pytest.mark.slow
def test_slope_of_a_power(x64):
    def power_of(error):
        plan = Measured(9.0, error)
        return freq.discovery_probability(20.0, plan, 3.0, max_terms=128)

    slope = jax.grad(power_of)(3.0)
    h = 1e-4
    finite = (power_of(3.0 + h) - power_of(3.0 - h)) / (2 * h)
    np.testing.assert_allclose(slope, finite, rtol=1e-6)


@pytest.mark.thorough
def test_float32_and_few_terms(float32, nan_is_an_answer):
    plan = Sideband(18.0, RATIO)
    value = freq.discovery_probability(20.0, plan, 3.0)
    np.testing.assert_allclose(value, 0.7888419, rtol=1e-5)
    in_trace = jax.jit(
        lambda s, size: freq.discovery_probability(s, plan, 3.0, max_terms=size),
        static_argnums=1,
    )
    np.testing.assert_allclose(in_trace(20.0, 128), 0.7888419, rtol=1e-5)
    assert np.isnan(in_trace(20.0, 5))


@pytest.mark.thorough
def test_critical_counts_of_data(x64):
    for off in (0, 7, 18):
        tail = stats.binom.sf(np.arange(-1, 99), np.arange(100) + off, 1 / 3)
        exact = np.argmax(tail <= stats.norm.sf(3.0))
        assert freq.critical_count(Sideband(off, 2.0), 3.0) == exact


def test_bad_input():
    with pytest.raises(ValueError, match="test = 'exact'"):
        freq.discovery_probability(1.0, Measured(3.0, 1.0), test="exact")
    with pytest.raises(ValueError, match=r"background.counts = 1.5"):
        freq.critical_count(Sideband(1.5, 1.0))
    with pytest.raises(ValueError, match="max_terms is needed"):
        jax.jit(lambda b: freq.discoverable_signal(Measured(b, 1.0)))(3.0)
    with pytest.raises(ValueError, match=r"power = 1.0"):
        freq.discoverable_signal(3.0, 1.0)
