"""Bayes factors, model probabilities, their wording and the Savage-Dickey ratio."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import (
    beta_binomial,
    evidence,
    gamma_poisson,
    normal_normal,
)
from vijax.bayes.numerics import log_densities


def test_log_bayes_factor_and_its_limits(x64, nan_is_an_answer):
    np.testing.assert_allclose(evidence.log_bayes_factor(-1000.5, -1001.0), 0.5)
    with pytest.raises(ValueError, match="log_evidence_2 = nan"):
        evidence.log_bayes_factor(-1.0, np.nan)
    assert np.isnan(jax.jit(evidence.log_bayes_factor)(-1.0, jnp.inf))


@pytest.mark.thorough
def test_model_probabilities(x64):
    evidences = np.array([[-1e4, -1e4 - np.log(3)], [0.0, 0.0]])
    probabilities = evidence.model_probabilities(evidences, prior=np.array([0.5, 0.5]))
    np.testing.assert_allclose(probabilities, [[0.75, 0.25], [0.5, 0.5]], rtol=1e-11)
    weighted = evidence.model_probabilities(evidences[0], prior=np.array([1.0, 3.0]))
    np.testing.assert_allclose(weighted, [0.5, 0.5], rtol=1e-11)
    with pytest.raises(ValueError, match="prior"):
        evidence.model_probabilities(evidences, prior=np.array([-1.0, 2.0]))


@pytest.mark.parametrize(
    ("factor", "jeffreys", "kass_raftery"),
    [
        (1.21, "barely worth mentioning", "not worth more than a bare mention"),
        (4.0, "substantial", "positive"),
        (25.0, "strong", "strong"),
        (50.0, "very strong", "strong"),
        (500.0, "decisive", "very strong"),
    ],
)
def test_wording(factor, jeffreys, kass_raftery):
    log_factor = np.log(factor)
    assert evidence.jeffreys(log_factor) == f"{jeffreys}, for model 1"
    assert evidence.kass_raftery(log_factor) == f"{kass_raftery}, for model 1"
    assert evidence.jeffreys(-log_factor) == f"{jeffreys}, for model 2"
    with pytest.raises(ValueError, match="nan"):
        evidence.jeffreys(np.nan)


@pytest.mark.thorough
def test_savage_dickey_is_the_direct_ratio(x64):
    """Three nested points: the likelihood there over the evidence."""
    beta = dist.Beta(3.0, 2.0)
    direct = stats.binom.logpmf(10, 14, 0.4) - beta_binomial.log_evidence(beta, 10, 14)
    ratio = evidence.savage_dickey(beta, beta_binomial.posterior(beta, 10, 14), 0.4)
    np.testing.assert_allclose(ratio, direct, rtol=1e-12)

    gamma, counts = dist.Gamma(2.0, 0.5), np.array([3, 4, 2])
    direct = stats.poisson.logpmf(counts, 3.3).sum()
    direct -= gamma_poisson.log_evidence(gamma, counts)
    ratio = evidence.savage_dickey(gamma, gamma_poisson.posterior(gamma, counts), 3.3)
    np.testing.assert_allclose(ratio, direct, rtol=1e-12)

    normal, values = dist.Normal(0.0, 2.0), np.array([0.3, 1.9, -0.7])
    direct = stats.norm.logpdf(values, 0.0, 1.5).sum()
    direct -= normal_normal.log_evidence(normal, values, 1.5)
    after = normal_normal.posterior(normal, values, 1.5)
    np.testing.assert_allclose(
        evidence.savage_dickey(normal, after, 0.0), direct, rtol=1e-12
    )


def test_savage_dickey_at_a_million_million_trials(x64):
    """Lindley's case: 1e12 trials, 1e6 standard deviations apart do not matter here."""
    prior, trials, successes = dist.Beta(1.0, 1.0), 10**12, 5 * 10**11 + 10**6
    after = beta_binomial.posterior(prior, successes, trials)
    # log pmf at 1/2 by its own Gaussian limit, plus log(n + 1): exact to 1/n.
    z2 = (2 * (successes - trials / 2)) ** 2 / trials
    expected = -0.5 * z2 - 0.5 * np.log(np.pi * trials / 2) + np.log1p(trials)
    np.testing.assert_allclose(
        evidence.savage_dickey(prior, after, 0.5), expected, rtol=1e-10
    )


def test_improper_priors_are_refused():
    with pytest.raises(ValueError, match="improper"):
        evidence.savage_dickey(
            dist.ImproperUniform(dist.constraints.real, (), ()), dist.Normal(), 0.0
        )
    with pytest.raises(ValueError, match="arbitrary factor"):
        gamma_poisson.log_evidence(dist.Gamma(1.0, 0.0, validate_args=False), 3)


def test_edges_of_densities():
    values = [
        (log_densities.beta_log_density(1.0, 3.0, 0.0), np.log(3)),
        (log_densities.beta_log_density(2.0, 3.0, 0.0), -np.inf),
        (log_densities.beta_log_density(0.5, 3.0, 0.0), np.inf),
        (log_densities.beta_log_density(2.0, 1.0, 1.0), np.log(2)),
        (log_densities.beta_log_density(2.0, 1.0, 1.5), -np.inf),
        (log_densities.gamma_log_density(1.0, 0.0), 0.0),
        (log_densities.gamma_log_density(2.0, -1.0), -np.inf),
    ]
    for value, expected in values:
        np.testing.assert_allclose(value, expected, rtol=1e-6)
