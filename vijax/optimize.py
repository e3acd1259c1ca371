"""The one optimisation loop: Optax steps in compiled chunks. It knows no model.

A chunk is `chunk_size` steps inside one `lax.scan`: for a network an epoch, for
variational inference some hundred steps. The host is spoken to between chunks
only: progress, history, and the caller's `on_chunk`.

    loss_fn(params, key, batch) -> (loss, metrics)        minimised, by name
    make_batches(key, data)     -> batches                leading axis chunk_size
    select(data, batch)         -> batch                  inside a step, from rows

Many runs are the same loop under `vmap`: states and keys then have a leading axis of
runs, and `data_axes` says which arrays of the data have one too.

A step whose loss or gradient is not finite is rolled back and the step size is
halved; in `minimize` it doubles again with every finite step, up to its full value, so
that one bad row of the data does not slow the others down.
`num_rejected` counts such steps, so a caller can report them. To look at
every gradient costs a tenth of an epoch of a small network, so a chunk is first taken
without looking: what is not finite stays so, in the parameters or in the optimiser's
state. Where the chunk's end shows any of it, the chunk is taken once more with care.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree
from tqdm import tqdm

from vijax.types import GradientTransformation, Key, LossFn, Params, Scalar
from vijax.validate import check, is_whole

GROWTH = 2.0  # of the step size with a finite step, up to 1
MakeBatches = Callable[[Key, PyTree], PyTree]
Select = Callable[[PyTree, PyTree], PyTree]


class State(NamedTuple):
    """Everything that the next step needs, so that a run can be resumed exactly."""

    params: Params
    opt_state: Any
    step: Int[Array, "..."]
    step_scale: Float[Array, "..."]  # 1; less for a while after a rejected step
    num_rejected: Int[Array, "..."]


Step = Callable[..., tuple[State, tuple[Scalar, Any]]]


class History(NamedTuple):
    """What happened, step by step, as NumPy arrays."""

    loss: np.ndarray  # (num_steps,), or (num_steps, runs)
    metrics: Any  # the loss function's metrics, each (num_steps, ...)


OnChunk = Callable[[State, History], bool | None]


def init(params: Params, optimizer: GradientTransformation) -> State:
    """Return the state before the first step.

    Example:
        >>> import optax
        >>> state = init({"x": jnp.ones(2)}, optax.sgd(0.5))
        >>> state.step.item(), state.step_scale.item(), state.num_rejected.item()
        (0, 1.0, 0)
    """
    return State(
        params,
        optimizer.init(params),
        jnp.zeros((), jnp.int32),
        jnp.ones(()),
        jnp.zeros((), jnp.int32),
    )


def step(
    loss_fn: LossFn,
    optimizer: GradientTransformation,
    state: State,
    key: Key,
    batch: PyTree,
    *,
    growth: float = 1.0,
) -> tuple[State, tuple[Scalar, Any]]:
    """Take one step, or roll it back and halve the step size if it is not finite.

    A step that is finite multiplies the step size by `growth`, up to its full value.

    Example:
        >>> def loss_fn(x, key, batch):
        ...     return (x - batch) ** 2, {}
        >>> import optax
        >>> optimizer, key = optax.sgd(0.25), jax.random.key(0)
        >>> state = init(jnp.array(0.0), optimizer)
        >>> state, (loss, _) = step(loss_fn, optimizer, state, key, 4.0)
        >>> state.params.item(), loss.item()  # halfway from 0 to 4; the loss before
        (2.0, 16.0)
        >>> state, _ = step(loss_fn, optimizer, state, key, jnp.nan)
        >>> state.params.item(), state.num_rejected.item(), state.step_scale.item()
        (2.0, 1, 0.5)
    """
    import optax  # here, for a fit that takes no such step need not load it

    (loss, metrics), gradient = _slope(loss_fn, state, key, batch)
    # A finite square of the norm: then Adam's second moments are finite too.
    finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.vdot(gradient, gradient))
    # A branch costs nothing where a selection would pass over all parameters again.
    params, opt_state = jax.lax.cond(
        finite,
        lambda: _move(optimizer, state, gradient),
        lambda: (state.params, state.opt_state),
    )
    new_state = State(
        params,
        opt_state,
        state.step + 1,
        jnp.where(finite, _grown(state.step_scale, growth), 0.5 * state.step_scale),
        state.num_rejected + jnp.where(finite, 0, 1),
    )
    return new_state, (loss, metrics)


def step_unseen(
    loss_fn: LossFn,
    optimizer: GradientTransformation,
    state: State,
    key: Key,
    batch: PyTree,
) -> tuple[State, tuple[Scalar, Any]]:
    """Take one step without checking that it is finite."""
    (loss, metrics), gradient = _slope(loss_fn, state, key, batch)
    params, opt_state = _move(optimizer, state, gradient)
    scale = _grown(state.step_scale, GROWTH)
    return State(params, opt_state, state.step + 1, scale, state.num_rejected), (
        loss,
        metrics,
    )


careful_step = partial(step, growth=GROWTH)


def _grown(step_scale: Array, growth: float) -> Array:
    return jnp.minimum(step_scale * growth, 1.0).astype(step_scale.dtype)


def _slope(loss_fn: LossFn, state: State, key: Key, batch: PyTree) -> Any:
    key = jax.random.fold_in(key, state.step)
    return jax.value_and_grad(loss_fn, has_aux=True)(state.params, key, batch)


def _move(
    optimizer: GradientTransformation, state: State, gradient: Params
) -> tuple[Params, Any]:
    import optax

    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    scale = state.step_scale
    updates = jax.tree.map(lambda u: (scale * u).astype(u.dtype), updates)
    return optax.apply_updates(state.params, updates), opt_state


def run_chunk(
    loss_fn: LossFn,
    optimizer: GradientTransformation,
    make_batches: MakeBatches | None,
    select: Select | None,
    chunk_size: int,
    state: State,
    key: Key,
    data: PyTree,
    *,
    step: Step = step,
) -> tuple[State, tuple[Float[Array, " steps"], Any]]:
    """Take `chunk_size` steps of one run in one scan; the arguments are `minimize`'s.

    Returns:
        The state after them, and the loss and metrics of each, (chunk_size, ...).
    """
    # Two streams from one key: the batches' and the loss function's draws.
    batch_key, loss_key = jax.random.split(key)
    batches = None
    if make_batches is not None:
        batches = make_batches(jax.random.fold_in(batch_key, state.step), data)

    def body(state: State, batch: PyTree) -> tuple[State, tuple[Scalar, Any]]:
        batch = data if make_batches is None else batch
        batch = batch if select is None else select(data, batch)
        return step(loss_fn, optimizer, state, loss_key, batch)

    return jax.lax.scan(body, state, batches, length=chunk_size)


# Compiled once for each (loss_fn, optimizer, make_batches, select, chunk_size,
# data_axes) and shapes: create them once, not in a loop, and a second run compiles
# nothing.
@partial(jax.jit, static_argnums=range(7))
def _run(
    step: Step,
    loss_fn: LossFn,
    optimizer: GradientTransformation,
    make_batches: MakeBatches | None,
    select: Select | None,
    chunk_size: int,
    data_axes: Any,
    state: State,
    key: Key,
    data: PyTree,
) -> tuple[Array, Any]:
    """Return whether all that a chunk left behind is finite, and the chunk."""
    program = loss_fn, optimizer, make_batches, select, chunk_size
    chunk = partial(run_chunk, *program, step=step)
    if data_axes is not None:
        chunk = jax.vmap(chunk, in_axes=(0, 0, data_axes), out_axes=(0, 1))
    state, history = chunk(state, key, data)
    leaves = jax.tree.leaves((state, history[0]))
    numbers = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    # Finite sums would do, but large parameters could overflow them.
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in numbers])
    return jnp.all(finite), (state, history)


def minimize(
    loss_fn: LossFn,
    state: State,
    key: Key,
    data: PyTree = None,
    *,
    optimizer: GradientTransformation,
    num_chunks: int,
    chunk_size: int,
    make_batches: MakeBatches | None = None,
    select: Select | None = None,
    data_axes: Any = None,
    on_chunk: OnChunk | None = None,
    description: str = "optimize",
) -> tuple[State, History]:
    """Run `num_chunks` compiled chunks of `chunk_size` steps, for one run or many.

    Args:
        loss_fn: (params, key, batch) -> (loss, metrics); the batch is `data` itself
            where there is no `make_batches`.
        state: from `init`, or the state that an earlier run ended with.
        key: the same for the whole run; each step folds its number in.
        data: device arrays, any pytree.
        optimizer: an Optax transformation.
        num_chunks: chunks to run, from this state on.
        chunk_size: steps in a chunk.
        make_batches: (key, data) -> batches stacked along a leading axis of
            `chunk_size`, or only the rows that `select` is to take.
        select: (data, rows) -> batch, inside the step: the batches of a chunk are then
            never all in memory at once.
        data_axes: None for one run. For many at once a container, as `jax.vmap` takes
            it for `data`: 0 for what has a leading axis of runs, None for what all
            runs share. State and key then have that axis too.
        on_chunk: called after each chunk with the state and the chunk's history;
            returns True to stop early.
        description: shown at the progress bar, which is silent without a terminal.

    Returns:
        The state after the last step, and the history of all steps.

    Raises:
        ValueError: `num_chunks` or `chunk_size` is below 1.

    Example:
        >>> def loss_fn(x, key, batch):
        ...     return (x - 4) ** 2, {}
        >>> import optax
        >>> optimizer = optax.sgd(0.25)
        >>> state, history = minimize(
        ...     loss_fn, init(jnp.array(0.0), optimizer), jax.random.key(0),
        ...     optimizer=optimizer, num_chunks=2, chunk_size=2,
        ... )
        >>> state.params.item(), history.loss.tolist()
        (3.75, [16.0, 4.0, 1.0, 0.25])
    """
    for name, value in (("num_chunks", num_chunks), ("chunk_size", chunk_size)):
        check(is_whole(value) and value >= 1, name, value, "give 1 or more")
    chunks = []
    with tqdm(total=num_chunks, desc=description, disable=None) as bar:
        for _ in range(num_chunks):
            program = loss_fn, optimizer, make_batches, select, chunk_size, data_axes
            finite, result = _run(step_unseen, *program, state, key, data)
            if not finite:
                _, result = _run(careful_step, *program, state, key, data)
            state, chunk = result
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
