"""Put MathJax into the site, so that formulas need no network.

The files are those of the package sphinx-mathjax-offline. Its own extension does not
say that pages may be read in parallel, and Sphinx would read them one by one.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "sphinx-mathjax-offline"


def _copy(app: "Sphinx", exception: Exception | None) -> None:
    from sphinx.util.fileutil import copy_asset

    spec = find_spec(PACKAGE)
    if exception is None and spec is not None and spec.origin is not None:
        source = Path(spec.origin).parent / "static" / "mathjax"
        copy_asset(source, Path(app.outdir) / "_static" / "mathjax")


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
