"""Jupyter kernels that are forked from a process in which the packages are loaded.

    with warm_kernels({"XLA_FLAGS": "…"}):
        …  # notebooks that are run here have such kernels, with these variables

A kernel that loads JAX, NumPyro, Matplotlib and vijax by itself takes two to four
seconds to do so. The process that is forked has loaded them and run nothing, for JAX's
threads would not survive.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any

from jupyter_client.provisioning.factory import EntryPoint, KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

LOADED = ["ipykernel.kernelapp", "jax", "matplotlib.pyplot", "numpyro.distributions"]
LOADED += [f"vijax.{room}" for room in ("bayes", "metrics", "plot", "vae", "vi")]
FIGURES = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
KERNELS = multiprocessing.get_context("forkserver")
NAME = "warm"


def serve(options: list[str], folder: str) -> None:
    """Be the kernel of a notebook, in a process of its own."""
    from ipykernel.kernelapp import IPKernelApp

    os.chdir(folder)
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # it ends when this one does
    IPKernelApp.launch_instance([*options, parent])
    os._exit(0)  # its streams are closed: multiprocessing could not flush them


class Forked:
    """What Jupyter asks of a kernel's process."""

    stdin = stdout = stderr = None

    def __init__(self, process: ForkServerProcess) -> None:
        process.start()
        self.pid, self._process = process.pid, process
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        """Return how it ended; None where it runs."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Return how it ended, when it has."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, and to no other process."""
        os.kill(self.pid, number)


class WarmKernel(LocalProvisioner):
    """Starts kernels in which the packages are loaded."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel; the command's options are what follows `-m module`."""
        arguments = cmd[cmd.index("-m") + 2 :], kwargs["cwd"]
        process = KERNELS.Process(target=serve, args=arguments, daemon=True)
        self.process = Forked(process)
        self.pid = self.process.pid
        return self.connection_info


@contextmanager
def warm_kernels(variables: Mapping[str, str]) -> Iterator[None]:
    """Let Jupyter start such kernels, with these variables, until this ends."""
    factory, usual = KernelProvisionerFactory.instance(), os.environ.copy()
    place = EntryPoint(NAME, f"{__name__}:{WarmKernel.__name__}", factory.GROUP_NAME)
    factory.provisioners[NAME] = place
    before, factory.default_provisioner_name = factory.default_provisioner_name, NAME
    KERNELS.set_forkserver_preload([__name__, *LOADED])
    os.environ.update(FIGURES | variables)
    try:
        yield
    finally:
        factory.default_provisioner_name = before
        os.environ.clear()
        os.environ.update(usual)
