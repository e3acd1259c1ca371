"""The closed forms of the flat regression, beside vijax.bayes and vi.fit."""

import numpy as np
import pytest
from scipy import stats

from experiments.studies import flat_regression, posteriordb
from vijax import vi
from vijax.bayes.conjugate import linear_regression
from vijax.bayes.conjugate.support import regression_priors


@pytest.mark.slow
def test_exact_moments_are_those_of_the_conjugate_family(x64):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(24, 3)), rng.normal(size=24)
    prior = regression_priors.flat_prior(3, flat_in="scale")
    after = linear_regression.posterior(prior, x, y)
    beta = linear_regression.coefficient_marginals(after)
    variance = stats.invgamma(after.concentration, scale=after.rate)
    sigma = variance.expect(np.sqrt)
    mean, sd = flat_regression.exact_moments(x, y)
    np.testing.assert_allclose(mean, [*beta.mean, sigma], rtol=1e-7)
    sigma_sd = np.sqrt(variance.mean() - sigma**2)
    np.testing.assert_allclose(sd, [*np.sqrt(beta.variance), sigma_sd], rtol=1e-5)


@pytest.mark.thorough
def test_posterior_and_best_normal_are_what_vi_finds(x64, key):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(24, 3)), rng.normal(size=24)
    target = vi.from_numpyro(posteriordb.flat_regression, x, y)
    table = vi.summary(vi.fit(target, key, family="full_rank"))
    best = flat_regression.best_normal_moments(x, y)
    exact = flat_regression.exact_moments(x, y)
    # q and the posterior are far apart: 2 % in the mean of σ, 9 % in its sd.
    assert exact[1][-1] / best[1][-1] > 1.08
    for prefix, (mean, sd) in (("", best), ("corrected_", exact)):
        for moment, truth in (("mean", mean), ("sd", sd)):
            found, error = (
                posteriordb.flatten(
                    {site: columns[name] for site, columns in table.items()},
                    ("beta[1]", "beta[2]", "beta[3]", "sigma"),
                )
                for name in (f"{prefix}{moment}", f"{prefix}{moment}_se")
            )
            assert np.all(error < 0.012 * sd)
            assert np.all(np.abs(found - truth) < 4 * error)
