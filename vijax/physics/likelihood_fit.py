"""Maximum likelihood of a template fit, its errors, and profiles of the likelihood."""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.physics.bounded_newton import Minimum, minimise
from vijax.physics.histfactory import Observed, log_likelihood
from vijax.physics.layout import Layout
from vijax.physics.target import FitData, by_name, parts_of
from vijax.validate import check, is_traced
from vijax.vi.engine.precision import in_float64
from vijax.vi.targets.target import Target

Function = TypeVar("Function", bound=Callable[..., Any])


class TemplateFit(NamedTuple):
    """The maximum of the likelihood, between the bounds of the parameters."""

    values: dict[str, Any]  # by name
    errors: dict[str, Any]  # of the Hessian; 0 where fixed or at a bound
    log_likelihood: Any  # in nats
    theta: Any  # all values, (parameters,)
    covariance: Any  # (parameters, parameters)
    at_bound: dict[str, Any]
    converged: Any


class Profile(NamedTuple):
    """The likelihood over one parameter, maximised over all others."""

    values: Any  # of the parameter, (points,)
    statistic: Any  # t = −2 log of the ratio to the maximum; NaN: not converged
    theta: Any  # of all parameters, (points, parameters)
    maximum: TemplateFit


def in_double(function: Function) -> Function:
    """Run a function of a target in float64, for likelihoods are subtracted.

    In a trace the precision is the target's own.
    """

    @wraps(function)
    def call(target: Target, *args: Any, **kwargs: Any) -> Any:
        parts_of(target)
        if is_traced(target):
            return function(target, *args, **kwargs)
        with jax.enable_x64(True):
            found = function(in_float64(target), *args, **kwargs)
            # As NumPy arrays, for JAX's own become float32 again where x64 is off.
            return jax.device_get(found)

    return call  # type: ignore[return-value]


@in_double
def maximum_likelihood(
    target: Target, *, fixed: Mapping[str, Any] | None = None
) -> TemplateFit:
    r"""Maximise the likelihood between the bounds, by Newton's method.

    Priors are left out. Errors are those of the inverse Hessian, of the parameters that
    are neither fixed nor at a bound.

    Args:
        target: from `from_pyhf`.
        fixed: values of parameters that stay there, by name.

    Returns:
        The TemplateFit; `converged` is False where the search did not end well.

    Raises:
        ValueError: the target is not a template fit; a name is not a parameter's.

    Example:
        >>> from vijax.physics.target import from_pyhf
        >>> background = {"name": "background", "data": [50.0], "modifiers": [
        ...     {"name": "mu", "type": "normfactor", "data": None}]}
        >>> channel = {"name": "region", "samples": [background]}
        >>> fit = maximum_likelihood(from_pyhf({"channels": [channel]}, [60.0]))
        >>> round(fit.values["mu"].item(), 6), round(fit.errors["mu"].item(), 6)
        (1.2, 0.154919)
    """
    layout, data = parts_of(target)
    held, start = _held(layout, data, target, dict(fixed or {}))
    return finish(layout, data, _search(data, data.observed, start, held))


@in_double
def profile_scan(target: Target, values: Any, *, parameter: str = "") -> Profile:
    r"""Profile the likelihood over one parameter: t(v) = −2 log [L(v, θ̂̂) / L(v̂, θ̂)].

    All points are fitted at once.

    Args:
        target: from `from_pyhf`.
        values: of the parameter, (points,).
        parameter: its name, "shape[1]" for one of several entries; by default the
            parameter of interest.

    Returns:
        The Profile.

    Raises:
        ValueError: there is no such parameter, or none of interest; the values are not
            a vector of finite numbers.
    """
    layout, data = parts_of(target)
    index = entry_of(layout, parameter)
    values = jnp.asarray(values, float)
    check(jnp.ndim(values) == 1, "values", values, "give a vector of values")
    check(jnp.isfinite(values), "values", values, "give finite values")
    held, start = _held(layout, data, target, {})
    best = _search(data, data.observed, start, held)
    found = search_at(data, data.observed, best.theta, held, index, values)
    twice = 2 * jnp.maximum(found.value - best.value, 0.0)
    good = found.converged & best.converged
    return Profile(
        values,
        jnp.where(good, twice, jnp.nan),
        found.theta,
        finish(layout, data, best),
    )


def negative_log_likelihood(data: FitData, observed: Observed, theta: Array) -> Array:
    """Return −log L in nats, but for what no parameter changes."""
    return -(log_likelihood(data.template, observed, theta) - observed.constant)


def search(data: FitData, observed: Observed, start: Array, held: Array) -> Minimum:
    """Maximise the likelihood of any data, from a start, entries held in their place.

    A start where the likelihood is 0 is replaced by the middle of the bounds.
    """
    function = partial(negative_log_likelihood, data, observed)
    middle = jnp.where(held, start, 0.5 * (data.lower + data.upper))
    start = jnp.where(jnp.isfinite(function(start)), start, middle)
    return minimise(function, start, data.lower, data.upper, held)


_search = jax.jit(search)


CHUNK = 12  # fits at a time: six curves of a limit, for data and Asimov data


@jax.jit
def _search_chunk(data: FitData, observed: Observed, start: Any, held: Any) -> Minimum:
    return jax.vmap(partial(search, data))(observed, start, held)


def search_all(data: FitData, observed: Observed, start: Array, held: Array) -> Minimum:
    """Fit many data from many starts, all with a first axis, in chunks of one size.

    So one program is compiled for all uses of a model.
    """
    number = start.shape[0]
    given = observed, start, held
    surplus = -number % CHUNK
    rows = np.minimum(np.arange(number + surplus), number - 1)
    parts = []
    for first in range(0, len(rows), CHUNK):
        chosen = rows[first : first + CHUNK]
        some = jax.tree.map(lambda x, chosen=chosen: x[chosen], given)
        parts.append(_search_chunk(data, *some))
    return jax.tree.map(lambda *x: jnp.concatenate(x)[:number], *parts)


def repeated(tree: Any, number: int) -> Any:
    """Return a tree with a first axis of so many equal entries."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (number, *jnp.shape(x))), tree)


def search_at(
    data: FitData, observed: Observed, near: Array, held: Array, index: Any, values: Any
) -> Minimum:
    """Fit with one entry held at each of the values."""
    number = len(values)
    starts = repeated(near, number).at[:, index].set(values)
    helds = repeated(held.at[index].set(True), number)
    return search_all(data, repeated(observed, number), starts, helds)


def held_and_start(target: Target) -> tuple[Array, Array]:
    """Return which entries are fixed by the workspace, and where all start."""
    layout, data = parts_of(target)
    return _held(layout, data, target, {})


def _held(
    layout: Layout, data: FitData, target: Target, fixed: dict[str, Any]
) -> tuple[Array, Array]:
    held = np.array([flag for p in layout.parameters for flag in p.fixed])
    start = data.init
    for name, value in fixed.items():
        parameter = layout.parameter(name)
        where = np.arange(parameter.start, parameter.start + parameter.size)
        held[where] = True
        start = start.at[where].set(jnp.asarray(value, start.dtype))
    return jnp.asarray(held), start


def entry_of(layout: Layout, name: str = "") -> int:
    """Return the entry of θ of a name; by default that of the parameter of interest."""
    name = name or layout.poi or ""
    if not name:
        raise ValueError(
            "parameter is not known: the workspace names no parameter of interest; "
            "give one by name"
        )
    labels = layout.labels
    if name not in labels:
        raise ValueError(f"parameter = {name!r} is not one of {sorted(labels)}")
    return labels.index(name)


def finish(layout: Layout, data: FitData, found: Minimum) -> TemplateFit:
    """Return a search's result by the names of the parameters."""
    covariance = covariance_of(found)
    errors = jnp.sqrt(jnp.diag(covariance))
    at_bound = (found.theta <= data.lower) | (found.theta >= data.upper)
    return TemplateFit(
        by_name(layout, found.theta),
        by_name(layout, errors),
        data.observed.constant - found.value,
        found.theta,
        covariance,
        by_name(layout, at_bound),
        found.converged,
    )


def covariance_of(found: Minimum) -> Array:
    """Return the inverse Hessian of the free entries, 0 elsewhere."""
    both = found.free[:, None] & found.free[None, :]
    scale = jnp.sqrt(jnp.abs(jnp.diag(found.hessian)))
    scale = jnp.where(found.free & (scale > 0), scale, 1.0)
    one = jnp.eye(len(scale), dtype=scale.dtype)
    scaled = jnp.where(both, found.hessian / jnp.outer(scale, scale), one)
    return jnp.where(both, jnp.linalg.inv(scaled) / jnp.outer(scale, scale), 0.0)
