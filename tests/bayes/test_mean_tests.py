"""Bayesian t tests against R's BayesFactor, pingouin and mpmath."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.bayes import mean_tests

# R's chickwts, as in the manual of its package BayesFactor: 5.98 of these two feeds
HORSEBEAN = [179.0, 160.0, 136.0, 227.0, 217.0, 168.0, 108.0, 124.0, 143.0, 140.0]
LINSEED = [309.0, 229, 181, 141, 260, 203, 148, 169, 213, 257, 244, 271]
MPMATH = [  # t, N, ν, scale, log Bayes factor, by mpmath.quad
    (3.5, 10.0, 38.0, 0.5**0.5, 3.2862931809460085),
    (0.0, 1e6, 1e6, 1.0, -7.1335476316243644),
    (50.0, 100.0, 99.0, 0.7, 157.27551272641495),
    (2.24, 80.0, 79.0, 1.0, -0.024008803090285795),
    (1000.0, 5.0, 4.0, 1.0, 18.124141601310374),
    (2.0, 2.0, 1.0, 0.5**0.5, 0.042026540806286786),  # two data
    (1e8, 2.0, 1.0, 0.5**0.5, 2.7116547837136183),
    (3.0, 5.0, 8.0, 1e-3, 0.0090057210732196829),
]


def test_against_quadrature(x64):
    t, size, df, scale, exact = np.array(MPMATH).T
    value = mean_tests.t_log_bayes_factor(t, size, df, scale=scale)
    np.testing.assert_allclose(value, exact, rtol=1e-11)


def test_float32():
    t, size, df, scale, exact = np.array(MPMATH).T
    value = mean_tests.t_log_bayes_factor(t, size, df, scale=scale)
    np.testing.assert_allclose(value, exact, rtol=1e-5, atol=2e-6)


@pytest.mark.thorough
def test_two_samples(x64):
    """pingouin 0.7: bayesfactor_ttest(2.934046713239587, 10, 12)."""
    value = mean_tests.means_log_bayes_factor(HORSEBEAN, LINSEED)
    np.testing.assert_allclose(jnp.exp(value), 5.975555036888068, rtol=1e-4)
    np.testing.assert_allclose(jnp.exp(value), 5.975741348552513, rtol=1e-11)
    doubled = mean_tests.means_log_bayes_factor(
        jnp.stack([jnp.array(HORSEBEAN), 2 * jnp.array(HORSEBEAN)]),
        2 * np.array(LINSEED),
    )
    np.testing.assert_allclose(doubled[1], value, rtol=1e-12)


def test_published_values(x64):
    """R's BayesFactor, extra ~ group of sleep; pingouin's documentation, t = 3.5."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    value = mean_tests.means_log_bayes_factor(first, second)
    np.testing.assert_allclose(jnp.exp(value), 1.265925, rtol=1e-6)
    sizes, df = np.array([10.0, 20.0]), np.array([38.0, 19.0])
    both = mean_tests.t_log_bayes_factor(3.5, sizes, df, scale=0.707)
    np.testing.assert_allclose(jnp.exp(both), [26.743, 17.185], atol=6e-4)


def test_ties_and_an_offset_in_float32():
    far = mean_tests.mean_log_bayes_factor([1e6 + 1, 1e6 + 2, 1e6 + 3], null=1e6)
    near = mean_tests.mean_log_bayes_factor([1.0, 2.0, 3.0])
    np.testing.assert_allclose(far, near, rtol=1e-5)
    tied = mean_tests.mean_log_bayes_factor([1.0, 1.0, 1.0, 2.0])  # t = 5, n = 4
    of_t = mean_tests.t_log_bayes_factor(5.0, 4.0, 3.0)
    np.testing.assert_allclose(tied, of_t, rtol=1e-5)


@pytest.mark.thorough
def test_one_sample_and_its_derivatives(x64):
    """Student's sleep data; R's BayesFactor has 17.25888 for the pairs."""
    sleep = jnp.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    value = mean_tests.mean_log_bayes_factor(sleep)
    np.testing.assert_allclose(jnp.exp(value), 17.25888, rtol=1e-6)
    shifted = mean_tests.mean_log_bayes_factor(sleep + 3.0, null=3.0)
    np.testing.assert_allclose(shifted, value, rtol=1e-12)
    slope = jax.grad(lambda x: mean_tests.mean_log_bayes_factor(sleep, null=x))(0.5)
    ends = (mean_tests.mean_log_bayes_factor(sleep, null=x) for x in (0.50001, 0.49999))
    np.testing.assert_allclose(slope, np.subtract(*ends) / 2e-5, rtol=1e-6)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input():
    with pytest.raises(ValueError, match="give data with some spread"):
        mean_tests.mean_log_bayes_factor([1.0, 1.0])
    with pytest.raises(ValueError, match="give two data or more"):
        mean_tests.means_log_bayes_factor([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"scale = 0.0"):
        mean_tests.t_log_bayes_factor(1.0, 5.0, 4.0, scale=0.0)
    under_jit = jax.jit(mean_tests.mean_log_bayes_factor)
    assert jnp.isnan(under_jit(jnp.ones(3)))
