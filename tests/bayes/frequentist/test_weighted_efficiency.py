"""Efficiencies of weighted events, against ROOT's formulas."""

import numpy as np
import numpyro.distributions as dist
import pytest

from vijax.bayes.frequentist import (
    binomial_estimate,
    efficiency_posterior,
    weighted_efficiency,
)

WEIGHTS = np.array([[1.0, 2.0, 0.5, 0.5], [1.0, -0.5, 2.0, 1.0]])
PASSED = np.array([True, True, False, False])


def test_error_of_root(x64):
    """TEfficiency's variance: (p2 (1 - 2 ε) + t2 ε²) / t², with sums of squares."""
    result = weighted_efficiency(WEIGHTS, PASSED)
    total, squares = WEIGHTS.sum(-1), (WEIGHTS**2).sum(-1)
    estimate = (WEIGHTS * PASSED).sum(-1) / total
    of_passed = (WEIGHTS**2 * PASSED).sum(-1)
    variance = (of_passed * (1 - 2 * estimate) + squares * estimate**2) / total**2
    np.testing.assert_allclose(result.estimate, estimate, rtol=1e-14)
    np.testing.assert_allclose(result.standard_error, variance**0.5, rtol=1e-12)
    np.testing.assert_allclose(result.effective_trials, total**2 / squares, rtol=1e-14)


def test_equal_weights_are_counts(x64):
    passed = np.arange(14) < 10
    result = weighted_efficiency(np.full(14, 0.3), passed)
    np.testing.assert_allclose(result[:2], binomial_estimate(10, 14), rtol=1e-13)
    posterior = efficiency_posterior(dist.Beta(1.0, 1.0), np.full(14, 0.3), passed)
    np.testing.assert_allclose(posterior.concentration1, 11.0, rtol=1e-13)
    np.testing.assert_allclose(posterior.concentration0, 5.0, rtol=1e-13)


def test_bad_input():
    with pytest.raises(ValueError, match="give weights of a positive sum"):
        weighted_efficiency([1.0, -2.0], [1, 0])
    with pytest.raises(ValueError, match=r"passed = 2.0"):
        weighted_efficiency([1.0, 2.0], [1, 2])
    with pytest.raises(ValueError, match=r"weights = -0.5"):
        efficiency_posterior(dist.Beta(1.0, 1.0), [1.0, -0.5], [1, 0])
    masked = np.ma.masked_array([True, False], [False, True])
    for passed in (masked, ["1", "0"], [1j, 0j], [None, 1.0]):
        with pytest.raises(ValueError, match="passed = "):
            weighted_efficiency([1.0, 2.0], passed)
