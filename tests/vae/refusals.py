"""Tables of what a function refuses: `refuses(message, function, *arguments)`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest


def refuses(
    says: str, function: Callable[..., Any], *args: Any, **settings: Any
) -> Any:
    """Return a case for `parametrize`: (call, says), the call raises and says so.

    The call is not made here. What its arguments need is, so they must be valid.
    """
    call = partial(function, *args, **settings)
    return pytest.param(call, says, id=f"{function.__name__}: {says}")
