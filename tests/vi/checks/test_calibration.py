"""VSBC where q is the posterior, and where it is known to be too narrow."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.checks.calibration import vsbc

X = np.random.default_rng(0).normal(size=(12, 2)) @ np.array([[1.0, 0.95], [0.0, 0.3]])


def regression(y):
    beta = numpyro.sample("beta", dist.Normal(jnp.zeros(2), 1.0).to_event(1))
    numpyro.sample("y", dist.Normal(X @ beta, 1.0), obs=y)


def simulate(key):
    first, second = jax.random.split(key)
    beta = jax.random.normal(first, (2,))
    return {"beta": beta}, X @ beta + jax.random.normal(second, (12,))


def make_target(y):
    return vi.from_numpyro(regression, y)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["full_rank", "mean_field"])
def test_truth_lies_anywhere_in_the_posterior_and_outside_of_a_mean_field(key, family):
    found = vsbc(key, simulate, make_target, family=family, num_simulations=150)
    assert found.converged == 1
    assert found.probabilities["beta"].shape == (150, 2)
    # Either way the means are right.
    assert np.all(found.bias_p_value["beta"] > 0.01)
    if family == "full_rank":
        assert np.all(found.uniform_p_value["beta"] > 0.01)
    else:
        assert np.all(found.uniform_p_value["beta"] < 1e-4)


def test_too_few_simulations_are_refused(key):
    with pytest.raises(ValueError, match="num_simulations = 2"):
        vsbc(key, simulate, make_target, num_simulations=2)


@pytest.mark.thorough
def test_truth_above_every_draw_is_a_bias_and_a_spent_budget_is_seen(key):
    def shifted(key):
        truth, y = simulate(key)
        return {"beta": truth["beta"] + 20}, y

    found = vsbc(
        key, shifted, make_target, num_simulations=20, method=vi.FixedDraws(num_steps=1)
    )
    np.testing.assert_array_equal(found.probabilities["beta"], 1.0)
    assert np.all(found.bias_p_value["beta"] < 1e-4)
    assert found.converged == 0
