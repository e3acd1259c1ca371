"""Regression with known errors, against SciPy's curve_fit and the dense formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import log_density
from scipy import optimize, stats

from vijax.bayes import known_noise_regression as regression

RNG = np.random.default_rng(0)
FEATURES, TARGETS = RNG.normal(size=(5, 2)), RNG.normal(size=5)
ROOT = RNG.normal(size=(5, 5))
COVARIANCE = ROOT @ ROOT.T + np.eye(5)
PRIOR_COVARIANCE = np.array([[2.0, 0.3], [0.3, 1.0]])


def prior():
    return dist.MultivariateNormal(jnp.array([1.0, 2.0]), jnp.array(PRIOR_COVARIANCE))


@pytest.mark.thorough
@pytest.mark.parametrize("errors", [np.array([0.5, 0.5, 1, 2, 3]), COVARIANCE])
def test_flat_prior_is_curve_fit(errors, x64):
    estimate, covariance = optimize.curve_fit(
        lambda _, a, b: FEATURES @ [a, b],
        np.arange(5),
        TARGETS,
        sigma=errors,
        absolute_sigma=True,
    )
    result = regression.posterior(None, FEATURES, TARGETS, errors)
    # curve_fit's derivatives are finite differences.
    np.testing.assert_allclose(result.loc, estimate, rtol=1e-6)
    np.testing.assert_allclose(
        result.covariance_matrix, covariance, rtol=1e-6, atol=1e-7
    )
    precision = np.linalg.inv(np.diag(errors**2) if errors.ndim == 1 else errors)
    exact = np.linalg.inv(FEATURES.T @ precision @ FEATURES)
    np.testing.assert_allclose(result.covariance_matrix, exact, rtol=1e-11)


@pytest.mark.thorough
def test_evidence_and_predictive(x64):
    value = regression.log_evidence(prior(), FEATURES, TARGETS, COVARIANCE)
    spread = COVARIANCE + FEATURES @ PRIOR_COVARIANCE @ FEATURES.T
    exact = stats.multivariate_normal(FEATURES @ [1, 2], spread).logpdf(TARGETS)
    np.testing.assert_allclose(value, exact, rtol=1e-12)
    # Bayes: evidence = likelihood · prior / posterior, at any coefficients
    after = regression.posterior(prior(), FEATURES, TARGETS, COVARIANCE)
    at = jnp.array([0.3, -0.7])
    data = (prior(), FEATURES, TARGETS, COVARIANCE)
    joint = log_density(regression.model, data, {}, {"coefficients": at})[0]
    np.testing.assert_allclose(joint - after.log_prob(at), exact, rtol=1e-12)
    new = regression.predictive(after, FEATURES, 0.5)
    variance = np.einsum("ij,jk,ik->i", FEATURES, after.covariance_matrix, FEATURES)
    np.testing.assert_allclose(new.variance, variance + 0.25, rtol=1e-12)
    slope = jax.grad(lambda e: regression.log_evidence(prior(), FEATURES, TARGETS, e))(
        1.0
    )
    ends = [
        regression.log_evidence(prior(), FEATURES, TARGETS, e)
        for e in (1.00001, 0.99999)
    ]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-7)


@pytest.mark.slow
def test_nearly_dependent_features_keep_their_digits(x64):
    """Years 2000 … 2020 and their squares: XᵀX would have a condition of 10^21."""
    years = np.arange(2000.0, 2021.0)
    features = np.stack([np.ones(21), years, years**2], axis=-1)
    result = regression.posterior(None, features, np.sin(years), 0.1)
    centred = np.stack([np.ones(21), years - 2010, (years - 2010) ** 2], axis=-1)
    exact = regression.posterior(None, centred, np.sin(years), 0.1)
    np.testing.assert_allclose(result.loc[2], exact.loc[2], rtol=1e-5)
    np.testing.assert_allclose(result.variance[2], exact.variance[2], rtol=1e-5)


@pytest.mark.slow
def test_float32():
    result = regression.posterior(prior(), FEATURES, TARGETS, COVARIANCE)
    precision = np.linalg.inv(PRIOR_COVARIANCE)
    information = precision + FEATURES.T @ np.linalg.inv(COVARIANCE) @ FEATURES
    total = precision @ [1, 2] + FEATURES.T @ np.linalg.solve(COVARIANCE, TARGETS)
    loc = np.linalg.solve(information, total)
    np.testing.assert_allclose(result.loc, loc, rtol=1e-4)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input():
    with pytest.raises(ValueError, match=r"errors = 0.0"):
        regression.posterior(None, FEATURES, TARGETS, 0.0)
    with pytest.raises(ValueError, match="positive definite"):
        regression.posterior(None, FEATURES, TARGETS, -np.eye(5))
    with pytest.raises(ValueError, match=r"errors has shape \(3,\)"):
        regression.posterior(None, FEATURES, TARGETS, np.ones(3))
    with pytest.raises(ValueError, match="the posterior is not proper"):
        regression.posterior(None, np.ones((5, 2)), TARGETS, 1.0)
    with pytest.raises(ValueError, match="a flat prior needs as many data"):
        regression.posterior(None, np.ones((1, 2)), np.ones(1), 1.0)
