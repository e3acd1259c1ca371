"""NumPy's linear algebra on one thread while a fit runs.

The matrices that a fit hands to NumPy are small. After a product that it has shared
out, OpenBLAS keeps its threads awake for more, on the cores that XLA computes on: of a
later call of the default fit (1,000 rows, 20 unknowns, two cores) that took 15 to 20 %.
"""

from collections.abc import Callable
from functools import cache, wraps
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Function = TypeVar("Function", bound=Callable[..., Any])


class _OneThread:
    """A context that may be entered many times, by several threads of Python."""

    def __init__(self) -> None:
        self.lock, self.depth = Lock(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            self.depth += 1
            if self.depth == 1:
                self.limit = _libraries().limit(limits=1)

    def __exit__(self, *about: object) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                self.limit.restore_original_limits()


@cache
def _libraries() -> Any:
    return ThreadpoolController().select(user_api="blas")


_one_thread = _OneThread()


def on_one_thread(function: Function) -> Function:
    """Run a function with BLAS on one thread, and leave BLAS as it was.

    Example:
        >>> @on_one_thread
        ... def threads():
        ...     return {library["num_threads"] for library in _libraries().info()}
        >>> threads() <= {1}
        True
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _one_thread:
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]
