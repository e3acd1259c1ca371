"""One fit for all figures of fits: three groups around an unknown mean."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi


def groups(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 3.0))
    with numpyro.plate("groups", 3):
        effect = numpyro.sample("effect", dist.Normal(0.0, 1.0))
    level = numpyro.deterministic("level", mean + effect)
    numpyro.sample("y", dist.Normal(level, 1.0), obs=y)


@pytest.fixture(scope="session")
def fit():
    target = vi.from_numpyro(groups, jnp.array([1.0, 2.0, 6.0]))
    return vi.fit(target, jax.random.key(0), family="full_rank")
