"""Families beyond mean field and full rank, against SciPy and autodiff."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vijax import vi
from vijax.vi.families import Flow, LowRank


def filled(q, seed):
    """Return q with all parameters moved at random."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape), q)


@pytest.fixture
def z():
    return jnp.asarray(np.random.default_rng(1).normal(size=(7, 4)))


@pytest.mark.thorough
def test_low_rank_is_the_normal_it_says(x64, z):
    q = filled(LowRank(rank=2).init(jnp.zeros(4), jnp.ones(4)), 0)
    d, w = np.diag(np.exp(q.log_scale)), np.asarray(q.factor)
    covariance = d @ (np.eye(4) + w @ (2 * np.eye(2) + w.T @ w) @ w.T) @ d
    exact = stats.multivariate_normal(q.loc, covariance)
    log_prob = jax.jit(q.log_prob)
    np.testing.assert_allclose(log_prob(z), exact.logpdf(z), rtol=1e-10)
    np.testing.assert_allclose(q.entropy(), exact.entropy(), rtol=1e-10)
    np.testing.assert_allclose(q.scale(), np.sqrt(np.diag(covariance)), rtol=1e-10)
    slope = jax.jacfwd(q.transform)(z[0])
    np.testing.assert_allclose(slope @ slope.T, covariance, rtol=1e-10)
    moved = q.affine(jnp.ones(4), 2 * jnp.ones(4))
    np.testing.assert_allclose(moved.transform(z), 1 + 2 * q.transform(z), rtol=1e-10)


@pytest.mark.thorough
def test_flow_obeys_the_change_of_variables(x64, z):
    q = filled(Flow().init(jnp.zeros(4), jnp.ones(4)), 0)
    transform, log_prob = jax.jit(q.transform), jax.jit(q.log_prob)
    slopes = jax.jit(jax.vmap(jax.jacfwd(q.transform)))(z)
    log_det = np.linalg.slogdet(np.asarray(slopes))[1]
    expected = stats.norm.logpdf(z).sum(axis=1) - log_det
    np.testing.assert_allclose(log_prob(transform(z)), expected, rtol=1e-9)
    tril = jnp.tril(jnp.ones((4, 4))) + jnp.eye(4)
    moved = jax.jit(lambda z: q.affine(jnp.ones(4), tril).transform(z))(z)
    np.testing.assert_allclose(moved, 1 + transform(z) @ tril.T, rtol=1e-9)


def test_flow_begins_as_a_normal(x64, z):
    q = Flow().init(jnp.ones(4), 2 * jnp.ones(4))
    exact = stats.norm(1.0, 2.0).logpdf(z).sum(axis=1)
    np.testing.assert_allclose(jax.jit(q.log_prob)(z), exact, rtol=1e-10)


@pytest.mark.slow
def test_moments_of_a_flow_are_about_those_of_its_draws(x64, key):
    # They are of 128 draws in pairs, an sd's error is 1/16.
    q = filled(Flow().init(jnp.ones(4), 2 * jnp.ones(4)), 3)
    draws = q.transform(jax.random.normal(key, (50_000, 4)))
    sd = np.std(draws, axis=0)
    np.testing.assert_allclose(q.scale(), sd, rtol=0.25)
    assert np.all(np.abs(q.mean() - np.mean(draws, axis=0)) < 0.35 * sd)


def skewed(u):
    return 3 * u[0] - 2 * jnp.exp(u[0]) - 0.5 * (u[1] * jnp.exp(u[0])) ** 2


def test_laplace_is_at_the_mode_with_its_curvature(x64, key):
    target = vi.from_log_density(skewed, jnp.array([2.0, 1.0]))
    fit = vi.fit(target, key, family="laplace")
    # u_0 = log 1.5, u_1 = 0; curvatures 2 e^{u_0} and e^{2 u_0}
    np.testing.assert_allclose(fit.q.loc, [np.log(1.5), 0.0], atol=1e-3)
    np.testing.assert_allclose(fit.q.scale(), [3**-0.5, 1 / 1.5], rtol=1e-3)
    assert fit.verdict == "converged"
    assert fit.covariance is None


@pytest.mark.thorough
def test_laplace_cuts_steps_that_go_too_far(x64, key):
    # From 3 a full Newton step of −log cosh goes to −97, and the next one farther.
    target = vi.from_log_density(lambda u: -jnp.log(jnp.cosh(u)), 3.0)
    fit = vi.fit(target, key, family="laplace")
    assert fit.verdict == "converged"
    assert fit.num_rejected > 0
    np.testing.assert_allclose(fit.q.loc, 0.0, atol=0.01)  # the tolerance
    np.testing.assert_allclose(fit.q.scale(), 1.0, rtol=1e-3)


@pytest.mark.thorough
def test_laplace_does_not_call_a_saddle_a_mode(x64, key):
    def two_hills(u):
        return 0.5 * u[0] ** 2 - 0.25 * u[0] ** 4 - 0.5 * u[1] ** 2

    fit = vi.fit(vi.from_log_density(two_hills, jnp.zeros(2)), key, family="laplace")
    assert fit.verdict == "not_converged"


@pytest.mark.thorough
def test_low_rank_leaves_the_diagonal(x64, key):
    # N(0, I + 3 · 1 1ᵀ) has the precision I − 3/13 · 1 1ᵀ.
    precision = jnp.eye(4) - 3 / 13 * jnp.ones((4, 4))

    def log_density(u, precision):
        return -0.5 * u @ precision @ u

    target = vi.from_log_density(log_density, jnp.zeros(4), precision)
    method = vi.Stochastic(start="init")
    fit = vi.fit(target, key, family="low_rank", method=method)
    assert fit.verdict == "converged"
    slope = jax.jacfwd(fit.q.transform)(jnp.zeros(4))
    exact = np.eye(4) + 3 * np.ones((4, 4))
    np.testing.assert_allclose(slope @ slope.T, exact, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["flow", "low_rank"])
def test_families_of_the_stochastic_method(key, family):
    target = vi.from_log_density(skewed, jnp.zeros(2))
    fit = vi.fit(target, key, family=family)
    grid = np.linspace(-8.0, 3.0, 20_001)
    # u_1 given u_0 is N(0, e^{−2 u_0}): it adds −u_0 to the log density.
    density = np.exp(2 * grid - 2 * np.exp(grid))
    mean = np.average(grid, weights=density)
    sd = np.sqrt(np.average((grid - mean) ** 2, weights=density))
    found = np.asarray(vi.sample(fit, key, 20_000)["params"])
    assert fit.verdict == "converged"
    if family == "flow":
        table = vi.summary(fit)
        assert table.correctable
        # The variance of u_1, E e^{−2 u_0}, does not exist: that of no draws is known.
        assert np.isnan(table["params"]["corrected_sd"]).tolist() == [False, True]
        assert abs(found[:, 0].mean() - mean) < 0.05 * sd
        np.testing.assert_allclose(found[:, 0].std(), sd, rtol=0.05)
    else:
        assert not fit.trusted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "flow", "method": "fixed_draws"}, "does not fit family = Flow"),
        (
            {"family": "flow", "method": vi.Stochastic(estimator="entropy")},
            "no formula",
        ),
        ({"family": "laplace", "method": "stochastic"}, "does not find family"),
    ],
)
def test_what_a_family_cannot_do_is_refused(key, options, message):
    target = vi.from_log_density(skewed, jnp.zeros(2))
    with pytest.raises(ValueError, match=message):
        vi.fit(target, key, **options)


class Logistic(NamedTuple):
    """A user's q: independent logistic distributions, with nothing but the least."""

    loc: jax.Array
    log_scale: jax.Array

    def transform(self, eps):
        u = jax.scipy.stats.norm.cdf(eps)
        return self.loc + jnp.exp(self.log_scale) * (jnp.log(u) - jnp.log1p(-u))

    def log_prob(self, z):
        x = (z - self.loc) * jnp.exp(-self.log_scale)
        return jnp.sum(-x - 2 * jax.nn.softplus(-x) - self.log_scale, axis=-1)


@dataclass(frozen=True)
class LogisticFamily:
    """A user's family."""

    def init(self, loc, scale):
        return Logistic(loc, jnp.log(scale * 3**0.5 / jnp.pi))


def test_a_users_own_family_is_as_good_as_ours(x64, key):
    # The posterior is in the family: the fit is exact, and the verdict says so.
    centre, scale = jnp.array([3.0, -20.0]), jnp.array([0.5, 4.0])

    def log_density(u, centre, scale):
        x = (u - centre) / scale
        return jnp.sum(-x - 2 * jax.nn.softplus(-x) - jnp.log(scale))

    target = vi.from_log_density(log_density, jnp.zeros(2), centre, scale)
    fit = vi.fit(target, key, family=LogisticFamily())
    assert fit.verdict == "converged"
    assert fit.trusted
    assert abs(fit.elbo) < 1e-3
    table = vi.summary(fit)["params"]
    np.testing.assert_allclose((table["mean"] - centre) / scale, 0.0, atol=0.05)
    sd = scale * np.pi / 3**0.5
    np.testing.assert_allclose(table["sd"] / sd, 1.0, atol=0.03)
    np.testing.assert_allclose(table["corrected_sd"] / sd, 1.0, atol=0.03)
    assert vi.sample(fit, key, 5)["params"].shape == (5, 2)
