"""Run the pages' code with programs that are compiled lightly, for a page runs once.

Most of a page's time is the compilation of programs that run for milliseconds; with
little optimisation the pages take about half of the time. A page that reads a clock is
left as users have it.
"""

import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CLOCK = "perf_counter"
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


def flags(source: str, usual: str) -> str:
    """Return XLA_FLAGS for a page of this text.

    Example:
        >>> flags("begin = time.perf_counter()", "--xla_foo=1")
        '--xla_foo=1'
    """
    return usual if CLOCK in source else f"{usual} {known_flags()}".strip()


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx: a page's kernel starts after this, in the same process."""
    usual = os.environ.get("XLA_FLAGS", "")
    known_flags()  # once, before the site's processes are forked

    def choose(app: "Sphinx", docname: str, source: list[str]) -> None:
        os.environ["XLA_FLAGS"] = flags(source[0], usual)

    app.connect("source-read", choose)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
