"""Pareto k̂: draws of a known Pareto distribution, and weights whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vijax.vi import importance_weights


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7, 1.2])
def test_pareto_fit_finds_the_shape_and_scale_of_pareto_draws(x64, k):
    rng = np.random.default_rng(1)
    size, sigma = 20_000, 3.0
    draws = np.sort(stats.genpareto(k, scale=sigma).rvs(size, random_state=rng))
    khat, scale = importance_weights.pareto_fit(jnp.asarray(draws))
    # Asymptotic variances of maximum likelihood, for k > -1/2 (Smith 1984).
    k_error = (1 + k) / np.sqrt(size)
    assert abs(khat - k) < 4 * k_error
    assert abs(scale / sigma - 1) < 4 * np.sqrt(2 * (1 + k) / size)


def test_pareto_fit_equals_a_transcription_of_the_published_formula(x64):
    # Zhang & Stephens (2009), their notation: x ascending, b on a grid, k < 0 heavy.
    x = np.sort(np.random.default_rng(2).pareto(2.0, 80))
    n, m = len(x), 30 + int(len(x) ** 0.5)
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = -np.array([np.mean(np.log(1 - t * x)) for t in b])
    likelihood = n * (np.log(b / k) + k - 1)
    weight = np.array([1 / np.sum(np.exp(likelihood - one)) for one in likelihood])
    theta = np.sum(b * weight)
    shape = np.mean(np.log(1 - theta * x))
    khat, scale = importance_weights.pareto_fit(jnp.asarray(x))
    np.testing.assert_allclose(khat, (n * shape + 5) / (n + 10), rtol=1e-10)
    np.testing.assert_allclose(scale, -shape / theta, rtol=1e-10)


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 0.75), (0.8, 0.36)])
def test_khat_of_a_normal_q_that_is_too_narrow(x64, key, ratio, expected):
    # p = N(0, 1), q = N(0, ratio²): log w = z²/2 (1/ratio² − 1), so P(w > t) falls as
    # t^(−1/k) with k = 1 − ratio², up to a power of log t, which lowers k̂ a little.
    z = ratio * jax.random.normal(key, (50_000,))
    log_weights = 0.5 * z**2 * (1 / ratio**2 - 1)
    khat = float(importance_weights.psis(log_weights).khat)
    assert expected - 0.15 < khat < expected + 0.05


@pytest.mark.slow
def test_smoothing_keeps_all_but_the_tail_and_lowers_the_largest(x64, key):
    log_weights = 2.0 * jax.random.normal(key, (1000,))
    smoothed = importance_weights.psis(log_weights)
    order = np.argsort(log_weights)
    ratio = smoothed.log_weights - log_weights
    body = order[: 1000 - 95]  # 3 √1000 are smoothed
    np.testing.assert_allclose(ratio[body], ratio[body[0]], rtol=1e-9)
    kept = smoothed.log_weights[order]
    assert np.all(np.diff(kept) >= -1e-12)
    assert smoothed.effective_sample_size < 1000
    np.testing.assert_allclose(np.sum(np.exp(smoothed.log_weights)), 1.0, rtol=1e-12)


def test_tail_is_replaced_by_quantiles_and_cut_at_the_largest_weight(x64):
    cut = 0
    for seed in range(6):
        log_weights = 1.2 * np.random.default_rng(seed).normal(size=400)
        order = np.argsort(log_weights)
        weights = np.exp(log_weights[order])
        body, tail = weights[:-60], weights[-60:]  # 3 √400
        k, scale = importance_weights.pareto_fit(tail - body[-1])
        pareto = stats.genpareto(k, loc=body[-1], scale=scale)
        quantiles = pareto.ppf((np.arange(60) + 0.5) / 60)
        expected = np.append(body, np.minimum(quantiles, tail[-1]))
        smoothed = importance_weights.psis(log_weights)
        found = np.exp(smoothed.log_weights[order])
        np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-9)
        np.testing.assert_allclose(smoothed.khat, k)
        cut += quantiles[-1] > tail[-1]
    assert 0 < cut < 6


def test_weights_without_a_mean_stay_as_they_are(x64):
    log_weights = np.log(stats.pareto(1 / 1.5).rvs(1000, random_state=0))
    smoothed = importance_weights.psis(log_weights)
    assert smoothed.khat > 1
    np.testing.assert_allclose(
        smoothed.log_weights, log_weights - np.log(np.sum(np.exp(log_weights)))
    )


def test_evidence_from_smoothed_weights(x64, key):
    # q = N(0, 1), p = 5 N(0.5, 1): the mean weight is 5.
    z = jax.random.normal(key, (20_000,))
    log_weights = jnp.log(5.0) - 0.5 * (z - 0.5) ** 2 + 0.5 * z**2
    smoothed = importance_weights.psis(log_weights)
    error = np.std(np.exp(log_weights)) / 5 / np.sqrt(20_000)
    assert abs(smoothed.log_evidence - np.log(5)) < 4 * error
    assert smoothed.khat < 0.5
    # n_eff / n = 1 / E[w²] = exp(−0.25) for normalised weights
    fraction = smoothed.effective_sample_size / 20_000
    np.testing.assert_allclose(fraction, np.exp(-0.25), rtol=0.05)


def test_equal_weights_have_no_tail(float32):
    for log_weights in (jnp.zeros(200), 1e-6 * jnp.sin(jnp.arange(200.0)) - 1e4):
        smoothed = importance_weights.psis(log_weights)
        assert smoothed.khat == 0
        np.testing.assert_allclose(smoothed.effective_sample_size, 200, rtol=1e-3)


def test_too_few_weights_are_refused():
    with pytest.raises(ValueError, match="num_samples = 10"):
        importance_weights.psis(jnp.zeros(10))


@pytest.mark.parametrize("k", [0.3, 0.6, 1.2])
def test_hill_finds_the_shape_of_a_pareto_law_at_any_scale(k):
    draws = stats.pareto(1 / k).rvs(40_000, random_state=np.random.default_rng(3))
    smoothed = importance_weights.psis(np.log(1e4 * draws))
    assert abs(smoothed.hill - k) < 4 * k / np.sqrt(600)  # 3 √40,000 in the tail
    assert abs(smoothed.khat - k) < 4 * (1 + k) / np.sqrt(600)


@pytest.mark.parametrize("k", [0.4, 0.9])
def test_standard_error_of_the_tail_shape_is_the_spread_over_data_sets(k):
    # Weights are 1 + a generalised Pareto excess of small scale: k̂ is the smaller.
    rng = np.random.default_rng(6)
    found = [
        importance_weights.psis(
            np.log1p(stats.genpareto(k, scale=3.0).rvs(2000, random_state=rng))
        )
        for _ in range(200)
    ]
    spread = np.std([one.tail_shape for one in found])
    said = np.mean([one.tail_shape_se for one in found])
    np.testing.assert_allclose(spread / said, 1.0, atol=0.2)


def test_shape_of_the_tail_of_weights_that_hardly_vary():
    # k̂ knows the shape of h(z) alone; the tail that matters shrinks with c.
    z = np.random.default_rng(4).normal(size=4000)
    khat, shape = [], []
    for c in (1e-1, 1e-2, 1e-3):
        smoothed = importance_weights.psis(np.log1p(c * z**6))
        khat.append(smoothed.khat)
        shape.append(smoothed.tail_shape)
    np.testing.assert_allclose(khat, khat[0], rtol=1e-6)
    assert khat[0] > 0.5
    assert shape[0] > shape[1] > 3 * shape[2]
    assert shape[2] < 0.3


def test_shifts_are_the_moves_of_mean_and_sd(key):
    # p = N(a, s²), q = N(0, 1), beside an unknown that does not matter.
    z = np.random.default_rng(5).normal(size=(200_000, 2))
    for a, s in ((0.3, 1.0), (0.0, 0.8), (0.2, 0.9)):
        log_weights = stats.norm(a, s).logpdf(z[:, 0]) - stats.norm.logpdf(z[:, 0])
        log_weights -= np.log(np.sum(np.exp(log_weights)))
        mean, sd = importance_weights.shifts(z, log_weights)
        np.testing.assert_allclose(mean, a / s, atol=0.02)
        np.testing.assert_allclose(sd, 1 / s - 1, atol=0.02)
    # What is chance in the farthest of 50 is no move.
    rng = np.random.default_rng(7)
    z, noise = rng.normal(size=(4000, 50)), 0.3 * rng.normal(size=4000)
    by_chance = importance_weights.shifts(z, noise - np.log(np.sum(np.exp(noise))))
    assert max(by_chance) < 0.3 / np.sqrt(4000)
    equal = np.full(len(z), -np.log(len(z)))
    np.testing.assert_allclose(importance_weights.shifts(z, equal), 0.0, atol=1e-12)


def test_tails_of_many_columns_are_those_of_each():
    rng = np.random.default_rng(0)
    values = rng.standard_t(3, size=(500, 70))
    values[:, 3] = 1.0  # nothing to fit
    values[0, 5] = 1e9  # one draw is all of it
    log_weights = rng.normal(size=500)
    found = importance_weights.moment_tails(values, log_weights)
    traced = jax.jit(importance_weights.moment_tails)(values, log_weights)
    np.testing.assert_allclose(found, traced, rtol=2e-3, atol=2e-3)
    assert found[3] == traced[3] == 0
    mean = np.average(values[:, 0], weights=np.exp(log_weights))
    squares = log_weights + 2 * np.log(np.abs(values[:, 0] - mean))
    assert found[0] == pytest.approx(importance_weights.psis(squares).tail_shape)
