"""Sufficient statistics of batches and of shards add up to those of all the data."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.bayes.cases import CASES, problems
from tests.cases import slow_except
from vijax.bayes.conjugate import streaming

ROOT = Path(__file__).parents[3]
RUNS = settings(max_examples=5, deadline=None, derandomize=True, database=None)
COUNTS = {"beta", "dirichlet", "pareto"}  # whole posteriors that agree bit for bit
COUNTED = {"counts", "num_data", "num_times"}  # and single statistics


def of(name, data):
    """Return the sufficient statistics of some rows of the data."""
    more = {"num_categories": 3} if name == "dirichlet_categorical" else {}
    return CASES[name].family.sufficient_statistics(**data, **more)


@cache
def compiled(name):
    """Return the statistics and the update of one family, compiled."""
    case = CASES[name]
    return jax.jit(lambda data: of(name, data)), jax.jit(
        lambda parameters, each: case.family.update(
            case.prior(*parameters), each, **case.fixed()
        )
    )


def eight_rows(data):
    return {site: np.concatenate([rows, rows[::-1]]) for site, rows in data.items()}


def assert_same(name, added, at_once, parameters):
    _, update = compiled(name)
    posteriors = (
        jax.tree.leaves(update(parameters, each)) for each in (added, at_once)
    )
    is_count = name.split("_")[0] in COUNTS
    for one, two in zip(*posteriors, strict=True):
        if is_count:
            np.testing.assert_array_equal(one, two)
        else:
            np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-11)
    for field in COUNTED & set(at_once._fields):
        np.testing.assert_array_equal(getattr(added, field), getattr(at_once, field))


def check(name, add):
    @RUNS
    @given(problem=problems(CASES[name]))
    def run(problem):
        parameters, data = problem
        data = eight_rows(data)
        assert_same(name, add(data), compiled(name)[0](data), parameters)

    with jax.enable_x64(True):
        run()


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_stream_of_batches(name):
    def add(data):
        batches = ({k: v[i:j] for k, v in data.items()} for i, j in [(0, 1), (1, 6)])
        statistics_of, _ = compiled(name)
        total = statistics_of({k: v[6:] for k, v in data.items()})
        for batch in batches:
            total = total + statistics_of(batch)
        return total

    check(name, add)


@pytest.mark.parametrize("name", slow_except({"linear_regression"}, sorted(CASES)))
def test_shards_of_all_devices(name):
    """Each device computes the statistics of its rows alone; then they are added."""
    devices = jax.devices()
    mesh = Mesh(np.array(devices), "shards")
    each = NamedSharding(mesh, PartitionSpec("shards"))
    # One program for each family: several rows a shard, one shard a device at least.
    by_shard = jax.jit(jax.vmap(lambda data: of(name, data)), out_shardings=each)

    def add(data):
        shards = {k: v.reshape(8, 1, *v.shape[1:]) for k, v in data.items()}
        stacked = by_shard(jax.device_put(shards, each))
        first = jax.tree.leaves(stacked)[0]
        assert len(first.sharding.device_set) == len(devices)
        return streaming.total(jax.device_get(stacked))

    check(name, add)


@pytest.mark.slow
def test_shards_on_eight_devices():
    flags = os.environ.get("XLA_FLAGS", "")
    environment = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    test = f"{Path(__file__).relative_to(ROOT)}::test_shards_of_all_devices"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:xdist", test],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert run.returncode == 0, run.stdout
    assert f"{len(CASES)} passed" in run.stdout
