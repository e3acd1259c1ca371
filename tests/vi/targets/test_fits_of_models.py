"""Fits of models with control flow and discrete sites reach the right moments."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan

from vijax import vi

RNG = np.random.default_rng(13)
WALK = np.cumsum(RNG.normal(0, 0.5, 20)) + RNG.normal(0, 0.5, 20)


def random_walk(y, s=None):
    if s is None:
        s = numpyro.sample("s", dist.HalfNormal(1.0))

    def step(x, y_t):
        x = numpyro.sample("x", dist.Normal(x, s))
        numpyro.sample("y", dist.Normal(x, 0.5), obs=y_t)
        return x, None

    scan(step, jnp.array(0.0), y)


@pytest.mark.thorough
def test_a_walk_of_known_steps_has_the_smoothers_moments(key):
    """Var(x) = (W'W / s² + I / 0.5²)⁻¹, W the differences, E x = Var(x) y / 0.5²."""
    fit = vi.fit(vi.from_numpyro(random_walk, WALK, 0.4), key, family="full_rank")
    differences = np.eye(20) - np.eye(20, k=-1)
    cov = np.linalg.inv(differences.T @ differences / 0.4**2 + np.eye(20) / 0.25)
    assert fit.trusted
    x = vi.summary(fit)["x"]
    np.testing.assert_allclose(x["mean"], cov @ WALK / 0.25, atol=0.005)
    np.testing.assert_allclose(x["sd"], np.sqrt(np.diag(cov)), rtol=0.01)


@pytest.mark.slow
def test_a_walk_of_unknown_steps_has_the_moments_of_nuts(key):
    """NumPyro's NUTS, float64, 4 chains of 20,000, R-hat below 1.0003, 15,000 draws."""
    fit = vi.fit(vi.from_numpyro(random_walk, WALK), key, family="flow")
    assert fit.trusted
    table = vi.summary(fit)
    np.testing.assert_allclose(table["s"]["mean"], 0.4523, atol=0.02)
    np.testing.assert_allclose(table["s"]["sd"], 0.1706, rtol=0.05)
    x = table["x"]
    np.testing.assert_allclose(x["mean"][[0, 9, 19]], [0.556, 1.736, 1.762], atol=0.02)
    np.testing.assert_allclose(x["sd"][[0, 9, 19]], [0.338, 0.320, 0.378], rtol=0.05)


def mixture(y, summed):
    m = numpyro.sample("m", dist.Normal(jnp.array([-2.0, 2.0]), 0.5).to_event(1))
    weights = dist.Categorical(jnp.array([0.3, 0.7]))
    with numpyro.plate("n", len(y)):
        if summed:
            both = dist.MixtureSameFamily(weights, dist.Normal(m, 1.0))
            numpyro.sample("y", both, obs=y)
        else:
            k = numpyro.sample("k", weights, infer={"enumerate": "parallel"})
            numpyro.sample("y", dist.Normal(m[k], 1.0), obs=y)


@pytest.mark.slow
def test_a_mixture_of_discrete_classes_is_the_mixture_distribution(key):
    pytest.importorskip("funsor")
    rng = np.random.default_rng(15)
    y = np.r_[rng.normal(-2, 1, 30), rng.normal(2, 1, 70)]
    fit = vi.fit(vi.from_numpyro(mixture, y, False), key, family="full_rank")
    by_hand = vi.fit(vi.from_numpyro(mixture, y, True), key, family="full_rank")
    assert fit.trusted
    np.testing.assert_allclose(fit.q.loc, by_hand.q.loc, atol=2e-4)
    np.testing.assert_allclose(fit.q.scale(), by_hand.q.scale(), atol=2e-4)
    np.testing.assert_allclose(fit.elbo, by_hand.elbo, atol=1e-3)

    drawn = vi.sample_discrete(fit, jax.random.key(1), 2000)
    assert set(drawn) == {"m", "k"}
    odds = dist.Normal(drawn["m"][:, None, :], 1.0).log_prob(y[None, :, None])
    p = jax.nn.softmax(odds + jnp.log(jnp.array([0.3, 0.7])))[..., 1].mean(0)
    error = np.abs(drawn["k"].mean(0) - p)
    assert (error < 4.5 * np.sqrt(p * (1 - p) / 2000) + 1e-3).all()
    with pytest.raises(ValueError, match="has no discrete site; use"):
        vi.sample_discrete(by_hand, key, 10)
    with pytest.raises(ValueError, match="num_samples"):
        vi.sample_discrete(fit, key, 0)
