"""The chance of a discovery, against SciPy's Poisson distribution."""

import jax
import numpy as np
import pytest
from scipy import stats

from vijax.bayes import frequentist as freq


def critical(mean, sigmas):
    counts = np.arange(1000)
    return np.argmax(stats.poisson.sf(counts - 1, mean) <= stats.norm.sf(sigmas))


@pytest.mark.thorough
def test_critical_counts_and_probabilities(x64):
    background, sigmas = (
        np.array([[0.0], [0.5], [9.0], [300.0]]),
        np.array([1, 3, 5, 8]),
    )
    counts = np.vectorize(critical)(background, sigmas)
    np.testing.assert_array_equal(freq.critical_count(background, sigmas), counts)
    power = freq.discovery_probability(20.0, background, sigmas)
    exact = stats.poisson.sf(counts - 1, background + 20.0)
    np.testing.assert_allclose(power, exact, rtol=1e-12)
    slope = jax.grad(freq.discovery_probability)(20.0, 9.0)
    # dP(N >= n) / ds = P(N = n - 1)
    np.testing.assert_allclose(slope, stats.poisson.pmf(28, 29.0), rtol=1e-12)


@pytest.mark.thorough
def test_median_significance(x64):
    signal, background = np.array([0.0, 10.0, 50.0]), np.array([9.0, 9.0, 100.0])
    counts = stats.poisson.ppf(0.5, signal + background)
    exact = stats.norm.isf(stats.poisson.sf(counts - 1, background))
    z = freq.median_significance(signal, background)
    np.testing.assert_allclose(z, exact, rtol=1e-12)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input():
    with pytest.raises(ValueError, match=r"sigmas = -1.0"):
        freq.critical_count(1.0, -1.0)
    with pytest.raises(ValueError, match=r"background = 0.0"):
        freq.median_significance(1.0, 0.0)
    value = jax.jit(freq.discovery_probability)(-1.0, 2.0)
    assert np.isnan(value)


@pytest.mark.parametrize("error", [0.0, 50.0])
def test_a_signal_far_below_the_background_keeps_its_digits(error, float32):
    """s / √(b + σ²) to order s / b, whatever the sum s + b rounds."""
    for signal, background in ((1.0, 1e6), (1e-3, 1e4), (1e-6, 9.0)):
        z = freq.asimov_significance(signal, background, error)
        expected = signal / np.sqrt(background + error**2)
        np.testing.assert_allclose(z, expected, rtol=2e-6)
