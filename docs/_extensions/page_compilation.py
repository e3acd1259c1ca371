"""Run the pages' code with programs that are compiled lightly, for a page runs once.

Most of a page's time is the compilation of programs that run for milliseconds. With
little optimisation the pages take about half of the time, and an eighth less where they
share what they compile. A page that reads a clock is left as users have it.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CLOCK = "perf_counter"
SHARED = Path(__file__).parents[2] / "build" / "docs" / "compiled"
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(SHARED),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
# In a process of its own: the site's are forked, which JAX's threads do not survive.
ASK = """
from vijax.vi.engine.compilation import known_options
print(*(f"--{name}={value}".lower() for name, value in known_options().items()))
"""


@cache
def known_flags() -> str:
    """Return the options that this XLA knows, as XLA_FLAGS has them."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def environment(source: str, usual: str) -> dict[str, str | None]:
    """Return the variables for a page of this text; None where one is not set.

    Example:
        >>> environment("begin = time.perf_counter()", "--xla_foo=1")["XLA_FLAGS"]
        '--xla_foo=1'
    """
    if CLOCK in source:
        return {"XLA_FLAGS": usual} | dict.fromkeys(CACHE)
    return {"XLA_FLAGS": f"{usual} {known_flags()}".strip()} | CACHE


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx: a page's kernel starts after this, in the same process."""
    usual = os.environ.get("XLA_FLAGS", "")
    known_flags()  # once, before the site's processes are forked

    def choose(app: "Sphinx", docname: str, source: list[str]) -> None:
        for name, value in environment(source[0], usual).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    app.connect("source-read", choose)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
