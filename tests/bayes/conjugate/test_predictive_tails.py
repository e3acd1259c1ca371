"""Probabilities, quantiles and variances of what comes next, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, stats

from vijax.bayes import (
    beta_bernoulli,
    gamma_exponential,
    intervals,
    pareto_uniform,
    truncated_gamma_poisson,
)


def test_an_outcome_has_tails_and_quantiles():
    """SciPy's bernoulli, in both tails."""
    ours = beta_bernoulli.predictive(dist.Beta(3.0, 1.0))
    scipys = stats.bernoulli(0.75)
    x = np.array([-1.0, 0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(ours.cdf(x), scipys.cdf(x))
    np.testing.assert_allclose(jnp.exp(ours.log_tails(x)[1]), scipys.sf(x))
    q = np.array([0.1, 0.25, 0.26, 1.0])
    np.testing.assert_array_equal(intervals.quantile(ours, q), [0, 0, 1, 1])
    assert intervals.upper_quantile(ours, 0.8).item() == 0


def truncated(concentration, rate, high, exposure=1.0):
    """Return our distribution, and P(N <= n) by SciPy's adaptive integral."""
    posterior = truncated_gamma_poisson.TruncatedGamma(concentration, rate, high)
    gamma = stats.gamma(concentration, scale=1 / rate)

    def cdf(n):
        def of_rate(x):
            return stats.poisson.cdf(n, x * exposure) * gamma.pdf(x)

        found = integrate.quad(of_rate, 0, high, epsabs=0, epsrel=1e-12, limit=200)
        return found[0] / gamma.cdf(high)

    return truncated_gamma_poisson.predictive(posterior, exposure), cdf


@pytest.mark.thorough
def test_a_truncated_rate_has_tails(x64):
    for numbers in ((10.0, 3.0, 5.0), (3.5, 100.0, 2.0, 20.0), (2.0, 3.0, 0.1, 50.0)):
        ours, cdf = truncated(*numbers)
        counts = np.array([0.0, 3.0, 9.5])
        expected = [cdf(n) for n in counts]
        np.testing.assert_allclose(ours.cdf(counts), expected, rtol=1e-10)
    assert ours.cdf(-1.0) == 0


@pytest.mark.thorough
def test_a_truncated_rate_s_quantiles_and_variance(x64):
    ours, cdf = truncated(10.0, 3.0, 5.0)
    below = np.array([cdf(n) for n in range(40)])
    q = np.array([0.0, 0.025, 0.5, 0.975])
    expected = [np.argmax(below >= one) for one in q]
    np.testing.assert_array_equal(intervals.quantile(ours, q), expected)
    assert intervals.upper_quantile(ours, 1e-12).item() == np.argmax(
        -np.expm1(ours.log_tails(np.arange(40.0))[1]) >= 1 - 1e-12
    )
    pmf = np.diff(below, prepend=0.0)
    mean = np.sum(pmf * np.arange(40))
    variance = np.sum(pmf * (np.arange(40) - mean) ** 2)
    np.testing.assert_allclose(ours.variance, variance, rtol=1e-9)
    lower, upper = intervals.credible_interval(ours)
    assert (lower, upper) == (expected[1], expected[3])


@pytest.mark.thorough
def test_a_far_cut_leaves_gammas_tail(x64):
    """SciPy's gamma, from which a cut takes 1e-82; NaN below 1e-16 before."""
    cut = truncated_gamma_poisson.TruncatedGamma(3.5, 100.0, 2.0)
    q = np.array([1e-30, 1e-17, 1e-3, 0.6])
    expected = stats.gamma(3.5, scale=0.01).isf(q)
    np.testing.assert_allclose(intervals.upper_quantile(cut, q), expected, rtol=1e-12)
    # What no float holds is 0; the ends' slopes are the cut's, or none.
    rise = truncated_gamma_poisson.TruncatedGamma(0.05, 1.0, 5.0)
    assert rise.icdf(1e-25) == 0
    for q, slope in ((0.0, 1.0), (1.0, 0.0)):

        def end(high, q=q):
            return truncated_gamma_poisson.TruncatedGamma(3.5, 1.0, high).isf(q)

        assert jax.grad(end)(2.0) == slope
    assert jax.grad(cut.isf)(1.0) == 0


@pytest.mark.thorough
def test_a_time_and_a_bounded_observation():
    """SciPy's lomax; and what is uniform up to a Pareto limit, by its densities."""
    time = gamma_exponential.predictive(dist.Gamma(3.0, 2.0))
    assert time.variance == stats.lomax(3.0, scale=2.0).var()
    np.testing.assert_array_equal(time.cdf(jnp.array([-3.0, -1.0, 0.0])), 0.0)
    below = pareto_uniform.predictive(dist.Pareto(2.0, 3.0))
    x = np.array([-1.0, 0.0, 1.0, 2.0, 5.0])
    limit = stats.pareto(3.0, scale=2.0)

    def density(h, at):
        return min(max(at, 0) / h, 1) * limit.pdf(h)

    expected = [integrate.quad(density, 2, np.inf, args=(at,))[0] for at in x]
    np.testing.assert_allclose(below.cdf(x), expected, rtol=1e-5)
    np.testing.assert_allclose(below.icdf(below.cdf(x[2:])), x[2:], rtol=1e-5)
    square = limit.var() + limit.mean() ** 2
    variance = square / 3 - limit.mean() ** 2 / 4
    np.testing.assert_allclose(below.variance, variance, rtol=1e-6)
    # A tail of 1e-30, and slopes at the kink's side and at 0.
    far = below.log_tails(jnp.asarray(1e10))[1]
    np.testing.assert_allclose(far, -3 * np.log(5e9) - np.log(4.0), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(below.cdf)(1.0), 3 / 8, rtol=1e-6)
