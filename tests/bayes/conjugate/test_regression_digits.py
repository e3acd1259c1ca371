"""Regressions whose columns nearly depend on each other, against certified values."""

import jax
import numpy as np
import pytest

from tests.bayes.conjugate import nist_regressions as nist
from tests.cases import slow_except
from vijax.bayes import linear_regression
from vijax.bayes.intervals import credible_interval


def fit(features, targets):
    prior = linear_regression.flat_prior(features.shape[1])
    posterior = linear_regression.posterior(prior, features, targets)
    return posterior, linear_regression.coefficient_marginals(posterior)


def powers(x, degree):
    return np.asarray(x, float)[:, None] ** np.arange(degree + 1)


def longley():
    table = np.array(nist.LONGLEY)
    return np.column_stack([np.ones(len(table)), table[:, 1:]]), table[:, 0]


def test_longley(x64):
    posterior, marginals = fit(*longley())
    np.testing.assert_allclose(posterior.loc, nist.LONGLEY_ESTIMATES, rtol=1e-9)
    np.testing.assert_allclose(marginals.scale, nist.LONGLEY_ERRORS, rtol=1e-9)


@pytest.mark.slow
def test_longley_in_float32(float32):
    """From XᵀX the year's interval was [1585, 2073]."""
    posterior, marginals = fit(*longley())
    np.testing.assert_allclose(marginals.scale, nist.LONGLEY_ERRORS, rtol=2e-3)
    lower, upper = (ends["coefficients"][-1] for ends in credible_interval(posterior))
    np.testing.assert_allclose((lower, upper), (798.7875, 2859.5154), rtol=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except({"WAMPLER_3"}, ["WAMPLER_1", "WAMPLER_3"]))
def test_wampler(name, x64):
    posterior, marginals = fit(powers(range(21), 5), np.array(getattr(nist, name)))
    np.testing.assert_allclose(posterior.loc, np.ones(6), rtol=1e-9)
    if name == "WAMPLER_3":
        np.testing.assert_allclose(marginals.scale, nist.WAMPLER_3_ERRORS, rtol=1e-9)


@pytest.mark.thorough
def test_filip(x64):
    """The tenth power rounded to a float changes the exact answer by 2.5e-8."""
    posterior, marginals = fit(powers(nist.FILIP_X, 10), np.array(nist.FILIP_Y))
    np.testing.assert_allclose(posterior.loc, nist.FILIP_ESTIMATES, rtol=5e-8)
    np.testing.assert_allclose(marginals.scale, nist.FILIP_ERRORS, rtol=5e-8)


@pytest.mark.slow
def test_a_cubic_in_raw_years(x64):
    """Exact values from mpmath with 80 digits. From XᵀX: 0.545 of the right scale."""
    years = np.arange(2000, 2021)
    features = powers(years, 3)
    posterior, marginals = fit(features, np.sin(years))
    exact = [7841937.04, 11704.4884, 5.82315349, 9.65696727e-4]
    np.testing.assert_allclose(marginals.scale, exact, rtol=2e-8)
    # The scale at a new year does not know how the years are counted.
    centred, _ = fit(powers(years - 2010, 3), np.sin(years))
    scales = [
        linear_regression.predictive(one, x).scale
        for one, x in ((posterior, features), (centred, powers(years - 2010, 3)))
    ]
    np.testing.assert_allclose(*scales, rtol=1e-7)


def test_batches_keep_the_digits(x64):
    """A posterior as the next prior, and statistics that add, as all data at once."""
    features, targets = longley()
    halves = [
        linear_regression.sufficient_statistics(features[part], targets[part])
        for part in (slice(0, 8), slice(8, None))
    ]
    prior = linear_regression.flat_prior(7)
    added = linear_regression.update(prior, halves[0] + halves[1])
    first = linear_regression.posterior(prior, features[:9], targets[:9])
    later = linear_regression.posterior(first, features[9:], targets[9:])
    for posterior in (added, later):
        marginals = linear_regression.coefficient_marginals(posterior)
        np.testing.assert_allclose(marginals.scale, nist.LONGLEY_ERRORS, rtol=1e-9)


@pytest.mark.thorough
def test_the_precision_is_an_array_wherever_one_is_asked_for(x64):
    features = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])
    posterior, _ = fit(features, np.array([1.0, 0.0, 2.0]))
    gram = features.T @ features
    for value in (
        np.asarray(posterior.precision),
        2 * (posterior.precision / 2),
        posterior.precision @ np.eye(2),
        np.eye(2) @ posterior.precision,
        jax.jit(lambda p: p.precision * 1.0)(posterior),
    ):
        np.testing.assert_allclose(value, gram, rtol=1e-12)
    assert posterior.precision.shape == (2, 2)
