"""A HistFactory model as a Target: `from_pyhf`, and what is read back from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.physics.bounded import (
    Bounded,
    bounded,
    from_bounds,
    log_jacobian,
    to_bounds,
)
from vijax.physics.histfactory import (
    Observed,
    Template,
    auxiliary,
    expected_by_sample,
    log_likelihood,
)
from vijax.physics.layout import Layout
from vijax.physics.pyhf_reader import Parsed, parse
from vijax.types import Key, Scalar
from vijax.vi.targets.target import Rows, Site, Static, Target, float_type

INSIDE = 1e-3  # of the range, that a start keeps from a bound


class FitData(NamedTuple):
    """The data of a template fit's target."""

    template: Template
    observed: Observed
    init: Any  # of all entries of θ
    lower: Any
    upper: Any
    fixed: Any  # values of the entries that are fixed
    place: Any  # of each entry of θ among the free ones and then the fixed
    bounds: Bounded  # of the free entries
    priors: dict[str, dist.Distribution]  # of parameters without a constraint


@dataclass(frozen=True)
class FitStructure:
    """What a template fit is compiled for: names and order."""

    layout: Layout
    free: tuple[int, ...]  # entries of θ that are not fixed


def from_pyhf(
    workspace_or_model: Any,
    data: Any = None,
    *,
    measurement: str | None = None,
    patches: Sequence[Any] = (),
    modifier_settings: Mapping[str, Any] | None = None,
    prior: Mapping[str, dist.Distribution] | None = None,
) -> Target:
    r"""Make a target of a HistFactory model: template histograms and their systematics.

    pyhf reads the workspace; the likelihood is then evaluated without it (see
    `histfactory`), equal to `pyhf.Model.logpdf`, under jit, grad and vmap. The sites
    have the names of the parameters, those of bins as vectors. Fixed parameters stay
    where the workspace has them: `target.constrain` returns them too, but they are not
    unknowns.

    As a posterior, the constraint terms are the priors of the nuisance parameters; a
    parameter without one has a flat prior of density 1 between its bounds. So, θ being
    what `target.constrain` returns,

        target.log_density(u) = log L(θ) + log |dθ/du|,

    and the log evidence has the bounds' widths in it: for Bayes factors give `prior`.
    Every parameter keeps to its bounds, by a map with its Jacobian.

    Args:
        workspace_or_model: a HistFactory workspace, as a dict, a `pyhf.Workspace` or
            the path of a JSON file; or a `pyhf.Model`; or a model's specification.
        data: counts of all channels in pyhf's order, with or without the auxiliary
            data. By default those of the workspace; a model has none.
        measurement: of a workspace with several, by name; by default the first.
        patches: JSON patches (lists of operations, or pyhf's own) of the model.
        modifier_settings: pyhf's, {"histosys": {"interpcode": "code4p"}, "normsys":
            {"interpcode": "code4"}} by default.
        prior: NumPyro distributions by name, for parameters without a constraint term,
            cut at the bounds: {"mu": dist.HalfNormal(2.0)}.

    Returns:
        The Target, for `vi.fit`, and for `physics.maximum_likelihood` and the others.

    Raises:
        ValueError: pyhf refuses the workspace; it holds numbers that are not finite, or
            a normsys of 0 or below; the data are no numbers, have another length, or
            are negative; the settings are not as above; a modifier is not
            HistFactory's; a bound is not finite; a prior is of no parameter, or of one
            that has a constraint term or is fixed.
        ImportError: pyhf is not installed.

    Example:
        >>> channel = {"name": "signal_region", "samples": [
        ...     {"name": "signal", "data": [5.0, 10.0], "modifiers": [
        ...         {"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "background", "data": [50.0, 60.0], "modifiers": [
        ...         {"name": "shape", "type": "shapesys", "data": [5.0, 12.0]}]}]}
        >>> target = from_pyhf({"channels": [channel]}, [53.0, 65.0])
        >>> target
        Target of template_fit (3 unknowns: mu, shape[2])
        >>> u = target.unconstrain({"mu": jnp.array(1.0), "shape": jnp.ones(2)})
        >>> theta = target.constrain(u)
        >>> [round(x, 4) for x in (theta["mu"].item(), theta["shape"][0].item())]
        [1.0, 1.0]
    """
    parsed = parse(
        workspace_or_model,
        data,
        measurement=measurement,
        patches=patches,
        settings=modifier_settings,
    )
    return make_target(parsed, dict(prior or {}))


def make_target(parsed: Parsed, priors: dict[str, dist.Distribution]) -> Target:
    """Return the target of a parsed model."""
    layout, template, observed, ranges = parsed
    fixed = np.array([flag for p in layout.parameters for flag in p.fixed])
    free = np.flatnonzero(~fixed)
    _check_ranges(layout, ranges, free)
    _check_priors(layout, priors)
    order = np.concatenate([free, np.flatnonzero(fixed)])
    maps = _maps(layout, template, observed, ranges, free)
    held = ranges.init[fixed]
    leaves = FitData(template, observed, *ranges, held, np.argsort(order), maps, priors)
    given = jax.tree.map(_to_device, leaves)
    sites = tuple(
        Site(p.name, () if p.is_scalar else (p.fixed.count(False),))
        for p in layout.parameters
        if not all(p.fixed)
    )
    static = Static(
        _log_density,
        _constrain,
        _unconstrain,
        template_fit,
        FitStructure(layout, tuple(free.tolist())),
        sites,
    )
    init = np.asarray(ranges.init)[free]
    room = INSIDE * (maps.upper - maps.lower)
    init = np.clip(init, maps.lower + room, maps.upper - room)
    start = from_bounds(given.bounds, jnp.asarray(init, float_type()))
    return Target(given, start, static)


def template_fit(data: FitData, theta: Float[Array, " parameters"]) -> Scalar:
    """Return the log likelihood, as pyhf's `logpdf`, in nats."""
    return log_likelihood(data.template, data.observed, theta)


def parts_of(target: Target) -> tuple[Layout, FitData]:
    """Return names and data of a target that `from_pyhf` has made."""
    structure: Any = target.static.structure
    if not isinstance(structure, FitStructure):
        raise ValueError(
            f"target = {target} is not valid: give one from vijax.physics.from_pyhf"
        )
    return structure.layout, target.data


def expected_counts(
    target: Target, values: Mapping[str, Any]
) -> dict[str, dict[str, Array]]:
    """Return the expected counts of each sample in each channel.

    Args:
        target: from `from_pyhf`.
        values: parameters by name, as `target.constrain` or `vi.sample` returns them;
            those that are missing are at their starting values. Leading axes (draws)
            come first in the result.

    Returns:
        channel -> sample -> counts, (…, bins).

    Raises:
        ValueError: the target is not a template fit; a name is not a parameter's, or
            its values have another shape.
    """
    layout, data = parts_of(target)
    theta = theta_of(layout, data, values)
    flat = theta.reshape(-1, theta.shape[-1])
    cells = jax.vmap(lambda one: expected_by_sample(data.template, one))(flat)
    cells = cells.reshape(*theta.shape[:-1], *cells.shape[1:])
    found, start = {}, 0
    for channel, bins, samples in zip(
        layout.channels, layout.bins, layout.samples, strict=True
    ):
        found[channel] = {
            name: cells[..., slot, start : start + bins]
            for slot, name in enumerate(samples)
        }
        start += bins
    return found


def theta_of(layout: Layout, data: FitData, values: Mapping[str, Any]) -> Array:
    """Return θ of parameters by name; those that are missing are at their starts."""
    unknown = sorted(set(values) - {p.name for p in layout.parameters})
    if unknown:
        raise ValueError(f"values of {unknown} are of no parameter of the model")
    parts, shapes = [], []
    for p in layout.parameters:
        own = jnp.asarray(data.init[p.start : p.start + p.size])
        given = jnp.asarray(values.get(p.name, own[0] if p.is_scalar else own))
        part = given[..., None] if p.is_scalar else given
        if part.shape[-1:] != (p.size,):
            raise ValueError(
                f"values of {p.name!r} have shape {given.shape}: give {p.size} entries "
                "along the last axis"
            )
        parts.append(part)
        shapes.append(part.shape[:-1])
    leading = jnp.broadcast_shapes(*shapes)
    return jnp.concatenate(
        [jnp.broadcast_to(part, (*leading, part.shape[-1])) for part in parts], axis=-1
    )


def by_name(layout: Layout, theta: Any) -> dict[str, Any]:
    """Cut θ into parameters by name."""
    return {
        p.name: theta[p.start] if p.is_scalar else theta[p.start : p.start + p.size]
        for p in layout.parameters
    }


# ---- what Target calls ----


def _position(static: Static, params: dict[str, Array]) -> Array:
    return jnp.concatenate([jnp.ravel(params[site.name]) for site in static.sites])


def _theta(data: FitData, free: Array) -> Array:
    """Put the free entries where they belong among the fixed ones."""
    return jnp.concatenate([free, data.fixed])[data.place]


def _log_density(
    static: Static, data: Any, params: dict[str, Array], key: Key | Rows | None
) -> Scalar:
    u = _position(static, params)
    theta = _theta(data, to_bounds(data.bounds, u))
    total = template_fit(data, theta) + log_jacobian(data.bounds, u)
    if data.priors:
        structure: Any = static.structure
        values = by_name(structure.layout, theta)
        for name, prior in data.priors.items():
            total = total + jnp.sum(prior.log_prob(values[name]))
    return total


def _constrain(
    static: Static, data: Any, params: dict[str, Array], key: Key | Rows | None
) -> dict[str, Array]:
    structure: Any = static.structure
    u = _position(static, params)
    return by_name(structure.layout, _theta(data, to_bounds(data.bounds, u)))


def _unconstrain(
    static: Static, data: Any, values: dict[str, Array]
) -> dict[str, Array]:
    structure: Any = static.structure
    theta = theta_of(structure.layout, data, values)
    u = from_bounds(data.bounds, theta[jnp.array(structure.free)])
    found, start = {}, 0
    for site in static.sites:
        found[site.name] = u[start : start + site.size].reshape(site.shape)
        start += site.size
    return found


# ---- making it ----


def _to_device(leaf: Any) -> Array:
    """Return an array of JAX's own precision."""
    array = np.asarray(leaf)
    kinds = {"f": float_type(), "i": np.int32}
    return jax.device_put(array.astype(kinds.get(array.dtype.kind, array.dtype)))


def _maps(
    layout: Layout, template: Template, observed: Observed, ranges: Any, free: Any
) -> Bounded:
    """Return the maps of the free entries, centred on their auxiliary data."""
    centre, width = auxiliary(template, observed, layout.size)
    return bounded(ranges.lower[free], ranges.upper[free], centre[free], width[free])


def _check_ranges(layout: Layout, ranges: Any, free: np.ndarray) -> None:
    if not len(free):
        raise ValueError(
            "workspace_or_model is not valid: all of its parameters are fixed"
        )
    for entry in free:
        low, high = ranges.lower[entry], ranges.upper[entry]
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(
                f"bounds = [{low}, {high}] of {layout.labels[entry]} are not valid: "
                "give finite ones, the lower below the upper, in the measurement"
            )


def _check_priors(layout: Layout, priors: Mapping[str, Any]) -> None:
    for name, prior in priors.items():
        parameter = layout.parameter(name)
        if not isinstance(prior, dist.Distribution):
            raise ValueError(
                f"prior of {name!r} = {prior!r} is not valid: give a NumPyro "
                "distribution"
            )
        if parameter.constraint != "none" or any(parameter.fixed):
            why = "is fixed" if any(parameter.fixed) else "has a constraint term"
            raise ValueError(
                f"prior of {name!r} is not valid: the parameter {why} in the "
                "workspace; leave it out, or change the workspace"
            )
        size = () if parameter.is_scalar else (parameter.size,)
        if prior.event_shape or prior.batch_shape not in ((), size):
            raise ValueError(
                f"prior of {name!r} has shape {prior.batch_shape}, event "
                f"{prior.event_shape}: give one for each entry, {size}"
            )
