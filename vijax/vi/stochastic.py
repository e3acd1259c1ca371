r"""Stochastic gradients of the ELBO, with averaged iterates and a stop rule.

Each step draws `num_draws` points of q and follows one of the gradient estimators

    "sticking"  of E_q[log p − log q], q's own parameters fixed in log q
    "entropy"   of E_q[log p] + entropy(q), the entropy in closed form

by an Optax optimiser. The run is cut into epochs, each twice as long as the last and
with half its step size. An epoch's answer is the average over its second half: the
bias of a constant step size halves from epoch to epoch and so does, by √2 at least,
the average's noise. The run has converged when both

    the answer has moved by less than the tolerance since the epoch before, and its
    standard error, from the means of the epoch's chunks, is below the tolerance;
    the mean loss has not fallen by more than its noise and 0.05 nats.

All of it is one compiled loop.

References:
    Kucukelbir et al. (2017), arXiv:1603.00788 (the method); Dhaka et al. (2020),
    arXiv:2009.00666 (averaging and a rule on parameters rather than the noisy loss).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from vijax import optimize
from vijax.types import Key, Scalar
from vijax.vi import bounds

ESTIMATORS = ("sticking", "entropy")
# Position and key of a step's subsample -> log p, in nats.
NoisyDensity = Callable[[Float[Array, " dim"], Key], Scalar]


class Tail(NamedTuple):
    """Sums over the chunks of an epoch's second half."""

    params: Any  # of the chunks' mean parameters
    moments: Float[Array, " moments"]  # means and log sds of q
    squares: Float[Array, " moments"]
    loss: Scalar
    loss_square: Scalar
    size: Float[Array, ""]


class Carry(NamedTuple):
    """Everything the next chunk needs."""

    state: optimize.State
    chunk: Int[Array, ""]
    epoch: Int[Array, ""]
    tail: Tail
    answer: Any  # average of the last epoch that ended
    answer_moments: Float[Array, " moments"]
    answer_loss: Scalar
    error: Float[Array, " moments"]  # standard error of the answer's moments
    change: Float[Array, " moments"]  # of the answer since the epoch before
    losses: Float[Array, "chunks steps"]
    done: Bool[Array, ""]


def negative_elbo(
    q: Any, log_density: NoisyDensity, key: Key, noise: Array, estimator: str
) -> Scalar:
    """Return the negative ELBO of one step's draws; its gradient is the estimator."""
    z = q.transform(noise)
    log_p = jax.vmap(lambda z: log_density(z, key))(z)
    if estimator == "entropy":
        return -bounds.elbo_closed(log_p, -q.entropy())
    return -bounds.elbo(log_p - jax.lax.stop_gradient(q).log_prob(z))


def run(
    q: Any,
    log_density: NoisyDensity,
    key: Key,
    *,
    optimizer: optax.GradientTransformation,
    num_draws: int,
    num_steps: int,
    chunk_size: int,
    first_epoch: int,
    tolerance: float,
    estimator: str,
    moments: Callable[[Any], Float[Array, " moments"]],
) -> Carry:
    """Run until converged, or for `num_steps` steps.

    Args:
        q: where to start, any family.
        log_density: position, key -> log p; the key draws a subsample's rows.
        key: random key.
        optimizer: an Optax transformation.
        num_draws: draws a step; an even number makes antithetic pairs.
        num_steps: the budget, a multiple of `chunk_size`.
        chunk_size: steps whose noise is drawn at once.
        first_epoch: chunks in the first epoch; all of them: no stop rule.
        tolerance: of means in sds and of log sds; see the module's docstring.
        estimator: of the gradient, one of `ESTIMATORS`.
        moments: q -> means in units of a reference sd, and log sds.
    """
    num_chunks = num_steps // chunk_size
    noise_key, row_key = jax.random.split(key)
    leaf = jax.tree.leaves(q)[0]
    dim, dtype = leaf.shape[-1], leaf.dtype

    def loss_fn(q: Any, key: Key, noise: Array) -> tuple[Scalar, None]:
        return negative_elbo(q, log_density, key, noise, estimator), None

    def draw_noise(chunk: Array) -> Float[Array, "steps draws dim"]:
        key = jax.random.fold_in(noise_key, chunk)
        pairs = num_draws // 2 if num_draws % 2 == 0 else num_draws
        noise = jax.random.normal(key, (chunk_size, pairs, dim), dtype)
        return noise if pairs == num_draws else jnp.concatenate([noise, -noise], 1)

    def step(carry: tuple[Any, Any], noise: Array) -> tuple[tuple[Any, Any], Scalar]:
        state, total = carry
        state, (loss, _) = optimize.step(loss_fn, optimizer, state, row_key, noise)
        return (state, jax.tree.map(jnp.add, total, state.params)), loss

    def run_chunk(carry: Carry) -> Carry:
        zero = jax.tree.map(jnp.zeros_like, q)
        (state, total), losses = jax.lax.scan(
            step, (carry.state, zero), draw_noise(carry.chunk)
        )
        mean = jax.tree.map(lambda x: x / chunk_size, total)
        # Epoch e holds chunks first·(2^e − 1) up to first·(2^(e+1) − 1).
        start = first_epoch * (2**carry.epoch - 1)
        length = first_epoch * 2**carry.epoch
        in_tail = carry.chunk - start >= length // 2
        tail = _add(carry.tail, in_tail, mean, moments(mean), jnp.mean(losses))
        carry = carry._replace(
            state=state,
            tail=tail,
            chunk=carry.chunk + 1,
            losses=carry.losses.at[carry.chunk].set(losses),
        )
        ends = (carry.chunk - start == length) | (carry.chunk == num_chunks)
        return jax.lax.cond(ends, end_epoch, lambda carry: carry, carry)

    def end_epoch(carry: Carry) -> Carry:
        tail, count = carry.tail, jnp.maximum(carry.tail.size, 1.0)
        answer = jax.tree.map(lambda x: (x / count).astype(x.dtype), tail.params)
        mean = tail.moments / count
        error = _standard_error(mean, tail.squares, count)
        loss = tail.loss / count
        loss_error = _standard_error(loss, tail.loss_square, count)
        new_moments = moments(answer)
        change = jnp.abs(new_moments - carry.answer_moments)
        still_falling = carry.answer_loss - loss > 0.05 + 3 * loss_error
        quiet = (change < tolerance) & (error < tolerance)
        # A last epoch cut short by the budget may hold no tail at all.
        enough = tail.size >= 2
        keep = tail.size > 0
        answer, new_moments, loss, error = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old),
            (answer, new_moments, loss, error),
            (carry.answer, carry.answer_moments, carry.answer_loss, carry.error),
        )
        state = carry.state._replace(
            params=answer, step_scale=0.5 * carry.state.step_scale
        )
        return carry._replace(
            state=state,
            epoch=carry.epoch + 1,
            tail=jax.tree.map(jnp.zeros_like, tail),
            answer=answer,
            answer_moments=new_moments,
            answer_loss=loss,
            error=error,
            change=jnp.where(keep, change, carry.change),
            done=enough & jnp.all(quiet) & ~still_falling,
        )

    moments_now = moments(q)
    zero, infinite = jnp.zeros_like(moments_now), jnp.full_like(moments_now, jnp.inf)
    nothing = jnp.zeros((), dtype)
    carry = Carry(
        optimize.init(q, optimizer),
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
        Tail(jax.tree.map(jnp.zeros_like, q), zero, zero, nothing, nothing, nothing),
        q,
        infinite,
        nothing + jnp.inf,
        infinite,
        infinite,
        jnp.full((num_chunks, chunk_size), jnp.nan, dtype),
        jnp.zeros((), bool),
    )
    return jax.lax.while_loop(
        lambda carry: (carry.chunk < num_chunks) & ~carry.done, run_chunk, carry
    )


def _add(tail: Tail, use: Array, params: Any, moments: Array, loss: Scalar) -> Tail:
    weight = jnp.where(use, 1.0, 0.0).astype(loss.dtype)
    return Tail(
        jax.tree.map(lambda total, x: total + weight * x, tail.params, params),
        tail.moments + weight * moments,
        tail.squares + weight * moments**2,
        tail.loss + weight * loss,
        tail.loss_square + weight * loss**2,
        tail.size + weight,
    )


def _standard_error(mean: Array, squares: Array, count: Array) -> Array:
    variance = jnp.maximum(squares / count - mean**2, 0.0)
    return jnp.where(count > 1, jnp.sqrt(variance / jnp.maximum(count - 1, 1)), jnp.inf)
