r"""Stochastic gradients of the ELBO, with averaged iterates and a stop rule.

Each step draws `num_draws` points of q and follows one of the gradient estimators

    "sticking"  of E_q[log p − log q], q's own parameters fixed in log q
    "entropy"   of E_q[log p] + entropy(q), the entropy in closed form

by an Optax optimiser. The run is cut into epochs, each twice as long as the last and
with half its step size. An epoch's answer is the average over its second half: the
bias of a constant step size halves from epoch to epoch and so does, by √2 at least,
the average's noise. The run has converged when both

    the answer has moved by less than twice the tolerance since the epoch before, and
    its standard error, from the spread of eight blocks of steps, is below it;
    the mean loss has not fallen by more than its noise and 0.05 nats.

Without the stop rule (`stop=False`) the whole budget is one such epoch, and `done` says
whether its tail's two halves agree. A chunk of steps is one program; its record in sums
is NumPy's outside of a trace.

False stops, measured: of 200 seeds on each of five models with a known posterior
(mean of a normal, Poisson rate, coin, noise of a normal, regression with five
correlated coefficients), from the target's start, all 1000 fits converged and none
with a mean off by 0.1 sd or an sd by 10 %; the farthest were off by 0.016 sd and 3.5 %,
most of which is the normal family's own. `make advi-benchmark` measures it again.

References:
    Kucukelbir et al. (2017), arXiv:1603.00788 (the method); Dhaka et al. (2020),
    arXiv:2009.00666 (averaging and a rule on parameters rather than the noisy loss).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vijax import optimize
from vijax.array_module import array_module
from vijax.types import GradientTransformation, Key, LossFn, Scalar
from vijax.vi import bounds
from vijax.vi.engine import noise
from vijax.vi.engine.compilation import light_jit
from vijax.vi.engine.threefry import fold_in
from vijax.vi.families import base

ESTIMATORS = ("sticking", "entropy")
NUM_BLOCKS = 8  # of an epoch's tail
FIRST_EPOCH = 16  # chunks of the first epoch, or of the only one
# Position and key of a step's subsample -> log p, in nats.
NoisyDensity = Callable[[Float[Array, " dim"], Key], Scalar]


class Tail(NamedTuple):
    """Sums over the chunks of an epoch's second half, in blocks."""

    params: Any  # of the chunks' mean parameters, over all blocks
    blocks: Float[Array, "blocks columns"]  # of means and log sds of q, and the loss
    counts: Float[Array, " blocks"]  # chunks in each


class Carry(NamedTuple):
    """Everything the next chunk needs."""

    state: optimize.State
    chunk: Int[Array, ""]
    epoch: Int[Array, ""]
    tail: Tail
    answer: Any  # average of the last epoch that ended
    summary: Float[Array, " columns"]  # of the answer: means, log sds, loss
    error: Float[Array, " columns"]  # its standard error, in sds and in nats
    change: Float[Array, " columns"]  # since the epoch before
    losses: Float[Array, "chunks steps"]
    done: Bool[Array, ""]
    running: Bool[Array, ""]


class Plan(NamedTuple):
    """How a run is cut, and when it stops; static."""

    num_chunks: int
    chunk_size: int
    first_epoch: int  # chunks
    tolerance: float
    stop: bool


def negative_elbo(
    q: Any, log_density: NoisyDensity, key: Key, eps: Array, estimator: str
) -> Scalar:
    """Return the negative ELBO of one step's draws; its gradient is the estimator."""
    z = q.transform(eps)
    log_p = jax.vmap(lambda z: log_density(z, key))(z)
    if estimator == "entropy":
        return -bounds.elbo_closed(log_p, -q.entropy())
    return -bounds.elbo(log_p - jax.lax.stop_gradient(q).log_prob(z))


def plan(num_steps: int, *, tolerance: float, stop: bool) -> Plan:
    """Cut a budget into chunks of 25 steps, or, without the stop rule, into about 16.

    Args:
        num_steps: the budget.
        tolerance: of means in sds and of log sds; see the module's docstring.
        stop: whether to stop before the budget is spent.
    """
    most = 25 if stop else max(1, num_steps // FIRST_EPOCH)
    size = next(size for size in range(most, 0, -1) if num_steps % size == 0)
    num_chunks = num_steps // size
    first_epoch = min(num_chunks, FIRST_EPOCH) if stop else num_chunks
    return Plan(num_chunks, size, first_epoch, tolerance, stop)


def begin(
    like: Float[Array, " dim"],
    *,
    family: base.Family,
    optimizer: GradientTransformation,
    plan: Plan,
) -> Carry:
    """Return what the first chunk needs, from about N(0, I) of the shape of `like`."""
    xp = array_module(like)
    state = _start(like, family=family, optimizer=optimizer)
    dtype, columns = like.dtype, 2 * like.shape[0] + 1
    infinite = xp.full(columns, xp.inf, dtype)
    blocks = xp.zeros((NUM_BLOCKS, columns), dtype)
    zero = xp.asarray(0, np.int32)
    return Carry(
        state,
        zero,
        zero,
        Tail(_zeros(state.params), blocks, blocks[:, 0]),
        state.params,
        infinite,
        infinite,
        infinite,
        xp.full((plan.num_chunks, plan.chunk_size), xp.inf, dtype),
        zero > 0,
        zero < 1,
    )


@partial(light_jit, static_argnames=("family", "optimizer"))
def _start(
    like: Float[Array, " dim"],
    *,
    family: base.Family,
    optimizer: GradientTransformation,
) -> optimize.State:
    q = family.init(jnp.zeros_like(like), jnp.ones_like(like))
    return optimize.init(q, optimizer)


def _zeros(tree: Any) -> Any:
    """Return zeros of the tree's shapes, NumPy's outside of a trace."""
    xp = array_module(tree)
    return jax.tree.map(lambda x: xp.zeros(jnp.shape(x), x.dtype), tree)


def draw_noise(
    key: Key, chunk: Any, like: Float[Array, " dim"], num_draws: int, plan: Plan
) -> Any:
    """Draw a chunk's noise; an even number of draws makes antithetic pairs later."""
    pairs = num_draws // 2 if num_draws % 2 == 0 else num_draws
    shape = (plan.chunk_size, pairs, like.shape[0])
    return noise.normal(fold_in(key, chunk), shape, like.dtype)


def take_chunk(
    loss_fn: LossFn,
    optimizer: GradientTransformation,
    state: optimize.State,
    key: Key,
    eps: Float[Array, "steps draws dim"],
    *,
    antithetic: bool,
) -> tuple[optimize.State, Any, Float[Array, " columns"], Float[Array, " steps"]]:
    """Take a step for each row of noise; return the mean of the parameters too.

    And the row that is recorded: the moments of this mean, and the mean loss.

    Args:
        loss_fn: (q, key, noise of one step) -> (negative ELBO, None).
        optimizer: an Optax transformation.
        state: of the optimiser.
        key: of the rows that steps draw.
        eps: noise.
        antithetic: whether each draw comes with its mirror image.
    """

    def step(carry: tuple[Any, Any], eps: Array) -> tuple[tuple[Any, Any], Scalar]:
        state, total = carry
        eps = jnp.concatenate([eps, -eps]) if antithetic else eps
        state, (loss, _) = optimize.step(loss_fn, optimizer, state, key, eps)
        return (state, jax.tree.map(jnp.add, total, state.params)), loss

    zero = jax.tree.map(jnp.zeros_like, state.params)
    (state, total), losses = jax.lax.scan(step, (state, zero), eps)
    mean = jax.tree.map(lambda x: x / eps.shape[0], total)
    row = jnp.append(moments(mean, eps[0, 0]), jnp.mean(losses))
    return state, mean, row, losses


@np.errstate(all="ignore")
def record(
    carry: Carry,
    like: Float[Array, " dim"],
    state: optimize.State,
    mean: Any,
    row: Any,
    losses: Any,
    *,
    plan: Plan,
) -> Carry:
    """Add a chunk to the sums; at the end of an epoch, look whether to stop."""
    xp = array_module(carry, state)
    mean, row, losses = jax.tree.map(xp.asarray, (mean, row, losses))
    # Epoch e holds chunks first·(2^e − 1) up to first·(2^(e+1) − 1).
    start = plan.first_epoch * (2**carry.epoch - 1)
    length = plan.first_epoch * 2**carry.epoch
    place = carry.chunk - start - length // 2
    weight = xp.where(place >= 0, 1.0, 0.0).astype(like.dtype)
    block = xp.maximum(place, 0) * NUM_BLOCKS // (length - length // 2)
    here = weight * (xp.arange(NUM_BLOCKS) == block).astype(like.dtype)
    tail = carry.tail
    tail = Tail(
        jax.tree.map(lambda total, x: total + weight * x, tail.params, mean),
        tail.blocks + here[:, None] * row,
        tail.counts + here,
    )
    this = (xp.arange(plan.num_chunks) == carry.chunk)[:, None]
    carry = carry._replace(
        state=state,
        tail=tail,
        chunk=carry.chunk + xp.asarray(1, np.int32),
        losses=xp.where(this, losses, carry.losses),
    )
    last = carry.chunk == plan.num_chunks
    ends = (carry.chunk - start == length) | last
    end_epoch = partial(_end_epoch, like=like, plan=plan)
    if xp is jnp:
        carry = jax.lax.cond(ends, end_epoch, lambda carry: carry, carry)
    elif ends:
        carry = end_epoch(carry)
    done = carry.done if plan.stop else carry.done & last
    return carry._replace(running=~last & ~done)


def _end_epoch(carry: Carry, *, like: Array, plan: Plan) -> Carry:
    """Take the average over the epoch's tail for the answer, and start the next one."""
    xp = array_module(carry)
    dim, tolerance = like.shape[0], plan.tolerance
    tail, size = carry.tail, xp.maximum(xp.sum(carry.tail.counts), 1)
    answer = jax.tree.map(lambda x: (x / size).astype(x.dtype), tail.params)
    loss = xp.sum(tail.blocks[:, -1]) / size
    found, scale = moments(answer, like), base.scale(answer, like)
    summary = xp.append(found, loss)
    # The means' errors and changes in sds, the log sds' and the loss's as they are.
    unit = xp.append(scale, xp.ones(dim + 1, like.dtype))
    error = (_block_error(tail) / unit).astype(like.dtype)
    change = summary - carry.summary if plan.stop else _drift(tail)
    change = (change / unit).astype(like.dtype)
    # Two answers with errors just below the tolerance differ by up to twice it.
    quiet = (xp.abs(change) < 2 * tolerance) & (error < tolerance)
    still_falling = change[-1] < -(0.05 + 3 * error[-1])
    # The last epoch, cut short by the budget, may have a short tail, or none.
    whole = xp.all(tail.counts > 0)
    better = whole | (xp.max(error[:-1]) < xp.max(carry.error[:-1]))
    answer, summary, error, change = jax.tree.map(
        lambda new, old: xp.where(better, new, old).astype(new.dtype),
        (answer, summary, error, change),
        (carry.answer, carry.summary, carry.error, carry.change),
    )
    half = xp.asarray(0.5, like.dtype) * xp.asarray(carry.state.step_scale)
    state = carry.state._replace(params=answer, step_scale=half)
    return carry._replace(
        state=state,
        epoch=carry.epoch + xp.asarray(1, np.int32),
        tail=_zeros(tail),
        answer=answer,
        summary=summary,
        error=error,
        change=change,
        done=whole & xp.all(quiet[:-1]) & ~still_falling,
    )


def moments(q: Any, like: Any) -> Any:
    """Return means and log sds of q."""
    xp = array_module(q)
    loc, scale = (xp.asarray(f(q, like)) for f in (base.mean, base.scale))
    return xp.concatenate([loc, xp.log(scale)])


def _block_means(tail: Tail) -> Any:
    xp = array_module(tail)
    return tail.blocks / xp.maximum(tail.counts, 1)[:, None]


def _drift(tail: Tail) -> Any:
    """Return by how much the second half of the blocks differs from the first."""
    xp = array_module(tail)
    used = tail.counts > 0
    late = xp.cumsum(used) > 0.5 * xp.sum(used)

    def mean(chosen: Any) -> Any:
        weights = chosen / xp.maximum(xp.sum(chosen), 1)
        return weights @ _block_means(tail)

    return mean(used & late) - mean(used & ~late)


def _block_error(tail: Tail) -> Any:
    """Return the standard error of the mean of all blocks, from their spread."""
    xp = array_module(tail)
    used = tail.counts > 0
    number = xp.sum(used)
    means = _block_means(tail)
    centre = xp.sum(means, axis=0) / xp.maximum(number, 1)
    squares = xp.sum(xp.where(used[:, None], (means - centre) ** 2, 0.0), axis=0)
    error = xp.sqrt(squares / xp.maximum(number * (number - 1), 1))
    return xp.where(number > 1, error, xp.inf)
