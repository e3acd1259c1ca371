"""Run the pages' code before the pages are read: at once, warm and compiled lightly.

Sphinx would run it while it reads, in a few large chunks of unequal work. Here each
page starts as soon as a core is free, the longest first; the outputs go into MyST-NB's
cache, where the reading finds them. Since most of a page's time is the compilation of
programs that run for milliseconds, they are compiled with little optimisation, once for
all pages. A page that reads a clock is left to the reading, and run as users run it.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).parents[2]
CELL = "\n```{code-cell}"
CLOCK = "perf_counter"
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / "build" / "docs" / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
FLAGS = (  # of the tests too, see Makefile
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def run_first(texts: dict[str, str]) -> list[str]:
    r"""Return the pages whose code is run beforehand, those with most of it first.

    Example:
        >>> cell = "\n```{code-cell}\n1 + 1"
        >>> timed = cell + " + time.perf_counter()"
        >>> run_first({"short": cell, "words": "1", "long": 2 * cell, "timed": timed})
        ['long', 'short']
    """
    cells = {page: text.count(CELL) for page, text in texts.items()}
    chosen = [page for page, text in texts.items() if cells[page] and CLOCK not in text]
    return sorted(chosen, key=lambda page: -cells[page])


def environment() -> dict[str, str]:
    """Return the variables of kernels whose programs are compiled lightly."""
    # In a process of its own: this one is forked later on, which JAX would not survive.
    ask = [sys.executable, str(ROOT / "tests" / "xla_flags.py"), *FLAGS]
    known = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    flags = f"{os.environ.get('XLA_FLAGS', '')} {known}".strip()
    return CACHE | {"XLA_FLAGS": flags}


def _run(app: "Sphinx", env: "BuildEnvironment", docnames: list[str]) -> None:
    # The tests' environment, which reads this file, has no Jupyter.
    from jupyter_cache import get_cache
    from myst_nb.core.execute import create_client
    from myst_nb.core.read import create_nb_reader
    from sphinx.util import logging
    from warm_kernels import warm_kernels

    paths = {page: env.doc2path(page) for page in docnames}
    texts = {page: path.read_text("utf-8") for page, path in paths.items()}
    pages = run_first(texts)
    if not pages:
        return
    config, logger = env.mystnb_config, logging.getLogger(__name__)

    def run(page: str) -> None:
        path = str(paths[page])
        reader = create_nb_reader(path, env.myst_config, config, texts[page])
        if reader is None:
            raise ValueError(f"{path} has code cells: begin it as the other pages do")
        notebook = reader.read(texts[page])
        with create_client(notebook, path, config, logger, reader.read_fmt):
            pass  # it has run, and its outputs are in the cache

    get_cache(config.execution_cache_path).db.dispose()  # made by one thread
    with warm_kernels(environment()), ThreadPoolExecutor(app.parallel) as pool:
        for _ in pool.map(run, pages):
            pass  # an error is raised here


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("env-before-read-docs", _run)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
