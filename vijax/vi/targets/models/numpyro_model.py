"""Make a Target of a NumPyro model: its log density in unconstrained space."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.distributions.util import sum_rightmost
from numpyro.infer.util import compute_log_probs
from numpyro.primitives import Messenger

from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi.targets.arguments.data_arguments import (
    join,
    refuse_lost_digits,
    split,
    to_device,
)
from vijax.vi.targets.arguments.looked_up import looked_up, settled
from vijax.vi.targets.arguments.user_arguments import as_arrays
from vijax.vi.targets.models import enumeration
from vijax.vi.targets.models.handlers_around import apart, refuse
from vijax.vi.targets.models.model_sites import (
    UnknownsInsideError,
    all_rows,
    find_sites,
    transform_of,
)
from vijax.vi.targets.models.scan_steps import at_step, by_step, with_axes
from vijax.vi.targets.target import (
    Plate,
    Rows,
    Static,
    Target,
    TargetError,
    first_that_traces,
    float_type,
    shapes,
    traced,
)


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Target:
    r"""Make a target of a NumPyro model and its arguments, data included.

    The unknowns and their density are NumPyro's own: what `numpyro.infer.MCMC` samples,
    `scan` and `cond`, reparametrised, masked and scaled sites included. Sites of a
    reverse scan have their values in the order of `xs`.

    Discrete sites are summed out by NumPyro's enumeration (the extra `enum`) and can
    be drawn after a fit by `vi.sample_discrete`. Deterministic sites that depend on
    them are not among the values of the target, but of these draws.

    Numbers, arrays and NumPyro distributions among the arguments are data: other data
    of the same shapes compile nothing. Strings and booleans are static. So are numbers
    whose values the model needs while it is traced (a plate's size, the number of
    different groups): other values compile anew. Define the model once: a lambda made
    anew for each call compiles anew.

    Args:
        model: any function with NumPyro's primitives, also under its handlers. A
            subsampled plate with unknowns inside takes all its rows, for they are as
            many as the rows anyway (family = "structured" is linear in them).
        *args: of the model, data included: arrays, numbers, and columns of a data
            frame, in any pytree.
        **kwargs: of the model, by name.

    Raises:
        ValueError: the model raises; it has no continuous unknown, learns a
            `numpyro.param`, needs a random key, has unknowns in a loop that NumPyro
            does not see; its data have another shape than their distribution; its
            discrete sites cannot be summed out; float32 does not keep what an array of
            float64 says (times in seconds since 1970, say); text, times, masked
            entries, a data frame or an object that is no pytree among the arguments;
            the call is inside of a handler that would make another model.
        ImportError: it has discrete sites and funsor is not installed.

    Example:
        >>> import numpyro.distributions as dist
        >>> def model(y):
        ...     scale = numpyro.sample("scale", dist.HalfNormal(1.0))
        ...     numpyro.sample("y", dist.Normal(0.0, scale), obs=y)
        >>> target = from_numpyro(model, jnp.array([0.5, -1.0]))
        >>> target.dim, target.constrain(jnp.zeros(1))["scale"].item()
        (1, 1.0)
    """
    refuse()
    return _from_numpyro(model, *args, **kwargs)


@apart
def _from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Target:
    bound: tuple[int, tuple[str, ...]] = (0, ())
    if isinstance(model, partial):  # a new partial of the same function is the same
        bound = len(model.args), tuple(model.keywords)
        args, kwargs = (*model.args, *args), {**model.keywords, **kwargs}
        model = model.func

    args, kwargs = as_arrays(model, args, kwargs)
    refuse_lost_digits((args, kwargs))
    read = looked_up(model)

    def make(level: int) -> Target:
        data, structure = split((args, kwargs), level)
        static = Static(
            _density_of_model, _constrain_model, _unconstrain_model, model, structure
        )._replace(bound=bound)
        seen = (shapes(data), float_type())
        static = traced(find_sites, static, *seen)
        if static.discrete:
            enumeration.require_funsor(static.discrete)
        static = traced(_check_randomness, static, *seen)
        dim = sum(site.size for site in static.sites)
        target = Target(data, to_device(np.zeros(dim, float_type())), static)
        if static.discrete and not is_traced(data):
            enumeration.check_sum(target, _unconstrained)
        return target

    try:
        target = first_that_traces(make, "model")
    except UnknownsInsideError as inside:
        return _from_numpyro(all_rows(model, inside.plates), *args, **kwargs)
    static = target.static._replace(looked_up=settled(read, model))
    return replace(target, static=static)


def is_model(target: Target) -> bool:
    """Say whether a target is of a NumPyro model."""
    return target.static.log_density is _density_of_model


def _check_randomness(static: Static, data: tuple[Any, ...], dtype: Any) -> Static:
    """Refuse a density that depends on a random key; name what depends on k."""

    def density(*at: Any) -> Scalar:
        return _log_density(static, *at)

    if static.draws_keys and _depends_on_key(density, static, data, dtype):
        raise TargetError(
            "model is not valid: its log density depends on a random key "
            "(numpyro.prng_key: dropout, a simulation), so that it is another at each "
            "call; switch the noise off, or make it a numpyro.sample site"
        )
    if static.discrete:
        static = static._replace(followers=_followers(static, data, dtype))
        enumeration.check_size(partial(_at_origin, density, static, dtype), list(data))
    return static


def _followers(static: Static, data: tuple[Any, ...], dtype: Any) -> tuple[str, ...]:
    """Return the deterministic sites that depend on discrete ones, drawn by the key."""

    def value(name: str, *at: Any) -> Array:
        return _constrained(static, *at)[name]

    look = partial(_at_origin, partial(_constrained, static), static, dtype)
    names = tuple(jax.eval_shape(look, list(data)))
    followers = tuple(
        name
        for name in names
        if _depends_on_key(partial(value, name), static, data, dtype)
    )
    for site in static.sites:
        if site.name in followers:
            raise TargetError(
                f"model is not valid: the support of its site {site.name!r} depends "
                "on a discrete unknown; make the support the widest and cut it by a "
                "numpyro.factor"
            )
    return followers


def _depends_on_key(
    look: Callable[..., Any], static: Static, data: tuple[Any, ...], dtype: Any
) -> bool:
    """Say whether `look` at the origin is another for another key, by its trace."""

    def for_two_keys(data: list[Array]) -> Any:
        at_key = partial(_at_origin, look, static, dtype, data)
        keys = jax.random.split(jax.random.key(0), 2)
        return jax.vmap(at_key, out_axes=None)(keys)

    try:
        jax.eval_shape(for_two_keys, list(data))
    except ValueError as error:
        if "out_axes" not in str(error):
            raise
        return True
    return False


def _at_origin(
    look: Callable[..., Any],
    static: Static,
    dtype: Any,
    data: list[Array],
    key: Key | None = None,
) -> Any:
    """Call look(data, params, rows, key) at the origin of unconstrained space."""
    init = jnp.zeros(sum(site.size for site in static.sites), dtype)
    params = Target(data, init, static).unravel(init)
    key = jax.random.key(0) if key is None else key
    return look(data, params, _draw_rows(jax.random.key(0), static.plates), key)


@apart
def _density_of_model(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> Scalar:
    rows = _rows(static, key)
    return _log_density(static, data, params, rows, jax.random.key(0))


def _log_density(
    static: Static, data: list[Array], params: dict[str, Array], rows: Rows, key: Key
) -> Scalar:
    args, kwargs = join(data, static.structure)
    model = _unconstrained(static.function, static, params, rows)
    if static.draws_keys:
        model = _GiveKey(model, key)
    if static.discrete:
        return enumeration.summed_log_density(model, args, kwargs, static)
    log_probs, _ = compute_log_probs(model, args, kwargs, {})
    return jnp.asarray(sum(log_probs.values(), start=0.0))


@apart
def log_density_terms(
    target: Target, position: Array, key: Key | Rows | None = None
) -> dict[str, Scalar]:
    """Return the terms of a model's log density by site, in nats.

    Each unknown's has the log |dθ/du| of its map; they sum to `target.log_density`.

    Args:
        target: of a NumPyro model without discrete unknowns.
        position: (dim,).
        key: draws the rows of a model that subsamples, or gives them by plate.
    """
    static = target.static
    args, kwargs = join(target.data, static.structure)
    params = target.unravel(position)
    model = _unconstrained(static.function, static, params, _rows(static, key))
    if static.draws_keys:
        model = _GiveKey(model, jax.random.key(0))
    terms, _ = compute_log_probs(model, args, kwargs, {})
    found = {name: x for name, x in terms.items() if not _is_log_det(name, params)}
    for name in params:
        found[name] = found[name] + terms.get(_log_det(name), 0.0)
    return found


def _log_det(name: str) -> str:
    """Return the name of the factor that has a site's log |dθ/du|."""
    return f"_{name}_log_det"


def _is_log_det(name: str, params: dict[str, Array]) -> bool:
    return any(name == _log_det(unknown) for unknown in params)


@apart
def _constrain_model(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> dict[str, Array]:
    rows = _rows(static, key)
    values = _constrained(static, data, params, rows, jax.random.key(0))
    return {name: x for name, x in values.items() if name not in static.followers}


def _constrained(
    static: Static, data: list[Array], params: dict[str, Array], rows: Rows, key: Key
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    model = _unconstrained(static.function, static, params, rows)
    if static.draws_keys or static.discrete:
        model = handlers.seed(model, key)
    trace = handlers.trace(model).get_trace(*args, **kwargs)
    return {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] == "deterministic" or name in params
    }


@apart
def _unconstrain_model(
    static: Static, data: list[Array], values: dict[str, Array]
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    key = jax.random.key(0)

    known = {
        name: by_step(static.backwards, name, values[name]) for name, _ in static.sites
    }
    known |= _draw_rows(key, static.plates)
    model = handlers.seed(handlers.substitute(static.function, data=known), key)
    trace = handlers.trace(model).get_trace(*args, **kwargs)
    return {
        name: by_step(
            static.backwards,
            name,
            transform_of(trace[name], static.positive).inv(trace[name]["value"]),
        )
        for name, _ in static.sites
    }


def _unconstrained(
    function: Callable[..., Any],
    static: Static,
    params: dict[str, Array],
    rows: Rows | None = None,
) -> Callable[..., Any]:
    """Run the model at unconstrained values, log |dθ/du| added as a factor."""

    def substitute(site: dict[str, Any]) -> Array | None:
        if site["type"] == "plate":
            return (rows or {}).get(site["name"])
        if site["type"] != "sample" or site["name"] not in params:
            return None
        position = at_step(site, params[site["name"]])
        if _is_real(site["fn"].support):
            value = position
        else:
            transform = transform_of(site, static.positive)
            value = transform(position)
            log_det = transform.log_abs_det_jacobian(position, value)
            event_dim = len(site["fn"].event_shape)
            extra = jnp.ndim(log_det) - jnp.ndim(value) + event_dim
            # Under the site's own plates and masks, so that it is scaled as it is.
            numpyro.factor(_log_det(site["name"]), sum_rightmost(log_det, extra))
        return with_axes(site, value)

    return handlers.substitute(function, substitute_fn=substitute)


def _is_real(support: Any) -> bool:
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support is constraints.real


class _GiveKey(Messenger):
    """Answers numpyro.prng_key, which a network with priors asks for and drops."""

    def __init__(self, fn: Callable[..., Any], key: Key) -> None:
        self.key = key
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "prng_key" and msg["value"] is None:
            msg["value"] = self.key


def _rows(static: Static, key: Key | Rows | None) -> Rows:
    """Return the rows given, or drawn by the key."""
    if isinstance(key, dict):
        return key
    return _draw_rows(jax.random.key(0) if key is None else key, static.plates)


def _draw_rows(key: Key, plates: tuple[Plate, ...]) -> Rows:
    """Draw a subsample of every plate: with replacement where that hardly matters.

    Without it a draw costs a pass over the indices of all rows.
    """
    drawn = {}
    for number, (name, size, rows) in enumerate(plates):
        plate_key = jax.random.fold_in(key, number)
        drawn[name] = (
            jax.random.randint(plate_key, (rows,), 0, size)
            if size >= 10 * rows
            else jax.random.permutation(plate_key, size)[:rows]
        )
    return drawn
