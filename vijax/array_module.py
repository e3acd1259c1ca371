"""NumPy outside of a trace, jax.numpy inside: one text for both.

Statistics of a few thousand numbers take microseconds in NumPy, and half a second to
compile. A function that begins with `xp = array_module(x)` compiles nothing when it is
called with arrays that are there, and can still be compiled, mapped and differentiated.
"""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from vijax.validate import is_traced


def array_module(*values: Any) -> Any:
    """Return jax.numpy where any leaf of the values is traced, else NumPy.

    Example:
        >>> array_module(np.ones(2)).__name__
        'numpy'
    """
    module: ModuleType = jnp if is_traced(values) else np
    return module


def cholesky(matrix: Any) -> Any:
    """Return the lower Cholesky factor; NaN where the matrix is not positive definite.

    So it is in JAX; NumPy alone would raise.

    Example:
        >>> cholesky(np.diag([1.0, 4.0])).tolist(), cholesky(-np.eye(1))
        ([[1.0, 0.0], [0.0, 2.0]], array([[nan]]))
    """
    xp = array_module(matrix)
    try:
        return xp.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.nan * matrix


def eigh(matrix: Any) -> tuple[Any, Any]:
    """Return eigenvalues and vectors of a symmetric matrix; NaN where it is not finite.

    So it is in JAX; NumPy alone would raise.

    Example:
        >>> eigh(np.diag([1.0, 2.0]))[0].tolist(), eigh(np.full((1, 1), np.nan))[0]
        ([1.0, 2.0], array([nan]))
    """
    xp = array_module(matrix)
    if xp is np and not np.all(np.isfinite(matrix)):
        return np.nan * matrix[0], np.nan * matrix
    values, vectors = xp.linalg.eigh(matrix)
    return values, vectors
