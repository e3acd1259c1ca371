r"""A jit for programs that run for milliseconds: compiled with little optimisation.

A fit by fixed draws runs for some hundredths of a second, and for that XLA optimises
its program for seconds. Measured on two cores, float32, posteriors of posteriordb:

                            compile                run
    XLA's default           1.9 – 2.4 s            0.005 – 0.3 s
    little optimisation     0.4 – 0.8 s            0.02 – 0.5 s

Work that is larger, other devices, and whoever compiles or vmaps a fit himself get
XLA's default.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vijax.validate import is_traced

OPTIONS = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
MAX_WORK = 2**27  # numbers that a run touches: data times draws times passes


def quick_jit(
    function: Callable[..., Any], static_argnums: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Return `jax.jit(function)` that asks its caller for the `work` of a call.

    Example:
        >>> double = quick_jit(lambda x: 2 * x)
        >>> double(3.0, work=1).item()
        6.0
    """
    usual = jax.jit(function, static_argnums=static_argnums)
    quick = jax.jit(function, static_argnums=static_argnums, compiler_options=OPTIONS)

    @wraps(function)
    def call(*args: Any, work: int) -> Any:
        little = work <= MAX_WORK and _options_are_known()
        # Inside a trace even a constant is traced, and XLA takes options outside only.
        little = little and not is_traced(args, jnp.zeros(()))
        return (quick if little else usual)(*args)

    return call


def work(data: PyTree, num_draws: int) -> int:
    """Return the numbers that the log density touches at so many positions."""
    size = max([1, *(int(np.size(leaf)) for leaf in jax.tree.leaves(data))])
    return size * num_draws


@cache
def _options_are_known() -> bool:
    """Say whether this is a CPU whose XLA has the options: another version may not."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda x: x, compiler_options=OPTIONS)(0.0)
    except (RuntimeError, ValueError):
        return False
    return True
