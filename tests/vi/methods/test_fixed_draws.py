"""Newton's search: the same text for NumPy and a trace, in the target's precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.array_module import eigh
from vijax.vi.engine import noise
from vijax.vi.methods import fixed_draws


def log_density(u):
    return -0.5 * jnp.sum((u - 1.0) ** 2) - jnp.sum(jnp.cosh(0.5 * u))


@pytest.fixture
def start(key):
    half = noise.normal(key, (2, 32, 3), "float32")
    one = np.ones(3, np.float32)
    return fixed_draws._begin(half, one, one, max_steps=9, diagonal=False)


def test_a_step_keeps_shapes_and_precision(start):
    # A float64 on the way would make a second program of `_look`, and other numbers.
    target = vi.from_log_density(log_density, jnp.zeros(3))
    state = start.state
    for _ in range(3):
        given = state.proposal, start.draws, state.num_batches, start.nothing
        totals = fixed_draws._look(target, *given)
        options = {"diagonal": False, "tolerance": 0.01}
        new = fixed_draws._advance(state, totals, start.draws, **options)
        old_leaves, new_leaves = jax.tree.leaves(state), jax.tree.leaves(new)
        assert [np.shape(x) for x in new_leaves] == [np.shape(x) for x in old_leaves]
        assert [x.dtype for x in new_leaves if x.dtype.kind == "f"] == [
            x.dtype for x in old_leaves if x.dtype.kind == "f"
        ]
        state = new
    assert state.num_steps == 3
    assert state.num_rejected == 0


@pytest.mark.thorough
def test_the_search_is_the_same_in_a_trace(key):
    target = vi.from_log_density(log_density, jnp.zeros(3))
    eager = vi.fit(target, key, family="full_rank")
    traced = jax.jit(lambda key: vi.fit(target, key, family="full_rank"))(key)
    assert int(eager.num_steps) == int(traced.num_steps)
    for found, expected in zip(eager.q, traced.q, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_eigenvalues_of_what_is_not_finite_are_nan(nan_is_an_answer):
    values, vectors = eigh(np.full((2, 2), np.nan, np.float32))
    assert np.isnan(values).all()
    assert np.isnan(vectors).all()
    assert values.dtype == np.float32
