"""NumPyro's handlers around a caller: a model's runs are apart from them.

A target is one function of the unknowns, wherever it is called. Without this, a log
density that is called inside another NumPyro model would leave its sites among that
model's own, and a target made inside `with handlers.condition(…)` would be fitted to
another model than the one it was made of.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from numpyro import handlers
from numpyro.primitives import _PYRO_STACK

from vijax.vi.targets.target import TargetError

F = TypeVar("F", bound=Callable[..., Any])
HARMLESS = (handlers.seed, handlers.trace, handlers.block)  # a target needs none


def apart(function: F) -> F:
    """Return the function; the handlers around a call neither see nor change it.

    Example:
        >>> import numpyro
        >>> with handlers.trace() as seen:
        ...     apart(numpyro.deterministic)("x", 1.0)
        1.0
        >>> len(seen)
        0
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with handlers.block():
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def refuse() -> None:
    """Raise a TargetError inside handlers that would make another model."""
    for handler in _PYRO_STACK:
        if not isinstance(handler, HARMLESS):
            name = type(handler).__name__
            raise TargetError(
                f"a target is made inside of NumPyro's handler {name}, which the fit "
                "would not see: give the model under it, as in "
                "handlers.condition(model, data=…), and call outside"
            )
