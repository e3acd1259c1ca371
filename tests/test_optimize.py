"""The optimisation loop: exact resume, rollback, early stop, compile once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vijax import optimize

TARGET = jnp.array([1.0, -2.0, 0.5])
DATA = TARGET + jnp.arange(12.0)[:, None] * jnp.array([1.0, -1.0, 0.0])
ADAM = optax.adam(0.1)
SGD = optax.sgd(0.1)
BATCHES = partial(optimize.shuffled_batches, batch_size=4)
TRACES = {"noisy": 0}


def noisy(params, key, batch):
    """A quadratic whose minimum is the data's mean, with noise on the gradient."""
    TRACES["noisy"] += 1
    noise = 0.01 * jax.random.normal(key, params.shape)
    loss = jnp.mean((params + noise - batch) ** 2)
    return loss, {"distance": jnp.sum((params - TARGET) ** 2)}


def run(state, num_chunks, **options):
    key = jax.random.key(3)
    options = {"optimizer": ADAM, "make_batches": BATCHES} | options
    return optimize.minimize(
        noisy, state, key, DATA, num_chunks=num_chunks, chunk_size=3, **options
    )


def start(optimizer=ADAM):
    return optimize.init(jnp.zeros(3), optimizer)


def assert_identical(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_sgd_follows_the_recursion_it_should():
    # θ ← θ − 0.1 · 2 (θ − 3): θ_n = 3 (1 − 0.8ⁿ)
    state = optimize.init(jnp.zeros(()), SGD)
    state, history = optimize.minimize(
        lambda params, key, batch: ((params - batch) ** 2, None),
        state,
        jax.random.key(0),
        jnp.array(3.0),
        optimizer=SGD,
        num_chunks=2,
        chunk_size=5,
    )
    np.testing.assert_allclose(state.params, 3 * (1 - 0.8**10), rtol=1e-5)
    expected = (3 * 0.8 ** np.arange(10)) ** 2
    np.testing.assert_allclose(history.loss, expected, rtol=1e-5)
    assert int(state.step) == 10


def test_resumed_run_is_bitwise_the_uninterrupted_one():
    whole, history = run(start(), 4)
    half, first = run(start(), 2)
    rest, second = run(half, 2)
    assert_identical(whole, rest)
    joined = jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second)
    assert_identical(history, joined)


def test_second_run_compiles_nothing():
    run(start(), 1)
    before = TRACES["noisy"]
    run(start(), 3)
    run(optimize.init(jnp.ones(3), ADAM), 1)
    assert TRACES["noisy"] == before


def test_on_chunk_stops_early_and_sees_state_and_history():
    seen = []

    def on_chunk(state, history):
        seen.append((int(state.step), history.loss.shape))
        return len(seen) == 2

    state, history = run(start(), 10, on_chunk=on_chunk)
    assert seen == [(3, (3,)), (6, (3,))]
    assert history.loss.shape == (6,)
    assert history.metrics["distance"].shape == (6,)
    assert int(state.step) == 6


def test_callers_state_survives_the_run():
    state = start()
    first, _ = run(state, 1)
    again, _ = run(state, 1)
    assert_identical(first, again)


def explode(params, key, batch):
    """NaN on the third batch alone, which is steep."""
    bad = batch > 2.5
    return jnp.where(bad, jnp.nan, 1.0) * params**2, None


@pytest.mark.usefixtures("nan_is_an_answer")
def test_step_that_is_not_finite_is_rolled_back_and_the_step_halved():
    def in_order(key, data):
        return data

    state = optimize.init(jnp.array(1.0), SGD)
    state, history = optimize.minimize(
        explode,
        state,
        jax.random.key(0),
        jnp.array([0.0, 1.0, 3.0, 1.0]),
        optimizer=SGD,
        num_chunks=1,
        chunk_size=4,
        make_batches=in_order,
    )
    assert int(state.num_rejected) == 1
    assert float(state.step_scale) == 1.0  # halved, and back after one finite step
    assert np.isnan(history.loss).tolist() == [False, False, True, False]
    # Two full steps, one that never happened, one at half the size.
    np.testing.assert_allclose(state.params, 0.8 * 0.8 * 0.9, rtol=1e-6)


def test_a_bad_loss_is_caught_where_all_else_stays_finite():
    # The gradient of where(bad, nan, ...) is zero there: only the loss tells.
    def loss_fn(params, key, batch):
        loss = jnp.sum(jnp.where(batch > 2.5, 0.0, 1.0) * params**2)
        return loss + jnp.where(batch > 2.5, jnp.inf, 0.0), None

    state, _ = optimize.minimize(
        loss_fn,
        optimize.init(jnp.array(1.0), SGD),
        jax.random.key(0),
        jnp.array([0.0, 3.0]),
        optimizer=SGD,
        num_chunks=1,
        chunk_size=2,
        make_batches=lambda key, data: data,
    )
    assert int(state.num_rejected) == 1
    np.testing.assert_allclose(state.params, 0.8, rtol=1e-6)


@pytest.mark.thorough
def test_steps_with_and_without_care_are_the_same_where_all_is_finite():
    key = jax.random.key(3)
    with_care, unseen = (
        optimize.run_chunk(noisy, ADAM, BATCHES, None, 3, start(), key, DATA, step=step)
        for step in (optimize.step, optimize.step_unseen)
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), with_care, unseen)


def test_selected_rows_are_the_same_batches():
    def rows(key, data):
        return optimize.shuffled_batches(key, jnp.arange(len(data)), batch_size=4)

    whole, _ = run(start(), 2)
    taken, _ = run(
        start(), 2, make_batches=rows, select=lambda data, batch: data[batch]
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), taken, whole)


@pytest.mark.usefixtures("nan_is_an_answer")
def test_optimiser_state_is_rolled_back_too():
    state = optimize.init(jnp.array(1.0), ADAM)
    new, _ = jax.jit(optimize.step, static_argnums=(0, 1))(
        explode, ADAM, state, jax.random.key(0), jnp.array(3.0)
    )
    assert_identical(new.opt_state, state.opt_state)
    assert_identical(new.params, state.params)


@pytest.mark.thorough
def test_infinite_update_is_rolled_back():
    def cliff(params, key, batch):
        return jnp.sqrt(jnp.abs(params)), None  # infinite slope at 0

    state = optimize.init(jnp.array(0.0), SGD)
    new, _ = optimize.step(cliff, SGD, state, jax.random.key(0), None)
    assert int(new.num_rejected) == 1
    assert float(new.params) == 0.0


def test_shuffled_batches_hold_every_row_once_and_leave_the_rest(key):
    data = {"x": jnp.arange(10), "y": 10 * jnp.arange(10)}
    batches = optimize.shuffled_batches(key, data, batch_size=5)
    assert sorted(batches["x"].ravel().tolist()) == list(range(10))
    np.testing.assert_array_equal(batches["y"], 10 * batches["x"])
    cut = optimize.shuffled_batches(key, data, batch_size=4)
    assert len(set(cut["x"].ravel().tolist())) == 8


@pytest.mark.thorough
def test_chunks_vmap_over_seeds():
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    states = jax.vmap(lambda _: start())(keys)
    many, (losses, _) = jax.vmap(
        lambda state, key: optimize.run_chunk(
            noisy, ADAM, BATCHES, None, 3, state, key, DATA
        )
    )(states, keys)
    one, (loss, _) = jax.jit(optimize.run_chunk, static_argnums=(0, 1, 2, 3, 4))(
        noisy, ADAM, BATCHES, None, 3, start(), keys[1], DATA
    )
    assert losses.shape == (2, 3)
    np.testing.assert_allclose(many.params[1], one.params, rtol=1e-5)
    np.testing.assert_allclose(losses[1], loss, rtol=1e-5)


def test_noise_differs_from_step_to_step():
    _, history = run(start(), 6)
    assert len(set(history.loss.tolist())) == 18


def test_batches_differ_from_chunk_to_chunk():
    def show(params, key, batch):
        return jnp.sum(params**2), batch[:, 0]

    _, history = optimize.minimize(
        show,
        start(),
        jax.random.key(0),
        DATA,
        optimizer=ADAM,
        num_chunks=2,
        chunk_size=3,
        make_batches=BATCHES,
    )
    first, second = history.metrics[:3], history.metrics[3:]
    assert sorted(first.ravel()) == sorted(second.ravel())
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("num_chunks", [1, 3])
def test_minimum_is_found(num_chunks):
    optimizer = optax.adam(optax.exponential_decay(0.3, 100, 0.3))
    state, _ = optimize.minimize(
        noisy,
        start(optimizer),
        jax.random.key(0),
        DATA,
        optimizer=optimizer,
        num_chunks=num_chunks,
        chunk_size=300 // num_chunks,
    )
    np.testing.assert_allclose(state.params, DATA.mean(axis=0), atol=0.02)


def test_no_chunks_are_refused():
    with pytest.raises(ValueError, match="num_chunks = 0 "):
        run(start(), 0)
