"""Maximum likelihood of a template fit, its errors, and profiles of the likelihood."""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import printing
from vijax.array_module import array_module
from vijax.physics.bounded_newton import Minimum, minimise
from vijax.physics.histfactory import Observed, expected, log_likelihood
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

    def __str__(self) -> str:
        if is_traced(self.theta) or np.ndim(self.log_likelihood):
            rows = {k: printing.number(value) for k, value in self.values.items()}
        else:
            rows = {
                label: _fitted_value(value, error, bound)
                for name in self.values
                for label, value, error, bound in _entries(self, name)
            }
        note = (
            "" if is_traced(self.converged) or np.all(self.converged) else UNCONVERGED
        )
        return printing.described("Maximum of the likelihood", rows, note=note)

    def __repr__(self) -> str:
        return str(self)


class Profile(NamedTuple):
    """The likelihood over one parameter, maximised over all others."""

    values: Any  # of the parameter, (points,)
    statistic: Any  # t = −2 log of the ratio to the maximum; NaN: not converged
    theta: Any  # of all parameters, (points, parameters)
    maximum: TemplateFit

    def __str__(self) -> str:
        columns = {"value": self.values, "−2 log L ratio": self.statistic}
        return printing.described("Profile of the likelihood", columns)

    def __repr__(self) -> str:
        return str(self)


UNCONVERGED = "The search did not converge: these numbers are not the maximum."


def _entries(fit: TemplateFit, name: str) -> list[tuple[str, Any, Any, Any]]:
    """Return label, value, error and whether it is at a bound, of each entry."""
    parts = [np.atleast_1d(x[name]) for x in (fit.values, fit.errors, fit.at_bound)]
    size = len(parts[0])
    labels = [name] if size == 1 else [f"{name}[{i}]" for i in range(size)]
    return [*zip(labels, *parts, strict=True)]


def _fitted_value(value: Any, error: Any, at_bound: Any) -> str:
    if at_bound:
        return f"{printing.number(value)} at a bound"
    if error == 0:
        return f"{printing.number(value)} fixed"
    return printing.in_digits(value, error)


def in_double(function: Function) -> Function:
    """Run a function of a target in float64, for likelihoods are subtracted.

    In a trace, of the target or of another argument, the precision is the target's own.
    """

    @wraps(function)
    def call(target: Target, *args: Any, **kwargs: Any) -> Any:
        parts_of(target)
        if is_traced(target, args, kwargs):
            return function(target, *args, **kwargs)
        with jax.enable_x64(True):
            if target.init.dtype != np.float64:
                target = in_float64(target)
            found = function(target, *args, **kwargs)
            # As NumPy arrays, for JAX's own become float32 again where x64 is off.
            return jax.device_get(found)

    return call  # type: ignore[return-value]


@in_double
def maximum_likelihood(
    target: Target, *, fixed: Mapping[str, Any] | None = None
) -> TemplateFit:
    r"""Maximise the likelihood between the bounds, by Newton's method.

    It starts at the workspace's values, and once more on their other side. Where there
    are several maxima, as where both ends of a systematic move a template the same way,
    it is the higher one of what is found, which need not be the highest. Priors are
    left out. Errors are those of the inverse Hessian, of the parameters that are
    neither fixed nor at a bound.

    Args:
        target: from `from_pyhf`.
        fixed: values of parameters that stay there, by name; one number, or one for
            each entry.

    Returns:
        The TemplateFit; `converged` is False where the search did not end well, as can
        be with the interpolation codes 0 and 1, which have kinks at 0, and code 2,
        which jumps at ±1.

    Raises:
        ValueError: the target is not a template fit; a name is not a parameter's; its
            values are not finite, or not as many as it has entries.

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
    held, start = _held(layout, data, dict(fixed or {}))
    return named(layout, fit_once(data, start, held))


@in_double
def profile_scan(target: Target, values: Any, *, parameter: str = "") -> Profile:
    r"""Profile the likelihood over one parameter: t(v) = −2 log [L(v, θ̂̂) / L(v̂, θ̂)].

    All points are fitted at once, from the maximum and from the starting values. Where
    one is above the maximum, the maximum is looked for again from there.

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
    values = array_module(values).asarray(values, float)
    check(np.ndim(values) == 1, "values", values, "give a vector of values")
    check(array_module(values).isfinite(values), "values", values, "give finite values")
    check_some("values", values)
    held, start = _held(layout, data, {})
    best, fitted = fit_once(data, start, held)
    found = search_at(data, best.theta, held, index, values)
    xp = array_module(found)
    value = xp.where(found.converged, found.value, xp.inf)
    lowest = xp.where(held, best.theta, found.theta[value.argmin()])
    again, refitted = fit_once(data, lowest, held)
    best, fitted = lower_of((best, fitted), (again, refitted), best, again)
    twice = 2 * xp.maximum(found.value - best.value, 0.0)
    good = found.converged & best.converged
    return Profile(
        values,
        xp.where(good, twice, xp.nan),
        found.theta,
        named(layout, (best, fitted)),
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
    return minimise(
        function, start, data.lower, data.upper, held, stand_in=partial(_fisher, data)
    )


def _fisher(data: FitData, theta: Array) -> Array:
    """Return Fisher's information of counts and auxiliary data, Σ ∇λ ∇λᵀ / λ."""
    template = data.template

    def rates(theta: Array) -> Array:
        auxiliary = template.tau * theta[template.poisson_of]
        return jnp.concatenate([expected(template, theta), auxiliary])

    slopes = jax.jacfwd(rates)(theta)
    weights = 1 / jnp.maximum(rates(theta), 1e-10)
    of_normal = jnp.zeros_like(theta).at[template.normal_of].add(template.sigma**-2)
    return (slopes.T * weights) @ slopes + jnp.diag(of_normal)


class _Fitted(NamedTuple):
    covariance: Any
    errors: Any
    at_bound: Any
    log_likelihood: Any


def fit_once(data: FitData, start: Any, held: Any) -> tuple[Minimum, _Fitted]:
    """Maximise the likelihood from a start, and from across the workspace's values.

    NumPy's arrays outside of a trace.
    """

    def fit(start: Any) -> tuple[Minimum, _Fitted]:
        found = _fit_program(data, start, held)
        return found if is_traced(found) else jax.device_get(found)

    first = fit(start)
    second = fit(_across(data, first[0].theta, held))
    return lower_of(first, second, first[0], second[0])


@jax.jit
def _fit_program(data: FitData, start: Any, held: Any) -> tuple[Minimum, _Fitted]:
    found = search(data, data.observed, start, held)
    return found, _Fitted(
        covariance := covariance_of(found),
        jnp.sqrt(jnp.diag(covariance)),
        (found.theta <= data.lower) | (found.theta >= data.upper),
        data.observed.constant - found.value,
    )


CHUNK = 12  # fits at a time: six curves of a limit, for data and Asimov data


@jax.jit
def _search_chunk(data: FitData, observed: Observed, start: Any, held: Any) -> Minimum:
    return jax.vmap(partial(search, data))(observed, start, held)


def search_all(data: FitData, observed: Observed, start: Any, held: Any) -> Minimum:
    """Fit many data from many starts, all with a first axis, in chunks of one size.

    So one program is compiled for all uses of a model. What is around it is NumPy's
    outside of a trace, which compiles nothing.
    """
    number = start.shape[0]
    given = observed, start, held
    rows = np.minimum(np.arange(number + (-number % CHUNK)), number - 1)
    parts = []
    for first in range(0, len(rows), CHUNK):
        chosen = rows[first : first + CHUNK]
        some = jax.tree.map(lambda x, chosen=chosen: x[chosen], given)
        parts.append(_search_chunk(data, *some))
    if not is_traced(parts):
        parts = jax.device_get(parts)
    xp = array_module(parts)
    return jax.tree.map(lambda *x: xp.concatenate(x)[:number], *parts)


def check_some(name: str, values: Any) -> None:
    """Refuse an array without entries: there is nothing to fit."""
    if not np.size(values):
        raise ValueError(f"{name} are empty: give at least one")


def stacked(*trees: Any) -> Any:
    """Return trees of arrays as one, with a first axis."""
    xp = array_module(trees)
    return jax.tree.map(lambda *x: xp.stack([xp.asarray(one) for one in x]), *trees)


def with_entry(theta: Any, index: int, value: Any) -> Any:
    """Return θ, or rows of it, with one entry set, to a value for each row."""
    xp = array_module(theta, value)
    is_entry = np.arange(theta.shape[-1]) == index
    return xp.where(is_entry, xp.asarray(value)[..., None], theta)


def search_around(data: FitData, observed: Observed, near: Any, held: Any) -> Minimum:
    """Fit many data as `search_all`, each from three starts.

    Near by, the workspace's, and the mirror image of the first in the second: of two
    maxima, as where both ends of a systematic do the same, it is on the other's side.
    """
    xp, number = array_module(near, data, observed), near.shape[0]
    own, across = xp.where(held, near, data.init), _across(data, near, held)
    thrice = jax.tree.map(lambda x: xp.concatenate([x] * 3), observed)
    starts, helds = xp.concatenate([near, own, across]), np.concatenate([held] * 3)
    found = search_all(data, thrice, starts, helds)
    first, *others = (
        jax.tree.map(lambda x, k=k: x[k * number : (k + 1) * number], found)
        for k in range(3)
    )
    for other in others:
        first = lower_of(first, other, first, other)
    return first


def _across(data: FitData, near: Any, held: Any) -> Any:
    """Return the mirror image of θ in the workspace's values, between the bounds."""
    xp = array_module(near, data)
    mirrored = 2 * xp.asarray(data.init) - near
    return xp.where(held, near, xp.clip(mirrored, data.lower, data.upper))


def lower_of(one: Any, other: Any, found: Minimum, beside: Minimum) -> Any:
    """Return one tree, or the other where its search ended lower, row by row."""
    xp = array_module(found, beside)
    better = beside.converged & ((beside.value < found.value) | ~found.converged)

    def chosen(a: Any, b: Any) -> Any:
        rows = xp.reshape(better, better.shape + (1,) * (np.ndim(a) - np.ndim(better)))
        return xp.where(rows, b, a)

    return jax.tree.map(chosen, one, other)


def search_at(data: FitData, near: Any, held: Any, index: int, values: Any) -> Minimum:
    """Fit the data with one entry held at each of the values."""
    number = len(values)
    return search_around(
        data,
        stacked(*[data.observed] * number),
        with_entry(near[None], index, values),
        np.tile(with_entry(held, index, True), (number, 1)),
    )


def held_and_start(target: Target) -> tuple[np.ndarray, Any]:
    """Return which entries are fixed by the workspace, and where all start."""
    return _held(*parts_of(target), {})


def _held(
    layout: Layout, data: FitData, fixed: dict[str, Any]
) -> tuple[np.ndarray, Any]:
    held = np.array([flag for p in layout.parameters for flag in p.fixed])
    xp = array_module(data.init, fixed)
    start = xp.asarray(data.init)
    for name, value in fixed.items():
        parameter = layout.parameter(name)
        if np.shape(value) not in ((), (parameter.size,)):
            raise ValueError(
                f"fixed: values of {name!r} have shape {np.shape(value)}: give one, or "
                f"{parameter.size}"
            )
        one = xp.asarray(value, float)
        check(xp.isfinite(one), f"fixed[{name!r}]", value, "give finite values")
        own = xp.broadcast_to(one, parameter.size)
        for place, entry in enumerate(
            range(parameter.start, parameter.start + parameter.size)
        ):
            held[entry] = True
            start = with_entry(start, entry, own[place])
    return held, start


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


def named(layout: Layout, found: tuple[Minimum, _Fitted]) -> TemplateFit:
    """Return a search's result by the names of the parameters."""
    best, fitted = found
    return TemplateFit(
        by_name(layout, best.theta),
        by_name(layout, fitted.errors),
        fitted.log_likelihood,
        best.theta,
        fitted.covariance,
        by_name(layout, fitted.at_bound),
        best.converged,
    )


def covariance_of(found: Minimum) -> Array:
    """Return the inverse Hessian of the free entries, 0 elsewhere."""
    both = found.free[:, None] & found.free[None, :]
    scale = jnp.sqrt(jnp.abs(jnp.diag(found.hessian)))
    scale = jnp.where(found.free & (scale > 0), scale, 1.0)
    one = jnp.eye(len(scale), dtype=scale.dtype)
    scaled = jnp.where(both, found.hessian / jnp.outer(scale, scale), one)
    return jnp.where(both, jnp.linalg.inv(scaled) / jnp.outer(scale, scale), 0.0)
