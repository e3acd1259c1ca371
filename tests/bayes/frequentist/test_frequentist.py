"""Significances, p-values and confidence intervals against SciPy and mpmath."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from vijax.bayes import frequentist as freq


@pytest.mark.thorough
@pytest.mark.parametrize("sides", [1, 2])
def test_p_value_and_significance_down_to_1e_300(sides, x64):
    with mp.workdps(50):
        check_tails(sides)


def check_tails(sides):
    z = np.array([0.1, 1.0, 3.0, 5.0, 10.0, 20.0, 37.0])
    exact = [sides * mp.erfc(mp.mpf(v) / mp.sqrt(2)) / 2 for v in z]
    p_values = np.array([float(p) for p in exact])
    assert p_values[-1] < 1e-298
    np.testing.assert_allclose(freq.p_value(z, sides=sides), p_values, rtol=1e-12)
    np.testing.assert_allclose(freq.significance(p_values, sides=sides), z, rtol=1e-13)
    logs = np.array([float(mp.log(p)) for p in exact])
    np.testing.assert_allclose(freq.log_p_value(z, sides=sides), logs, rtol=1e-13)
    np.testing.assert_allclose(
        freq.significance_from_log(logs, sides=sides), z, rtol=1e-13
    )


@pytest.mark.thorough
def test_significance_beyond_floats_and_below_zero(x64):
    for z in (100.0, 1e4):
        np.testing.assert_allclose(
            freq.significance_from_log(freq.log_p_value(z)), z, rtol=1e-14
        )
    p_values = np.array([0.5, 0.9, 1 - 1e-10])
    np.testing.assert_allclose(
        freq.significance(p_values), stats.norm.isf(p_values), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(
        freq.significance_from_log(np.log(p_values)),
        stats.norm.isf(p_values),
        rtol=1e-8,
    )
    assert freq.significance(0.0) == np.inf
    assert freq.significance(1.0) == -np.inf
    slope = jax.grad(freq.significance)(1e-5)
    np.testing.assert_allclose(slope, -1 / stats.norm.pdf(stats.norm.isf(1e-5)))


@pytest.mark.thorough
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_exact_p_values(alternative, x64):
    cases = [
        (k, n, p) for n, p in [(14, 0.5), (30, 0.1), (5, 0.9)] for k in range(n + 1)
    ]
    successes, trials, null = np.array(cases).T
    ours = jax.jit(
        lambda k, n, p: freq.binomial_p_value(k, n, null=p, alternative=alternative)
    )(successes, trials, null)
    scipys = [
        stats.binomtest(int(k), int(n), p, alternative=alternative).pvalue
        for k, n, p in cases
    ]
    np.testing.assert_allclose(ours, scipys, rtol=1e-9)


@pytest.mark.thorough
def test_p_values_in_the_far_tail(x64):
    """P(K >= 2000 | 2000, 1/2) = 2^-2000, and one count less 2001 times as much."""
    values = freq.binomial_log_p_value(np.array([2000, 1999]), 2000)
    expected = -2000 * np.log(2) + np.log([1, 2001])
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.thorough
def test_asymptotic_p_values(x64):
    k, n = np.array([700, 520, 480]), 1000
    score = (k - 500) / np.sqrt(250)
    p_value = freq.binomial_p_value(k, n, method="score")
    np.testing.assert_allclose(p_value, stats.norm.sf(score), rtol=1e-11)
    both = freq.binomial_p_value(k, n, method="score", alternative="two-sided")
    np.testing.assert_allclose(both, 2 * stats.norm.sf(np.abs(score)), rtol=1e-11)
    wald = (k - 500) / np.sqrt(k * (n - k) / n)
    less = freq.binomial_p_value(k, n, method="wald", alternative="less")
    np.testing.assert_allclose(less, stats.norm.cdf(wald), rtol=1e-11)
    observed = np.stack([k, n - k], axis=-1)
    deviance = 2 * (observed * np.log(observed / 500)).sum(axis=-1)
    ratio = freq.binomial_p_value(
        k, n, method="likelihood_ratio", alternative="two-sided"
    )
    np.testing.assert_allclose(ratio, stats.chi2.sf(deviance, 1), rtol=1e-10)


@pytest.mark.parametrize(
    ("method", "scipys"), [("clopper_pearson", "exact"), ("wilson", "wilson")]
)
def test_binomial_intervals(method, scipys, x64):
    successes = np.arange(15)
    lower, upper = freq.binomial_interval(successes, 14, 0.9, method=method)
    for k in successes:
        reference = stats.binomtest(int(k), 14).proportion_ci(0.9, method=scipys)
        np.testing.assert_allclose(lower[k], reference.low, rtol=1e-9, atol=1e-16)
        np.testing.assert_allclose(upper[k], reference.high, rtol=1e-9)


@pytest.mark.thorough
def test_other_binomial_intervals(x64):
    z = stats.norm.isf(0.025)
    lower, upper = freq.binomial_interval(10, 14, method="jeffreys")
    np.testing.assert_allclose(
        (lower, upper), stats.beta(10.5, 4.5).ppf([0.025, 0.975]), rtol=1e-9
    )
    half = z * np.sqrt(40 / 14**3)
    wald = freq.binomial_interval(10, 14, method="wald")
    np.testing.assert_allclose(wald, (10 / 14 - half, 10 / 14 + half), rtol=1e-12)
    trials, centre = 14 + z**2, (10 + z**2 / 2) / (14 + z**2)
    half = z * np.sqrt(centre * (1 - centre) / trials)
    coull = freq.binomial_interval(10, 14, method="agresti_coull")
    np.testing.assert_allclose(coull, (centre - half, centre + half), rtol=1e-12)
    assert freq.binomial_interval(0, 14, method="jeffreys")[0] == 0


@pytest.mark.thorough
def test_poisson_interval(x64):
    """Garwood (1936), 95 %: printed for 0, 1 and 10 counts as here to five digits."""
    lower, upper = freq.poisson_interval(np.array([0, 1, 10]))
    np.testing.assert_allclose(lower, [0, 0.025318, 4.795389], atol=5e-7)
    np.testing.assert_allclose(upper, [3.688879, 5.571643, 18.390356], atol=5e-7)


@pytest.mark.slow
def test_exact_intervals_never_cover_less_than_their_level(x64):
    probs = np.linspace(0.01, 0.99, 99)
    exact = freq.binomial_coverage(probs, 20)
    assert exact.min() >= 0.95
    means = np.linspace(0.1, 20, 50)
    assert freq.poisson_coverage(means, 80).min() >= 0.95


@pytest.mark.thorough
def test_coverage_is_a_sum(x64):
    probs = np.linspace(0.01, 0.99, 99)
    wald = freq.binomial_coverage(probs, 20, method="wald")
    assert wald[0] < 0.2
    lower, upper = freq.binomial_interval(np.arange(21), 20, method="wald")
    direct = [
        stats.binom.pmf(np.arange(21), 20, p) @ ((lower <= p) & (p <= upper))
        for p in probs
    ]
    np.testing.assert_allclose(wald, direct, rtol=1e-10)
    several = freq.binomial_coverage(probs, [5, 20], method="wald")
    np.testing.assert_allclose(several[1], wald, rtol=1e-12)
    # All but 0 and 5 of 5 hold 1/2.
    np.testing.assert_allclose(several[0, 49], 1 - 2 / 2**5, rtol=1e-12)
    few = freq.poisson_coverage(3.0, 80, interval=lambda n, _: (n - 0.5, n + 0.5))
    np.testing.assert_allclose(few, stats.poisson.pmf(3, 3.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    [
        (freq.binomial_estimate, (15, 14), {}, "successes = 15"),
        (freq.binomial_estimate, (1.5, 14), {}, "successes = 1.5"),
        (freq.binomial_estimate, (-1, 14), {}, "successes = -1"),
        (freq.binomial_estimate, (0, 0), {}, "trials = 0"),
        (freq.binomial_estimate, (np.array([]), 3), {}, "successes is empty"),
        (freq.binomial_p_value, (3, 4), {"null": 1.5}, "null = 1.5"),
        (freq.binomial_p_value, (3, 4), {"alternative": "larger"}, "alternative"),
        (freq.binomial_p_value, (3, 4), {"method": "guess"}, "method"),
        (freq.binomial_interval, (3, 4), {"method": "guess"}, "method"),
        (freq.binomial_interval, (3, 4, 95.0), {}, "level = 95"),
        (freq.poisson_interval, (np.nan,), {}, "counts = nan"),
        (freq.significance, (1.5,), {}, "p_value = 1.5"),
        (freq.significance, (0.5,), {"sides": 3}, "sides = 3"),
    ],
)
def test_bad_input(function, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


def test_bad_input_in_a_trace_is_nan(nan_is_an_answer):
    estimate, error = jax.jit(freq.binomial_estimate)(
        jnp.array([15, 3]), jnp.array([14, 14])
    )
    assert np.isnan(estimate[0]) & np.isnan(error[0])
    np.testing.assert_allclose(estimate[1], 3 / 14, rtol=1e-6)
    assert np.isnan(jax.jit(freq.significance)(1.5))
