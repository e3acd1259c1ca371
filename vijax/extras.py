"""Optional dependencies: imported when they are needed, or named with their remedy.

The library itself needs JAX and a few packages beside it. What only some users want
(data sets, figures, ArviZ) is installed as an extra, from a checkout of this project.
"""

from importlib import import_module
from typing import Any


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import an optional dependency and return the module.

    Args:
        module: its import name, such as `sklearn.datasets`.
        extra: the extra of pyproject.toml that installs it.
        purpose: what needs it; the error begins with this.

    Raises:
        ImportError: it is not installed; the text says how to install it from here.

    Example:
        >>> require("math", extra="data", purpose="this example").sqrt(4.0)
        2.0
        >>> require("not_there", extra="data", purpose="vijax.data")
        Traceback (most recent call last):
        ...
        ImportError: vijax.data needs not_there: in the checkout of vijax run ...
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # it is there, and something that it needs is not
        raise ImportError(
            f"{purpose} needs {package}: in the checkout of vijax run "
            f"pip install -e '.[{extra}]'"
        ) from error
