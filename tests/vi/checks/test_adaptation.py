"""Proposals fitted to weighted draws: their density, their fit, and what they know."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.scipy.special import gammaln

from vijax import vi
from vijax.vi.after.posterior_draws import posterior_draws
from vijax.vi.checks import adaptation, importance, summary_table
from vijax.vi.checks.draws_around import (
    Mixed,
    draw_mixture,
    freedom_of,
    log_mixture,
)
from vijax.vi.checks.t_mixture import TMixture, fit_mixture
from vijax.vi.importance_weights import psis


@pytest.fixture(scope="module")
def mixture():
    root = np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.3, 0.0], [0.0, 0.3]]])
    return TMixture(np.array([0.75, 0.25]), np.array([[0.0, 0.0], [5.0, 1.0]]), root, 8)


def test_density_is_that_of_a_mixture_of_t(mixture):
    z = np.array([[0.0, 0.0], [5.0, 1.5], [-3.0, 7.0]])
    parts = [
        share * scipy.stats.multivariate_t(loc, root @ root.T, 8).pdf(z)
        for share, loc, root in zip(*mixture[:3], strict=True)
    ]
    np.testing.assert_allclose(np.exp(mixture.log_prob(z)), sum(parts), rtol=1e-10)


def test_draws_are_those_of_the_density(mixture):
    z = mixture.sample(jax.random.key(0), 20_000)
    near = np.linalg.norm(z - mixture.loc[1], axis=1) < 1
    exact = scipy.stats.multivariate_t(mixture.loc[1], 0.09 * np.eye(2), 8)
    inside = np.linalg.norm(exact.rvs(200_000, random_state=0) - exact.loc, axis=1)
    others = z[:15_000]
    assert abs(near[15_000:].mean() - np.mean(inside < 1)) < 0.02
    covariance = mixture.root[0] @ mixture.root[0].T * 8 / 6
    np.testing.assert_allclose(np.cov(others.T), covariance, atol=0.35)


def test_components_are_found_in_weighted_draws():
    """Uniform draws that are weighed by two normals give back the two."""
    rng = np.random.default_rng(0)
    z = rng.uniform(-6, 6, (40_000, 2))
    target = TMixture(
        np.array([0.5, 0.5]),
        np.array([[-3.0, 0.0], [3.0, 1.0]]),
        np.array([0.5 * np.eye(2), np.diag([0.5, 1.0])]),
        1000,
    )
    log_weights = target.log_prob(z)
    log_weights -= np.logaddexp.reduce(log_weights)
    found = fit_mixture(jax.random.key(1), z, log_weights)
    assert found is not None
    left = found.loc[:, 0] < 0
    assert abs(found.shares[left].sum() - 0.5) < 0.05
    for side, loc in ((left, [-3.0, 0.0]), (~left, [3.0, 1.0])):
        centre = found.shares[side] @ found.loc[side] / found.shares[side].sum()
        np.testing.assert_allclose(centre, loc, atol=0.1)


def test_few_effective_draws_say_nothing():
    z = np.random.default_rng(0).normal(size=(1000, 2))
    log_weights = np.full(1000, -np.inf)
    log_weights[:3] = np.log(1 / 3)
    assert fit_mixture(jax.random.key(0), z, log_weights) is None


def funnel(p):
    """v ~ N(0, 1), x_i | v ~ N(0, e^v): variances 1 and √e, evidence (2π)²."""
    v, x = p["v"], p["x"]
    return -0.5 * v**2 - 0.5 * jnp.sum(x**2) * jnp.exp(-v) - 1.5 * v


@pytest.fixture(scope="module")
def fit():
    target = vi.from_log_density(funnel, {"v": 0.0, "x": jnp.zeros(3)})
    # Without what the search has seen around it, which makes the first weights even.
    return vi.fit(target, jax.random.key(0))._replace(modes=None)


@pytest.mark.slow
def test_a_funnel_is_corrected(fit):
    """q's own sd of x is 30 % too small."""
    table = vi.summary(fit, key=jax.random.key(1))
    assert not table.trusted
    assert table.correctable
    assert np.max(table["x"]["sd"]) < 0.75 * np.exp(0.25)
    for name, sd in (("v", 1.0), ("x", np.exp(0.25))):
        columns = table[name]
        assert np.all(abs(columns["corrected_mean"]) < 4 * columns["corrected_mean_se"])
        error = columns["corrected_sd"] - sd
        assert np.all(abs(error) < 4 * columns["corrected_sd_se"])
        assert np.all(columns["corrected_sd_se"] < 0.01)
    error = table.log_evidence - 2 * np.log(2 * np.pi)
    assert abs(error) < 4 * table.log_evidence_se


def test_weights_become_more_even(fit):
    freedom = freedom_of(fit)
    first = draw_mixture(fit, jax.random.key(2), 10_000, freedom)
    found = adaptation.more_even(fit, jax.random.key(3), first, freedom)
    before, after = psis(first.log_weights), psis(found.log_weights)
    assert before.tail_shape > adaptation.UNEVEN
    share = before.effective_sample_size / len(first.log_weights)
    assert after.effective_sample_size / len(found.log_weights) > 3 * share
    np.testing.assert_allclose(found.sites["v"], found.positions[:, 0], rtol=1e-5)


def test_even_weights_are_left_as_they_are(fit):
    positions = np.zeros((100, 4))
    even = Mixed(positions, positions, np.zeros(100), 0.0, {"x": np.zeros(100)})
    assert adaptation.more_even(fit, jax.random.key(0), even, 8) is even


@pytest.mark.slow
def test_predictions_use_the_better_draws(fit):
    """Also where linear response calls q much too narrow, so that "auto" said q."""
    assert not fit.correctable
    drawn = posterior_draws(fit, jax.random.key(4), 4000)
    assert (drawn.source, drawn.trusted) == ("importance", True)
    assert abs(jnp.std(drawn.values["x"]) / np.exp(0.25) - 1) < 0.05


@pytest.mark.thorough
def test_digits_lost_far_out_do_not_make_weights(float32):
    """Γ(2z) is 4ᶻ Γ(z) Γ(z + ½) / √4π: the logs differ by hundreds in float32."""

    def rough(p):
        big = jnp.exp(6 * p["u"] - 13)
        lost = gammaln(2 * big) - gammaln(big) - gammaln(big + 0.5)
        lost += 0.5 * jnp.log(4 * jnp.pi) - big * jnp.log(4.0)
        return -0.5 * p["u"] ** 2 + lost

    target = vi.from_log_density(rough, {"u": 0.0})
    fit = vi.fit(target, jax.random.key(0))
    first = draw_mixture(fit, jax.random.key(1), 10_000, 3)
    rows = np.asarray(first.positions, float)
    assert fit.target.init.dtype == np.float32
    assert abs(float(rough({"u": jnp.float32(8.0)})) + 32.0) > 30
    exact = -0.5 * rows[:, 0] ** 2 - np.asarray(log_mixture(fit, rows, 3))
    near = np.abs(rows[:, 0]) < 7
    assert np.sum(np.abs(rows[near, 0]) > 5) > 20
    found = np.asarray(first.log_weights)[near]
    np.testing.assert_allclose(found, exact[near], rtol=1e-3, atol=1e-2)


@pytest.mark.slow
def test_what_the_evidence_moves_by_is_in_the_errors(fit, monkeypatch):
    def weigh(*args):
        first, found = importance.weigh(*args)
        assert found.drift is not None
        return first, replace(found, drift=drift)

    monkeypatch.setattr(summary_table, "weigh", weigh)
    for drift, known in ((0.02, True), (0.03, False)):  # 2 · 0.03 sd is above 5 %
        table = vi.summary(fit, key=jax.random.key(1))
        assert table.log_evidence_se > drift
        error = table["v"]["corrected_mean_se"]
        assert bool(error >= 2 * drift * 0.95) is known
        assert bool(np.isfinite(error)) is known


def test_with_many_unknowns_draws_are_left_as_they_are(fit, monkeypatch):
    monkeypatch.setattr(adaptation, "MAX_DIM", 3)
    first = draw_mixture(fit, jax.random.key(2), 10_000, 8)
    assert adaptation.more_even(fit, jax.random.key(3), first, 8) is first


@pytest.mark.thorough
def test_draws_that_miss_a_part_know_nothing(key, fit, monkeypatch):
    """Where Stein's identities fail, neither a summary nor a prediction is trusted."""
    assert vi.summary(fit).correctable
    monkeypatch.setattr(adaptation, "stein_residual", lambda *args: 3.6)
    table = vi.summary(fit)
    assert not table.correctable
    assert "draws miss part of the posterior" in table.advice
    for columns in table.values():
        assert np.isnan(columns["corrected_sd"]).all()
    drawn = posterior_draws(fit, key, 100, "importance")
    assert not drawn.trusted
    assert "draws miss part of the posterior" in drawn.advice


def test_first_draws_that_miss_a_part_are_still_a_table(fit, monkeypatch):
    """Where no round is better, and q has a normal beside it: draws of two parts."""
    assert fit.covariance is not None
    monkeypatch.setattr(adaptation, "_best_round", lambda *args: None)
    monkeypatch.setattr(adaptation, "stein_residual", lambda *args: 3.6)
    table = vi.summary(fit, num_samples=1000)
    assert not table.correctable
    assert np.isnan(table["x"]["corrected_sd"]).all()
    assert np.isfinite(table["x"]["sd"]).all()
