"""Make a Target of a NumPyro model: its log density in unconstrained space."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers
from numpyro.distributions import constraints, transforms
from numpyro.infer.util import compute_log_probs

from vijax.types import Key, Scalar
from vijax.vi.targets.data_arguments import join, split, to_device
from vijax.vi.targets.target import (
    Plate,
    Rows,
    Site,
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

    Constraints, plates, `factor`, `mask` and subsampled plates keep their meaning.
    Numbers, arrays and NumPyro distributions among the arguments are data; strings,
    booleans, and integers that the model needs while it is traced (a plate's size)
    are static. Define the model once: a lambda made anew for each call compiles anew.

    Raises:
        ValueError: the model raises, has no unknowns, has a discrete one, or one inside
            a subsampled plate.

    Example:
        >>> def model(y):
        ...     scale = numpyro.sample("scale", dist.HalfNormal(1.0))
        ...     numpyro.sample("y", dist.Normal(0.0, scale), obs=y)
        >>> target = from_numpyro(model, jnp.array([0.5, -1.0]))
        >>> target.dim, target.constrain(jnp.zeros(1))["scale"].item()
        (1, 1.0)
    """
    if isinstance(model, partial):  # a new partial of the same function is the same
        args, kwargs = (*model.args, *args), {**model.keywords, **kwargs}
        model = model.func

    def make(static_types: tuple[type, ...]) -> Target:
        data, structure = split((args, kwargs), static_types)
        static = Static(
            _density_of_model, _constrain_model, _unconstrain_model, model, structure
        )
        sites, plates = traced(_sites, static, shapes(data), float_type())
        static = static._replace(sites=sites, plates=plates)
        dim = sum(site.size for site in sites)
        return Target(data, to_device(np.zeros(dim, float_type())), static)

    return first_that_traces(make, "model")


def _sites(
    static: Static, data: tuple[Any, ...], dtype: Any
) -> tuple[tuple[Site, ...], tuple[Plate, ...]]:
    """Run the model on shapes alone, at the origin of unconstrained space.

    Returns its unknowns and the plates that take a subsample.
    """
    sites: list[Site] = []
    plates: list[Plate] = []

    def substitute(site: dict[str, Any]) -> Array | None:
        if site["type"] == "plate" and site["value"] is None:
            plates.append(Plate(site["name"], *site["args"]))
            return jnp.arange(plates[-1].rows)
        if site["type"] != "sample" or site["is_observed"]:
            return None
        around = {frame.name for frame in site["cond_indep_stack"]}
        for plate in plates:
            if plate.name in around:
                raise TargetError(
                    f"model is not valid: its unknown site {site['name']!r} is inside "
                    f"the subsampled plate {plate.name!r}, so that each step would see "
                    "other unknowns; take it out of the plate, or all rows"
                )
        distribution: dist.Distribution = site["fn"]
        if distribution.support.is_discrete:
            raise TargetError(
                f"model is not valid: its unknown site {site['name']!r} is discrete "
                f"({type(distribution).__name__}); sum it out (a mixture likelihood, "
                "dist.MixtureSameFamily) or infer it by MCMC"
            )
        transform = _transform(site, static.positive)
        shape = tuple(transform.inverse_shape(distribution.shape()))
        sites.append(Site(site["name"], shape))
        return transform(jnp.zeros(shape, dtype))

    def trace(data: list[Array]) -> None:
        args, kwargs = join(data, static.structure)
        model = handlers.substitute(static.function, substitute_fn=substitute)
        model = handlers.seed(model, jax.random.key(0))
        handlers.trace(model).get_trace(*args, **kwargs)

    jax.eval_shape(trace, list(data))
    if not sites:
        raise TargetError("model is not valid: it has no unknown continuous site")
    return tuple(sites), tuple(plates)


def _density_of_model(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> Scalar:
    args, kwargs = join(data, static.structure)
    log_probs, _ = compute_log_probs(
        _unconstrained(static, params, key), args, kwargs, {}
    )
    return jnp.asarray(sum(log_probs.values(), start=0.0))


def _constrain_model(
    static: Static, data: list[Array], params: dict[str, Array], key: Key | Rows | None
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    model = _unconstrained(static, params, key)
    trace = handlers.trace(model).get_trace(*args, **kwargs)
    return {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] == "deterministic" or name in params
    }


def _unconstrain_model(
    static: Static, data: list[Array], values: dict[str, Array]
) -> dict[str, Array]:
    args, kwargs = join(data, static.structure)
    key = jax.random.key(0)
    known: dict[str, Array] = values | _draw_rows(key, static.plates)
    model = handlers.seed(handlers.substitute(static.function, data=known), key)
    trace = handlers.trace(model).get_trace(*args, **kwargs)
    return {
        site.name: _transform(trace[site.name], static.positive).inv(values[site.name])
        for site in static.sites
    }


def _unconstrained(
    static: Static, params: dict[str, Array], key: Key | Rows | None
) -> Callable[..., Any]:
    """Run the model at unconstrained values, log |dθ/du| added as a factor."""
    key = jax.random.key(0) if key is None else key
    rows = key if isinstance(key, dict) else _draw_rows(key, static.plates)

    def substitute(site: dict[str, Any]) -> Array | None:
        if site["type"] == "plate":
            return rows.get(site["name"])
        if site["type"] != "sample" or site["name"] not in params:
            return None
        position = params[site["name"]]
        transform = _transform(site, static.positive)
        value = transform(position)
        log_det = transform.log_abs_det_jacobian(position, value)
        # Under the site's own plates and masks, so that it is scaled as the site is.
        batch = jnp.ndim(value) - len(site["fn"].event_shape)
        log_det = jnp.sum(log_det, axis=tuple(range(batch, jnp.ndim(log_det))))
        numpyro.factor(f"_{site['name']}_log_det", log_det)
        return value

    model = handlers.substitute(static.function, substitute_fn=substitute)
    return handlers.seed(model, jax.random.key(0) if isinstance(key, dict) else key)


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


def _transform(site: dict[str, Any], positive: str) -> transforms.Transform:
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
        raise TargetError(
            f"site {site['name']!r} has support {support}, which has no map to the "
            "real line: reparametrise it"
        ) from error
