"""Peaks that are narrower than the grid's spacing, and regions of many pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import gammaln

from vijax.bayes.grid import landscape, regions
from vijax.bayes.intervals import credible_interval


def poisson(theta, count):
    return dist.Poisson(theta).log_prob(count).sum()


def flat(num_axes=1):
    axes = (landscape.axis(0.0, 20.0),) * num_axes
    return landscape.prior(lambda theta: 0.0, axes)


def counts(num):
    return np.random.default_rng(1).poisson(3.3, num)


def exact_log_evidence(data):
    total = data.sum() + 1.0
    log_gamma = gammaln(total) - total * np.log(len(data))
    return log_gamma - np.log(20) - gammaln(data + 1.0).sum()


@pytest.mark.thorough
def test_ten_thousand_counts_on_a_coarse_grid(x64):
    """sd 8.7e-4 for 0.018, and the evidence off by 0.29 nats, without a sign."""
    data = counts(10_000)
    after = landscape.update(flat(), poisson, data)
    assert after.resolved
    mean, covariance = landscape.mean_and_covariance(after)
    shape = data.sum() + 1.0
    np.testing.assert_allclose(mean[0], shape / 10_000, rtol=1e-10)
    np.testing.assert_allclose(covariance[0, 0], shape / 1e8, rtol=1e-8)
    np.testing.assert_allclose(after.log_evidence, exact_log_evidence(data), atol=1e-8)
    # The next data begin on the finer grid, whose density is interpolated again.
    both = landscape.update(after, poisson, data)
    np.testing.assert_allclose(
        landscape.mean_and_covariance(both)[1], (2 * shape - 1) / 4e8, rtol=1e-3
    )


@pytest.mark.thorough
def test_a_trace_says_that_it_missed_the_peak(x64, nan_is_an_answer):
    data = jnp.asarray(counts(10_000))
    after = jax.jit(lambda data: landscape.update(flat(), poisson, data))(data)
    assert not after.resolved
    assert np.isnan(after.log_evidence)
    assert np.isnan(landscape.mean_and_covariance(after)[0]).all()
    steps = landscape.sequence(flat(), poisson, jnp.stack([data[:1], data[:1] * 3000]))
    assert steps.resolved.tolist() == [True, False]


@pytest.mark.thorough
def test_two_axes(x64):
    # Of 3000 seconds, but counted in 30 hundreds: less to compute, the same peak.
    data = np.random.default_rng(1).poisson([330.0, 700.0], (30, 2))
    after = landscape.update(
        flat(2), lambda theta, count: poisson(100 * theta, count), data
    )
    mean, covariance = landscape.mean_and_covariance(after)
    shape = data.sum(axis=0) + 1
    np.testing.assert_allclose(mean, shape / 3000, rtol=1e-9)
    np.testing.assert_allclose(np.diag(covariance), shape / 3000**2, rtol=1e-7)


@pytest.mark.thorough
def test_a_prior_that_is_not_resolved_is_not_interpolated(x64, nan_is_an_answer):
    """What lies between the nodes of a comb nobody knows."""
    comb = landscape.prior(
        lambda theta: 8 * jnp.cos(31.4 * theta[0]), (landscape.axis(0.0, 20.0),)
    )
    assert not comb.resolved
    after = landscape.update(comb, poisson, counts(10_000))
    assert not after.resolved
    assert np.isnan(after.log_evidence)


@pytest.mark.slow
def test_more_than_eight_regions(x64, nan_is_an_answer):
    axis = landscape.axis(0.0, 12.0, 1201)
    comb = landscape.prior(lambda theta: -5 * jnp.cos(2 * jnp.pi * theta[0]), (axis,))
    lower, upper = credible_interval(comb, 0.5, kind="highest_density")
    np.testing.assert_allclose(0.5 * (lower + upper), np.arange(12) + 0.5, atol=1e-9)
    traced = jax.jit(lambda grid: regions.intervals_of(grid, 0.5))(comb)
    assert np.isnan(traced[0]).all()


def test_finer_grids_share_one_program(x64):
    """Of four grids, one inside the other, the likelihood is traced once."""
    calls = []

    def log_likelihood(theta, count):
        calls.append(theta)
        return poisson(theta, count)

    after = landscape.update(flat(), log_likelihood, counts(10_000))
    assert after.resolved
    assert after.axes[0].points[0] > 3
    assert len(calls) == 1
