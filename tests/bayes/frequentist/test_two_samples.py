"""Two samples and combined measurements, against SciPy and published numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.bayes import frequentist as freq

TABLES = [(2, 20, 8, 20), (0, 5, 3, 4), (7, 7, 1, 9), (100, 1000, 130, 900)]


@pytest.mark.thorough
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_fisher(alternative, x64):
    k1, n1, k2, n2 = np.array(TABLES).T
    log_p = freq.fisher_log_p_value((k1, n1), (k2, n2), alternative=alternative)
    exact = [
        stats.fisher_exact([[d, e - d], [b, c - b]], alternative=alternative)[1]
        for b, c, d, e in TABLES
    ]
    np.testing.assert_allclose(jnp.exp(log_p), exact, rtol=1e-11)


@pytest.mark.thorough
def test_differences_and_ratios(x64):
    """Newcombe (1998), table II (a); statsmodels 0.15 has 0.05243147, 0.33387265."""
    interval = freq.probability_difference_interval((48, 80), (56, 70))
    np.testing.assert_allclose(interval, (0.05243147240, 0.33387265404), rtol=1e-9)
    # statsmodels 0.15: test_poisson_2indep(20, 1, 10, 1, method="exact-cond"), doubled
    p_value = jnp.exp(
        freq.rate_log_p_value((10, 1.0), (20, 1.0), alternative="two-sided")
    )
    np.testing.assert_allclose(p_value, 0.09873714670538905, rtol=1e-10)
    lower, upper = freq.rate_ratio_interval((10, 2.0), (20, 1.0))
    low, high = stats.binomtest(20, 30).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(
        (lower, upper), (2 * low / (1 - low), 2 * high / (1 - high)), rtol=1e-9
    )
    assert freq.rate_ratio_interval((0, 1.0), (20, 1.0))[1] == np.inf


@pytest.mark.thorough
@pytest.mark.parametrize(
    "alternative", slow_except({"two-sided"}, ["two-sided", "greater", "less"])
)
def test_welch(alternative, x64):
    first, second = [1.0, 2.0, 3.5], [2.0, 4.0, 6.0, 8.0]
    test = freq.welch_test(first, second, 0.9, alternative=alternative)
    exact = stats.ttest_ind(second, first, equal_var=False, alternative=alternative)
    np.testing.assert_allclose(jnp.exp(test.log_p_value), exact.pvalue, rtol=1e-10)
    np.testing.assert_allclose(test.df, exact.df, rtol=1e-12)
    if alternative == "two-sided":
        interval = exact.confidence_interval(0.9)
        np.testing.assert_allclose((test.lower, test.upper), interval, rtol=1e-10)


@pytest.mark.thorough
def test_combination(x64):
    """Lyons, Gibaut & Clifford (1988): 10.5 ± 1 and 13.5 ± 3, correlated or not."""
    alone = freq.combine([10.5, 13.5], [1.0, 3.0])
    np.testing.assert_allclose(alone.estimate, 10.8, rtol=1e-12)
    np.testing.assert_allclose(alone.standard_error, 0.9**0.5, rtol=1e-12)
    covariance = np.array([[1.0, 0.5, 0.2], [0.5, 2.0, 0.9], [0.2, 0.9, 3.0]])
    x = np.array([1.0, 2.0, 4.0])
    found = jax.jit(freq.combine)(x, covariance)
    inverse = np.linalg.inv(covariance)
    np.testing.assert_allclose(
        found.weights, inverse.sum(0) / inverse.sum(), rtol=1e-12
    )
    gap = x - found.estimate
    chi_squared = gap @ inverse @ gap
    np.testing.assert_allclose(found.chi_squared, chi_squared, rtol=1e-12)
    p_value = stats.chi2.sf(chi_squared, 2)
    np.testing.assert_allclose(jnp.exp(found.log_p_value), p_value, rtol=1e-12)
    np.testing.assert_allclose(found.scale_factor, (chi_squared / 2) ** 0.5, rtol=1e-12)
    # Strong correlation: a negative weight, outside of both measurements.
    strong = freq.combine([10.5, 13.5], [[1.0, 2.7], [2.7, 9.0]])
    assert strong.weights[1] < 0
    assert strong.estimate < 10.5


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: freq.fisher_log_p_value((5, 4), (1, 2)), "successes = 5"),
        (lambda: freq.fisher_log_p_value(5, (1, 2)), "first = 5"),
        (lambda: freq.rate_ratio_interval((1, 0.0), (1, 1.0)), "first exposure = 0"),
        (lambda: freq.welch_test([1.0], [1.0, 2.0]), "first has shape"),
        (lambda: freq.combine([1.0], [1.0]), "measurements has shape"),
        (lambda: freq.combine([1.0, 2.0], [1.0, -1.0]), "covariance = -1"),
        (lambda: freq.combine([1.0, 2.0], -np.eye(2)), "positive definite"),
    ],
)
def test_bad_input(call, message, as_users_do):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.thorough
def test_a_trace_gives_nan(nan_is_an_answer):
    assert np.isnan(jax.jit(freq.combine)(jnp.array([1.0, jnp.nan]), jnp.ones(2))[0])
    assert np.isnan(jax.jit(freq.rate_log_p_value)((-1, 1.0), (3, 1.0)))
