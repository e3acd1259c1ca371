"""The mixture of normals: a density, its draws, and a fit from every mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from vijax import vi
from vijax.vi.families import Mixture, NormalMixture
from vijax.vi.methods.mode_search import find_modes

LOG_WEIGHTS = np.log([0.2, 0.5, 0.3])
LOC = np.array([[-4.0, 0.0], [0.0, 1.0], [5.0, -2.0]])
ROOT = np.array(
    [[[0.5, 0.0], [0.3, 1.0]], [[1.0, 0.0], [0.0, 0.7]], [[2.0, 0.0], [-1.0, 0.4]]]
)


@pytest.fixture
def q():
    return NormalMixture(
        *(jnp.asarray(x, jnp.float32) for x in (LOG_WEIGHTS, LOC, ROOT))
    )


@pytest.mark.thorough
def test_density_is_that_of_the_components(q):
    z = np.random.default_rng(0).normal(size=(50, 2)) * 4
    log_parts = []
    for weight, loc, root in zip(np.exp(LOG_WEIGHTS), LOC, ROOT, strict=True):
        inner = np.linalg.solve(root, (z - loc).T)
        log_norm = np.log(2 * np.pi * np.linalg.det(root))
        log_parts.append(np.log(weight) - 0.5 * np.sum(inner**2, axis=0) - log_norm)
    found = q.log_prob(jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(found, logsumexp(log_parts, axis=0), rtol=1e-4)


@pytest.mark.slow
def test_draws_have_the_moments_of_the_formula(q, key):
    z = np.asarray(q.sample(key, 50_000))
    np.testing.assert_allclose(z.mean(axis=0), q.mean(), atol=0.06)
    np.testing.assert_allclose(z.std(axis=0), q.scale(), rtol=0.01)
    shares = np.bincount(np.argmin(np.abs(z[:, :1] - LOC[:, 0]), axis=1)) / len(z)
    np.testing.assert_allclose(shares[0], 0.2, atol=0.01)
    # Of one draw, and of none of the axes mixed up.
    one = q.transform(jnp.array([0.3, -1.0]))
    np.testing.assert_allclose(one, q.transform(jnp.array([[0.3, -1.0]]))[0])


@pytest.mark.thorough
def test_weights_of_draws_are_those_of_a_density(q, key):
    # E_q[r/q] = 1 for a normalised r: transform and log_prob are of one distribution.
    z = q.sample(key, 50_000)
    r = jax.scipy.stats.norm.logpdf(z, jnp.array([0.0, 0.5]), 1.0).sum(axis=1)
    np.testing.assert_allclose(np.mean(np.exp(r - q.log_prob(z))), 1.0, atol=0.02)


def test_switched_labels_are_fitted_with_equal_halves(key):
    def log_density(u):
        low, high = jnp.min(u), jnp.max(u)
        return -0.5 * ((low + 3) ** 2 / 0.25 + (high - 4) ** 2 / 0.49)

    fit = vi.fit(
        vi.from_log_density(log_density, jnp.array([-1.0, 1.0])), key, family="mixture"
    )
    assert fit.trusted
    np.testing.assert_allclose(np.exp(fit.q.log_weights), [0.5, 0.5], atol=0.02)
    np.testing.assert_allclose(
        np.sort(fit.q.loc, axis=1), [[-3, 4], [-3, 4]], atol=0.02
    )
    sd = np.sqrt(3.5**2 + (0.25 + 0.49) / 2)
    np.testing.assert_allclose(fit.sds, [sd, sd], rtol=0.02)


def test_where_it_cannot_be_used_is_said(key):
    target = vi.from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(2))
    with pytest.raises(ValueError, match="only outside of jit"):
        jax.jit(lambda key: vi.fit(target, key, family="mixture"))(key)
    with pytest.raises(ValueError, match="does not fit family"):
        vi.fit(target, key, family=Mixture(), method="fixed_draws")
    many = vi.from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(300))
    with pytest.raises(ValueError, match="at most 200 unknowns, not 300"):
        vi.fit(many, key, family="mixture")


@pytest.mark.thorough
def test_a_mode_between_the_components_is_found_beside_a_mixture(key):
    # Three equal modes; a q of the outer two has the middle one within its sds.
    places = jnp.array([-8.0, 0.0, 8.0])

    def three(u):
        return jax.nn.logsumexp(-0.5 * (u[0] - places) ** 2) - 0.5 * u[1] ** 2

    target = vi.from_log_density(three, jnp.array([8.0, 0.0]))
    loc = jnp.array([[-8.0, 0.0], [8.0, 0.0]])
    root = jnp.stack([jnp.eye(2)] * 2)
    q = NormalMixture(jnp.log(jnp.array([0.5, 0.5])), loc, root)
    peaks = find_modes(target, q, key, num_starts=128, max_steps=30)
    np.testing.assert_allclose(peaks.loc, [[0.0, 0.0]], atol=0.05)
    whole = q._replace(
        log_weights=jnp.log(jnp.full(3, 1 / 3)),
        loc=jnp.array([[-8.0, 0.0], [0.0, 0.0], [8.0, 0.0]]),
        root=jnp.stack([jnp.eye(2)] * 3),
    )
    assert not len(find_modes(target, whole, key, num_starts=128, max_steps=30).loc)
