"""The methods that need no step size: each turns a target and a start into a q.

Newton's on fixed draws, Laplace's, Pathfinder. (Stochastic gradients have their own
file.) Each compiles one program for a model: the search, then log p(z) − log q(z) at
draws of the q found. What does not depend on the model is left to NumPy.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import log_densities, over_draws
from vijax.vi.engine.fast_compile import is_little, quick_jit
from vijax.vi.families.gaussian import FullRank, MeanField
from vijax.vi.methods import fixed_draws, laplace, multipath
from vijax.vi.result import Search
from vijax.vi.targets.target import Target

NUM_BATCHES = 32  # of fixed draws, at most
TYPICAL_STEPS = 50  # of Newton's method, at most, on most models
NUM_PATHS = 4  # of Pathfinder
# Streams of the fit's key.
FIXED, CHECKS, STEPS = range(3)


def find_fixed(
    target: Target,
    key: Key,
    loc: Any,
    scale: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    num_draws: int,
    num_checks: int,
    num_batches: int = NUM_BATCHES,
) -> Search:
    """Find a normal q by Newton's method on fixed draws, from N(loc, diag(scale²))."""
    dtype = target.init.dtype
    draws = noise.standardized(
        key, num_batches, num_draws, target.dim, dtype, stream=FIXED
    )
    checks = noise.whitened(key, num_checks, target.dim, dtype, stream=CHECKS)
    diagonal = family == "mean_field"
    options = diagonal, num_steps, tolerance
    quick = is_little(target.data, TYPICAL_STEPS * num_draws)
    return _newton(target, loc, scale, draws, checks, *options, quick=quick)


@partial(quick_jit, static_argnums=(5, 6, 7))
def _newton(
    target: Target,
    loc: Any,
    scale: Any,
    draws: Array,
    checks: Array,
    diagonal: bool,
    num_steps: int,
    tolerance: float,
) -> Search:
    state = fixed_draws.solve(
        target.log_density,
        jnp.asarray(loc),
        jnp.asarray(scale),
        draws,
        diagonal=diagonal,
        max_steps=num_steps,
        tolerance=tolerance,
    )
    q: Any = (
        MeanField(state.loc, jnp.log(jnp.diag(state.root)))
        if diagonal
        else FullRank.from_tril(state.loc, fixed_draws.tril(state))
    )
    moments = state.moments
    error = jnp.max(jnp.maximum(moments.loc_error, moments.scale_error))
    return Search(
        q,
        # Where the most draws allowed leave more than the tolerance open, that is
        # said by the errors; only a tenfold one puts the answer itself in doubt.
        state.done & (error < 10 * tolerance),
        state.num_steps,
        state.losses,
        moments.loc_error,
        moments.scale_error,
        state.num_rejected,
        state.num_gradients,
        fixed_draws.covariance(state),
        *check_draws(target, q, checks),
    )


def check_draws(
    target: Target, q: Any, noise: Array, *, one_by_one: bool = False
) -> tuple[Float[Array, " checks"], Float[Array, "checks entries"], Scalar]:
    """Return what a Search holds of draws of q: log weights, values, reference."""
    z = q.transform(noise)
    log_p, reference = log_densities(target, z, one_by_one=one_by_one)
    names = [site.name for site in target.static.sites]

    def values(z: Array) -> Array:
        constrained = target.constrain(z)
        return jnp.concatenate([jnp.ravel(constrained[name]) for name in names])

    return (
        log_p - q.log_prob(z),
        over_draws(target, values, z).astype(z.dtype),
        reference,
    )


def find_laplace(
    target: Target,
    key: Key,
    loc: Any,
    scale: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    num_checks: int,
) -> Search:
    """Find the mode from `loc` and put a normal q around it; `scale` plays no part."""
    dtype = target.init.dtype
    checks = noise.whitened(key, num_checks, target.dim, dtype, stream=CHECKS)
    quick = is_little(target.data, num_checks)
    return _laplace(target, loc, checks, num_steps, tolerance, quick=quick)


@partial(quick_jit, static_argnums=(3, 4))
def _laplace(
    target: Target, loc: Any, checks: Array, num_steps: int, tolerance: float
) -> Search:
    mode = laplace.find_mode(
        target.log_density, jnp.asarray(loc), max_steps=num_steps, tolerance=tolerance
    )
    q = FullRank.from_tril(mode.position, laplace.scale_tril(mode))
    zero = jnp.zeros_like(mode.position)
    return Search(
        q,
        mode.done,
        mode.num_steps,
        mode.losses,
        zero,
        zero,
        mode.num_rejected,
        # A Hessian is as many gradients as there are unknowns.
        (mode.num_steps + 1) * (target.dim + 1),
        None,
        *check_draws(target, q, checks),
    )


def find_pathfinder(
    target: Target,
    key: Key,
    loc: Any,
    scale: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    num_draws: int,
    num_checks: int,
) -> Search:
    """Find the best normal q along paths from around `loc`; `scale` plays no part."""
    dtype = target.init.dtype
    starts = multipath.scatter(target, key, loc, NUM_PATHS)
    eps = noise.normal(key, (num_draws, target.dim), dtype, stream=FIXED)
    checks = noise.whitened(key, num_checks, target.dim, dtype, stream=CHECKS)
    passes = NUM_PATHS * TYPICAL_STEPS * num_draws + num_checks
    options, quick = (num_steps, tolerance), is_little(target.data, passes)
    return _pathfinder(target, starts, eps, checks, *options, quick=quick)


@partial(quick_jit, static_argnums=(4, 5))
def _pathfinder(
    target: Target,
    starts: Array,
    eps: Array,
    checks: Array,
    num_steps: int,
    tolerance: float,
) -> Search:
    paths = multipath.climb_all(target, starts, eps, num_steps, tolerance)
    best = jax.tree.map(lambda x: x[jnp.argmax(paths.elbo)], paths)
    zero, found = jnp.zeros_like(best.position), jnp.isfinite(best.elbo)
    return Search(
        best.best,
        best.arrived,
        best.num_steps,
        best.losses,
        zero,
        zero,
        jnp.where(found, 0, best.num_steps),
        jnp.sum(paths.num_gradients),
        None,
        *check_draws(target, best.best, checks),
    )
