"""The posterior above a known background, beside the frequentist limits."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, stats

from vijax.bayes import frequentist, improper, known_background
from vijax.bayes.intervals import credible_interval, quantile


@pytest.mark.parametrize(
    ("n", "b"),
    [
        pytest.param(5, 2.5, marks=pytest.mark.thorough),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((0, 1.0), (8, 2.0))),
    ],
)
def test_flat_prior_is_helene_and_kraft(n, b, x64):
    signal = known_background.posterior(improper.gamma(), n, b)
    limit = frequentist.signal_limit(n, b)
    np.testing.assert_allclose(quantile(signal, 0.95), limit, rtol=1e-10)
    method = "kraft_burrows_nousek"
    narrowest = frequentist.signal_interval(n, b, method=method)
    ends = credible_interval(signal, kind="highest_density")
    np.testing.assert_allclose(ends, narrowest, rtol=1e-7, atol=1e-9)


@pytest.mark.thorough
def test_posterior_and_evidence_are_integrals(x64):
    prior, n, b = dist.Gamma(2.5, 0.4), 6, 3.0

    def joint(s, power=0):
        return (
            s**power * stats.gamma.pdf(s, 2.5, scale=2.5) * stats.poisson.pmf(n, s + b)
        )

    total, mean = (integrate.quad(joint, 0, 80, args=(k,))[0] for k in (0, 1))
    log_evidence = known_background.log_evidence(prior, n, b)
    np.testing.assert_allclose(log_evidence, np.log(total), rtol=1e-8)
    signal = known_background.posterior(prior, n, b)
    np.testing.assert_allclose(signal.mean, mean / total, rtol=1e-8)
    traced = jax.jit(known_background.posterior, static_argnames="max_count")
    same = traced(prior, n, b, max_count=20)
    np.testing.assert_allclose(same.mean, signal.mean, rtol=1e-12)
    none = known_background.posterior(improper.gamma(0.5, 0.0), 7, 0.0)
    np.testing.assert_allclose(none.mean, 7.5, rtol=1e-12)


def test_bad_input(as_users_do):
    with pytest.raises(ValueError, match="background = -1"):
        known_background.posterior(dist.Gamma(1.0, 1.0), 3, -1.0)
    with pytest.raises(ValueError, match=r"counts has shape \(2,\)"):
        known_background.posterior(dist.Gamma(1.0, 1.0), [3, 4], 1.0)
