"""The method of stochastic gradients: where they start from, and what they see."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vijax.fingerprint import fingerprint
from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import log_densities
from vijax.vi.engine.columns import by_columns
from vijax.vi.engine.fast_compile import (
    PLAIN_KERNELS,
    PLAIN_LOOP,
    is_little,
    quick_jit,
)
from vijax.vi.families.flow import Flow
from vijax.vi.families.gaussian import FullRank, MeanField
from vijax.vi.families.low_rank import LowRank
from vijax.vi.methods import stochastic_budget, stochastic_epochs
from vijax.vi.methods.checkpointed import describe, run_in_parts
from vijax.vi.methods.deterministic import (
    CHECKS,
    STEPS,
    check_draws,
    find_fixed,
    find_pathfinder,
)
from vijax.vi.result import Search
from vijax.vi.targets.target import Target

# What a stochastic run may fit, and the normal family that it starts from.
FAMILIES: dict[str, Any] = {
    "mean_field": MeanField,
    "full_rank": FullRank,
    "low_rank": LowRank,
    "flow": Flow,
}
START = {"low_rank": "mean_field", "flow": "full_rank"}
PATH_STEPS = 2000  # of Pathfinder, at most
ANCHOR_STEPS = 3  # passes over all rows
MAX_NOISE = 2**25  # numbers drawn before a run; where it needs more, in the loop
_ZERO: Any = np.zeros((), np.int32)
NOT_SEARCHED: Any = (*(7 * (_ZERO,)), None, *(3 * (_ZERO,)))


def find_stochastic(
    target: Target,
    key: Key,
    loc: Any,
    scale: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    num_checks: int,
    start_from: str,
    in_parts: bool,
    checkpoint: Path | None,
    **options: Any,
) -> Search:
    """Find q by stochastic gradients, in the coordinates of a quick search's answer."""
    dtype = target.init.dtype
    normal = START.get(family, family)
    if start_from == "pathfinder":
        path = find_pathfinder(
            target,
            key,
            loc,
            scale,
            family=family,
            tolerance=10 * tolerance,
            num_steps=PATH_STEPS,
            num_draws=16,
            num_checks=1,
        )
        loc, scale = path.q.mean(), path.q.scale()
    if start_from == "newton":
        start = find_fixed(
            target,
            key,
            loc,
            scale,
            family=normal,
            tolerance=10 * tolerance,
            num_steps=50,
            num_draws=max(64, 4 * target.dim),
            num_checks=1,
            num_batches=1,
        )
        if not is_traced(start) and start.num_rejected >= start.num_steps:
            return start  # not finite around here: `fit` tries another start
    else:
        # N(loc, diag(scale²)).
        xp: Any = np if start_from == "init" else jnp
        lower = (xp.zeros((loc.size, loc.size), loc.dtype),)
        extra = lower if normal == "full_rank" else ()
        q = FAMILIES[normal](loc, xp.log(scale), *extra)
        start = Search(q, *NOT_SEARCHED)
        if start_from == "pathfinder":
            start = start._replace(num_gradients=path.num_gradients)
    anchor = None
    if target.subsampled and start_from == "newton":
        anchor = _anchor(target, start.q.loc, start.covariance)
        # The response of a subsample is not the posterior's.
        moved = start.q._replace(loc=anchor.position)
        start = start._replace(q=moved, covariance=None)
    checks = noise.whitened(key, num_checks, target.dim, dtype, stream=CHECKS)
    shape = (num_steps, options["num_draws"], target.dim)
    # With a stop rule nobody knows how much noise is wanted: it is drawn in the loop.
    drawn_before = not options["stop"] and np.prod(shape, dtype=float) <= MAX_NOISE
    steps = noise.normal(key, shape, dtype, stream=STEPS) if drawn_before else None
    settings = {
        "family": family,
        "tolerance": tolerance,
        "num_steps": num_steps,
        **options,
    }
    num_draws = options["num_draws"]

    def climb(carry: Any = None, until: int | None = None) -> Any:
        given = target, key, start, steps, anchor, carry, until
        return _climb(*given, **settings, quick=num_draws == 1)

    if in_parts:
        settings_as_text = settings | {
            "start": start_from,
            "optimizer": fingerprint(options["optimizer"]),
        }
        about = describe(target, key, **settings_as_text)
        end = run_in_parts(climb, checkpoint, about)
    else:
        end = climb()
    # A run of little work shall not wait for a compiler that makes the most of batches.
    quick = (
        num_draws == 1
        and is_little(target.data, num_checks)
        and jax.default_backend() == "cpu"
        and not is_traced(end)
    )
    q, found = _check(target, end.q, start.q, checks, one_by_one=quick, quick=quick)
    xp = jnp if is_traced(end) else np
    return Search(
        q,
        end.done,
        end.num_steps,
        end.losses,
        end.loc_error,
        end.scale_error,
        end.num_rejected,
        xp.asarray(start.num_gradients) + num_draws * xp.asarray(end.num_steps),
        start.covariance if family == normal else None,
        *found,
    )


class Anchor(NamedTuple):
    """Near the mode of a model that subsamples: where, and all rows' gradient there."""

    position: Float[Array, " dim"]
    gradient: Float[Array, " dim"]


@jax.jit
def _anchor(target: Target, loc: Array, covariance: Array) -> Anchor:
    """Take Newton steps over all rows, with the covariance that a subsample gave."""

    def log_p(u: Array) -> Scalar:
        differences, reference = log_densities(target, u[None])
        return differences[0] + reference

    look = jax.value_and_grad(log_p)

    def step(seen: Any, _: None) -> tuple[Any, None]:
        position, value, gradient = seen
        new = position + covariance @ gradient
        new = (new, *look(new))
        better = jnp.isfinite(new[1]) & (new[1] > value)
        return jax.tree.map(lambda n, o: jnp.where(better, n, o), new, seen), None

    begin = (loc, *look(loc))
    (position, _, gradient), _ = jax.lax.scan(step, begin, length=ANCHOR_STEPS)
    return Anchor(position, gradient)


@partial(
    quick_jit,
    options=PLAIN_LOOP,
    static_argnames=(
        "family",
        "tolerance",
        "num_steps",
        "num_draws",
        "optimizer",
        "estimator",
        "stop",
    ),
)
def _climb(
    target: Target,
    key: Key,
    start: Search,
    steps: Array | None,
    anchor: Anchor | None,
    carry: stochastic_epochs.Carry | None,
    until: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    num_draws: int,
    optimizer: optax.GradientTransformation,
    estimator: str,
    stop: bool,
) -> Any:
    """Return the stochastic run's End, or its Carry where that is to go on."""
    loc, scale = _coordinates(start.q)
    diagonal = isinstance(start.q, MeanField)
    log_det = jnp.sum(jnp.log(scale if diagonal else jnp.diag(scale)))

    def of_data(data: Any, u: Float[Array, " dim"], key: Key) -> Scalar:
        density = partial(replace(target, data=data).log_density, key=key)
        if anchor is None:
            return density(u)
        # A control variate: the rows' gradient at the anchor is off by what is known.
        excess = anchor.gradient - jax.grad(density)(anchor.position)
        return density(u) + jnp.vdot(excess, u - anchor.position)

    density, held = by_columns(of_data, target.data, loc, key)

    # In the start's coordinates, u = loc + L v, the posterior is about N(0, I).
    def log_density(v: Float[Array, " dim"], key: Key) -> Scalar:
        u = loc + (scale * v if diagonal else scale @ v)
        return density(held, u, key) + log_det

    def loss(q: Any, key: Key, eps: Array) -> tuple[Scalar, None]:
        return stochastic_epochs.negative_elbo(
            q, log_density, key, eps, estimator
        ), None

    origin = FAMILIES[family].init(jnp.zeros_like(loc), jnp.ones_like(loc))
    search: Any = stochastic_budget.run
    if stop:
        search = partial(stochastic_epochs.run, carry=carry, until=until)
    return search(
        origin,
        loss,
        key,
        steps,
        optimizer=optimizer,
        num_draws=num_draws,
        num_steps=num_steps,
        tolerance=tolerance,
    )


# A program of its own: it wants another compilation than the loop.
@partial(quick_jit, options=PLAIN_KERNELS, static_argnames="one_by_one")
def _check(
    target: Target, q: Any, start: Any, checks: Array, *, one_by_one: bool
) -> Any:
    """Return q in the target's coordinates, and what `check_draws` finds of it."""
    q = q.affine(*_coordinates(start))
    return q, check_draws(target, q, checks, one_by_one=one_by_one)


def _coordinates(q: Any) -> tuple[Array, Array]:
    """Return the origin and the scale, a vector or a Cholesky factor, of a start."""
    scale = q.scale() if isinstance(q, MeanField) else q.scale_tril
    return jnp.asarray(q.loc), jnp.asarray(scale)
