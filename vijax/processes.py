"""Runs of several processes (`jax.distributed`): what they tell each other on the host.

    gathered(array)          the arrays of all processes, stacked
    from_first(function)     bytes that the first process alone makes, in all of them

All processes must call these functions, in the same order. In a run of one process they
cost nothing.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

FINE, VALUE_ERROR, OS_ERROR = range(3)


def is_first() -> bool:
    """Say whether this process is the first, which writes files.

    Example:
        >>> is_first()
        True
    """
    return jax.process_index() == 0


def gathered(array: np.ndarray) -> np.ndarray:
    """Return the arrays of all processes, of one shape and type, stacked.

    Example:
        >>> gathered(np.arange(3)).tolist()
        [[0, 1, 2]]
    """
    if jax.process_count() == 1:
        return array[None]
    # As bytes, for JAX has no 64 bits where it is not asked for them.
    flat = np.frombuffer(array.tobytes(), np.uint8)
    whole = np.asarray(multihost_utils.process_allgather(flat))
    return np.frombuffer(whole.tobytes(), array.dtype).reshape(-1, *array.shape)


def from_first(function: Callable[[], bytes]) -> bytes:
    """Call a function in the first process, and return what it makes in all.

    Raises:
        ValueError: where the function raises one, in all processes.
        OSError: likewise.

    Example:
        >>> from_first(lambda: b"read from a file")
        b'read from a file'
    """
    if jax.process_count() == 1:
        return function()
    kind, made = FINE, b""
    if is_first():
        try:
            made = function()
        except ValueError as error:
            kind, made = VALUE_ERROR, str(error).encode()
        except OSError as error:
            kind, made = OS_ERROR, str(error).encode()
    told = gathered(np.array([kind, len(made)], np.int64))[0]
    kind, length = int(told[0]), int(told[1])
    content = np.zeros(length, np.uint8)
    if is_first():
        content = np.frombuffer(made, np.uint8)
    made = gathered(content)[0].tobytes() if length else b""
    if kind == FINE:
        return made
    raise (ValueError if kind == VALUE_ERROR else OSError)(made.decode())
