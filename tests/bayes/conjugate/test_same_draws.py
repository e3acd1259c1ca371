"""The same key draws the same numbers eagerly and under jit and vmap together."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from tests.cases import slow_except
from vijax.bayes import on_off
from vijax.bayes.conjugate.distributions import count_distributions
from vijax.bayes.conjugate.distributions.beta_prime import BetaPrime
from vijax.bayes.conjugate.distributions.truncated_gamma import (
    TruncatedGamma,
    TruncatedGammaPoisson,
)
from vijax.bayes.conjugate.gamma_exponential import Lomax
from vijax.bayes.conjugate.pareto_uniform import UniformPareto


def signal():
    prior = dist.Gamma(1.0, 0.01)
    return on_off.posterior(prior, prior, n_on=14, n_off=10, alpha=0.5)


COUNTS = {
    "beta_binomial": lambda: count_distributions.BetaBinomial(11.0, 5.0, 20),
    "beta_negative_binomial": lambda: count_distributions.BetaNegativeBinomial(
        5.0, 11.0, n=3
    ),
    "gamma_poisson": lambda: count_distributions.GammaPoisson(4.0, 2.0),
    "dirichlet_multinomial": lambda: count_distributions.DirichletMultinomial(
        jnp.array([5.0, 1.0, 3.0]), total_count=7
    ),
    "truncated_gamma_poisson": lambda: TruncatedGammaPoisson(10.0, 3.0, 5.0),
}
CONTINUOUS = {
    "lomax": lambda: Lomax(3.0, 4.0),
    "uniform_pareto": lambda: UniformPareto(3.0, 4.0),
    "truncated_gamma": lambda: TruncatedGamma(10.0, 3.0, 5.0),
    "on_off": signal,
}


def eager_and_compiled(distribution):
    """Return the draws of two keys: one by one, and as one compiled batch."""
    keys = jax.random.split(jax.random.key(1), 2)

    def draw(key):
        return distribution.sample(key, (100,))

    eager = np.stack([draw(key) for key in keys])
    return eager, np.asarray(jax.jit(jax.vmap(draw))(keys))


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except({"gamma_poisson"}, COUNTS))
def test_counts(name):
    eager, compiled = eager_and_compiled(COUNTS[name]())
    assert np.unique(eager).size > 3
    np.testing.assert_array_equal(compiled, eager)


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except(set(CONTINUOUS) - {"on_off"}, CONTINUOUS))
def test_continuous(name):
    """To four units in the last place: a compiled a b + c may be rounded only once."""
    eager, compiled = eager_and_compiled(CONTINUOUS[name]())
    assert np.unique(eager).size > 100
    np.testing.assert_array_max_ulp(compiled, eager, maxulp=4)


@pytest.mark.thorough
def test_beta_prime():
    """The exponential of a difference of logarithms, whose last digits it enlarges."""
    eager, compiled = eager_and_compiled(BetaPrime(2.5, 3.5, 2.0))
    assert np.unique(eager).size > 100
    np.testing.assert_array_max_ulp(compiled, eager, maxulp=16)
