"""Hand a fit over to ArviZ (an optional extra: `pip install -e '.[arviz]'`).

    data = vi.to_arviz(fit, key)     a DataTree for ArviZ 1, InferenceData for ArviZ 0
    arviz.plot_forest(data)

One draw of the unknowns is in all groups: the posterior's, its prediction, and the log
likelihood of the data. Axes of plates have the plates' names.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro import handlers

from vijax.extras import require
from vijax.types import Key
from vijax.validate import check
from vijax.vi.after.pointwise import observed_sites, pointwise
from vijax.vi.after.posterior_draws import (
    CHAINS,
    posterior_draws,
    source_of,
    unknowns,
)
from vijax.vi.after.prediction import prior_predict, replicates
from vijax.vi.after.refusals import check_same_model
from vijax.vi.engine.batched_density import MAX_BATCH, constrained_sites, in_batches
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import own_precision
from vijax.vi.result import Fit
from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.models import replay
from vijax.vi.targets.models.enumeration import draw_discrete
from vijax.vi.targets.models.numpyro_model import is_model
from vijax.vi.targets.models.scan_steps import first_in_steps
from vijax.vi.targets.target import Target

GROUPS = (
    "posterior",
    "posterior_predictive",
    "log_likelihood",
    "prior",
    "prior_predictive",
    "sample_stats",
    "observed_data",
    "constant_data",
)
NUMBERS = ("khat", "khat_se", "elbo", "elbo_se", "log_evidence", "log_evidence_se")
SAMPLED = ("chain", "draw")  # axes that draws have first

Values = dict[str, np.ndarray]
Axes = dict[str, list[str | None]]


@own_precision
def to_arviz(
    fit: Fit,
    key: Key,
    num_samples: int | None = None,
    *,
    draws: str = "auto",
    groups: Sequence[str] = GROUPS,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """Return what the installed ArviZ works on: draws, predictions, data, the verdict.

    Groups, where they can be had: of a plain log density, posterior and sample_stats.

        posterior             unknown and deterministic sites
        posterior_predictive  observed sites, drawn anew at the same draws
        log_likelihood        of each observation at the same draws, in nats; not where
                              discrete unknowns are summed out
        prior, prior_predictive       likewise of the prior; not where it is improper
        sample_stats          lp, log p at the draws in unconstrained space, in nats
        observed_data, constant_data  the model's data, and its other arguments

    Attributes of posterior and sample_stats hold verdict, advice, trusted, correctable,
    khat, khat_se, elbo, elbo_se, log_evidence, log_evidence_se (nats) and the source of
    the draws. Draws of q are independent, and are one chain: R-hat would be 1 of any q,
    and says nothing of the fit, but k̂ does. Draws of `vi.nuts` keep their chains.

    Args:
        fit: of a target of `vi.from_numpyro` or `vi.from_log_density`.
        key: random key.
        num_samples: number of draws; by default 1000, or all those of the chains. Of
            chains as many are taken as make up this number, evenly spaced.
        draws: where they come from, as in `vi.predict`.
        groups: those that are wanted; each costs a program.
        coords: labels by axis; those of a plate are 0, 1, … without.
        dims: names of a site's axes by site, beside those of plates.

    Raises:
        ImportError: ArviZ is not installed; the text says how to install it.
        ValueError: fewer than 1 sample; an unknown group; `dims` for no site, or for
            more axes than it has; `coords` of another length than their axis; the model
            has changed since the fit; as `vi.predict` for `draws`.
    """
    given = num_samples is None or num_samples >= 1
    check(given, "num_samples", num_samples, "give at least 1")
    for name in groups:
        if name not in GROUPS:
            raise ValueError(f"groups = {name!r} is not among {GROUPS}")
    arviz = require("arviz", extra="arviz", purpose="vi.to_arviz")
    target = fit.target
    draw_key, discrete_key, noise_key = jax.random.split(key, 3)  # as vi.predict
    source = source_of(fit, draws)
    values, shape = _posterior(fit, draw_key, num_samples, source)
    found: dict[str, Values] = {"posterior": _numpy(values)}
    if not target.subsampled and not target.streamed:
        found["sample_stats"] = {"lp": np.asarray(_log_density(target, values))}
    if is_model(target):
        seen = check_same_model(target)
        observed = [name for name, site in seen.items() if site.is_observed]
        if target.static.discrete:
            values = draw_discrete(target, discrete_key, values) | values
            found["posterior"] = _numpy(values)
        elif observed and "log_likelihood" in groups:
            found["log_likelihood"] = _numpy(pointwise(target, values))
        if not target.subsampled:
            drawn = _numpy(replicates(target, noise_key, values))
            found["posterior_predictive"] = {n: drawn.pop(n) for n in observed}
            found["posterior"] |= drawn
    found = {group: _in_chains(arrays, shape) for group, arrays in found.items()}
    axes: Axes = {}
    if is_model(target):
        if {"prior", "prior_predictive"} & set(groups) and not target.subsampled:
            number = shape[0] * shape[1]
            found |= _prior(target, jax.random.fold_in(key, 1), number, observed)
        axes = _site_axes(target, values)
        found["observed_data"] = _observed_data(target, values, observed)
        found["constant_data"] = _constant_data(target, found["observed_data"])
        _share_rows(found["constant_data"], found["observed_data"], axes)
    found = {group: found[group] for group in GROUPS if found.get(group)}
    found = {group: arrays for group, arrays in found.items() if group in groups}
    names = _named(axes, found, dims or {}, coords or {})
    data = _make(arviz, found, names, dict(coords or {}))
    for group in {"posterior", "sample_stats"} & found.keys():
        getattr(data, group).attrs |= _attributes(fit, source)
    return data


def _posterior(
    fit: Fit, key: Key, num_samples: int | None, source: str
) -> tuple[dict[str, Array], tuple[int, int]]:
    """Return draws of the unknowns, one after the other, and (chains, draws)."""
    if source != CHAINS or fit.chains is None:
        number = 1000 if num_samples is None else num_samples
        return dict(posterior_draws(fit, key, number, source).values), (1, number)
    num_chains, length, dim = fit.chains.positions.shape
    wanted = length if num_samples is None else -(-num_samples // num_chains)
    places = np.linspace(0, length - 1, min(length, wanted)).round().astype(int)
    positions = fit.chains.positions[:, places].reshape(-1, dim)
    values = unknowns(fit.target, constrained_sites(fit.target, positions))
    return dict(values), (num_chains, len(places))


@density_jit
def _log_density(target: Target, values: dict[str, Array]) -> Array:
    names = [site.name for site in target.static.sites]

    def one(values: dict[str, Array]) -> Array:
        return target.log_density(target.unconstrain(values))

    known = {name: values[name] for name in names}
    return in_batches(one, known, max(1, MAX_BATCH // target.data_size))


def _prior(target: Target, key: Key, number: int, observed: list[str]) -> Any:
    """Return both groups of the prior; none where it cannot be drawn from."""
    args, kwargs = join(target.data, target.static.structure)
    try:
        drawn = _numpy(
            prior_predict(
                target.static.function, key, *args, num_samples=number, **kwargs
            )
        )
    except ValueError:  # improper, say
        return {}
    predicted = {name: drawn.pop(name) for name in observed}
    groups = {"prior": drawn, "prior_predictive": predicted}
    return {group: _in_chains(x, (1, number)) for group, x in groups.items()}


def _site_axes(target: Target, values: dict[str, Array]) -> Axes:
    """Return the names of the axes that are plates, None of others, by site."""
    found: Axes = {}
    first = first_in_steps(target.static.backwards, values)

    def trace(data: list[Array], values: dict[str, Array]) -> None:
        args, kwargs = join(data, target.static.structure)
        model = handlers.substitute(target.static.function, data=values)
        model = handlers.seed(model, jax.random.key(0))
        for name, site in handlers.trace(model).get_trace(*args, **kwargs).items():
            if site["type"] not in ("sample", "deterministic"):
                continue
            shape = jnp.shape(site["value"])
            event_dim = len(site["fn"].event_shape) if site["type"] == "sample" else 0
            axes: list[str | None] = [None] * len(shape)
            for frame in site.get("cond_indep_stack") or ():
                axis = len(shape) - event_dim + frame.dim
                sizes = _plate_sizes(target, frame)
                if 0 <= axis < len(shape) and shape[axis] in sizes:
                    axes[axis] = frame.name
            found[name] = axes

    jax.eval_shape(trace, list(target.data), first)
    return found


def _plate_sizes(target: Target, frame: Any) -> set[int]:
    sizes = {frame.size}
    return sizes | {
        plate.size for plate in target.static.plates if plate[0] == frame.name
    }


def _observed_data(
    target: Target, values: dict[str, Array], names: list[str]
) -> Values:
    """Return the values of the observed sites; of all rows, where they are taken."""
    if not target.static.discrete:
        found = observed_sites(target, values, names)
        return {name: np.asarray(observed.value) for name, observed in found.items()}
    first = first_in_steps(target.static.backwards, values)
    run = replay.rerun(target)
    sites = _all_sites(run.model, run.data, first)
    return {name: np.asarray(sites[name]) for name in names}


@partial(density_jit, static_argnums=0)
def _all_sites(
    model: replay.Model, data: list[Array], values: dict[str, Array]
) -> dict[str, Array]:
    key = jax.random.key(0)
    return replay.generate(model, data, values, key, replicates=False).values


def _constant_data(target: Target, observed: Values) -> Values:
    """Return the numbers among the model's arguments that are not observed."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(replay.own_arguments(target))
    found = {}
    for path, leaf in leaves:
        if isinstance(leaf, str) or _is_key(leaf):
            continue
        array = np.asarray(leaf)
        is_observed = any(
            array.shape == x.shape and np.array_equal(array, x, equal_nan=True)
            for x in observed.values()
        )
        if array.dtype.kind in "biuf" and not is_observed:
            found[jax.tree_util.keystr(path, simple=True, separator=".")] = array
    return found


def _share_rows(constant: Values, observed: Values, axes: Axes) -> None:
    """Give the first axis of constant data the name of the one plate of its length."""
    plates = {
        (name, size)
        for site in observed
        for name, size in zip(axes.get(site, ()), observed[site].shape, strict=False)
        if name is not None
    }
    for name, array in constant.items():
        same = {plate for plate, size in plates if array.shape[:1] == (size,)}
        axes[name] = [None] * array.ndim
        if len(same) == 1:
            axes[name][0] = same.pop()


def _named(
    axes: Axes,
    found: dict[str, Values],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
) -> dict[str, list[str]]:
    """Return a name for each axis of each site; refuse names that do not fit."""
    shapes: dict[str, tuple[int, ...]] = {}
    for group, arrays in found.items():
        skipped = 0 if group.endswith("_data") else len(SAMPLED)
        for name, array in arrays.items():
            shape = array.shape[skipped:]
            shapes[name] = max(shapes.get(name, shape), shape, key=len)
    for name, names in dims.items():
        if name not in shapes or len(names) > len(shapes[name]):
            raise ValueError(
                f"dims = {{{name!r}: {list(names)}}} is not valid: the sites and their "
                f"shapes are {shapes}"
            )
    named: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        given = list(dims.get(name, ()))
        own = [*axes.get(name, ()), *[None] * len(shape)]
        named[name] = []
        for number, size in enumerate(shape):
            label = given[number] if number < len(given) else own[number]
            # A plate may be called like a site, or like one of ArviZ's own axes.
            if label in shapes or label in SAMPLED:
                label = f"{label}_dim"
            if label is None or sizes.setdefault(label, size) != size:
                label = f"{name}_dim_{number}"
                sizes[label] = size
            named[name].append(label)
    for axis, labels in coords.items():
        if sizes.get(axis) != len(labels):
            raise ValueError(
                f"coords = {{{axis!r}: {len(labels)} labels}} is not valid: the axes "
                f"and their lengths are {sizes}"
            )
    return named


def _make(
    arviz: Any,
    found: dict[str, Values],
    dims: dict[str, list[str]],
    coords: dict[str, Any],
) -> Any:
    # ArviZ 1 takes the groups as one dictionary, ArviZ 0 as keywords.
    if int(arviz.__version__.partition(".")[0]) >= 1:
        return arviz.from_dict(found, dims=dims, coords=coords)
    return arviz.from_dict(**found, dims=dims, coords=coords)


def _attributes(fit: Fit, source: str) -> dict[str, Any]:
    return {
        "inference_library": "vijax",
        "source": source,
        "verdict": fit.verdict,
        "advice": fit.advice,
        "trusted": int(fit.trusted),
        "correctable": int(fit.correctable),
        **{name: float(getattr(fit, name)) for name in NUMBERS},
    }


def _in_chains(arrays: Values, shape: tuple[int, int]) -> Values:
    return {name: x.reshape(*shape, *x.shape[1:]) for name, x in arrays.items()}


def _numpy(arrays: Mapping[str, Any]) -> Values:
    return {name: np.asarray(x) for name, x in arrays.items()}


def _is_key(leaf: Any) -> bool:
    is_array = isinstance(leaf, jax.Array)
    return is_array and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
