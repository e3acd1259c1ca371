"""The same key gives the same numbers eagerly, under jit and under vmap."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae import models
from vijax.vae.models import bound_terms, gradient_estimators, likelihoods, losses

MODEL = models.vae((2, 3), latent=2, hidden=(4,))
LEVELS = jnp.linspace(0, 1, 6).reshape(1, 2, 3)
PARAMS = models.init(MODEL, jax.random.key(9))
Q = models.Posterior(jnp.array([[0.5, -1.0]]), jnp.array([[0.1, -0.3]]))
ONE = models.Posterior(Q.loc[0], Q.log_scale[0])


def sample(likelihood):
    outputs = jnp.linspace(-1, 1, 12).reshape(6, 2)[:, : likelihood.num_outputs]
    return partial(lambda outputs, key: likelihood.sample(key, outputs), outputs)


def loss(make, **settings):
    batch = losses.Batch(LEVELS, jnp.ones(()))
    return lambda key: make(MODEL, **settings)(PARAMS, key, batch)


DRAWS = {
    "init": lambda key: models.init(MODEL, key),
    "binarize": lambda key: likelihoods.binarize(key, jnp.full((9, 9), 0.5)),
    "bernoulli": sample(likelihoods.bernoulli()),
    "gaussian": sample(likelihoods.gaussian(None)),
    "continuous_bernoulli": sample(likelihoods.continuous_bernoulli()),
    "discretised_logistic": sample(likelihoods.discretised_logistic(4)),
    "draw": lambda key: bound_terms.draw(key, Q, num_samples=3),
    "negative_elbo": loss(losses.negative_elbo, num_samples=2),
    "negative_iwae": loss(losses.negative_iwae, num_samples=2),
    "score_function": lambda key: gradient_estimators.score_function(
        jnp.sum, ONE, key, num_samples=4, baseline=True
    ),
    "reparametrised": lambda key: gradient_estimators.reparametrised(
        jnp.sum, ONE, key, num_samples=4
    ),
}
KEYS = jax.random.split(jax.random.key(3), 2)


def three_ways(draw):
    """Return what a function draws with the second key: eagerly, and compiled."""
    return draw(KEYS[1]), jax.jit(draw)(KEYS[1]), jax.jit(jax.vmap(draw))(KEYS)


def assert_same(eager, compiled, mapped):
    first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], mapped) for i in (0, 1))
    for other in (compiled, second):
        jax.tree.map(
            partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6), eager, other
        )
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    assert any(np.any(one != another) for one, another in pairs)


@pytest.fixture(scope="module")
def found():
    """All draws in two programs: one for each would take five times as long."""
    return three_ways(lambda key: {name: draw(key) for name, draw in DRAWS.items()})


@pytest.mark.thorough
@pytest.mark.parametrize("name", DRAWS)
def test_the_same_key_gives_the_same_numbers(found, name):
    assert_same(*(values[name] for values in found))


@pytest.mark.slow
def test_the_same_key_gives_the_same_levels():
    assert_same(*three_ways(sample(likelihoods.beta_binomial(4))))
