"""The log densities of a model's sites one by one: of each observation, of each prior.

    observations(target, values)         log p of each observation
    site_log_probs(target, values)       log p of each site, its observations summed
    independent_sites(target, values)    unknowns whose priors need no other

Values are constrained, by name, in the order of a scan's steps. Each function is of one
draw, and pure; `vi.after` maps them over many.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer.util import compute_log_probs

from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.models.handlers_around import apart
from vijax.vi.targets.models.model_sites import is_factor
from vijax.vi.targets.target import Static, Target, TargetError


class Observed(NamedTuple):
    """The observations of a site, and how probable they are."""

    log_prob: Array  # nats, one number an observation
    value: Array
    mask: Array  # False where the model masks an observation out
    is_discrete: Any  # a bool: log_prob is of a probability, not of a density


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


@apart
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


@apart
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
