"""Posteriors on grids against conjugate ones, and the mass at the grid's edge."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import gamma_poisson, normal_inverse_gamma
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.grid import landscape, regions

pytestmark = pytest.mark.usefixtures("x64")
PRIOR_RATES = (1 / 3, 1 / 10)
COUNTS = np.array([[3, 1], [2, 0], [5, 1], [4, 2], [2, 1], [1, 1]])


def log_prior(theta):
    """Exponential priors. NumPyro's have no density at 0, where the grid begins."""
    rates = jnp.array(PRIOR_RATES)
    return jnp.sum(jnp.log(rates) - rates * theta)


def log_likelihood(theta, counts):
    return dist.Poisson(theta).log_prob(counts).sum()


def sensors(high=16.0, num_points=401):
    axes = (
        landscape.axis(0.0, high, num_points),
        landscape.axis(0.0, high, num_points),
    )
    # The density at exactly 0 is -inf for any count above 0: no matter.
    return landscape.prior(log_prior, axes)


@pytest.mark.slow
def test_two_sensors_against_gamma_posteriors():
    grid = landscape.update(sensors(), log_likelihood, COUNTS)
    mean, covariance = landscape.mean_and_covariance(grid)
    evidence = 0.0
    for i, rate in enumerate(PRIOR_RATES):
        prior = dist.Gamma(1.0, rate)
        exact = gamma_poisson.posterior(prior, COUNTS[:, i])
        evidence += gamma_poisson.log_evidence(prior, COUNTS[:, i])
        np.testing.assert_allclose(mean[i], exact.mean, rtol=1e-7)
        np.testing.assert_allclose(covariance[i, i], exact.variance, rtol=1e-6)
        alone = landscape.marginal(grid, i)
        points = alone.axes[0].points[1:]
        np.testing.assert_allclose(
            alone.log_density[1:], exact.log_prob(points), rtol=1e-7, atol=1e-7
        )
    np.testing.assert_allclose(covariance[0, 1], 0.0, atol=1e-10)
    # The prior was normalised on (0, 16)², which leaves out some of it.
    cut = sum(np.log(-np.expm1(-16 * rate)) for rate in PRIOR_RATES)
    np.testing.assert_allclose(grid.log_evidence, evidence - cut, rtol=1e-7)


@pytest.mark.thorough
def test_one_by_one_is_at_once():
    start = sensors(num_points=61)
    at_once = landscape.update(start, log_likelihood, COUNTS)
    steps = landscape.sequence(start, log_likelihood, COUNTS)
    last = jax.tree.map(lambda leaf: leaf[-1], steps)
    np.testing.assert_allclose(
        last.log_density[1:, 1:], at_once.log_density[1:, 1:], atol=1e-10
    )
    np.testing.assert_allclose(last.log_evidence, at_once.log_evidence, rtol=1e-12)
    halves = landscape.update(start, log_likelihood, COUNTS[:2])
    np.testing.assert_allclose(
        steps.log_density[1, 1:, 1:], halves.log_density[1:, 1:], atol=1e-10
    )


@pytest.mark.thorough
def test_three_dimensions_and_marginals():
    """A trivariate normal on a 3-D grid."""
    covariance = np.array([[1.0, 0.5, 0.2], [0.5, 2.0, -0.3], [0.2, -0.3, 0.8]])
    normal = dist.MultivariateNormal(jnp.array([0.5, -1.0, 0.0]), covariance)
    axes = tuple(landscape.axis(-10.0, 10.0, 49) for _ in range(3))
    grid = landscape.prior(normal.log_prob, axes)
    mean, computed = landscape.mean_and_covariance(grid)
    np.testing.assert_allclose(mean, [0.5, -1.0, 0.0], atol=1e-8)
    np.testing.assert_allclose(computed, covariance, atol=1e-7)
    pair = landscape.marginal(grid, 0, 2)
    np.testing.assert_allclose(
        landscape.mean_and_covariance(pair)[1],
        covariance[np.ix_([0, 2], [0, 2])],
        atol=1e-7,
    )
    with pytest.raises(ValueError, match="dims"):
        landscape.marginal(grid, 2, 0)


@pytest.mark.slow
def test_an_unconjugate_pair_of_parameters():
    """Mean and variance of normal data: the exact log evidence, to the grid's error."""
    values = np.array([0.3, 1.2, -0.5, 2.0])
    prior = NormalInverseGamma(0.0, 2.0, 4.0, 3.0)

    def log_prior(theta):
        scale = jnp.sqrt(theta[1] / prior.precision)
        of_loc = dist.Normal(prior.loc, scale).log_prob(theta[0])
        return of_loc + dist.InverseGamma(4.0, 3.0).log_prob(theta[1])

    def log_likelihood(theta, value):
        return dist.Normal(theta[0], jnp.sqrt(theta[1])).log_prob(value)

    axes = (landscape.axis(-8.0, 8.0, 401), landscape.axis(0.05, 40.0, 1201))
    grid = landscape.update(landscape.prior(log_prior, axes), log_likelihood, values)
    exact = normal_inverse_gamma.log_evidence(prior, values)
    np.testing.assert_allclose(grid.log_evidence, exact, atol=2e-4)
    after = normal_inverse_gamma.posterior(prior, values)
    np.testing.assert_allclose(
        landscape.mean_and_covariance(grid)[0][0], after.loc, atol=1e-5
    )


@pytest.mark.thorough
def test_edge_mass_says_that_the_grid_is_too_small():
    wide = landscape.update(sensors(), log_likelihood, COUNTS)
    assert wide.edge_mass.max() < 1e-6
    narrow = landscape.update(sensors(high=3.0, num_points=101), log_likelihood, COUNTS)
    # The first sensor's posterior has mean 2.84: the cut at 3 goes through it.
    assert narrow.edge_mass[0, 1] > 5e-3
    assert narrow.edge_mass[1, 1] < 2e-3
    normal = landscape.prior(
        lambda theta: -0.5 * theta[0] ** 2, (landscape.axis(0.0, 8.0, 81),)
    )
    assert normal.edge_mass[0, 0] > 0.02
    assert normal.edge_mass[0, 1] < 1e-12


@pytest.mark.thorough
def test_regions_of_a_two_dimensional_normal():
    """Mass 1 - exp(-r²/2) inside radius r: level and area of the region."""
    axes = tuple(landscape.axis(-7.0, 7.0, 561) for _ in range(2))
    grid = landscape.prior(lambda theta: -0.5 * theta @ theta, axes)
    for mass in (0.6827, 0.9545):
        radius2 = -2 * np.log(1 - mass)
        level = regions.log_density_level(grid, mass)
        np.testing.assert_allclose(level, -0.5 * radius2 - np.log(2 * np.pi), atol=5e-3)
        area = regions.region(grid, mass).sum() * (14 / 560) ** 2
        np.testing.assert_allclose(area, np.pi * radius2, rtol=5e-3)


@pytest.mark.thorough
def test_likelihoods_that_underflow():
    """10^5 counts at once: normalised in logs, the Gamma posterior's moments."""
    counts = np.full(1000, 100)
    axis = landscape.axis(95.0, 105.0, 401)
    grid = landscape.update(
        landscape.prior(lambda theta: 0.0, (axis,)), log_likelihood, counts
    )
    mean, covariance = landscape.mean_and_covariance(grid)
    np.testing.assert_allclose(mean[0], 100_001 / 1000, rtol=1e-10)
    np.testing.assert_allclose(covariance[0, 0], 100_001 / 1000**2, rtol=1e-8)


def test_under_jit_and_grad():
    def mean_of_rate(rate):
        axis = landscape.axis(0.0, 20.0, 201)
        flat = landscape.prior(lambda theta: -rate * theta[0], (axis,))
        after = landscape.update(flat, log_likelihood, jnp.array([[3], [4]]))
        return landscape.mean_and_covariance(after)[0][0]

    value, slope = jax.jit(jax.value_and_grad(mean_of_rate))(0.5)
    np.testing.assert_allclose(value, 8 / 2.5, rtol=1e-6)
    np.testing.assert_allclose(slope, -8 / 2.5**2, rtol=1e-5)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input():
    with pytest.raises(ValueError, match="num_points = 5"):
        landscape.axis(0.0, 1.0, 5)
    with pytest.raises(ValueError, match="high = 0"):
        landscape.axis(1.0, 0.0)
    with pytest.raises(ValueError, match="axes"):
        landscape.prior(lambda theta: 0.0, ())
    with pytest.raises(ValueError, match="log_prior"):
        landscape.prior(lambda theta: jnp.nan, (landscape.axis(0.0, 1.0),))
    flat = landscape.prior(lambda theta: 0.0, (landscape.axis(0.0, 1.0),))
    with pytest.raises(ValueError, match="log_likelihood"):
        landscape.update(flat, lambda theta, datum: -jnp.inf, jnp.ones(3))


@pytest.mark.thorough
def test_exact_for_polynomials_and_fast_for_smooth_densities():
    axis = landscape.axis(0.0, 2.0, 16)
    for power in range(8):
        integral = (axis.weights * axis.points**power).sum()
        np.testing.assert_allclose(integral, 2 ** (power + 1) / (power + 1), rtol=1e-12)
    axis = landscape.axis(-8.0, 8.0, 65)  # spacing a quarter of the width
    integral = (axis.weights * stats.norm.pdf(axis.points, scale=1.0)).sum()
    np.testing.assert_allclose(integral, 1.0, rtol=1e-12)
