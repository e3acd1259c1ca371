"""Stochastic gradients of the ELBO for a given number of steps, averaged at the end."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from vijax import optimize
from vijax.types import Key, LossFn, Scalar
from vijax.vi.methods.stochastic_epochs import NUM_BLOCKS, End, moments


def run(
    q: Any,
    loss_fn: LossFn,
    key: Key,
    steps: Float[Array, "steps draws dim"] | None,
    *,
    optimizer: optax.GradientTransformation,
    num_draws: int,
    num_steps: int,
    tolerance: float,
) -> End:
    """Run exactly `num_steps` steps and average the second half of the iterates.

    Args:
        q: where to start, any family.
        loss_fn: (q, key, noise of one step) -> (negative ELBO, None).
        key: random key.
        steps: noise of all steps, or None: drawn here, step by step.
        optimizer: an Optax transformation.
        num_draws: draws a step.
        num_steps: steps to take, in up to 16 blocks whose spread gives the errors.
        tolerance: of means in sds and of log sds. It stops nothing: `done` says whether
            the second half's errors, and what its own halves differ by, meet it.
    """
    blocks = next(n for n in range(2 * NUM_BLOCKS, 0, -1) if num_steps % n == 0)
    leaf = jax.tree.leaves(q)[0]
    dim, dtype = leaf.shape[-1], leaf.dtype
    start, unravel = ravel_pytree(q)  # one leaf: a third less to compile

    def flat_loss(params: Array, key: Key, eps: Array) -> tuple[Scalar, Any]:
        if steps is None:
            eps = jax.random.normal(jax.random.fold_in(key, 1), (num_draws, dim), dtype)
        return loss_fn(unravel(params), key, eps)

    def step(carry: tuple[Any, Array], eps: Any) -> tuple[tuple[Any, Array], Scalar]:
        state, total = carry
        state, (loss, _) = optimize.step(flat_loss, optimizer, state, key, eps)
        return (state, total + state.params), loss

    def block(state: Any, eps: Any) -> tuple[Any, tuple[Array, Array]]:
        begin = state, jnp.zeros_like(start)
        (state, total), losses = jax.lax.scan(step, begin, eps, length=length)
        return state, (total / length, losses)

    length = num_steps // blocks
    if steps is not None:
        steps = jnp.reshape(steps, (blocks, length, *steps.shape[1:]))
    state, (means, losses) = jax.lax.scan(
        block, optimize.init(start, optimizer), steps, length=blocks
    )
    kept = blocks - blocks // 2
    means = means[-kept:]
    answer = unravel(jnp.mean(means, axis=0))
    rows = jax.vmap(lambda params: moments(unravel(params)))(means)
    unit = jnp.ones_like(rows[0]).at[:dim].set(answer.scale())
    infinite = jnp.full_like(unit, jnp.inf)
    error = jnp.std(rows, axis=0) / (kept - 1) ** 0.5 if kept > 1 else infinite
    drift = jnp.mean(rows[kept // 2 :], axis=0) - jnp.mean(rows[: kept // 2], axis=0)
    quiet = (error < tolerance * unit) & (jnp.abs(drift) < 2 * tolerance * unit)
    return End(
        answer,
        jnp.all(quiet),
        jnp.asarray(num_steps),
        losses.reshape(-1),
        error[:dim] / answer.scale(),
        error[dim:],
        state.num_rejected,
    )
