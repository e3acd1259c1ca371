"""Many fits in one compile, and one fit over many devices."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi

TRACES = {"count": 0}
Y = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)


def model(prior_sd, y):
    TRACES["count"] += 1
    mu = numpyro.sample("mu", dist.Normal(0.0, prior_sd))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


@pytest.mark.slow  # quick: fits_vmap_over_keys_and_data
def test_prior_sweep_over_data_sets_and_seeds_compiles_once():
    def one(prior_sd, y, key):
        return vi.fit(vi.from_numpyro(model, prior_sd, y), key, num_checks=100)

    by_key = jax.vmap(one, (None, None, 0))
    by_data = jax.vmap(by_key, (None, 0, None))
    sweep = jax.jit(jax.vmap(by_data, (0, None, None)))
    keys = jax.random.split(jax.random.key(0), 2)
    for prior_sd in (np.array([0.1, 1.0, 10.0, 3.0]), np.array([0.2, 2.0, 5.0, 1.0])):
        fits = sweep(jnp.asarray(prior_sd, jnp.float32), jnp.asarray(Y), keys)
        precision = 10 + prior_sd**-2
        mean = Y.sum(1) / precision[:, None]
        assert fits.q.loc.shape == (4, 3, 2, 1)
        np.testing.assert_allclose(
            fits.q.loc[..., 0], np.repeat(mean[..., None], 2, -1), atol=1e-3
        )
        sd = np.broadcast_to(precision[:, None, None] ** -0.5, (4, 3, 2))
        np.testing.assert_allclose(jnp.exp(fits.q.log_scale[..., 0]), sd, rtol=2e-3)
        assert (fits.status == 0).all()
        count = TRACES.setdefault("after first", TRACES["count"])
        assert TRACES["count"] == count


SCRIPT = """
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from vijax import vi


def model(x, y):
    w = numpyro.sample("w", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ w).to_event(1), obs=y)


rng = np.random.default_rng(0)
x = rng.normal(size=(800, 3)).astype(np.float32)
y = (rng.random(800) < 1 / (1 + np.exp(-x @ np.array([1.0, -1.0, 0.5])))) * 1.0
rows = NamedSharding(Mesh(np.array(jax.devices()), ("rows",)), PartitionSpec("rows"))
assert len(jax.devices()) == 8
sharded = [jax.device_put(a.astype(np.float32), rows) for a in (x, y)]
assert len(sharded[0].sharding.device_set) == 8
for method in ("auto", vi.Stochastic(start="init")):
    fits = [
        vi.fit(vi.from_numpyro(model, *data), jax.random.key(0), method=method)
        for data in ((x, y.astype(np.float32)), sharded)
    ]
    one, eight = fits
    assert one.verdict == eight.verdict == "converged"
    sd = one.q.scale()
    shift = (eight.q.loc - one.q.loc) / sd
    np.testing.assert_allclose(shift, 0.0, atol=2e-3)
    np.testing.assert_allclose(eight.q.scale() / sd, 1.0, atol=2e-3)
    np.testing.assert_allclose(eight.elbo, one.elbo, atol=1e-2)
print("equal")
"""


@pytest.mark.slow
def test_eight_devices_give_what_one_gives():
    root = Path(__file__).parents[3]
    environment = os.environ | {
        "PYTHONPATH": str(root),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert result.stdout.strip() == "equal", result.stderr[-2000:]
