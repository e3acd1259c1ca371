"""Fits in parts: the whole fit's numbers, and after a kill the same bits."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vijax import checkpoint, vi
from vijax.fingerprint import fingerprint
from vijax.vi.methods.checkpointed import describe

SCRIPT = """
import sys
import jax
import jax.numpy as jnp
from vijax import vi


def log_density(u, y):
    return -0.5 * jnp.sum((u - y) ** 2) - jnp.sum(jnp.cosh(u))


target = vi.from_log_density(log_density, jnp.zeros(3), jnp.array([1.0, 2.0, 3.0]))
fit = vi.fit(
    target,
    jax.random.key(0),
    method=vi.Stochastic(start="init", num_steps=int(sys.argv[2])),
    tolerance=1e-6,
    checkpoint=sys.argv[1],
)
print(*(x.tobytes().hex() for x in map(jax.device_get, (*fit.q, fit.losses))))
"""


def log_density(u, y):
    return -0.5 * jnp.sum((u - y) ** 2) - jnp.sum(jnp.cosh(u))


def make(shift=0.0):
    data = jnp.array([1.0, 2.0, 3.0]) + shift
    return vi.from_log_density(log_density, jnp.zeros(3), data)


METHOD = vi.Stochastic(start="init", num_steps=4000)


@pytest.fixture(scope="module")
def whole():
    """A fit that leaves no checkpoint."""
    return vi.fit(make(), jax.random.key(0), method=METHOD)


@pytest.fixture
def finished(tmp_path, key):
    """The folder of a fit that ran to its end."""
    vi.fit(make(), key, method=METHOD, checkpoint=tmp_path)
    return tmp_path


def test_a_fit_with_checkpoints_is_the_same_fit(whole, key, tmp_path):
    parts = vi.fit(make(), key, method=METHOD, checkpoint=tmp_path)
    np.testing.assert_array_equal(parts.losses, whole.losses)
    np.testing.assert_array_equal(parts.q.loc, whole.q.loc)
    assert checkpoint.latest(tmp_path) == whole.num_steps // 25


def test_an_interrupted_fit_resumes_where_it_was(whole, key, tmp_path, monkeypatch):
    real, saved = checkpoint.save, []

    def save(*args, **kwargs):
        real(*args, **kwargs)
        saved.append(kwargs["step"])
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(KeyboardInterrupt):
        vi.fit(make(), key, method=METHOD, checkpoint=tmp_path)
    again = vi.fit(make(), key, method=METHOD, checkpoint=tmp_path)
    assert saved == [40, whole.num_steps // 25]
    np.testing.assert_array_equal(again.losses, whole.losses)
    np.testing.assert_array_equal(again.q.log_scale, whole.q.log_scale)


def test_a_finished_fit_is_returned_for_the_same_optimizer_made_anew(
    whole, key, finished
):
    method = replace(METHOD, optimizer=optax.adam(0.05))
    same = vi.fit(make(), key, method=method, checkpoint=finished)
    np.testing.assert_array_equal(same.losses, whole.losses)


def late(step_size):
    return optax.piecewise_constant_schedule(step_size, {1_000_000: 0.5})


def test_a_checkpoint_of_other_data_or_another_key_is_refused(key, finished):
    with pytest.raises(ValueError, match="another run's checkpoint: data"):
        vi.fit(make(1.0), key, method=METHOD, checkpoint=finished)
    with pytest.raises(ValueError, match="another run's checkpoint: key"):
        vi.fit(make(), jax.random.key(1), method=METHOD, checkpoint=finished)


def test_a_checkpoint_of_another_optimizer_is_refused(key, finished):
    for other in (optax.adam(0.051), optax.sgd(0.05), optax.adam(late(0.05))):
        method = replace(METHOD, optimizer=other)
        with pytest.raises(ValueError, match="another run's checkpoint: optimizer"):
            vi.fit(make(), key, method=method, checkpoint=finished)


def test_what_a_checkpoint_is_about(key):
    def other(u, y):
        return log_density(u, y) - 1.0

    base = describe(make(), key, tolerance=0.1)
    changed = {
        "data": describe(make(1.0), key, tolerance=0.1),
        "model": describe(
            vi.from_log_density(other, jnp.zeros(3), jnp.array([1.0, 2.0, 3.0])),
            key,
            tolerance=0.1,
        ),
        "positive": describe(make().with_positive("softplus"), key, tolerance=0.1),
        "key": describe(make(), jax.random.key(1), tolerance=0.1),
        "tolerance": describe(make(), key, tolerance=0.2),
    }
    for name, about in changed.items():
        assert {part for part in base if base[part] != about[part]} == {name}


def test_fingerprint_sees_code_closures_and_late_schedules():
    def scaled(factor):
        return lambda x: factor * x

    def shifted(factor):
        return lambda x: factor + x

    things = [
        scaled(2.0),
        scaled(3.0),
        scaled(np.arange(3)),
        scaled(np.arange(3) + 1),
        shifted(2.0),
        partial(max, 1),
        partial(max, 2),
        optax.adam(optax.piecewise_constant_schedule(0.1, {1_000_000: 0.5})),
        optax.adam(optax.piecewise_constant_schedule(0.1, {1_000_000: 0.4})),
        optax.adam(0.1, b1=0.8),
        optax.adam(0.1),
        jax.jit(scaled(2.0)),
        jax.jit(scaled(3.0)),
    ]
    assert len({fingerprint(thing) for thing in things}) == len(things)
    assert fingerprint(scaled(2.0)) == fingerprint(scaled(2.0))
    assert fingerprint(optax.adam(0.1)) == fingerprint(optax.adam(0.1))


@pytest.mark.slow
def test_kill_and_resume_give_the_same_bits(tmp_path):
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}

    def command(folder):
        return [sys.executable, "-c", SCRIPT, str(folder), "60000"]

    def finish(folder):
        return subprocess.run(
            command(folder), env=environment, capture_output=True, text=True, check=True
        ).stdout

    expected = finish(tmp_path / "whole")
    folder = tmp_path / "killed"
    process = subprocess.Popen(command(folder), env=environment)
    while checkpoint.latest(folder) is None:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.latest(folder) < 60000 // 25
    assert finish(folder) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"method": "fixed_draws"},
        {"family": "laplace"},
        {"method": vi.Stochastic(stop=False)},
    ],
)
def test_where_there_are_no_parts_they_are_refused(key, options):
    with pytest.raises(ValueError, match="progress and checkpoint are not valid"):
        vi.fit(make(), key, progress=True, **options)
