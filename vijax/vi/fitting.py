r"""One call from a target to a q, its errors and a verdict.

    fit = vi.fit(target, key)                       a mean field, all defaults
    fit = vi.fit(target, key, family="full_rank")
    fit = vi.fit(target, key, family=vi.LowRank(rank=20),
                 method=vi.Stochastic(num_draws=1))
    fit.verdict, fit.khat, fit.elbo, fit.elbo_se

A Fit is a pytree: `fit` may be compiled, or vmapped over keys and data; called eagerly,
it compiles once for each model, options and shapes.
"""

from collections.abc import Hashable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax.types import Key
from vijax.validate import check
from vijax.vi import ladder
from vijax.vi.engine import precision
from vijax.vi.engine.batched_density import BATCH, enough_draws
from vijax.vi.engine.blas_threads import on_one_thread
from vijax.vi.engine.compilation import in_trace
from vijax.vi.engine.threefry import fold_in
from vijax.vi.families import base
from vijax.vi.families.base import Family
from vijax.vi.families.flow import Flow
from vijax.vi.families.gaussian import FullRank, MeanField
from vijax.vi.families.low_rank import LowRank
from vijax.vi.families.mixture import Mixture
from vijax.vi.families.structured import Structured
from vijax.vi.methods import mode_search
from vijax.vi.methods.base import Found, Method
from vijax.vi.methods.fixed_draws import MAX_DIM, FixedDraws
from vijax.vi.methods.laplace import Laplace
from vijax.vi.methods.multipath_pathfinder import Pathfinder
from vijax.vi.methods.nested_laplace import NestedLaplace
from vijax.vi.methods.stacked_modes import StackedModes
from vijax.vi.methods.stochastic import Stochastic
from vijax.vi.result import Fit
from vijax.vi.targets.arguments.data_arguments import to_device
from vijax.vi.targets.models import impossible_data
from vijax.vi.targets.streams.streamed_model import thinned
from vijax.vi.targets.target import Target
from vijax.vi.verdict import check_draws, check_modes, judge

FAMILIES: dict[str, Family] = {
    "mean_field": MeanField(),
    "full_rank": FullRank(),
    "low_rank": LowRank(),
    "flow": Flow(),
    "mixture": Mixture(),
    "structured": Structured(),
}
METHODS: dict[str, Method] = {
    "fixed_draws": FixedDraws(),
    "stochastic": Stochastic(),
    "laplace": Laplace(),
    "pathfinder": Pathfinder(),
    "stacked_modes": StackedModes(),
    "nested_laplace": NestedLaplace(),
}
OWN_FAMILY = ("laplace", "pathfinder")  # methods that also name a family: their own
NUM_STARTS = 10  # tried until one is finite
STREAM_DRAWS = 32  # a batch: many rows leave little that is not normal
SEARCH, CHECKS, RESTARTS, MODES = range(4)  # streams of the key


def fit(
    target: Target,
    key: Key,
    *,
    family: str | Family = "mean_field",
    method: str | Method = "auto",
    positive: str | None = None,
    tolerance: float = 0.01,
    num_checks: int | None = None,
    search_modes: bool = True,
    seconds: float = 120.0,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Fit:
    r"""Fit q to the target by maximising the ELBO, and check it.

    Where float32 loses digits that the log density needs, the fit is run in float64,
    whatever JAX's own setting is, and its numbers are float64.

    Args:
        target: from `from_numpyro` or `from_log_density`.
        key: random key; the same key gives the same fit.
        family: a name or an object of `vi.families`: "mean_field"; "full_rank";
            "low_rank", a diagonal and ten directions, for many unknowns; "flow", which
            can be skewed and have long tails; "mixture", a normal at every mode;
            "structured", for many unknowns that are independent, or form a chain,
            given a few others; "auto", one after the other until one is trusted, and
            NUTS in the end (see `ladder`). Your own is as good: an object with
            `init(loc, scale) -> q`, see `families.base`. "laplace" and "pathfinder"
            stand for the normals that the methods of these names find.
        method: a name or an object of `vi.methods` with its options: "fixed_draws"
            (`FixedDraws`), Newton's method for mean field and full rank; "stochastic"
            (`Stochastic`), Optax on fresh draws; "laplace" (`Laplace`), "pathfinder"
            (`Pathfinder`); "nested_laplace" (`NestedLaplace`) for "structured"; or
            "auto": that one there, else fixed draws where they can and there are at
            most 200 unknowns, else stochastic.
        positive: how positive unknowns meet the real line, "exp" or "softplus"; by
            default as the target says.
        tolerance: stop when the means are known to this many sds, the sds to this
            fraction (relative to the family's best q).
        num_checks: draws of q for ELBO, k̂ and evidence; 2000, or 500 where the model
            subsamples, for then each is a pass over all rows; 500 to 2000 where the
            family is structured, the fewer the larger the model.
        search_modes: whether to look around for modes that q misses, by about as many
            gradients as the fit took; not in a trace, for a model that subsamples,
            or above 200 unknowns.
        seconds: that family = "auto" may take before it begins nothing new.
        progress: whether to show a bar; method = "auto" is then the stochastic one.
        checkpoint: directory of `Stochastic`'s checkpoints; likewise.

    Returns:
        The Fit: q with its ELBO, k̂, verdict and errors.

    Raises:
        ValueError: for an unknown name, a method that cannot fit the family or the
            target, a checkpoint of another fit, and where the log density is not finite
            anywhere that was tried.

    Example:
        >>> import jax
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda x: -0.5 * (x - 3.0) ** 2 / 4.0, 0.0)
        >>> fitted = fit(target, jax.random.key(0))
        >>> mean, sd = fitted.q.mean().item(), fitted.q.scale().item()
        >>> fitted.verdict, round(mean, 3), round(sd, 3)
        ('converged', 3.0, 2.0)
    """
    if positive is not None:
        target = target.with_positive(positive)
    check(
        num_checks is None or num_checks >= 25,
        "num_checks",
        num_checks,
        "give at least 25",
    )
    settings: dict[str, Any] = {
        "tolerance": tolerance,
        "num_checks": num_checks,
        "search_modes": search_modes,
    }
    if family == "auto":
        return _fit_auto(target, key, method, seconds, progress, checkpoint, settings)
    in_parts = progress or checkpoint is not None
    family, chosen = _choose(target, family, method, in_parts)
    if in_parts:
        chosen = _in_parts(chosen, progress, checkpoint, in_trace())
    _check_pair(family, chosen)
    if target.streamed:
        return _fit_stream(target, key, family, chosen, settings)
    chosen.check(target, family)
    return _fit_precisely(target, key, family, chosen, None, settings)


def _fit_stream(
    target: Target, key: Key, family: Family, method: Method, settings: dict[str, Any]
) -> Fit:
    """Fit some of the rows first, which weigh as much as all; start from there."""
    if not isinstance(method, FixedDraws) or in_trace():
        raise ValueError(
            f"method = {method} is not valid for a stream, of which each look at the "
            'density is a pass: take family = "mean_field" or "full_rank", method '
            f'"fixed_draws" and at most {MAX_DIM} unknowns, outside of jit and vmap'
        )
    method.check(target, family)
    if method.num_draws is None:
        method = replace(method, num_draws=max(STREAM_DRAWS, 4 * target.dim))
    given = family, method
    try:
        near = _fit_precisely(thinned(target), key, *given, None, settings)
        return _fit_precisely(target, key, *given, near, settings)
    except Exception as error:
        failure = target.static.stream.stream.failure
        if failure:  # it was raised while a program ran, which says it at length
            raise ValueError(failure) from error
        raise


def _fit_auto(
    target: Target,
    key: Key,
    method: str | Method,
    seconds: float,
    progress: bool,
    checkpoint: str | Path | None,
    settings: dict[str, Any],
) -> Fit:
    """Climb the ladder of families, each rung from the last one's answer."""
    if target.streamed:
        raise ValueError(
            'family = "auto" is not valid for a stream: give "mean_field" or '
            '"full_rank"'
        )
    if method != "auto" or checkpoint is not None or in_trace():
        raise ValueError(
            'family = "auto" chooses its methods, has no checkpoint, and is called '
            "outside of jit and vmap: leave method and checkpoint, or name a family"
        )
    check(seconds > 0, "seconds", seconds, "give more than 0")

    def fit_once(target: Target, key: Key, name: str, near: Fit | None) -> Fit:
        family, chosen = _choose(target, name, "auto", in_parts=False)
        chosen.check(target, family)
        return _fit_precisely(target, key, family, chosen, near, settings)

    return ladder.climb(target, key, fit_once, seconds=seconds, progress=progress)


@on_one_thread
def _fit_precisely(
    target: Target,
    key: Key,
    family: Family,
    method: Method,
    near: Fit | None,
    settings: dict[str, Any],
) -> Fit:
    """Fit, and again in float64 where float32 is what was in the way."""
    given = key, family, method, near, settings
    with precision.precision_of(target):
        try:
            found = _fit_once(target, *given)
        except NotFiniteError:
            if in_trace() or not _loses_digits(target, None):
                raise
        else:
            if in_trace() or not _loses_digits(target, found):
                return found
    wide = precision.in_float64(target)
    with precision.precision_of(wide):
        return _fit_once(wide, *given)


def _loses_digits(target: Target, found: Fit | None) -> bool:
    """Say whether float32 is a reason to doubt a fit."""
    if np.dtype(target.init.dtype) != np.float32 or target.subsampled:
        return False
    if target.dim > mode_search.MAX_DIM:
        return False
    # The same places for every key, within q and around it, where a search that did
    # not end well may have turned back.
    eps = np.random.default_rng(0).normal(size=(BATCH, target.dim))
    eps *= np.linspace(0.5, 5.0, BATCH)[:, None]
    if found is None:
        scale = np.full(target.dim, 0.1)
        positions = np.asarray(target.init) + scale * eps
    elif precision.too_coarse(
        base.mean(found.q, target.init), base.scale(found.q, target.init)
    ):
        return True
    else:
        large = np.finfo(np.float32).eps * abs(float(found.elbo))
        if found.verdict == "converged" and not large > precision.ENOUGH:
            return False
        positions = base.placed(found.q, eps.astype(np.float32))
        scale = np.asarray(base.scale(found.q, target.init))
    return precision.lost_digits(target, positions, scale) > precision.ENOUGH


class NotFiniteError(ValueError):
    """The log density is not finite at any start."""


def _fit_once(
    target: Target,
    key: Key,
    family: Family,
    method: Method,
    near: Fit | None,
    settings: dict[str, Any],
) -> Fit:
    """Search for q from the starts, check it, and look around for other modes."""
    traced = in_trace()
    streams = [fold_in(key, s) for s in (SEARCH, CHECKS, RESTARTS, MODES)]
    options: Any = {"tolerance": settings["tolerance"]}
    starts = _starts(target, streams[RESTARTS], 1 if traced else NUM_STARTS)
    if near is not None and near.verdict == "converged":
        like = target.init
        # The one that is near may be of float32, and the target not any more.
        mean, sd = base.mean(near.q, like), base.scale(near.q, like)
        begin: Any = jnp.asarray(mean, like.dtype), jnp.asarray(sd, like.dtype)
        starts = chain([begin], starts)
    for loc, scale in starts:
        found = method.find(target, streams[SEARCH], family, loc, scale, **options)
        if traced or int(found.num_rejected) < int(found.num_steps):
            break
    else:
        known = impossible_data.explain(target)
        raise NotFiniteError(
            "target is not valid: its log density or gradient is not finite at any of "
            f"{NUM_STARTS} starts{known and f' ({known})'}; check the data for NaN and "
            "the distributions' supports, or give an init where the density is positive"
        )
    if not traced:
        losses = np.asarray(found.losses)[: int(found.num_steps)]
        found = found._replace(losses=to_device(losses))
    num_checks = settings["num_checks"]
    if num_checks is None:
        usual = 500 if target.subsampled or target.streamed else 2000
        num_checks = int(getattr(found.q, "num_draws", usual))
    checked = check_draws(target, found.q, streams[CHECKS], num_checks=num_checks)
    peaks = None
    by_itself = hasattr(found.q, "weigh")
    # Where another family came before, this one has been looked around for already.
    if settings["search_modes"] and not traced and not (by_itself and near is not None):
        peaks = _other_modes(target, found, streams[MODES])
    if peaks is None or by_itself:  # draws elsewhere would spoil weights of its own
        return judge(target, found, checked, peaks)
    given = target, found.q, peaks, streams[CHECKS]
    beside = check_modes(*given, num_checks=num_checks)
    return judge(target, found, checked, peaks, beside)


def _other_modes(target: Target, found: Found, key: Key) -> mode_search.Peaks | None:
    """Return modes beside q's own; None where there are none, or too many unknowns."""
    if target.subsampled or target.streamed:
        return None
    if target.dim > mode_search.MAX_DIM:
        return None
    place = base.mean(found.q, target.init), base.scale(found.q, target.init)
    if not np.isfinite(place).all():
        return None
    # About as many gradients as the fit took, but ten steps at least.
    num_starts = min(mode_search.MAX_STARTS, enough_draws(target))
    climbers = min(num_starts, mode_search.MAX_CLIMBERS)
    max_steps = int(np.clip(int(found.num_gradients) // climbers, 10, 50))
    options: Any = {"num_starts": num_starts, "max_steps": max_steps}
    by_itself = hasattr(found.q, "weigh")
    options |= {"surroundings": not by_itself, "beside_own": by_itself}
    peaks = mode_search.find_modes(target, found.q, key, **options)
    return peaks if len(peaks.loc) else None


def _choose(
    target: Target, family: str | Family, method: str | Method, in_parts: bool
) -> tuple[Family, Method]:
    """Return the objects that the names stand for."""
    if isinstance(family, str):
        _check_name("family", family, (*FAMILIES, *OWN_FAMILY, "auto"))
        if family in OWN_FAMILY:
            if method not in ("auto", family):
                raise ValueError(
                    f"method = {method!r} does not find family = {family!r}: leave it "
                    '"auto"'
                )
            method = family
            family = FullRank()
        else:
            family = FAMILIES[family]
    _check_object("family", family, "init", (*FAMILIES, *OWN_FAMILY, "auto"))
    if isinstance(method, str):
        _check_name("method", method, ("auto", *METHODS))
        if method == "auto" and isinstance(family, Mixture):
            method = "stacked_modes"
        if method == "auto" and isinstance(family, Structured):
            method = "nested_laplace"
        if method == "auto":
            possible = FixedDraws.can_fit(family) and target.dim <= MAX_DIM
            possible &= not in_parts and not target.subsampled
            method = "fixed_draws" if possible else "stochastic"
        return family, METHODS[method]
    _check_object("method", method, "find", ("auto", *METHODS))
    return family, method


def _check_pair(family: Family, method: Method) -> None:
    """Raise a ValueError where the structured family is given another's method."""
    if isinstance(family, Structured) and not isinstance(method, NestedLaplace):
        raise ValueError(
            f'family = "structured" is not fitted by method = {method}: leave it "auto"'
        )


def _in_parts(
    method: Method, progress: bool, checkpoint: str | Path | None, traced: bool
) -> Method:
    """Return the stochastic method with a progress bar and checkpoints."""
    if not isinstance(method, Stochastic) or traced:
        raise ValueError(
            "progress and checkpoint are not valid here: they are for the stochastic "
            "method, called outside of jit and vmap; leave them"
        )
    return replace(method, progress=progress, checkpoint=checkpoint)


def _check_name(argument: str, name: str, options: tuple[str, ...]) -> None:
    if name not in options:
        raise ValueError(f"{argument} = {name!r} is not one of {options}")


def _check_object(
    argument: str, thing: Any, needed: str, names: tuple[str, ...]
) -> None:
    """Raise a ValueError where an object is no family or method, or has no hash."""
    if not hasattr(thing, needed) or not isinstance(thing, Hashable):
        raise ValueError(
            f"{argument} = {thing!r} is not valid: give one of {names}, or a hashable "
            f"object (a frozen dataclass, say) with the method {needed}"
        )


def _starts(target: Target, key: Key, num_starts: int) -> Iterator[tuple[Any, Any]]:
    """Yield means and sds to start from: the init, smaller, then at random."""
    init = target.init
    one = np.ones(init.shape, init.dtype)
    for number in range(num_starts):
        if number < 3:
            yield init, np.full_like(one, 0.1**number)
        else:
            draw = fold_in(key, number)
            shift = jax.random.uniform(draw, one.shape, init.dtype, -2.0, 2.0)
            yield jnp.asarray(init) + shift, np.full_like(one, 0.1)
