"""The on/off experiment: another system's number, SciPy, and numerical integrals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, optimize, stats

from vijax.bayes.conjugate import on_off
from vijax.bayes.frequentist.signals import on_off_tests
from vijax.bayes.intervals import credible_interval
from vijax.bayes.numerics import significances

pytestmark = pytest.mark.usefixtures("x64")
OBSERVED = [(4, 5, 0.2), (50, 55, 0.5), (67, 15, 2.0), (200, 10, 10.0), (10, 1, 1.0)]


def test_li_ma_of_gammapy():
    """The example of gammapy's documentation: n_on = 18, n_off = 97, alpha = 1/10."""
    value = on_off_tests.li_ma_significance(18, 97, 0.1)
    np.testing.assert_allclose(value, 2.2421704424844875, rtol=1e-13)


def test_li_ma_of_deficits_and_empty_regions():
    n_on, n_off = np.array([5, 0, 7, 0]), np.array([20, 9, 0, 0])
    values = on_off_tests.li_ma_significance(n_on, n_off, 1.0)
    expected = -np.sqrt(2 * (5 * np.log(10 / 25) + 20 * np.log(40 / 25)))
    np.testing.assert_allclose(values[0], expected, rtol=1e-12)
    np.testing.assert_allclose(
        values[1:3], np.array([-1, 1]) * np.sqrt(np.array([18, 14]) * np.log(2))
    )
    assert values[3] == 0


def test_exact_test_is_binomial():
    n_on, n_off, alpha = np.array(OBSERVED).T
    log_p = on_off_tests.on_off_log_p_value(n_on, n_off, alpha)
    exact = stats.binom.sf(n_on - 1, n_on + n_off, alpha / (1 + alpha))
    np.testing.assert_allclose(jnp.exp(log_p), exact, rtol=1e-9)
    z = significances.significance_from_log(log_p)
    np.testing.assert_allclose(z, stats.norm.isf(exact), rtol=1e-9)


def test_exact_test_is_the_bayesian_one_with_a_flat_background():
    """Z_Bi = Z_Γ: P(n_on or more), averaged over b ~ Gamma(n_off + 1) counts."""
    n_on, n_off, alpha = 14, 10, 0.5
    tail, _ = integrate.quad(
        lambda b: stats.poisson.sf(n_on - 1, alpha * b) * stats.gamma.pdf(b, n_off + 1),
        0,
        80,
        epsabs=1e-14,
    )
    # NB tail: the binomial with one more off count, never counted in the on region.
    ours = jnp.exp(on_off_tests.on_off_log_p_value(n_on, n_off, alpha))
    np.testing.assert_allclose(ours, tail, rtol=1e-8)


def test_poisson_p_value():
    counts = np.array([0, 1, 9, 50])
    p_values = jnp.exp(on_off_tests.poisson_log_p_value(counts, 2.0))
    np.testing.assert_allclose(p_values, stats.poisson.sf(counts - 1, 2.0), rtol=1e-9)


def best_log_likelihood(signal, n_on, n_off, alpha):
    def negative(log_b):
        b = np.exp(log_b)
        return -(
            stats.poisson.logpmf(n_on, signal + alpha * b)
            + stats.poisson.logpmf(n_off, b)
        )

    return -optimize.minimize_scalar(
        negative, bounds=(-5, 9), method="bounded", options={"xatol": 1e-10}
    ).fun


@pytest.mark.parametrize(("n_on", "n_off", "alpha"), OBSERVED[:3])
def test_profile_likelihood_by_numerical_maximisation(n_on, n_off, alpha):
    top = stats.poisson.logpmf(n_on, n_on) + stats.poisson.logpmf(n_off, n_off)
    for signal in (0.0, 2.0, 30.0):
        expected = best_log_likelihood(signal, n_on, n_off, alpha) - top
        value = on_off_tests.profile_log_likelihood(signal, n_on, n_off, alpha)
        np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.thorough
def test_profile_interval_ends_where_the_likelihood_says():
    n_on, n_off, alpha = np.array(OBSERVED).T
    lower, upper = on_off_tests.profile_interval(n_on, n_off, alpha, 0.6827)
    z2 = stats.norm.isf((1 - 0.6827) / 2) ** 2
    at_upper = on_off_tests.profile_log_likelihood(upper, n_on, n_off, alpha)
    np.testing.assert_allclose(-2 * at_upper, z2, rtol=1e-9)
    at_lower = on_off_tests.profile_log_likelihood(lower, n_on, n_off, alpha)
    np.testing.assert_allclose(-2 * at_lower, z2, rtol=1e-9)
    few = on_off_tests.profile_interval(3, 10, 0.5)  # a deficit: begins at 0
    assert few[0] == 0
    slope = jax.grad(lambda a: on_off_tests.profile_interval(50, 55, a)[1])(0.5)
    step = [on_off_tests.profile_interval(50, 55, 0.5 + s)[1] for s in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (step[0] - step[1]) / 2e-5, rtol=1e-6)


N_ON, N_OFF, ALPHA = 14, 10, 0.5


def joint(s, b):
    return (
        stats.gamma.pdf(s, 1.0, scale=20.0)
        * stats.gamma.pdf(b, 2.0, scale=10.0)
        * stats.poisson.pmf(N_ON, s + ALPHA * b)
        * stats.poisson.pmf(N_OFF, b)
    )


def grid_integral(function):
    """∫∫ function(s, b) by Gauss-Legendre, 200 × 200 nodes on (0, 80)²."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    nodes, weights = 40 * (nodes + 1), 40 * weights
    return weights @ function(*np.meshgrid(nodes, nodes)) @ weights


@pytest.mark.thorough
def test_bayesian_answer_by_quadrature():
    signal, background = dist.Gamma(1.0, 0.05), dist.Gamma(2.0, 0.1)
    arguments = (signal, background, N_ON, N_OFF, ALPHA)
    total = grid_integral(joint)
    np.testing.assert_allclose(
        on_off.log_evidence(*arguments), np.log(total), rtol=1e-9
    )
    posterior = on_off.posterior(*arguments)
    mean = grid_integral(lambda s, b: s * joint(s, b)) / total
    np.testing.assert_allclose(posterior.mean, mean, rtol=1e-9)
    square = grid_integral(lambda s, b: s**2 * joint(s, b)) / total
    np.testing.assert_allclose(posterior.variance, square - mean**2, rtol=1e-8)
    without = on_off.background_log_evidence(background, N_ON, N_OFF, ALPHA)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    b = 40 * (nodes + 1)
    integrand = (
        stats.gamma.pdf(b, 2.0, scale=10.0)
        * stats.poisson.pmf(N_ON, ALPHA * b)
        * stats.poisson.pmf(N_OFF, b)
    )
    np.testing.assert_allclose(without, np.log(40 * weights @ integrand), rtol=1e-9)


@pytest.mark.slow
def test_bayesian_answer_without_background_is_conjugate():
    """With no background at all the signal is Gamma(1 + n, 1), the flat prior's."""
    flat = dist.Gamma(1.0, 0.0, validate_args=False)
    none = dist.Gamma(1e-9, 1e9)
    posterior = on_off.posterior(flat, none, 5, 0, 1.0)
    np.testing.assert_allclose(posterior.mean, 6.0, rtol=1e-6)
    lower, upper = credible_interval(posterior, 0.9)
    expected = stats.gamma(6).ppf([0.05, 0.95])
    np.testing.assert_allclose((lower, upper), expected, rtol=1e-6)


@pytest.mark.thorough
def test_traced_counts_need_a_number_of_components(nan_is_an_answer):
    prior = dist.Gamma(1.0, 0.1)

    def evidence(n, max_count):
        return on_off.log_evidence(prior, prior, n, 3, 1.0, max_count=max_count)

    exact = evidence(7, None)
    np.testing.assert_allclose(
        jax.jit(evidence, static_argnums=1)(7, 12), exact, rtol=1e-12
    )
    with pytest.raises(ValueError, match="max_count"):
        jax.jit(evidence, static_argnums=1)(7, None)
    assert np.isnan(jax.jit(evidence, static_argnums=1)(13, 12))
    with pytest.raises(ValueError, match="alpha = -1"):
        on_off_tests.li_ma_significance(3, 4, -1.0)
