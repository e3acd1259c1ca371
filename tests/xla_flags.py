"""Print those of the given XLA flags that the installed XLA knows.

    XLA_FLAGS="$(python tests/xla_flags.py --xla_one=0 --xla_two=false)"

XLA kills a process at its first compilation for a name in XLA_FLAGS that it does not
know, and names come and go from one version to the next. So each is tried in a process
of its own first, unless all together pass.
"""

import os
import subprocess
import sys

COMPILE = "import jax; jax.jit(lambda x: x + 1)(0.0)"


def are_known(*flags: str) -> bool:
    """Say whether a process with these flags compiles."""
    environment = os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", COMPILE]
    return not subprocess.run(command, env=environment, capture_output=True).returncode


def known(flags: list[str]) -> list[str]:
    """Return the flags that are known, in their order."""
    return flags if are_known(*flags) else [flag for flag in flags if are_known(flag)]


if __name__ == "__main__":
    print(*known(sys.argv[1:]))
