"""The lecture's own numbers, to the digits of an independent computation (SciPy)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax import bayes

pytestmark = pytest.mark.usefixtures("x64")


def test_ten_coins():
    posterior = bayes.theorem.posterior(np.array([0.9, 0.1]), np.array([0.5, 1.0]))
    np.testing.assert_allclose(posterior, [9 / 11, 2 / 11], rtol=1e-14)


def test_frequentist_coin():
    estimate, standard_error = bayes.frequentist.binomial_estimate(10, 14)
    p_value = bayes.frequentist.binomial_p_value(10, 14)
    np.testing.assert_allclose(estimate, 0.7142857142857143, rtol=1e-14)
    np.testing.assert_allclose(standard_error, np.sqrt(40 / 14**3), rtol=1e-14)
    np.testing.assert_allclose(p_value, 1471 / 16384, rtol=1e-13)
    sigmas = bayes.frequentist.significance(p_value)
    np.testing.assert_allclose(sigmas, 1.342094, atol=5e-7)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("strength", "interval"),
    [(1.0, (0.448997, 0.881759)), (10.0, (0.421394, 0.745238))],
)
def test_coin_posterior(strength, interval):
    prior = dist.Beta(strength, strength)
    posterior = bayes.beta_binomial.posterior(prior, successes=10, trials=14)
    assert posterior.concentration1 == strength + 10
    assert posterior.concentration0 == strength + 4
    computed = bayes.intervals.credible_interval(posterior)
    np.testing.assert_allclose(computed, interval, atol=5e-7)


def test_coin_bayes_factor():
    peaked = bayes.beta_binomial.log_evidence(dist.Beta(10.0, 10.0), 10, 14)
    uniform = bayes.beta_binomial.log_evidence(dist.Beta(1.0, 1.0), 10, 14)
    np.testing.assert_allclose(uniform, -np.log(15), rtol=1e-13)
    factor = jnp.exp(bayes.evidence.log_bayes_factor(peaked, uniform))
    np.testing.assert_allclose(factor, 1.209994, atol=5e-7)


@pytest.mark.thorough
def test_priors_by_vmap():
    priors = dist.Beta(jnp.array([1.0, 10.0]), jnp.array([1.0, 10.0]))
    one = jax.jit(
        lambda prior: bayes.intervals.credible_interval(
            bayes.beta_binomial.posterior(prior, 10, 14)
        )
    )
    lower, upper = jax.vmap(one)(priors)
    np.testing.assert_allclose(lower, [0.448997, 0.421394], atol=5e-7)
    np.testing.assert_allclose(upper, [0.881759, 0.745238], atol=5e-7)


@pytest.mark.slow
def test_sensor_landscape():
    """Two Poisson sensors under Uniform(0, 5)²: Gamma marginals cut off at 5."""
    counts = np.array([[3, 1], [2, 0], [5, 1], [4, 2], [2, 1]])

    def log_likelihood(theta, datum):
        return dist.Poisson(theta).log_prob(datum).sum()

    axis = bayes.landscape.axis(0.0, 5.0, 201)
    flat = bayes.landscape.prior(lambda theta: 0.0, (axis, axis))
    at_once = bayes.landscape.update(flat, log_likelihood, counts)
    one_by_one = bayes.landscape.sequence(flat, log_likelihood, counts)
    np.testing.assert_allclose(
        one_by_one.log_density[-1][1:, 1:], at_once.log_density[1:, 1:], rtol=1e-11
    )
    mean, covariance = bayes.landscape.mean_and_covariance(at_once)
    for sensor in range(2):
        exact = bayes.truncated_gamma_poisson.posterior(
            dist.Uniform(0.0, 5.0), counts[:, sensor]
        )
        np.testing.assert_allclose(mean[sensor], exact.mean, rtol=1e-8)
        variance = covariance[sensor, sensor]
        np.testing.assert_allclose(variance, exact.variance, rtol=1e-7)
    np.testing.assert_allclose(
        at_once.log_evidence,
        sum(
            bayes.truncated_gamma_poisson.log_evidence(dist.Uniform(0.0, 5.0), n)
            for n in counts.T
        ),
        rtol=1e-8,
    )
