"""Run a fit's NumPyro model again: at given unknowns, with its own arguments or others.

    run = rerun(target, (x_new, None), {})   what the model has at these arguments
    generate(run, values, key)               one draw of all that is not given
    observations(target, values)             log p of each observation

Values are constrained, by name, as `target.constrain` returns them. Each function is of
one draw, and pure; `vi.after` maps them over many.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer.util import compute_log_probs
from numpyro.primitives import Messenger

from vijax.types import Key
from vijax.vi.targets.data_arguments import LEVELS, join, split
from vijax.vi.targets.model_sites import (
    Everywhere,
    base_distribution,
    by_step,
    origin_of,
)
from vijax.vi.targets.numpyro_model import is_model
from vijax.vi.targets.target import Static, Target, TargetError, float_type


class SeenSite(NamedTuple):
    """What a run of the model on shapes alone says of a site."""

    shape: tuple[int, ...]
    is_observed: bool
    in_control_flow: bool  # of a scan or a cond: the first axis are its steps
    subsampled: tuple[str, ...]  # plates around it that take a subsample


class Rerun(NamedTuple):
    """A model at certain arguments: what a compiled function needs of it."""

    static: Static  # with the structure of these arguments
    data: list[Array]
    sites: dict[str, SeenSite]  # sampled ones, factors left out
    replicates: bool  # observed sites are drawn, whatever their data
    order: tuple[str, ...] = ()  # of all sites; a compiled function sorts them by name


def require_model(target: Target, purpose: str) -> None:
    """Raise a ValueError where the target is a plain log density."""
    if target.streamed:
        raise ValueError(
            f"fit is to a stream of rows, which are not all in memory: for {purpose} "
            "fit rows that are, by vi.from_numpyro"
        )
    if not is_model(target):
        raise ValueError(
            f"fit is of {target}, a plain log density, which does not say how data "
            f"come about: for {purpose} write the model in NumPyro and make the "
            "target by vi.from_numpyro"
        )


def rerun(
    target: Target,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    fresh: tuple[str, ...] = (),
    replicates: bool = False,
) -> Rerun:
    """Run the target's model on the shapes of arguments, and say what it has there.

    Args:
        target: of a NumPyro model.
        args: new arguments; none stand for the fit's own.
        kwargs: new ones by name.
        fresh: unknown sites that are to be drawn from the model, too.
        replicates: draw the observed sites, whatever their data.

    Raises:
        ValueError: the model cannot be run at these arguments.
    """
    static = target.static
    latent = frozenset(site.name for site in static.sites) - frozenset(fresh)
    if not args and not kwargs:
        data = list(target.data)
        seen, order = _seen(static, data, latent, replicates)
        return Rerun(static, data, seen, replicates, order)
    return run_at(static, *_with_bound(target, args, kwargs or {}), latent, replicates)


def run_at(
    static: Static,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    latent: frozenset[str] = frozenset(),
    replicates: bool = False,
) -> Rerun:
    """Run a model on the shapes of arguments; `latent` sites are at their origins."""
    failure: Exception | None = None
    for level in LEVELS:  # with as few numbers fixed as the model can do with
        data, structure = split((args, kwargs), level)
        there = static._replace(structure=structure)
        try:
            seen, order = _seen(there, data, latent, replicates)
            return Rerun(there, data, seen, replicates, order)
        except Exception as error:  # the user's function may raise anything
            failure = error
    reason = str(failure).split("\n", 1)[0]
    shown = ", ".join(
        f"{name}: {_shown(value)}"
        for name, value in named_arguments(static.function, args, kwargs).items()
    )
    raise ValueError(
        f"the model cannot be run at the arguments given ({shown}): "
        f"{type(failure).__name__}: {reason}; give them as in the fit, those of "
        "observed data as None"
    ) from failure


def bare(function: Callable[..., Any]) -> Static:
    """Return what a run of a model needs that is no target's."""
    return Static(_no_density, _no_density, _no_density, function, None)


def _no_density(*_: Any) -> Any:
    raise NotImplementedError("a model that is only run has no density")


def own_arguments(target: Target) -> dict[str, Any]:
    """Return the arguments that the target was made with, by name."""
    args, kwargs = join(target.data, target.static.structure)
    return named_arguments(target.static.function, args, kwargs)


def new_arguments(
    target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return new arguments by name, with those that a partial has fixed."""
    args, kwargs = _with_bound(target, args, kwargs)
    return named_arguments(target.static.function, args, kwargs)


def _with_bound(
    target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    number, names = target.static.bound
    own_args, own_kwargs = join(target.data, target.static.structure)
    return (*own_args[:number], *args), {n: own_kwargs[n] for n in names} | kwargs


def named_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return arguments by the names that the function gives them, where it does."""
    inner = function
    while isinstance(inner, Messenger) and inner.fn is not None:
        inner = inner.fn  # a handler around the model
    try:
        return dict(inspect.signature(inner).bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return {f"argument {n}": value for n, value in enumerate(args)} | kwargs


def _shown(value: Any) -> str:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(value)]
    if value is None:
        return "None"
    return f"shape {shapes[0]}" if len(shapes) == 1 else f"shapes {shapes}"


def _seen(
    static: Static, data: list[Array], latent: frozenset[str], replicates: bool
) -> tuple[dict[str, SeenSite], tuple[str, ...]]:
    """Trace the model at origins of its unknowns; nothing is computed."""
    found: dict[str, SeenSite] = {}
    order: list[str] = []
    plates: dict[str, int] = {}
    dtype = float_type()

    def substitute(site: dict[str, Any]) -> Array | None:
        if site["type"] == "plate" and site["value"] is None:
            size, rows = site["args"]
            plates[site["name"]] = size
            return jnp.arange(rows)
        if site["type"] != "sample" or site["is_observed"]:
            return None
        if site["name"] not in latent:
            return None
        return origin_of(site, static.positive, dtype)

    def trace(data: list[Array]) -> None:
        args, kwargs = join(data, static.structure)
        model = _Unobserve(static.function) if replicates else static.function
        model = handlers.substitute(model, substitute_fn=substitute)
        model = handlers.seed(model, jax.random.key(0))
        for name, site in handlers.trace(model).get_trace(*args, **kwargs).items():
            order.append(name)
            if site["type"] == "sample" and not is_factor(site):
                around = [frame.name for frame in site["cond_indep_stack"]]
                found[name] = SeenSite(
                    jnp.shape(site["value"]),
                    bool(site["is_observed"]),
                    site.get("_control_flow_done", False),
                    tuple(name for name in around if name in plates),
                )

    jax.eval_shape(trace, data)
    return found, tuple(order)


def generate(run: Rerun, values: dict[str, Array], key: Key) -> dict[str, Array]:
    """Draw what is not given: sampled and deterministic sites, by name.

    Args:
        run: the model at its arguments.
        values: of the unknowns that are kept, in the order of a scan's steps.
        key: random key.
    """
    args, kwargs = join(run.data, run.static.structure)
    model = _Unobserve(run.static.function) if run.replicates else run.static.function
    model = handlers.seed(handlers.substitute(model, data=values), key)
    trace = handlers.trace(model).get_trace(*args, **kwargs)
    return {
        name: jnp.asarray(site["value"])
        for name, site in trace.items()
        if site["type"] == "deterministic"
        or (site["type"] == "sample" and not is_factor(site))
    }


class Observed(NamedTuple):
    """The observations of a site, and how probable they are."""

    log_prob: Array  # nats, one number an observation
    value: Array
    mask: Array  # False where the model masks an observation out
    is_discrete: bool  # log_prob is of a probability, not of a density


def observations(target: Target, values: dict[str, Array]) -> dict[str, Observed]:
    """Return every observed site at one draw of the unknowns.

    A model that subsamples its rows is run over all of them, batch by batch.

    Args:
        target: of a NumPyro model without discrete unknowns.
        values: of all unknowns, in the order of a scan's steps.

    Raises:
        ValueError: several plates take a subsample, or an observed site is scaled.
    """
    static = target.static
    if not static.plates:
        found = _observed(static, target.data, values, {})
        return {name: observed for name, (observed, _) in found.items()}
    if len(static.plates) > 1:
        names = [plate.name for plate in static.plates]
        raise TargetError(
            f"the plates {names} of the model all take a subsample, for which the "
            "likelihood of single observations is not known: leave all but one of them "
            "whole"
        )
    (plate,) = static.plates
    number = -(-plate.size // plate.rows)
    index = jnp.arange(number * plate.rows).reshape(number, plate.rows) % plate.size
    flags: dict[str, tuple[bool, tuple[int, int] | None]] = {}

    def batch(rows: Array) -> dict[str, tuple[Array, Array, Array]]:
        found = _observed(static, target.data, values, {plate.name: rows})
        flags.update({name: (x.is_discrete, axes) for name, (x, axes) in found.items()})
        return {name: (x.log_prob, x.value, x.mask) for name, (x, _) in found.items()}

    whole = {}
    parts = jax.lax.map(batch, index)
    for name, (is_discrete, axes) in flags.items():
        arrays = parts[name]
        if axes is None:  # outside of the plate: the same in each batch
            log_prob, value, mask = (x[0] for x in arrays)
        else:
            places = zip(arrays, (axes[0], axes[1], axes[0]), strict=True)
            log_prob, value, mask = (
                _put_together(x, axis, plate.size) for x, axis in places
            )
        whole[name] = Observed(log_prob, value, mask, is_discrete)
    return whole


def _put_together(parts: Array, axis: int, size: int) -> Array:
    """Join batches along the axis of the plate, counted from the end."""
    axis += parts.ndim
    moved = jnp.moveaxis(parts, axis, 1)
    joined = moved.reshape(-1, *moved.shape[2:])[:size]
    return jnp.moveaxis(joined, 0, axis - 1)


def _observed(
    static: Static, data: list[Array], values: dict[str, Array], rows: dict[str, Array]
) -> dict[str, tuple[Observed, tuple[int, int] | None]]:
    """Return observed sites, and where the subsampled plate's axis is in each.

    The axis is counted from the end, of the log density and of the value.
    """
    args, kwargs = join(data, static.structure)
    model = handlers.substitute(static.function, data=values | rows)
    trace = handlers.trace(handlers.seed(model, jax.random.key(0))).get_trace(
        *args, **kwargs
    )
    found = {}
    for name, site in trace.items():
        if site["type"] != "sample" or not site["is_observed"] or is_factor(site):
            continue
        log_prob = site["fn"].log_prob(site["value"])
        scale, axes, event_dim = 1.0, None, site["fn"].event_dim
        for frame in site["cond_indep_stack"]:
            for plate in static.plates:
                if frame.name == plate.name:
                    scale *= plate.size / plate.rows
                    axes = frame.dim, frame.dim - event_dim
        _check_scale(name, site["scale"], scale)
        batch = log_prob.shape
        value = jnp.asarray(site["value"])
        event = value.shape[value.ndim - event_dim :]
        value = jnp.broadcast_to(value, (*batch, *event))
        mask = jnp.broadcast_to(_mask_of(site["fn"]), batch)
        discrete = bool(site["fn"].support.is_discrete)
        found[name] = Observed(log_prob, value, mask, discrete), axes
    return found


def _mask_of(distribution: Any) -> Any:
    """Return the mask of a distribution, True where it has none."""
    while isinstance(distribution, dist.ExpandedDistribution):
        distribution = distribution.base_dist
    return getattr(distribution, "_mask", True)


def _check_scale(name: str, scale: Any, expected: float) -> None:
    """Refuse a likelihood that is raised to a power, but by a subsample."""
    if scale is None and expected == 1.0:
        return
    known = not isinstance(scale, jax.core.Tracer) and np.ndim(scale) == 0
    if known and np.isclose(float(scale), expected):
        return
    raise TargetError(
        f"observed site {name!r} is scaled (numpyro.handlers.scale), so that its "
        "posterior is not that of single observations: fit it without the scale"
    )


def site_log_probs(target: Target, values: dict[str, Array]) -> dict[str, Array]:
    """Return log p of each sampled site given those before it, in constrained space.

    Args:
        target: of a NumPyro model without discrete unknowns, with all its rows.
        values: of all unknowns, in the order of a scan's steps.
    """
    args, kwargs = join(target.data, target.static.structure)
    model = handlers.substitute(target.static.function, data=values)
    model = handlers.seed(model, jax.random.key(0))
    return dict(compute_log_probs(model, args, kwargs, {})[0])


def independent_sites(target: Target, values: dict[str, Array]) -> tuple[str, ...]:
    """Return the unknowns whose priors depend on no other unknown.

    Args:
        target: as in `site_log_probs`.
        values: of all unknowns; only their shapes count.
    """
    return tuple(
        name for name in values if not _depends_on_others(target, name, values)
    )


def _depends_on_others(target: Target, name: str, values: dict[str, Array]) -> bool:
    """Say whether the prior of a site is another for other unknowns, by its trace."""

    def for_two(values: dict[str, Array]) -> Array:
        own = {name: values[name]}
        others = {other: x for other, x in values.items() if other != name}
        two = jax.tree.map(lambda x: jnp.stack([x, x]), others)
        return jax.vmap(
            lambda others: site_log_probs(target, own | others)[name], out_axes=None
        )(two)

    if len(values) == 1:
        return False
    try:
        jax.eval_shape(for_two, values)
    except ValueError as error:
        if "out_axes" not in str(error):
            raise
        return True
    return False


def in_order(run: Rerun, values: dict[str, Any]) -> dict[str, Any]:
    """Return values by site in the order in which the model has the sites."""
    known = [name for name in run.order if name in values]
    return {name: values[name] for name in known} | values


def in_steps(static: Static, values: dict[str, Any]) -> dict[str, Array]:
    """Return draws of sites, draws first, in the order of their scans' steps."""
    return {
        name: jax.vmap(partial(by_step, static, name))(jnp.asarray(x))
        for name, x in values.items()
    }


def is_factor(site: dict[str, Any]) -> bool:
    """Say whether a site is a numpyro.factor."""
    return isinstance(base_distribution(site["fn"]), dist.Unit)


class _Unobserve(Everywhere):
    """Draws the observed sites, factors aside, inside control flow too."""

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _Unobserve(function)

    def process_message(self, msg: dict[str, Any]) -> None:
        super().process_message(msg)
        if msg["type"] != "sample" or msg.get("_control_flow_done", False):
            return
        if msg["is_observed"] and not is_factor(msg):
            # A distribution that is broadcast over its data is drawn for each of them.
            fn = msg["fn"]
            data = jnp.shape(msg["value"])
            batch = data[: len(data) - fn.event_dim]
            whole = np.broadcast_shapes(batch, fn.batch_shape)
            if whole != fn.batch_shape and not msg["kwargs"]["sample_shape"]:
                msg["fn"] = fn.expand(whole)
            msg["is_observed"], msg["value"] = False, None
