r"""A jit for programs that run for milliseconds: compiled with little optimisation.

A fit by fixed draws runs for some hundredths of a second, and for that XLA optimises
its program for seconds. Measured on two cores, float32, posteriors of posteriordb:

                            compile                run
    XLA's default           1.9 – 2.4 s            0.005 – 0.3 s
    `LITTLE` optimisation   0.4 – 0.8 s            0.02 – 0.5 s

In a loop of small steps only the emitters of fused kernels are slow. A logistic
regression of 1000 and 20000 rows, microseconds for a step of so many draws:

                            compile      1000 × 1    × 8     20000 × 1    × 8
    XLA's default           0.7 – 1 s           10    56           144    680
    `PLAIN_KERNELS`         0.3 – 0.5 s         10    92           163   1340
    `PLAIN_LOOP`            0.3 – 0.4 s          7

Work that is larger, other devices, and whoever compiles or vmaps a fit himself get
XLA's default.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from vijax.validate import is_traced

Options = dict[str, Any]
LITTLE: Options = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
}
PLAIN_KERNELS: Options = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_enable_concurrency_optimized_scheduler": False,
}
# Of a density that went through `by_columns`: what XLA would do is done.
PLAIN_LOOP: Options = PLAIN_KERNELS | {
    "xla_disable_hlo_passes": "while-loop-invariant-code-motion"
}
MAX_WORK = 2**27  # numbers that a run touches: data times draws times passes


def quick_jit(
    function: Callable[..., Any], *, options: Options = LITTLE, **static: Any
) -> Callable[..., Any]:
    """Return `jax.jit(function)` that is told at each call whether to be `quick`.

    Example:
        >>> double = quick_jit(lambda x: 2 * x)
        >>> double(3.0, quick=True).item()
        6.0
    """
    usual = jax.jit(function, **static)
    with_options = jax.jit(function, compiler_options=options, **static)

    @wraps(function)
    def call(*args: Any, quick: bool, **kwargs: Any) -> Any:
        quick = quick and _are_known(*options.items())
        # Inside a trace even a constant is traced, and XLA takes options outside only.
        quick = quick and not is_traced(args, kwargs, jax.device_put(0.0))
        return (with_options if quick else usual)(*args, **kwargs)

    return call


def is_little(data: PyTree, num_draws: int) -> bool:
    """Say whether the log density touches few numbers at so many positions."""
    size = max([1, *(int(np.size(leaf)) for leaf in jax.tree.leaves(data))])
    return size * num_draws <= MAX_WORK


@cache
def _are_known(*options: tuple[str, Any]) -> bool:
    """Say whether this is a CPU whose XLA has the options: another version may not."""
    if jax.default_backend() != "cpu":
        return False
    ours = (LITTLE | PLAIN_LOOP).items()
    if set(options) < set(ours):
        return _are_known(*ours)  # tried once, for it takes 20 milliseconds
    try:
        jax.jit(lambda x: x, compiler_options=dict(options))(0.0)
    except (RuntimeError, ValueError):
        return False
    return True
