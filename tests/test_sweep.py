"""Sweeps: rows and batches, any pytree, several devices, sums of shards."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax import sweep as module
from vijax.bayes import beta_binomial, gamma_poisson
from vijax.bayes.conjugate import streaming
from vijax.sweep import sweep

ROOT = Path(__file__).parents[1]


def square(row):
    return {"square": row["x"] ** 2 + row["shift"], "pair": (row["x"], -row["x"])}


@pytest.mark.parametrize("batch_size", [None, 1, 3, 7, 100])
def test_rows_in_any_batches(batch_size):
    grid = {"x": np.arange(7.0, dtype=np.float32), "shift": 0.5}
    result = sweep(square, grid, batch_size=batch_size)
    np.testing.assert_array_equal(result["square"], grid["x"] ** 2 + 0.5)
    np.testing.assert_array_equal(result["pair"][1], -grid["x"])


def posterior(row):
    prior, key = row
    return beta_binomial.posterior(prior, 10.0, 14.0), jax.random.uniform(key)


@pytest.mark.thorough
def test_distributions_and_keys_are_rows():
    a = jnp.arange(1.0, 6.0)
    keys = jax.random.split(jax.random.key(0), 5)
    result, uniform = sweep(posterior, (dist.Beta(a, 2.0 * jnp.ones(5)), keys))
    assert result.batch_shape == (5,)
    np.testing.assert_array_equal(result.concentration1, a + 10)
    np.testing.assert_array_equal(uniform, jax.vmap(jax.random.uniform)(keys))
    np.testing.assert_allclose(result.mean, (a + 10) / (a + 16), rtol=1e-6)


def test_memory_bounds_the_batch(monkeypatch):
    sizes = []

    def wide(x):
        sizes.append(x)
        return jnp.full(1000, x)

    monkeypatch.setattr(module, "BYTES_PER_DEVICE", 1 << 20)
    result = sweep(wide, np.arange(500.0, dtype=np.float32))
    assert result.shape == (500, 1000)
    np.testing.assert_array_equal(result[:, 7], np.arange(500.0))
    assert (
        len(sizes) == 2
    )  # compiled for all rows, then for what fits; traced once each


def test_a_second_sweep_compiles_nothing():
    traces = []

    def counted(x):
        traces.append(x)
        return x + 1

    for _ in range(2):
        sweep(counted, np.arange(10.0, dtype=np.float32), batch_size=4)
    assert len(traces) == 1


def itself(row):
    return row


@pytest.mark.parametrize(
    ("function", "grid", "batch_size", "message"),
    [
        (itself, {"a": np.ones(3), "b": np.ones(4)}, None, "grid"),
        (itself, {"a": 1.0}, None, "grid"),
        (itself, np.ones(0), None, "at least one row"),
        (itself, np.array(["a"]), None, "give numbers"),
        (itself, np.ones(3), 0, "batch_size = 0"),
        (itself, np.ones(3), 1.5, "batch_size = 1.5"),
        (3, np.ones(3), None, "fn is a int"),
    ],
)
def test_bad_input(function, grid, batch_size, message, as_users_do):
    with pytest.raises(ValueError, match=message):
        sweep(function, grid, batch_size=batch_size)


CODE = """
import jax, numpy as np, sys
import numpyro.distributions as dist
from vijax.bayes import beta_binomial, intervals
from vijax.sweep import sweep
def row(shape):
    prior = dist.Beta(*shape)
    posterior = beta_binomial.posterior(prior, 10.0, 14.0)
    evidence = beta_binomial.log_evidence(prior, 10.0, 14.0)
    return (evidence, *intervals.credible_interval(posterior))
shapes = np.exp(np.random.default_rng(0).uniform(-2, 4, (2, 1003)))
with jax.enable_x64(True):
    result = np.stack(sweep(row, tuple(shapes), batch_size=256))
assert result.dtype == np.float64 and jax.device_count() == int(sys.argv[1])
sys.stdout.write(result.tobytes().hex())
"""


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one(monkeypatch):
    results = []
    for number in (1, 8):
        flag = f"--xla_force_host_platform_device_count={number}"
        monkeypatch.setenv("XLA_FLAGS", flag)
        monkeypatch.setenv("JAX_PLATFORMS", "cpu")
        run = subprocess.run(
            [sys.executable, "-c", CODE, str(number)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        results.append(np.frombuffer(bytes.fromhex(run.stdout)).reshape(3, 1003))
    assert np.isfinite(results[0]).all()
    # One device has shards of 256 rows, eight of 32: the compiler's choice, last digit.
    np.testing.assert_allclose(results[1], results[0], rtol=2e-15)


@pytest.mark.thorough
def test_sufficient_statistics_of_shards_add_bitwise(key):
    """Eight million events in float32, in shards: the same bits as all at once."""
    trials = np.full((8, 1000), 2000.0, np.float32)
    successes = np.asarray(jax.random.randint(key, trials.shape, 0, 2001), np.float32)
    shards = jax.vmap(beta_binomial.sufficient_statistics)(successes, trials)
    at_once = beta_binomial.sufficient_statistics(successes.ravel(), trials.ravel())
    for one, two in zip(streaming.total(shards), at_once, strict=True):
        np.testing.assert_array_equal(one, two)
    backwards = jax.tree.map(lambda leaf: leaf[::-1], shards)
    for one, two in zip(streaming.total(backwards), at_once, strict=True):
        np.testing.assert_array_equal(one, two)
    counts = successes.astype(np.float32)
    parts = jax.vmap(gamma_poisson.sufficient_statistics)(counts)
    whole = gamma_poisson.sufficient_statistics(counts.ravel())
    for one, two in zip(streaming.total(parts), whole, strict=True):
        np.testing.assert_array_equal(one, two)
