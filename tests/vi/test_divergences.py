"""Closed forms against mpmath, quadrature and Monte Carlo; both directions."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax.vi import divergences


def kl_by_mpmath(q, p, interval):
    with mpmath.workdps(30):
        return float(
            mpmath.quad(
                lambda z: q(z) * (mpmath.log(q(z)) - mpmath.log(p(z))), interval
            )
        )


def beta_density(a, b):
    return lambda z: z ** (a - 1) * (1 - z) ** (b - 1) / mpmath.beta(a, b)


def gamma_density(a, b):
    return lambda z: (
        mpmath.mpf(b) ** a * z ** (a - 1) * mpmath.exp(-b * z) / mpmath.gamma(a)
    )


@pytest.mark.parametrize("pair", [((11, 5), (1, 1)), ((20, 14), (10, 10))])
@pytest.mark.parametrize("swapped", [False, True])
def test_kl_beta(x64, pair, swapped):
    q, p = reversed(pair) if swapped else pair
    exact = kl_by_mpmath(beta_density(*q), beta_density(*p), [0, 0.5, 1])
    np.testing.assert_allclose(divergences.kl_beta(*q, *p), exact, rtol=1e-12)


@pytest.mark.parametrize("pair", [((2, 1), (1, 2)), ((30.5, 10), (1, 0.1))])
@pytest.mark.parametrize("swapped", [False, True])
def test_kl_gamma(x64, pair, swapped):
    q, p = reversed(pair) if swapped else pair
    interval = [0, 0.5, 1, 2, 3, 5, 10, 40, 200, 1000]
    exact = kl_by_mpmath(gamma_density(*q), gamma_density(*p), interval)
    np.testing.assert_allclose(divergences.kl_gamma(*q, *p), exact, rtol=1e-11)


def test_kl_normal_is_the_sum_of_its_coordinates(x64):
    q, p = (np.array([0.3, -1.0]), np.array([0.1, -0.7])), (np.zeros(2), np.ones(2))
    exact = sum(
        np.log(np.exp(p_s - q_s))
        + (np.exp(2 * q_s) + (q_m - p_m) ** 2) / (2 * np.exp(2 * p_s))
        - 0.5
        for q_m, q_s, p_m, p_s in zip(*q, *p, strict=True)
    )
    np.testing.assert_allclose(divergences.kl_normal(*q, *p), exact, rtol=1e-13)


def test_kl_normal_standard_keeps_digits_of_a_small_scale():
    # KL = ε² + O(ε³); in float32 exp(2ε) − 1 − 2ε would have lost it.
    kl = divergences.kl_normal_standard(0.0, 1e-3)
    np.testing.assert_allclose(kl, 1e-6, rtol=2e-3 + 1e-2)


@pytest.mark.thorough
def test_kl_multivariate_normal_equals_the_trace_formula(x64, key):
    keys = jax.random.split(key, 4)
    q_loc, p_loc = (jax.random.normal(k, (3,)) for k in keys[:2])
    q_tril, p_tril = (
        jnp.tril(jax.random.normal(k, (3, 3)), -1)
        + jnp.diag(jnp.array([0.5, 1.0, 2.0]))
        for k in keys[2:]
    )
    q_cov, p_cov = q_tril @ q_tril.T, p_tril @ p_tril.T
    inverse = np.linalg.inv(p_cov)
    exact = 0.5 * (
        np.trace(inverse @ q_cov)
        + (p_loc - q_loc) @ inverse @ (p_loc - q_loc)
        - 3
        + np.linalg.slogdet(p_cov)[1]
        - np.linalg.slogdet(q_cov)[1]
    )
    kl = divergences.kl_multivariate_normal(q_loc, q_tril, p_loc, p_tril)
    np.testing.assert_allclose(kl, exact, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("q", "p", "grid", "exact"),
    [
        (
            dist.Normal(0.0, 1.0),
            dist.Normal(1.0, 2.0),
            jnp.linspace(-12, 16, 2001),
            divergences.kl_normal(0.0, 0.0, 1.0, np.log(2.0)),
        ),
        (
            dist.Beta(11.0, 5.0),
            dist.Beta(10.0, 10.0),
            jnp.linspace(1e-6, 1 - 1e-6, 4001),
            divergences.kl_beta(11.0, 5.0, 10.0, 10.0),
        ),
    ],
)
def test_quadrature_and_monte_carlo_agree_with_the_closed_form(key, q, p, grid, exact):
    by_grid = divergences.kl_quadrature(q.log_prob, p.log_prob, grid)
    np.testing.assert_allclose(by_grid, exact, rtol=1e-4)
    estimate, error = divergences.kl_monte_carlo(key, q, p, num_samples=20_000)
    assert abs(estimate - exact) < 3 * error
    assert error < 0.02


def test_quadrature_normalises_and_takes_zero_density():
    # Uniform on (0, 1), unnormalised and cut off, against Uniform(0, 2): log 2.
    def inside(upper):
        return lambda z: jnp.where((z > 0) & (z < upper), 3.0, -jnp.inf)

    grid = jnp.linspace(-0.5, 2.5, 300_001)
    kl = divergences.kl_quadrature(inside(1.0), inside(2.0), grid)
    np.testing.assert_allclose(kl, np.log(2), atol=1e-4)
    assert divergences.kl_quadrature(inside(2.0), inside(1.0), grid) == jnp.inf


@pytest.mark.thorough
def test_bad_parameters_are_refused_eagerly_and_nan_in_a_trace(nan_is_an_answer):
    with pytest.raises(ValueError, match="q_a = -1"):
        divergences.kl_beta(-1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="p_rate = nan"):
        divergences.kl_gamma(1.0, 1.0, 1.0, np.nan)
    with pytest.raises(ValueError, match="grid"):
        divergences.kl_quadrature(jnp.cos, jnp.sin, np.array([0.0, 0.0]))
    assert np.isnan(jax.jit(divergences.kl_beta)(-1.0, 1.0, 1.0, 1.0))
