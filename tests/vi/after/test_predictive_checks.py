"""Predictive checks: p-values of a known predictive, statistics, masks, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi

Y = np.concatenate([np.random.default_rng(0).normal(0.0, 1.0, 40), [7.0]])


def model(y, seen=True):
    mean = numpyro.sample("mean", dist.Normal(0.0, 10.0))
    with numpyro.handlers.mask(mask=seen):
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


@pytest.fixture(scope="module")
def fitted():
    return vi.fit(vi.from_numpyro(model, Y), jax.random.key(0))


@pytest.mark.thorough
def test_p_values_are_those_of_the_exact_predictive(fitted):
    found = vi.posterior_predictive_check(fitted, jax.random.key(1), num_samples=4000)
    assert list(found) == ["y: mean", "y: sd", "y: min", "y: max"]
    assert abs(found["y: mean"].p_value - 0.5) < 4 * found["y: mean"].p_value_se
    # P(min > m) is the mean of Π P(y > m | mean) over the posterior.
    sd = (1 / 100 + len(Y)) ** -0.5
    loc = sd**2 * Y.sum()
    means = loc + sd * np.random.default_rng(1).normal(size=20_000)
    above = np.asarray(1 - dist.Normal(means, 1.0).cdf(Y.min())) ** len(Y)
    row = found["y: min"]
    assert abs(row.p_value - above.mean()) < 4 * row.p_value_se
    assert row.replicated.shape == (4000,)
    assert row.observed == pytest.approx(Y.min())
    assert set(found.extreme) == {"y: sd", "y: max"}
    assert "does not make data like these: y: sd, y: max" in str(found)


@pytest.mark.thorough
def test_own_statistics_and_masks(fitted, key):
    def share_above_three(y):
        return jnp.mean(y > 3.0)

    found = vi.posterior_predictive_check(
        fitted, key, share_above_three, num_samples=99
    )
    (row,) = found.values()
    assert row.observed == pytest.approx(1 / 41)
    assert list(vi.posterior_predictive_check(fitted, key, "max", num_samples=9)) == [
        "y: max"
    ]
    seen = Y < 5.0
    masked = vi.fit(vi.from_numpyro(model, Y, seen), key)
    found = vi.posterior_predictive_check(masked, key, {"number": len, "max": np.max})
    assert found["y: number"].observed == 40
    assert np.all(found["y: number"].replicated == 40)
    assert found["y: number"].p_value == 0.5
    assert found["y: max"].observed == pytest.approx(Y[:40].max())
    assert "y: max" not in found.extreme
    assert "no proof of the model" in str(found)


def test_bad_statistics_are_named(fitted, key):
    with pytest.raises(ValueError, match="statistic = 'median' is not one of"):
        vi.posterior_predictive_check(fitted, key, "median")
    with pytest.raises(ValueError, match=r"'y: sorted' .*shape \(41,\)"):
        vi.posterior_predictive_check(fitted, key, {"sorted": np.sort})
    with pytest.raises(ValueError, match="is nan for the data"):
        vi.posterior_predictive_check(fitted, key, lambda y: np.nan)
    with pytest.raises(ValueError, match="num_samples = 1"):
        vi.posterior_predictive_check(fitted, key, num_samples=1)
