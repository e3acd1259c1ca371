"""Tails and quantiles of predictive counts, against SciPy and exact fractions."""

from fractions import Fraction
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import beta_binomial, beta_negative_binomial, gamma_poisson, intervals

Q = np.array([0.0, 0.025, 0.5, 0.975, 1.0])


@pytest.mark.thorough
def test_beta_binomial(x64):
    ours = beta_binomial.predictive(dist.Beta(3.5, 1.5), trials=200)
    scipys = stats.betabinom(200, 3.5, 1.5)
    counts = np.array([0, 50, 150, 199, 200])
    np.testing.assert_allclose(ours.cdf(counts), scipys.cdf(counts), rtol=1e-10)
    # tails that end exactly at q: uniform on 0 … 3
    flat = beta_binomial.predictive(dist.Beta(1.0, 1.0), trials=3)
    found = intervals.quantile(flat, np.array([0.25, 0.2501, 0.3, 0.4]))
    np.testing.assert_array_equal(found, [0, 1, 1, 1])


@pytest.mark.slow
def test_tails_and_ends_of_beta_binomial(x64):
    ours = beta_binomial.predictive(dist.Beta(3.5, 1.5), trials=200)
    scipys = stats.betabinom(200, 3.5, 1.5)
    counts = np.array([0, 50, 150, 199, 200])
    above = ours.log_tails(counts[:-1])[1]
    np.testing.assert_allclose(above, np.log(scipys.sf(counts[:-1])), rtol=1e-8)
    np.testing.assert_array_equal(intervals.quantile(ours, Q[1:]), scipys.ppf(Q[1:]))
    ends = intervals.credible_interval(ours, 0.9)
    assert (float(ends[0]), float(ends[1])) == (scipys.ppf(0.05), scipys.ppf(0.95))


@pytest.mark.thorough
def test_gamma_poisson(x64):
    """SciPy's nbinom(a, r / (1 + r))."""
    ours = gamma_poisson.predictive(dist.Gamma(4.0, 0.5))
    scipys = stats.nbinom(4.0, 0.5 / 1.5)
    counts = np.array([0, 3, 20, 200])
    np.testing.assert_allclose(ours.cdf(counts), scipys.cdf(counts), rtol=1e-12)
    np.testing.assert_allclose(ours.log_tails(counts)[1], scipys.logsf(counts))
    assert ours.cdf(-1.0) == 0


@pytest.mark.slow
def test_ends_of_gamma_poisson(x64):
    """A tail of 1e-40, and no end at q = 1."""
    ours = gamma_poisson.predictive(dist.Gamma(4.0, 0.5))
    scipys = stats.nbinom(4.0, 0.5 / 1.5)
    np.testing.assert_array_equal(intervals.quantile(ours, Q[1:]), scipys.ppf(Q[1:]))
    assert intervals.quantile(ours, 0.0).item() == 0
    assert intervals.upper_quantile(ours, 1e-40).item() == scipys.isf(1e-40)
    under_jit = jax.jit(
        lambda r: gamma_poisson.predictive(dist.Gamma(4.0, r)).icdf(0.5)
    )
    assert under_jit(0.5) == scipys.ppf(0.5)


@pytest.mark.thorough
def test_beta_negative_binomial(x64):
    """P(N = k) = C(k + n - 1, k) B(5 + n, 11 + k) / B(5, 11), with whole numbers."""

    def pmf(k, n=3, a=5, b=11):
        beta = lambda x, y: Fraction(1, comb(x + y - 2, x - 1) * (x + y - 1))  # noqa: E731
        return comb(k + n - 1, k) * beta(a + n, b + k) / beta(a, b)

    ours = beta_negative_binomial.predictive(dist.Beta(5.0, 11.0), successes=3)
    below = [float(sum(pmf(j) for j in range(k + 1))) for k in (0, 4, 30)]
    np.testing.assert_allclose(ours.cdf(jnp.array([0, 4, 30])), below, rtol=1e-12)
    above = float(1 - sum(pmf(j) for j in range(301)))
    np.testing.assert_allclose(jnp.exp(ours.log_tails(300)[1]), above, rtol=1e-10)


@pytest.mark.thorough
def test_float32():
    ours = beta_binomial.predictive(dist.Beta(3.5, 1.5), trials=200)
    exact = stats.betabinom(200, 3.5, 1.5).cdf([50, 150])
    np.testing.assert_allclose(ours.cdf(jnp.array([50, 150])), exact, rtol=2e-5)


def test_bad_input():
    counts = gamma_poisson.predictive(dist.Gamma(4.0, 0.5))
    with pytest.raises(ValueError, match="of whole numbers give 'equal_tailed'"):
        intervals.credible_interval(counts, kind="highest_density")
    with pytest.raises(ValueError, match="first is a GammaPoisson of whole numbers"):
        intervals.probability_greater(dist.Gamma(1.0, 1.0), counts)


@pytest.mark.thorough
def test_parameters_are_data(compiled):
    """Other parameters and probabilities compile nothing."""

    def upper_end(concentration, q):
        posterior = dist.Gamma(concentration, 2.0)
        return intervals.quantile(gamma_poisson.predictive(posterior), q)

    upper_end(7.0, 0.5)
    before = len(compiled)
    found = upper_end(7.5, 0.975)
    assert len(compiled) == before
    assert found.item() == stats.nbinom(7.5, 2 / 3).ppf(0.975)
