"""Run a fit's NumPyro model again: at given unknowns, with its own arguments or others.

    run = rerun(target, (x_new, None), {})   what the model has at these arguments
    generate(run.model, run.data, values, key, replicates=False)   one draw of the rest

Values are constrained, by name, as `target.constrain` returns them. `generate` is of
one draw, and pure; `vi.after` maps it over many.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro import handlers

from vijax.types import Key
from vijax.vi.targets.arguments.data_arguments import LEVELS, join, split
from vijax.vi.targets.arguments.user_arguments import as_arrays, named_arguments
from vijax.vi.targets.models.handlers_around import apart
from vijax.vi.targets.models.model_sites import Everywhere, is_factor, origin_of
from vijax.vi.targets.models.numpyro_model import is_model
from vijax.vi.targets.models.site_parameters import invalid_parameters
from vijax.vi.targets.target import POSITIVE, Target, float_type


class SeenSite(NamedTuple):
    """What a run of the model on shapes alone says of a site."""

    shape: tuple[int, ...]
    is_observed: bool
    in_control_flow: bool  # of a scan or a cond: the first axis are its steps
    subsampled: tuple[str, ...]  # plates around it that take a subsample


class Model(NamedTuple):
    """What a compiled run of a model depends on besides shapes; compared by value."""

    function: Callable[..., Any]
    structure: Hashable = None  # of its arguments, once they are known
    positive: str = POSITIVE[0]  # as `Target.with_positive`
    backwards: tuple[str, ...] = ()  # sites of reverse scans
    looked_up: Any = None  # what the function reads beside its arguments


class Rerun(NamedTuple):
    """A model at certain arguments."""

    model: Model
    data: list[Array]
    sites: dict[str, SeenSite]  # sampled ones, factors left out
    order: tuple[str, ...]  # of all sites; a compiled function sorts them by name
    replicates: bool  # observed sites are drawn, whatever their data


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
    own = static.function, static.structure, static.positive, static.backwards
    model = Model(*own, static.looked_up)
    if not args and not kwargs:
        return _seen(model, list(target.data), latent, replicates)
    return run_at(model, *_with_bound(target, args, kwargs or {}), latent, replicates)


def run_at(
    model: Model,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    latent: frozenset[str] = frozenset(),
    replicates: bool = False,
) -> Rerun:
    """Run a model on the shapes of arguments; `latent` sites are at their origins."""
    failure: Exception | None = None
    args, kwargs = as_arrays(model.function, args, kwargs)
    for level in LEVELS:  # with as few numbers fixed as the model can do with
        data, structure = split((args, kwargs), level)
        there = model._replace(structure=structure)
        try:
            return _seen(there, data, latent, replicates)
        except Exception as error:  # the user's function may raise anything
            failure = error
    reason = str(failure).split("\n", 1)[0]
    shown = ", ".join(
        f"{name}: {_shown(value)}"
        for name, value in named_arguments(model.function, args, kwargs).items()
    )
    raise ValueError(
        f"the model cannot be run at the arguments given ({shown}): "
        f"{type(failure).__name__}: {reason}; give them as in the fit, those of "
        "observed data as None"
    ) from failure


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


def _shown(value: Any) -> str:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(value)]
    if value is None:
        return "None"
    return f"shape {shapes[0]}" if len(shapes) == 1 else f"shapes {shapes}"


@apart
def _seen(
    model: Model, data: list[Array], latent: frozenset[str], replicates: bool
) -> Rerun:
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
        return origin_of(site, model.positive, dtype)

    def trace(data: list[Array]) -> None:
        args, kwargs = join(data, model.structure)
        function = _Unobserve(model.function) if replicates else model.function
        function = handlers.substitute(function, substitute_fn=substitute)
        function = handlers.seed(function, jax.random.key(0))
        for name, site in handlers.trace(function).get_trace(*args, **kwargs).items():
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
    return Rerun(model, data, found, tuple(order), replicates)


class Generated(NamedTuple):
    """One draw of a model."""

    values: dict[str, Array]  # of sampled and deterministic sites
    invalid: dict[str, Array]  # whether a drawn site's parameter is, by "rate of y"


@apart
def generate(
    model: Model,
    data: list[Array],
    values: dict[str, Array],
    key: Key,
    *,
    replicates: bool,
) -> Generated:
    """Draw what is not given: sampled and deterministic sites, by name.

    Args:
        model: with the structure of its arguments.
        data: the arguments' arrays.
        values: of the unknowns that are kept, in the order of a scan's steps.
        key: random key.
        replicates: draw the observed sites, whatever their data.
    """
    args, kwargs = join(data, model.structure)
    function = _Unobserve(model.function) if replicates else model.function
    function = handlers.seed(handlers.substitute(function, data=values), key)
    trace = handlers.trace(function).get_trace(*args, **kwargs)
    found = {
        name: jnp.asarray(site["value"])
        for name, site in trace.items()
        if site["type"] == "deterministic"
        or (site["type"] == "sample" and not is_factor(site))
    }
    return Generated(found, invalid_parameters(trace, values))


def in_order(run: Rerun, values: dict[str, Any]) -> dict[str, Any]:
    """Return values by site in the order in which the model has the sites."""
    known = [name for name in run.order if name in values]
    return {name: values[name] for name in known} | values


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
