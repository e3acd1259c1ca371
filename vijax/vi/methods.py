"""The methods that `fit` chooses among: each turns a target and a start into a q."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.vi import fixed_draws, stochastic
from vijax.vi.families import FAMILIES, FullRank, MeanField
from vijax.vi.result import Search
from vijax.vi.target import Target

NUM_BATCHES = 32  # of fixed draws, at most


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
    num_batches: int = NUM_BATCHES,
) -> Search:
    """Find a normal q by Newton's method on fixed draws, from N(loc, diag(scale²))."""
    noise = fixed_draws.standardized_noise(
        key, num_batches, num_draws, target.dim, target.init.dtype
    )
    diagonal = family == "mean_field"
    return _newton(target, loc, scale, noise, diagonal, num_steps, tolerance)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _newton(
    target: Target,
    loc: Any,
    scale: Any,
    noise: Array,
    diagonal: bool,
    num_steps: int,
    tolerance: float,
) -> Search:
    state = fixed_draws.solve(
        target.log_density,
        jnp.asarray(loc),
        jnp.diag(scale),
        noise,
        diagonal=diagonal,
        max_steps=num_steps,
        tolerance=tolerance,
    )
    q: Any = (
        MeanField(state.loc, jnp.log(jnp.diag(state.tril)))
        if diagonal
        else FullRank.from_tril(state.loc, state.tril)
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
    )


def find_stochastic(
    target: Target,
    key: Key,
    loc: Any,
    scale: Any,
    *,
    family: str,
    tolerance: float,
    num_steps: int,
    newton: bool,
    **options: Any,
) -> Search:
    """Find q by stochastic gradients, in the coordinates of a quick Newton's answer."""
    newton_key, run_key = jax.random.split(key)
    if newton:
        start = find_fixed(
            target,
            newton_key,
            loc,
            scale,
            family=family,
            tolerance=10 * tolerance,
            num_steps=50,
            num_draws=max(64, 4 * target.dim),
            num_batches=1,
        )
    else:
        # Not found, given: N(loc, diag(scale²)).
        zero: Any = np.zeros((), np.int32)
        lower = (np.zeros((loc.size, loc.size), loc.dtype),)
        extra = lower if family == "full_rank" else ()
        q = FAMILIES[family](loc, np.log(scale), *extra)
        start = Search(q, zero, zero, zero, zero, zero, zero, zero, None)
    return _run(
        target, run_key, start, tolerance=tolerance, num_steps=num_steps, **options
    )


@partial(
    jax.jit,
    static_argnames=(
        "tolerance",
        "num_steps",
        "num_draws",
        "optimizer",
        "estimator",
        "stop",
    ),
)
def _run(
    target: Target,
    key: Key,
    start: Search,
    *,
    tolerance: float,
    num_steps: int,
    num_draws: int,
    optimizer: optax.GradientTransformation,
    estimator: str,
    stop: bool,
) -> Search:
    loc = jnp.asarray(start.q.loc)
    diagonal = isinstance(start.q, MeanField)
    tril = jnp.diag(start.q.scale()) if diagonal else start.q.scale_tril

    # In the start's coordinates, u = loc + tril v, the posterior is about N(0, I).
    def log_density(v: Float[Array, " dim"], key: Key) -> Scalar:
        shift = jnp.diag(tril) * v if diagonal else tril @ v
        log_det = jnp.sum(jnp.log(jnp.diag(tril)))
        return target.log_density(loc + shift, key) + log_det

    def moments(q: Any) -> tuple[Array, Array]:
        return q.mean(), jnp.log(q.scale())

    chunk_size = next(size for size in (25, 20, 10, 5, 2, 1) if num_steps % size == 0)
    num_chunks = num_steps // chunk_size
    end = stochastic.run(
        type(start.q).init(jnp.zeros_like(loc), jnp.ones_like(loc)),
        log_density,
        key,
        optimizer=optimizer,
        num_draws=num_draws,
        num_steps=num_steps,
        chunk_size=chunk_size,
        first_epoch=min(num_chunks, 16) if stop else num_chunks,
        tolerance=tolerance,
        estimator=estimator,
        moments=moments,
    )
    taken = end.chunk * chunk_size
    loc_error, scale_error = jnp.split(end.error[:-1], 2)
    return Search(
        end.answer.affine(loc, tril),
        end.done if stop else jnp.ones((), bool),
        taken,
        end.losses.reshape(-1),
        loc_error,
        scale_error,
        end.state.num_rejected,
        start.num_gradients + taken * num_draws,
        start.covariance,
    )
