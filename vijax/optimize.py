"""The one optimisation loop: Optax steps in compiled chunks. It knows no model.

A chunk is `chunk_size` steps inside one `lax.scan`: for a network an epoch, for
variational inference some hundred steps. The host is spoken to between chunks
only: progress, history, and the caller's `on_chunk`.

    loss_fn(params, key, batch) -> (loss, metrics)        minimised, by name
    make_batches(key, data)     -> batches                leading axis chunk_size

A step whose loss or gradient is not finite is rolled back and the step size is
halved; `num_rejected` counts such steps, so a caller can report them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree
from tqdm import tqdm

from vijax.types import Key, LossFn, Params, Scalar

MakeBatches = Callable[[Key, PyTree], PyTree]


class State(NamedTuple):
    """Everything that the next step needs, so that a run can be resumed exactly."""

    params: Params
    opt_state: optax.OptState
    step: Int[Array, "..."]
    step_scale: Float[Array, "..."]  # halved after each rejected step, from 1
    num_rejected: Int[Array, "..."]


class History(NamedTuple):
    """What happened, step by step, as NumPy arrays."""

    loss: np.ndarray  # (num_steps,)
    metrics: Any  # the loss function's metrics, each (num_steps, ...)


OnChunk = Callable[[State, History], bool | None]


def init(params: Params, optimizer: optax.GradientTransformation) -> State:
    """Return the state before the first step."""
    return State(
        params,
        optimizer.init(params),
        jnp.zeros((), jnp.int32),
        jnp.ones(()),
        jnp.zeros((), jnp.int32),
    )


def step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    state: State,
    key: Key,
    batch: PyTree,
) -> tuple[State, tuple[Scalar, Any]]:
    """Take one step, or roll it back and halve the step size if it is not finite."""
    key = jax.random.fold_in(key, state.step)
    (loss, metrics), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
        state.params, key, batch
    )
    # A finite square of the norm: then Adam's second moments are finite too.
    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient, squared=True))

    def take() -> tuple[Params, optax.OptState]:
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        scale = state.step_scale
        updates = jax.tree.map(lambda u: (scale * u).astype(u.dtype), updates)
        return optax.apply_updates(state.params, updates), opt_state

    # A branch costs nothing where a selection would pass over all parameters again.
    params, opt_state = jax.lax.cond(
        finite, take, lambda: (state.params, state.opt_state)
    )
    new_state = State(
        params,
        opt_state,
        state.step + 1,
        jnp.where(finite, state.step_scale, 0.5 * state.step_scale),
        state.num_rejected + jnp.where(finite, 0, 1),
    )
    return new_state, (loss, metrics)


def run_chunk(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    make_batches: MakeBatches | None,
    chunk_size: int,
    state: State,
    key: Key,
    data: PyTree,
) -> tuple[State, tuple[Float[Array, " steps"], Any]]:
    """Take `chunk_size` steps in one scan; `vmap` it to train many seeds at once."""
    # Two streams from one key: the batches' and the loss function's draws.
    batch_key, loss_key = jax.random.split(key)
    batches = None
    if make_batches is not None:
        batches = make_batches(jax.random.fold_in(batch_key, state.step), data)

    def body(state: State, batch: PyTree) -> tuple[State, tuple[Scalar, Any]]:
        batch = data if make_batches is None else batch
        return step(loss_fn, optimizer, state, loss_key, batch)

    return jax.lax.scan(body, state, batches, length=chunk_size)


# Compiled once for each (loss_fn, optimizer, make_batches, chunk_size) and shapes:
# create these four once, not in a loop, and a second run compiles nothing.
_run_chunk = partial(jax.jit, static_argnums=(0, 1, 2, 3), donate_argnums=(4,))(
    run_chunk
)


def minimize(
    loss_fn: LossFn,
    state: State,
    key: Key,
    data: PyTree = None,
    *,
    optimizer: optax.GradientTransformation,
    num_chunks: int,
    chunk_size: int,
    make_batches: MakeBatches | None = None,
    on_chunk: OnChunk | None = None,
    description: str = "optimize",
) -> tuple[State, History]:
    """Run `num_chunks` compiled chunks of `chunk_size` steps.

    Args:
        loss_fn: (params, key, batch) -> (loss, metrics); the batch is `data` itself
            where there is no `make_batches`.
        state: from `init`, or the state that an earlier run ended with; its buffers
            are donated, so use the returned state instead.
        key: the same for the whole run; each step folds its number in.
        data: device arrays, any pytree.
        optimizer: an Optax transformation.
        num_chunks: chunks to run, from this state on.
        chunk_size: steps in a chunk.
        make_batches: (key, data) -> batches stacked along a leading axis of
            `chunk_size`.
        on_chunk: called after each chunk with the state and the chunk's history;
            returns True to stop early.
        description: shown at the progress bar, which is silent without a terminal.
    """
    chunks = []
    state = jax.tree.map(jnp.array, state)  # donated below: keep the caller's own
    with tqdm(total=num_chunks, desc=description, disable=None) as bar:
        for _ in range(num_chunks):
            state, chunk = _run_chunk(
                loss_fn, optimizer, make_batches, chunk_size, state, key, data
            )
            history = History(*jax.tree.map(np.asarray, chunk))
            chunks.append(history)
            bar.update()
            bar.set_postfix(loss=f"{np.mean(history.loss):.4g}", refresh=False)
            if on_chunk is not None and on_chunk(state, history):
                break
    return state, jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def shuffled_batches(key: Key, data: PyTree, *, batch_size: int) -> PyTree:
    """Shuffle all rows and cut them into batches; the last, incomplete one is left.

    Example:
        >>> key = jax.random.key(0)
        >>> shuffled_batches(key, jnp.arange(7.0), batch_size=3).shape
        (2, 3)
    """
    num_rows = jax.tree.leaves(data)[0].shape[0]
    num_batches = num_rows // batch_size
    rows = jax.random.permutation(key, num_rows)[: num_batches * batch_size]
    return jax.tree.map(
        lambda leaf: leaf[rows].reshape(num_batches, batch_size, *leaf.shape[1:]), data
    )
