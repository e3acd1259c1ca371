"""Stein's identities: exact draws know them, draws that miss a part do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.vi.checks.stein_identities import stein_residual


def log_funnel(u):
    return -0.5 * u[0] ** 2 - 0.5 * jnp.sum(u[1:] ** 2) * jnp.exp(-u[0]) - 2 * u[0]


@pytest.fixture(scope="module")
def funnel():
    """Four unknowns of scale exp(v / 2), v ~ N(0, 1), and 20,000 exact draws."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(20_000, 1))
    draws = np.concatenate([v, np.exp(v / 2) * rng.normal(size=(20_000, 4))], axis=1)
    return vi.from_log_density(log_funnel, jnp.zeros(5)), draws


def residual(target, draws, weights=None):
    weights = np.ones(len(draws)) if weights is None else weights
    return stein_residual(target, draws, np.log(weights / weights.sum()))


def test_exact_draws_know_the_identities(funnel):
    target, draws = funnel
    assert residual(target, draws) < 3.5


def test_weighted_draws_know_them(funnel):
    """Draws of another v, N(0.5, 1.2²), with their weights, and without."""
    target, draws = funnel
    v = 0.5 + 1.2 * draws[:, :1]
    other = np.concatenate([v, draws[:, 1:] * np.exp((v - draws[:, :1]) / 2)], axis=1)
    weights = np.exp(-0.5 * v[:, 0] ** 2 + 0.5 * draws[:, 0] ** 2)
    assert residual(target, other, weights) < 3.5
    assert residual(target, other) > 20


def test_a_missing_neck_is_seen(funnel):
    """A tenth of the mass is missing, at small scales, and all weights are equal."""
    target, draws = funnel
    known = draws[draws[:, 0] > -1.28]
    assert 0.89 < len(known) / len(draws) < 0.91
    assert residual(target, known) > 10


def test_a_missing_mode_between_valleys_is_not_seen():
    """Where p is zero between two modes, there is no border: the search is for that."""
    target = vi.from_log_density(
        lambda u: jnp.logaddexp(-0.5 * u[0] ** 2, -0.5 * (u[0] - 20) ** 2), jnp.zeros(1)
    )
    draws = np.asarray(jax.random.normal(jax.random.key(1), (4096, 1)))
    assert residual(target, draws) < 3.5


def test_no_gradient_no_answer(nan_is_an_answer):
    target = vi.from_log_density(
        lambda u: -0.5 * jnp.sum(u**2) + 0 * jnp.sqrt(jnp.maximum(u[0] - 1, 0)),
        jnp.zeros(1),
    )
    draws = np.random.default_rng(2).normal(size=(4096, 1))
    assert residual(target, draws) == np.inf


def test_weight_on_fewer_draws_than_unknowns_is_no_answer(funnel):
    target, draws = funnel
    weights = np.full(len(draws), 1e-300)
    weights[:2] = 0.5
    assert residual(target, draws, weights) == np.inf


def test_a_density_without_slope_fails_without_a_warning():
    """An improper flat unknown: E[z ∂ log p] is 0, not −1, at every draw."""
    target = vi.from_log_density(lambda u: -0.5 * u[0] ** 2, jnp.zeros(2))
    draws = np.random.default_rng(3).normal(size=(4096, 2))
    assert residual(target, draws) > 1e6
