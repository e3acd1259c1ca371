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
