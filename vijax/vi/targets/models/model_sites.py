"""What a NumPyro model asks for: its unknowns, found by running it on shapes alone.

The model is run once with values at the origin of unconstrained space. NumPyro's own
trace then lists its sites, those of `scan` with their time axis and those of `cond`
among them. `_Watch` sees besides what a trace leaves out, and refuses what a density of
the unknowns cannot be made of: parameters to be learned, latent sites of nested control
flow, data that do not fit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.contrib.control_flow.scan import scan_wrapper
from numpyro.distributions import constraints, transforms
from numpyro.primitives import Messenger

from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.target import DiscreteSite, Plate, Site, Static, TargetError

_MOST_VALUES = 10_000  # of one discrete site


def find_sites(static: Static, data: tuple[Any, ...], dtype: Any) -> Static:
    """Return `static` with the model's unknowns, plates and discrete sites."""
    seen = _Seen()
    found: dict[str, Any] = {}

    def trace(data: list[Array]) -> Array:
        args, kwargs = join(data, static.structure)
        seed = handlers.seed(rng_seed=jax.random.key(0))
        at_origin = partial(_at_origin, seen, static.positive, dtype)
        with (
            handlers.trace() as trace,
            _Watch(seen=seen),
            handlers.substitute(substitute_fn=at_origin),
            seed,
        ):
            static.function(*args, **kwargs)
        found.update(_found(static, trace, seen))
        return jax.random.key_data(seed.rng_key)

    _check_leak(jax.make_jaxpr(trace)(list(data)).consts)
    if not found["sites"]:
        more = "; what is discrete alone needs no fit" if found["discrete"] else ""
        raise TargetError(
            f"model is not valid: it has no unknown continuous site{more}"
        )
    return static._replace(**found)


def transform_of(site: dict[str, Any], positive: str) -> transforms.Transform:
    """Return the map from the real line to the site's support."""
    support = site["fn"].support
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if positive == "softplus" and base is constraints.positive:
        transform: transforms.Transform = transforms.SoftplusTransform()
        if isinstance(support, constraints.independent):
            transform = transforms.IndependentTransform(
                transform, support.reinterpreted_batch_ndims
            )
        return transform
    try:
        return transforms.biject_to(support)
    except NotImplementedError as error:
        remedy = (
            "use dist.ProjectedNormal with numpyro.infer.reparam.ProjectedNormalReparam"
            if base is constraints.sphere
            else "reparametrise it"
        )
        raise TargetError(
            f"site {site['name']!r} has support {support}, which has no map to the "
            f"real line: {remedy}"
        ) from error


class Everywhere(Messenger, ABC):
    """A handler that also sees what happens inside `scan` and `cond`."""

    def process_message(self, msg: dict[str, Any]) -> None:
        """Wrap the functions that the control flow is going to call."""
        if msg["type"] == "control_flow":
            bodies = (0,) if msg["fn"] is scan_wrapper else (1, 2)
            msg["args"] = tuple(
                self.inside(argument) if position in bodies else argument
                for position, argument in enumerate(msg["args"])
            )

    @abstractmethod
    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` under a handler like this one."""


class _Seen:
    """What `_Watch` has seen."""

    def __init__(self) -> None:
        self.plates: list[Plate] = []
        self.backwards: set[str] = set()
        self.history: dict[str, int] = {}  # of sites in a scan
        self.draws_keys = False


class _Watch(Everywhere):
    """Notes what a trace does not tell; refuses what cannot be right."""

    def __init__(
        self, fn: Callable[..., Any] | None = None, *, seen: _Seen, depth: int = 0
    ) -> None:
        self.seen = seen
        self.depth = depth
        self.learned: list[dict[str, Any]] = []
        super().__init__(fn)

    def inside(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _Watch(function, seen=self.seen, depth=self.depth + 1)

    def process_message(self, msg: dict[str, Any]) -> None:
        super().process_message(msg)
        if msg["type"] == "param" and msg["value"] is None:
            self.learned.append(msg)  # no handler inside has given it a value
        elif msg["type"] == "prng_key":
            self.seen.draws_keys = True
        elif msg["type"] == "plate" and msg["value"] is None and self.depth:
            raise TargetError(
                f"model is not valid: plate {msg['name']!r} inside a scan or cond "
                "takes a subsample, which would be the same in every step; take all "
                "rows, or the subsample outside"
            )

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "control_flow" and msg["fn"] is scan_wrapper:
            _, (pytree_trace, _) = msg["value"]
            self.seen.history |= dict.fromkeys(
                pytree_trace.trace, msg["kwargs"].get("history", 1)
            )
            if msg["args"][4]:  # reverse
                self.seen.backwards |= set(pytree_trace.trace)
        elif msg["type"] == "sample" and not msg.get("_control_flow_done", False):
            if msg["is_observed"]:
                _check_data(msg)
            elif self.depth > 1:
                raise TargetError(
                    f"model is not valid: its unknown site {msg['name']!r} is inside "
                    "a scan or cond that is itself inside one, which NumPyro does not "
                    "support; write the inner one as a Python loop or a plate"
                )

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        # After the run: random_flax_module takes out what has a prior.
        for msg in self.learned:
            if error[0] is None and jax.tree.leaves(msg["value"]):
                raise TargetError(
                    f"model is not valid: {msg['name']!r} is a numpyro.param, to be "
                    "learned beside q, which vijax does not; give it a prior by "
                    "numpyro.sample (random_flax_module or random_nnx_module for a "
                    "network), or a fixed value by numpyro.handlers.substitute"
                )


def _check_leak(constants: list[Any]) -> None:
    """Refuse a latent site inside a function that JAX transforms.

    Each takes a part of the seed's key, which has then leaked out of that function: a
    tracer that the trace of the model has not made is a constant to it.
    """
    for value in constants:
        if isinstance(value, jax.core.Tracer) and jnp.issubdtype(
            value.dtype, jax.dtypes.prng_key
        ):
            raise TargetError(
                "model is not valid: an unknown site is inside a function that JAX "
                "transforms (jax.lax.scan, jax.lax.map, jax.jit), where NumPyro sees "
                "it once; use numpyro.contrib.control_flow.scan, or a plate"
            )


def _at_origin(
    seen: _Seen, positive: str, dtype: Any, site: dict[str, Any]
) -> Array | None:
    """Return the value at the origin of unconstrained space, or all rows of a plate."""
    if site["type"] == "plate" and site["value"] is None:
        seen.plates.append(Plate(site["name"], *site["args"]))
        return jnp.arange(seen.plates[-1].rows)
    if site["type"] != "sample" or site["is_observed"]:
        return None
    if site["fn"].support.is_discrete:
        return None  # the seed draws one
    return origin_of(site, positive, dtype)


def origin_of(site: dict[str, Any], positive: str, dtype: Any) -> Array:
    """Return a site's value at the origin of unconstrained space."""
    transform = transform_of(site, positive)
    shape = (*site["kwargs"]["sample_shape"], *site["fn"].shape())
    return transform(jnp.zeros(transform.inverse_shape(shape), dtype))


def _found(static: Static, trace: dict[str, Any], seen: _Seen) -> dict[str, Any]:
    sites: list[Site] = []
    discrete: list[DiscreteSite] = []
    for name, site in trace.items():
        if site["type"] != "sample" or site["is_observed"]:
            continue
        _check_plates(site, seen.plates)
        if site["fn"].support.is_discrete:
            discrete.append(_discrete_site(site, seen))
            continue
        if isinstance(base_distribution(site["fn"]), dist.Delta):
            raise TargetError(
                f"model is not valid: its site {name!r} is a dist.Delta, which leaves "
                "nothing unknown; use numpyro.deterministic"
            )
        transform = transform_of(site, static.positive)
        shape = tuple(transform.inverse_shape(jnp.shape(site["value"])))
        sites.append(Site(name, shape))
    if discrete:
        for site in trace.values():
            _check_axes(site)
    depths = [
        -frame.dim
        for site in trace.values()
        if site["type"] == "sample"
        for frame in site["cond_indep_stack"]
    ]
    return {
        "sites": tuple(sites),
        "plates": tuple(seen.plates),
        "backwards": tuple(sorted(seen.backwards)),
        "draws_keys": seen.draws_keys,
        "discrete": tuple(discrete),
        "nesting": max(depths, default=0),
    }


def base_distribution(distribution: Any) -> Any:
    """Return the distribution without masks and what only moves its axes."""
    wrappers = dist.MaskedDistribution | dist.ExpandedDistribution | dist.Independent
    while isinstance(distribution, wrappers):
        distribution = distribution.base_dist
    return distribution


def is_factor(site: dict[str, Any]) -> bool:
    """Say whether a site is a numpyro.factor."""
    return isinstance(base_distribution(site["fn"]), dist.Unit)


def _check_plates(site: dict[str, Any], plates: list[Plate]) -> None:
    around = {frame.name for frame in site["cond_indep_stack"]}
    if names := frozenset(plate.name for plate in plates) & around:
        raise UnknownsInsideError(names)


class UnknownsInsideError(TargetError):
    """Plates that take a subsample have unknowns inside: other ones in every step."""

    def __init__(self, plates: frozenset[str]) -> None:
        self.plates = plates
        super().__init__(f"unknown sites are inside subsampled plates {sorted(plates)}")


@lru_cache(maxsize=128)
def all_rows(
    function: Callable[..., Any], plates: frozenset[str]
) -> Callable[..., Any]:
    """Return the model with these plates taking all their rows, once for each model."""
    return _AllRows(function, plates)


class _AllRows(Messenger):
    """Gives plates all their rows, whatever subsample they ask for."""

    def __init__(self, fn: Callable[..., Any], plates: frozenset[str]) -> None:
        super().__init__(fn)
        self.plates = plates
        self.__name__ = getattr(fn, "__name__", "model")

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "plate" and msg["name"] in self.plates:
            size, _ = msg["args"]
            msg["args"] = size, size
            msg["value"] = jnp.arange(size)


def _discrete_site(site: dict[str, Any], seen: _Seen) -> DiscreteSite:
    """Describe a discrete site; refuse one whose sum would fail or come out wrong."""
    distribution = base_distribution(site["fn"])
    refused = (
        f"model is not valid: its unknown site {site['name']!r} is discrete "
        f"({type(distribution).__name__})"
    )
    if not distribution.has_enumerate_support:
        raise TargetError(
            f"{refused} and has no finite list of values to sum over; cut it off (a "
            "dist.Categorical of its probabilities), or infer it by MCMC"
        )
    if site["fn"].event_dim:
        raise TargetError(
            f"{refused} and a vector, whose entries are not summed over one by one; "
            "write it in a numpyro.plate without to_event"
        )
    if seen.plates or site["name"] in seen.backwards:
        where = "beside a subsampled plate" if seen.plates else "in a reverse scan"
        remedy = (
            "take all rows, or sum it out by dist.MixtureSameFamily"
            if seen.plates
            else "turn xs around and scan forwards"
        )
        raise TargetError(
            f"{refused} {where}, where its sum would come out wrong; {remedy}"
        )
    with jax.ensure_compile_time_eval():
        values = np.ravel(distribution.enumerate_support(expand=False))
    if len(values) > _MOST_VALUES:
        raise TargetError(
            f"{refused} and has {len(values)} values; at most {_MOST_VALUES} are "
            "summed over: make it coarser, or continuous"
        )
    if not np.array_equal(values, np.arange(len(values))):
        raise TargetError(
            f"{refused} with values from {values[0]}, and is summed over from 0 only; "
            "sample it from 0 and add the offset afterwards"
        )
    return DiscreteSite(
        site["name"],
        jnp.shape(site["value"]),
        len(values),
        len(site["cond_indep_stack"]),
        seen.history.get(site["name"], 0),
        isinstance(site["fn"], dist.MaskedDistribution),
    )


def _check_axes(site: dict[str, Any]) -> None:
    """Refuse an axis that is in no plate, beside discrete sites: it would be theirs."""
    if site["type"] != "sample":
        return
    event_dim = len(site["fn"].event_shape)
    shape = np.broadcast_shapes(jnp.shape(site["value"]), site["fn"].shape())
    batch = shape[: len(shape) - event_dim]
    known = {frame.dim for frame in site["cond_indep_stack"]}
    if site.get("_control_flow_done", False):
        known.add(-len(batch))  # the steps
    for dim in range(-len(batch), 0):
        if batch[dim] > 1 and dim not in known:
            # What is summed out one by one can only be in a plate.
            summed = site["fn"].support.is_discrete and not site["is_observed"]
            event = "" if summed else ", or the axis as .to_event(1)"
            raise TargetError(
                f"model is not valid: its site {site['name']!r} has an axis of "
                f"{batch[dim]} in no plate, which a model with discrete sites cannot "
                f"have; write the site in a numpyro.plate{event}"
            )


def _check_data(site: dict[str, Any]) -> None:
    """Refuse data whose shape does not fit, or makes a third one with the model's."""
    value, model = jnp.shape(site["value"]), tuple(site["fn"].shape())
    try:
        fits = np.broadcast_shapes(value, model) in (value, model)
    except ValueError:
        fits = False
    if not fits:
        raise TargetError(
            f"model is not valid: the data of site {site['name']!r} have shape {value} "
            f"and its distribution {model}; give both the same shape"
        )
