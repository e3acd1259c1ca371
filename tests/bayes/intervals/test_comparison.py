"""P(second > first) against the closed form of two Beta's and of two normals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special, stats

from vijax.bayes import intervals
from vijax.bayes.intervals import probability_greater


def of_two_betas(a1, b1, a2, b2):
    """Evan Miller's sum, for a whole a2."""
    i = np.arange(a2)
    log_terms = special.betaln(a1 + i, b1 + b2) - special.betaln(1 + i, b2)
    return np.exp(log_terms - np.log(b2 + i) - special.betaln(a1, b1)).sum()


@pytest.mark.thorough
def test_two_proportions(x64):
    cases = np.array([(11, 5, 8, 8), (1, 1, 2, 1), (3, 400, 200, 40), (500, 500, 5, 6)])
    a1, b1, a2, b2 = cases.T.astype(float)
    found = probability_greater(dist.Beta(a2, b2), dist.Beta(a1, b1))
    exact = [of_two_betas(*case) for case in cases]
    np.testing.assert_allclose(found, exact, rtol=1e-11)
    other = probability_greater(dist.Beta(a1, b1), dist.Beta(a2, b2))
    np.testing.assert_allclose(found + other, 1.0, rtol=1e-11)


@pytest.mark.slow
def test_two_normals(x64):
    scale = np.array([1e-3, 1.0, 4.0])
    found = probability_greater(dist.Normal(0.0, scale), dist.Normal(3.0, 4.0))
    exact = stats.norm.cdf(-3 / np.hypot(scale, 4))
    np.testing.assert_allclose(found, exact, rtol=1e-9)
    far = probability_greater(dist.Normal(0.0, 1.0), dist.Normal(12.0, 1.0))
    np.testing.assert_allclose(far, stats.norm.sf(12 / np.sqrt(2)), rtol=1e-6)


@pytest.mark.slow
def test_two_rates_and_their_slope(x64):
    """λ_2 / (λ_1 + λ_2) is Beta distributed where the rates of both Gammas agree."""
    found = probability_greater(dist.Gamma(4.0, 1.0), dist.Gamma(7.0, 1.0))
    np.testing.assert_allclose(found, stats.beta.sf(0.5, 4, 7), rtol=1e-10)

    def of_shape(a):
        return probability_greater(dist.Gamma(a, 1.0), dist.Gamma(7.0, 1.0))

    numeric = (stats.beta.sf(0.5, 4.001, 7) - stats.beta.sf(0.5, 3.999, 7)) / 0.002
    np.testing.assert_allclose(jax.grad(of_shape)(4.0), numeric, rtol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="first is a Dirichlet"):
        probability_greater(dist.Normal(0.0, 1.0), dist.Dirichlet(jnp.ones(3)))
    with pytest.raises(ValueError, match="batch shape"):
        probability_greater(dist.Normal(jnp.zeros(2), 1), dist.Normal(jnp.zeros(3), 1))


@pytest.mark.thorough
def test_difference_and_ratio(x64):
    """Uniform numbers, whose difference and ratio are cut by both supports."""
    one = dist.Uniform(0.0, 1.0)
    far = 1 - 0.05**0.5
    ends = intervals.difference_interval(one, one)
    np.testing.assert_allclose(ends, (-far, far), rtol=1e-10)
    np.testing.assert_allclose(intervals.ratio_interval(one, one), (0.05, 20.0))
    with pytest.raises(ValueError, match="give distributions of positive numbers"):
        intervals.ratio_interval(dist.Normal(0.0, 1.0), one)


@pytest.mark.slow
def test_difference_of_two_proportions(x64):
    # P(B > A + d) by scipy.integrate.quad, of 56 / 70 and 48 / 80 with flat priors
    before, after = dist.Beta(49.0, 33.0), dist.Beta(57.0, 15.0)
    ends = intervals.difference_interval(after, before)
    np.testing.assert_allclose(ends, (0.05136850822080, 0.33278610851704), rtol=1e-9)


@pytest.mark.slow
def test_ratio_of_rates_and_its_derivative(x64):
    """A ratio of Gamma numbers is F distributed, and goes with 1 / rate."""
    second, first = dist.Gamma(20.0, 1.0), dist.Gamma(10.0, 1.0)
    exact = 2 * stats.f.ppf([0.025, 0.975], 40, 20)
    np.testing.assert_allclose(intervals.ratio_interval(second, first), exact)

    def lower(rate):
        return intervals.ratio_interval(dist.Gamma(20.0, rate), first)[0]

    np.testing.assert_allclose(jax.grad(lower)(1.0), -exact[0], rtol=1e-8)
