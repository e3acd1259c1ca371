"""Drift along a stream: seen where it is there, and not where it is not."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi


def model(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 10.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def fit_to(y):
    target = vi.from_stream(model, vi.Stream({"y": y}, block_size=1000))
    return vi.fit(target, jax.random.key(0))


@pytest.fixture(scope="module")
def fit():
    # Of twice the sd that the model says: the test is right all the same.
    return fit_to(np.random.default_rng(3).normal(size=2000, scale=2.0))


def test_shifts_are_those_of_the_parts_means(fit):
    y = np.random.default_rng(3).normal(size=2000, scale=2.0)
    found = vi.drift(fit, num_parts=5)
    means = y.reshape(5, -1).mean(axis=1)
    within = y.reshape(5, 20, 20).sum(axis=2)
    error = np.sqrt(((within - within.mean(axis=1)[:, None]) ** 2).sum() / 95) / 20
    expected = (means - means.mean()) / (error / 20**0.5)
    np.testing.assert_allclose(found.shifts[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(found.statistic, np.sum(expected**2), rtol=1e-5)
    assert found.degrees_of_freedom == 4
    assert found.advice.startswith("No drift is seen: p = ")
    assert found.names == ["mean"]


@pytest.mark.slow
def test_p_values_of_exchangeable_rows_are_uniform(fit):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        stream = vi.Stream({"y": rng.normal(size=400)}, block_size=400)
        target = vi.from_stream(model, stream)
        found.append(vi.drift(fit._replace(target=target), num_parts=4).p_value)
    # Kolmogorov and Smirnov's distance of 100 uniform numbers is below 0.163 in 99 %.
    distance = np.max(np.abs(np.sort(found) - np.arange(1, 101) / 100))
    assert distance < 0.163


@pytest.mark.thorough
def test_a_change_is_seen_and_named():
    y = np.random.default_rng(1).normal(size=2000)
    y[1600:] += 0.5
    fit = fit_to(y)
    found = vi.drift(fit, num_parts=10)
    assert found.p_value < 1e-6
    assert np.argmax(found.shifts[:, 0]) in (8, 9)
    assert "most in part" in found.advice
    assert "mean" in str(found)


def test_bad_input_is_refused(fit):
    with pytest.raises(ValueError, match="num_parts = 1 is not valid"):
        vi.drift(fit, num_parts=1)
    with pytest.raises(ValueError, match="num_parts = 100 is not valid: give fewer"):
        vi.drift(fit, num_parts=100)
    plain = fit._replace(target=vi.from_numpyro(model, np.zeros(3)))
    with pytest.raises(ValueError, match="fit is not to a stream"):
        vi.drift(plain)
