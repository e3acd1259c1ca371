"""Whether float32 is enough for a target, and a target in float64 where it is not.

A Gaussian process's Cholesky factor, or a log density of a million nats, can lose all
digits of what is asked for. `lost_digits` compares the log density and its gradient in
both precisions; `in_float64` gives the target whose fits run in float64, whatever JAX's
own setting is.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import jax
import numpy as np

from vijax.vi.engine.batched_density import slopes_of_many
from vijax.vi.targets.arguments.fresh_arrays import fresh_arrays
from vijax.vi.targets.target import Target

Function = TypeVar("Function", bound=Callable[..., Any])
ENOUGH = 0.05  # nats, or nats per sd, that two precisions may differ by
COARSE = 0.01  # sds between neighbouring numbers in float32


def precision_of(target: Target) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in the target's own precision."""
    wide = np.dtype(target.init.dtype) == np.float64
    if wide and not jax.config.read("jax_enable_x64"):
        return _float64(target)
    return nullcontext()


@contextmanager
def _float64(target: Target) -> Iterator[None]:
    with jax.enable_x64(True), fresh_arrays(target.static.function):
        yield


def own_precision(function: Function) -> Function:
    """Run a function in the precision of its first argument: a Target, or a Fit.

    It raises a ValueError where that argument is neither, or a Target where the
    function takes a Fit only.
    """
    parameter = next(iter(inspect.signature(function).parameters.values()))
    takes_targets = "Target" in str(parameter.annotation)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not args and parameter.name not in kwargs:
            return function(**kwargs)  # Python says what is missing
        first = args[0] if args else kwargs[parameter.name]
        is_target = takes_targets and isinstance(first, Target)
        target = first if is_target else getattr(first, "target", None)
        if not isinstance(target, Target):
            raise ValueError(
                f"{parameter.name} is not valid: vi.{function.__name__} takes what "
                f"vi.fit returns, and was given a {type(first).__name__}"
            )
        with precision_of(target):
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def in_float64(target: Target) -> Target:
    """Return the target with its floating-point data and start in float64."""

    def widen(leaf: Any) -> Any:
        if not np.issubdtype(leaf.dtype, np.floating):
            return leaf
        return jax.device_put(np.asarray(leaf, np.float64))

    with jax.enable_x64(True):
        data, init = jax.tree.map(widen, (target.data, target.init))
        return replace(target, data=data, init=init)


@np.errstate(all="ignore")
def too_coarse(loc: Any, scale: Any) -> bool:
    """Say whether float32 has too few numbers within the sds of an unknown.

    Example:
        >>> too_coarse(2000.0, 1.0), too_coarse(2000.0, 1e-3)
        (False, True)
    """
    steps = np.finfo(np.float32).eps * np.abs(np.asarray(loc))
    return bool(np.any(steps > COARSE * np.asarray(scale)))


@np.errstate(all="ignore")
def lost_digits(target: Target, positions: Any, scale: Any) -> float:
    """Return how far float32 is off: log p in nats, or its gradient per sd.

    Of log p it is the largest error relative to the first position's, of the gradient
    the median over the positions of the largest component: an error of 0.05 there moves
    a mean by about 0.05 sd. Infinite where one precision is finite and the other not.

    Args:
        target: in float32.
        positions: (draws, dim), draws of a q or a start with some spread.
        scale: standard deviations of q, (dim,).
    """
    wide = in_float64(target)
    with precision_of(wide):
        exact = slopes_of_many(wide, np.asarray(positions, np.float64))
    rough = slopes_of_many(target, np.asarray(positions, np.float32))
    finite, rough_finite = (
        np.isfinite(value) & np.isfinite(gradient).all(axis=1)
        for value, gradient in (exact, rough)
    )
    if np.any(finite != rough_finite):
        return np.inf
    if not finite.any():
        return 0.0
    difference = (rough[0] - exact[0])[finite]
    of_value = np.max(np.abs(difference - difference[0]))
    of_gradient = np.abs(rough[1] - exact[1])[finite] * np.asarray(scale)
    return float(max(of_value, np.median(np.max(of_gradient, axis=1))))
