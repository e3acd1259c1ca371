"""Pathfinder: exact on normals in float32, honest on eight schools, safe in failure."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.families import SpikedNormal
from vijax.vi.methods.pathfinder import climb

SCALES = np.array([1e-3, 1.0, 30.0, 0.2])
COVARIANCE = np.outer(SCALES, SCALES) * (0.4 * np.eye(4) + 0.6)
CENTRE = np.array([0.01, 5.0, -70.0, 3.0])


def normal(u, precision, centre):
    return -0.5 * (u - centre) @ precision @ (u - centre)


@pytest.mark.slow
def test_spiked_normal_is_a_normal_of_its_covariance(x64, key):
    u = jnp.linalg.qr(jax.random.normal(key, (5, 2)))[0]
    q = SpikedNormal(jnp.arange(5.0), jnp.linspace(-1, 1, 5), u, jnp.array([2.0, -0.7]))
    d = np.diag(np.exp(np.linspace(-1, 1, 5)))
    root = d @ (np.eye(5) + u @ np.diag(q.stretch) @ u.T)
    z = q.transform(jax.random.normal(key, (3, 5)))
    exact = jax.scipy.stats.multivariate_normal.logpdf(z, q.loc, root @ root.T)
    np.testing.assert_allclose(q.log_prob(z), exact, rtol=1e-10)
    np.testing.assert_allclose(q.scale() ** 2, np.diag(root @ root.T), rtol=1e-12)
    eps = jnp.eye(5)
    np.testing.assert_allclose(q.transform(eps) - q.loc, root.T, atol=1e-12)


@pytest.mark.thorough
def test_badly_scaled_normal_in_float32(key):
    # The condition number of the covariance is 3e9.
    precision = np.linalg.inv(COVARIANCE)
    target = vi.from_log_density(normal, jnp.zeros(4), precision, CENTRE)
    fit = vi.fit(target, key, family="pathfinder")
    assert fit.verdict == "converged"
    assert fit.correctable
    assert fit.num_gradients < 400
    np.testing.assert_allclose((fit.q.loc - CENTRE) / SCALES, 0.0, atol=0.1)
    np.testing.assert_allclose(fit.q.scale() / SCALES, 1.0, atol=0.3)
    exact = 2 * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1]
    assert abs(fit.log_evidence - exact) < 4 * fit.log_evidence_se + 1e-3


@pytest.mark.slow
def test_best_normal_is_kept_where_the_path_goes_on_to_a_worse_one(key):
    # Neal's funnel: its mode, at v = −40.5, holds nothing of its mass.
    def funnel(u):
        v, x = u[0], u[1:]
        return -(v**2) / 18 - 4.5 * v - 0.5 * jnp.exp(-v) * jnp.sum(x**2)

    eps = jax.random.normal(key, (16, 10))
    start = jnp.ones(10).at[0].set(0.0)
    climbed = jax.jit(lambda s: climb(funnel, s, eps, max_steps=100, tolerance=0.01))
    path = climbed(start)

    def elbo(q):
        z = q.transform(eps)
        return jnp.mean(jax.vmap(funnel)(z) - q.log_prob(z))

    np.testing.assert_allclose(elbo(path.best), path.elbo, rtol=1e-5)
    assert not path.elbo <= elbo(path.here) + 1


@pytest.mark.thorough
def test_a_path_does_not_go_down(key):
    # From 3 the first curvature of −log cosh asks for a step to −29.
    eps = jax.random.normal(key, (16, 1))

    def log_density(u):
        return -jnp.sum(jnp.log(jnp.cosh(u)))

    climbed = jax.jit(
        lambda s: climb(log_density, s, eps, max_steps=50, tolerance=0.01)
    )
    path = climbed(jnp.array([3.0]))
    assert path.arrived
    losses = path.losses[: int(path.num_steps)]
    assert np.all(np.diff(losses) <= 1e-5)
    np.testing.assert_allclose(path.position, 0.0, atol=0.02)


@pytest.mark.slow
def test_start_of_a_stochastic_fit_with_many_unknowns(key):
    # Of a covariance with a condition number of 1e12: 200 steps do not see its scales.
    scale = np.logspace(-3, 3, 210)

    def log_density(u, scale):
        return -0.5 * jnp.sum(((u - 2 * scale) / scale) ** 2)

    target = vi.from_log_density(log_density, jnp.zeros(210), scale)
    fit = vi.fit(target, key, num_checks=1000)
    assert fit.verdict == "converged"
    np.testing.assert_allclose(fit.q.loc / scale, 2.0, atol=0.05)
    np.testing.assert_allclose(fit.q.scale() / scale, 1.0, atol=0.05)


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
def test_paths_that_fail_leave_the_others(key):
    def half(u):
        return jnp.where(u[0] > 2.5, jnp.nan, -0.5 * jnp.sum((u + 1) ** 2))

    target = vi.from_log_density(half, jnp.full(2, 2.0))
    paths = vi.multipath(target, key, num_paths=8, num_draws=2000)
    assert 0 < paths.failed.sum() < 8
    assert (paths.elbo[paths.failed] == -np.inf).all()
    draws = paths.draws["params"]
    assert draws.shape == (2000, 2)
    np.testing.assert_allclose(draws.mean(0), -1.0, atol=4 / 2000**0.5)
    np.testing.assert_allclose(draws.std(0), 1.0, atol=4 / 4000**0.5)
    assert abs(paths.log_evidence - np.log(2 * np.pi)) < 0.01
    with pytest.raises(ValueError, match="not finite at any of 8 starts"):
        vi.multipath(vi.from_log_density(lambda u: jnp.log(-1.0 - u**2), 0.0), key)


def eight_schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    theta = numpyro.sample("theta", dist.Normal(0.0, 1.0).expand([8]).to_event(1))
    numpyro.sample("y", dist.Normal(mu + tau * theta, sigma), obs=y)


@pytest.mark.slow
def test_eight_schools_non_centred_in_float32(float32, key):
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    sigma = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    # θ summed out: y ~ N(mu, σ² + τ²), on a grid of mu and τ.
    mu, tau = np.meshgrid(np.linspace(-25, 35, 601), np.linspace(1e-3, 120, 4000))
    variance = sigma**2 + tau[..., None] ** 2
    log_joint = -0.5 * np.sum(
        (y - mu[..., None]) ** 2 / variance + np.log(2 * np.pi * variance), axis=-1
    )
    log_joint += -0.5 * (mu / 5) ** 2 - np.log(5 * np.sqrt(2 * np.pi))
    log_joint += np.log(2 / (5 * np.pi)) - np.log1p((tau / 5) ** 2)
    area = 0.1 * (120 - 1e-3) / 3999
    evidence = np.log(np.sum(np.exp(log_joint)) * area)
    target = vi.from_numpyro(eight_schools, y, sigma)
    paths = vi.multipath(target, key, num_paths=16, num_draws=4000)
    assert not paths.failed.any()
    assert evidence - 2 < paths.elbo.max() < evidence
    # Its normals are narrower than the posterior, and k̂ says so.
    assert paths.khat > 0.7
    assert abs(paths.log_evidence - evidence) < 4 * paths.log_evidence_se + 0.2
