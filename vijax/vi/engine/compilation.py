r"""How programs are compiled: `light_jit`, for programs that run for microseconds.

A fit consists of few programs that touch the data, and of many that only do linear
algebra with as many numbers as there are unknowns. `light_jit` compiles the latter with
little optimisation. Seconds of a first and of a later fit by fixed draws, mean field,
two quiet cores, without and with it:

                                    jax 0.10.2                jax 0.12.0.1
    earnings-logearn_height     2.04 → 1.43, 0.02 = 0.02   1.82 → 1.67, 0.02 = 0.02
    arma-arma11                 2.43 → 1.99, 0.05 = 0.06   2.25 → 2.01, 0.05 = 0.05
    kilpisjarvi                 2.07 → 1.53, 0.13 = 0.13   1.80 → 1.70, 0.12 = 0.13
    gp_pois_regr-gp_regr        3.18 → 2.67, 0.24 = 0.26   2.67 → 2.53, 0.24 = 0.24

So it brings 16 to 30 % of a first fit on 0.10.2, and 5 to 11 % on 0.12, which no longer
knows the option that brings the most.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from threading import Thread
from typing import Any

import jax
from jax.extend.core import get_opaque_trace_state

Options = dict[str, Any]
LIGHT: Options = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,  # no longer known to XLA of jax 0.12
}


def light_jit(function: Callable[..., Any], **static: Any) -> Callable[..., Any]:
    """Return `jax.jit(function)`, on a CPU compiled with little optimisation.

    Inside another trace, and on other devices, it is `jax.jit` without options.

    Args:
        function: a pure function.
        **static: `static_argnames` and the like, of `jax.jit`.

    Example:
        >>> light_jit(lambda x: 2 * x)(3.0).item()
        6.0
    """
    usual = jax.jit(function, **static)

    @cache
    def light() -> Callable[..., Any]:
        return jax.jit(function, compiler_options=known_options(), **static)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if in_trace():  # XLA takes options for a whole program only
            return usual(*args, **kwargs)
        # A program that is queued behind its inputs starts tens of milliseconds late.
        return light()(*jax.block_until_ready(args), **kwargs)

    return call


def compile_ahead(function: Any, *args: Any, **kwargs: Any) -> Thread:
    """Compile what a later call of a jitted function runs, beside other work.

    It is traced at once, since models are traced in one thread only. Join the thread
    before that call, which would compile a second time. An error comes with the call.

    Args:
        function: of `jax.jit`.
        *args: arguments like those of the call: the same shapes and dtypes.
        **kwargs: likewise.

    Example:
        >>> double = jax.jit(lambda x: 2 * x)
        >>> compile_ahead(double, 1.0).join()
        >>> double(3.0).item()
        6.0
    """
    lowered = function.lower(*args, **kwargs)

    def compile_it() -> None:
        with suppress(Exception):
            lowered.compile()

    thread = Thread(target=compile_it)
    thread.start()
    return thread


def density_jit(function: Callable[..., Any], **static: Any) -> Callable[..., Any]:
    """Return `jax.jit(function)`, for a program that evaluates a log density."""
    return jax.jit(function, **static)


def in_trace() -> bool:
    """Say whether this is called inside jit, vmap, grad or another trace.

    Example:
        >>> in_trace(), jax.jit(lambda: in_trace())()
        (False, Array(True, dtype=bool))
    """
    return bool(get_opaque_trace_state() != _outside())


@cache
def _outside() -> Any:
    """Return the state outside of all traces, which a new thread is in."""
    states: list[Any] = []
    thread = Thread(target=lambda: states.append(get_opaque_trace_state()))
    thread.start()
    thread.join()
    return states[0]


@cache
def known_options() -> Options:
    """Return those of LIGHT that this XLA knows, each asked for by itself."""
    if jax.default_backend() != "cpu":
        return {}
    return {name: value for name, value in LIGHT.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except (RuntimeError, ValueError):
        return False
    return True
