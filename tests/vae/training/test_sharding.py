"""A run on many devices is the run on one."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from vijax.vae import models, training

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import json, os, sys, jax, numpy as np
from vijax import data
from vijax.vae import models, training
from vijax.vae.models import losses
address, index, epochs, folder = sys.argv[1:]
if address:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=int(index))
mesh = None
if jax.device_count() > 1:
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
model = models.vae((8, 8), hidden=(32,))
trained = training.fit(
    model, jax.random.key(0), data.load("digits").train[:512],
    epochs=int(epochs), batch_size=64,
    optimizer=training.Adam(1e-3, final_fraction=1.0), checkpoint=folder or None,
    loss=losses.negative_elbo(model, num_samples=2), kl_warm_up=1, mesh=mesh,
)
params = [np.asarray(leaf).ravel().tolist() for leaf in jax.tree.leaves(trained.params)]
print(json.dumps([jax.device_count(), trained.loss.tolist(), params]))
"""


def start(
    flags: str, address: str = "", index: int = 0, epochs: int = 3, folder: str = ""
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, address, str(index), str(epochs), folder],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen) -> tuple[int, np.ndarray, np.ndarray]:
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0
    devices, loss, params = json.loads(output.splitlines()[-1])
    return devices, np.array(loss), np.concatenate(params)


@pytest.fixture(scope="module")
def one() -> tuple[int, np.ndarray, np.ndarray]:
    return result(start(""))


def assert_same(left, right) -> None:
    np.testing.assert_allclose(left[1], right[1], rtol=1e-6)
    # Adam divides by gradients near zero: rounding may show in single parameters.
    np.testing.assert_allclose(left[2], right[2], atol=1e-4)


@pytest.mark.slow
def test_eight_devices(one):
    eight = result(start("--xla_force_host_platform_device_count=8"))
    assert (one[0], eight[0]) == (1, 8)
    assert_same(eight, one)


def two_processes(epochs: int = 3, folders: tuple[str, str] = ("", "")) -> list:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [start("", address, index, epochs, folders[index]) for index in range(2)]
    with ThreadPoolExecutor() as pool:  # each waits for the other, and for its reader
        return list(pool.map(result, both))


@pytest.mark.slow
def test_two_processes(one, tmp_path):
    whole = two_processes()
    for found in whole:
        assert found[0] == 2
        assert_same(found, one)
    # One checkpoint a run: the second process has no disk that it could write to.
    folders = str(tmp_path / "run"), "/dev/null/none"
    two_processes(2, folders)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"2", ".lock"}
    for found, expected in zip(two_processes(3, folders), whole, strict=True):
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[2], expected[2])


def test_a_batch_that_cannot_be_split():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1] * 3), ("data",))
    with pytest.raises(ValueError, match=r"batch_size = 64 .*multiple of .* axis, 3"):
        training.fit(
            models.vae((8, 8), hidden=(4,)),
            jax.random.key(0),
            np.zeros((100, 8, 8)),
            epochs=1,
            batch_size=64,
            mesh=mesh,
        )
