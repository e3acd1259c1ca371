"""A signal with uncertain background and efficiency, and the beta prime's digits."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import improper, intervals, known_background, uncertain_signal
from vijax.bayes.conjugate.distributions.beta_prime import BetaPrime


@pytest.mark.thorough
def test_against_a_double_integral(x64):
    """∫∫ Poisson(5 | e s + b) over b and e by 80² Gauss-Legendre nodes: 0.95 below."""
    background, efficiency = dist.Gamma(3.5, 2.5), dist.Gamma(25.0, 30.0)
    signal = uncertain_signal.posterior(5, background, efficiency, concentration=0.5)
    np.testing.assert_allclose(intervals.quantile(signal, 0.95), 11.10524882, rtol=1e-8)


@pytest.mark.slow
def test_a_sure_efficiency_is_known(x64):
    """The relative error of 1e-5 of the efficiency moves nothing but the scale."""
    half = dist.Gamma(1e10, 2e10)
    signal = uncertain_signal.posterior(3, 2.0, half)
    known = known_background.posterior(improper.gamma(), counts=3, background=2.0)
    q = jnp.array([0.05, 0.5, 0.95])
    np.testing.assert_allclose(
        intervals.quantile(signal, q), 2 * intervals.quantile(known, q), rtol=1e-8
    )
    under_jit = jax.jit(
        lambda n: uncertain_signal.posterior(n, 2.0, half, max_count=10).log_prob(1.0)
    )
    np.testing.assert_allclose(under_jit(3), signal.log_prob(1.0), rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("x", [1e-12, 0.3, 2.0, 1e8])
def test_beta_prime(x, x64):
    ours, scipys = BetaPrime(2.5, 3.5, 2.0), stats.betaprime(2.5, 3.5, scale=2.0)
    np.testing.assert_allclose(ours.log_prob(x), scipys.logpdf(x), rtol=1e-13)
    at_most, at_least = scipys.cdf(x), scipys.sf(x)
    for found, tail, rest in zip(
        ours.log_tails(x), (at_most, at_least), (at_least, at_most), strict=True
    ):
        log_tail = np.log(tail) if tail < 0.5 else np.log1p(-rest)
        np.testing.assert_allclose(found, log_tail, rtol=1e-12)
    np.testing.assert_allclose(ours.isf(0.2), scipys.isf(0.2))
    np.testing.assert_allclose((ours.mean, ours.variance), scipys.stats(), rtol=1e-14)


@pytest.mark.slow
def test_float32():
    signal = uncertain_signal.posterior(3, 2.0, dist.Gamma(100.0, 100.0))
    np.testing.assert_allclose(intervals.quantile(signal, 0.95), 6.1590147, rtol=2e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="or the posterior is improper"):
        uncertain_signal.posterior(3, 2.0, dist.Gamma(1.0, 1.0))
    with pytest.raises(ValueError, match="give one number, and vmap"):
        uncertain_signal.posterior([3, 4], 2.0, dist.Gamma(9.0, 9.0))


def test_moments_are_infinite_where_those_of_the_tail_are():
    """The tail falls as s^-(c - a + 1), c of the efficiency's Gamma."""

    def moments(c):
        found = uncertain_signal.posterior(3, 2.0, dist.Gamma(c, c))
        return float(found.mean), float(found.variance)

    assert moments(1.5) == (np.inf, np.inf)
    mean, variance = moments(2.5)
    assert 12 < mean < 12.2
    assert variance == np.inf
    assert np.isfinite(moments(4.0)).all()
