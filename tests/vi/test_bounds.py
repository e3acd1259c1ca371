"""Bounds and gradient estimators on a Gaussian whose answers are known.

p(z) = N(0, 1), p(x | z) = N(x; z, 1): evidence N(x; 0, 2), posterior N(x/2, 1/2).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax.vi import bounds, divergences

X = 1.3
LOG_EVIDENCE = float(-0.25 * X**2 - 0.5 * np.log(4 * np.pi))
POSTERIOR = (jnp.array(X / 2), jnp.array(0.5 * np.log(0.5)))
WRONG = (jnp.array(0.1), jnp.array(-0.2))  # loc and log scale of a poor q


def log_joint(z, shift=0.0):
    return dist.Normal(shift, 1.0).log_prob(z) + dist.Normal(z, 1.0).log_prob(X)


def log_prob(q, z):
    return dist.Normal(q[0], jnp.exp(q[1])).log_prob(z)


def draw(q, key, num_samples):
    return q[0] + jnp.exp(q[1]) * jax.random.normal(key, (num_samples,))


def exact_elbo(q):
    # log p(x) − KL[q ‖ posterior]
    return LOG_EVIDENCE - divergences.kl_normal(*q, *POSTERIOR)


def total(q, key, num_samples=8):
    z = draw(q, key, num_samples)
    return bounds.elbo(log_joint(z) - log_prob(q, z))


def sticking(q, key, num_samples=8):
    z = draw(q, key, num_samples)
    return bounds.elbo(log_joint(z) - log_prob(jax.lax.stop_gradient(q), z))


def closed_entropy(q, key, num_samples=8):
    entropy = q[1] + 0.5 * jnp.log(2 * jnp.pi * jnp.e)
    return bounds.elbo_closed(log_joint(draw(q, key, num_samples)), -entropy)


def closed_kl(q, key, num_samples=8):
    z = draw(q, key, num_samples)
    log_likelihood = dist.Normal(z, 1.0).log_prob(X)
    return bounds.elbo_closed(log_likelihood, divergences.kl_normal_standard(*q))


def score(q, key, num_samples=8):
    z = jax.lax.stop_gradient(draw(q, key, num_samples))
    fixed = jax.lax.stop_gradient(q)
    return bounds.score_function(log_joint(z) - log_prob(fixed, z), log_prob(q, z))


EXACT = jax.jit(jax.value_and_grad(exact_elbo))
ELBOS = [total, sticking, closed_entropy, closed_kl, score]


@pytest.mark.thorough
@pytest.mark.parametrize("estimator", ELBOS)
def test_value_and_gradient_are_unbiased(key, estimator):
    keys = jax.random.split(key, 20_000)
    gradient = jax.value_and_grad(estimator)
    estimates = jax.jit(jax.vmap(partial(gradient, WRONG)))(keys)
    exact = EXACT(WRONG)
    for estimate, truth in zip(
        map(np.asarray, jax.tree.leaves(estimates)), jax.tree.leaves(exact), strict=True
    ):
        error = np.std(estimate) / np.sqrt(len(keys))
        assert abs(np.mean(estimate) - truth) < 4 * error
        assert error < 0.02


@pytest.mark.parametrize(
    "bound", [bounds.elbo, bounds.iwae, partial(bounds.renyi, alpha=0.5)]
)
def test_bound_is_tight_at_the_exact_posterior(x64, key, bound):
    @jax.jit
    def at_posterior(key):
        z = draw(POSTERIOR, key, 5)
        return bound(log_joint(z) - log_prob(POSTERIOR, z))

    value = at_posterior(key)
    np.testing.assert_allclose(value, LOG_EVIDENCE, rtol=1e-7)


@pytest.mark.thorough
def test_sticking_the_landing_has_no_noise_at_the_posterior(x64, key):
    gradient = jax.jit(jax.grad(sticking))(POSTERIOR, key)
    np.testing.assert_allclose(gradient, [0.0, 0.0], atol=1e-7)
    noisy = jax.jit(jax.grad(total))(POSTERIOR, key)
    assert abs(noisy[1]) > 1e-2


@pytest.mark.slow
def test_score_function_is_noisier_than_reparametrisation(key):
    keys = jax.random.split(key, 100_000)

    def spread(estimator):
        gradients = jax.jit(jax.vmap(partial(jax.grad(estimator), WRONG)))(keys)
        return np.std(gradients[0])

    # Of 300,000 draws: 1.098 ± 0.002.
    np.testing.assert_allclose(spread(score) / spread(total), 1.098, atol=0.01)


def test_leave_one_out_baseline_removes_a_common_offset(key):
    @jax.jit
    def gradient(offset):
        z = draw(WRONG, key, 8)
        log_weights = log_joint(z) - log_prob(WRONG, z)
        return jax.grad(
            lambda q: bounds.score_function(log_weights + offset, log_prob(q, z))
        )(WRONG)

    np.testing.assert_allclose(gradient(0.0), gradient(100.0), rtol=1e-4)


def iwae_with(estimator, q, shift, key, num_samples):
    z = draw(q, key, num_samples)
    fixed = q if estimator == "iwae" else jax.lax.stop_gradient(q)

    def log_weights(z):
        return log_joint(z, shift) - log_prob(fixed, z)

    return (
        bounds.iwae(log_weights(z))
        if estimator == "iwae"
        else bounds.dreg(log_weights, z)
    )


@pytest.mark.thorough
def test_dreg_has_the_gradient_of_the_importance_weighted_bound(key):
    keys = jax.random.split(key, 40_000)

    def gradients(estimator):
        def one(k):
            return jax.value_and_grad(
                lambda q, shift: iwae_with(estimator, q, shift, k, 5), argnums=(0, 1)
            )(WRONG, 0.2)

        return [np.asarray(g) for g in jax.tree.leaves(jax.jit(jax.vmap(one))(keys))]

    plain, doubly = gradients("iwae"), gradients("dreg")
    np.testing.assert_allclose(plain[0], doubly[0], rtol=1e-5)  # the same bound
    np.testing.assert_allclose(plain[3], doubly[3], rtol=1e-4, atol=1e-5)  # in theta
    for a, b in zip(plain[1:3], doubly[1:3], strict=True):  # in q's loc and log scale
        error = np.hypot(np.std(a), np.std(b)) / np.sqrt(len(keys))
        assert abs(np.mean(a) - np.mean(b)) < 4 * error
    # The signal-to-noise ratio in q falls as 1/√S for IWAE and does not for DReG.
    assert np.std(doubly[2]) < 0.7 * np.std(plain[2])


@pytest.mark.slow
def test_dreg_keeps_batch_and_event_axes(key):
    z = jax.random.normal(key, (4, 3, 2))

    def value(z):
        return jnp.sum(bounds.dreg(lambda z: -jnp.sum(z**2, -1), z))

    weights = jax.nn.softmax(-jnp.sum(z**2, -1), axis=0)
    np.testing.assert_allclose(
        jax.grad(value)(z), -2 * z * weights[..., None] ** 2, rtol=1e-5
    )


@pytest.mark.slow
def test_bounds_are_ordered_and_rise_with_the_number_of_samples(key):
    z = draw(WRONG, key, 200_000)
    log_weights = log_joint(z) - log_prob(WRONG, z)
    means = []
    for num_samples in (1, 2, 8, 64):
        groups = log_weights.reshape(num_samples, -1)
        means.append(float(jnp.mean(bounds.iwae(groups))))
    elbo, *_ = means
    np.testing.assert_allclose(elbo, exact_elbo(WRONG), atol=0.01)
    assert means == sorted(means)
    assert means[-1] < LOG_EVIDENCE
    np.testing.assert_allclose(bounds.iwae(log_weights), LOG_EVIDENCE, atol=0.005)
    values = [float(bounds.renyi(log_weights, a)) for a in (1.0, 0.9, 0.5, 0.0)]
    assert values == sorted(values)
    np.testing.assert_allclose(values[0], bounds.elbo(log_weights))
    np.testing.assert_allclose(values[-1], bounds.iwae(log_weights))


def test_standard_errors_are_the_spread_of_repeated_estimates(key):
    @jax.jit
    def estimates(key):
        z = draw(WRONG, key, 100 * 1000).reshape(100, 1000)
        log_weights = log_joint(z) - log_prob(WRONG, z)
        return [
            (bounds.elbo(log_weights), bounds.standard_error(log_weights)),
            (bounds.iwae(log_weights), bounds.iwae_standard_error(log_weights)),
        ]

    for values, errors in jax.tree.map(np.asarray, estimates(key)):
        np.testing.assert_allclose(errors.mean(), values.std(), rtol=0.1)


def test_score_function_needs_two_draws():
    with pytest.raises(ValueError, match="num_samples = 1"):
        bounds.score_function(jnp.zeros(1), jnp.zeros(1))
