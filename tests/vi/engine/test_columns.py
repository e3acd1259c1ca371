"""Products taken from a transpose: the same values, gradients and batches."""

import jax
import jax.numpy as jnp
import numpy as np

from vijax import vi
from vijax.vi.engine.batched_density import over_draws
from vijax.vi.engine.columns import by_columns

HELD = [
    ((), "float64"),
    ((), "float64"),  # minus infinity of this type
    ((2, 2), "float64"),
    ((3, 3), "float64"),
    ((3, 50), "float64"),
    ((50,), "bool"),
    ((50,), "float64"),
    ((50,), "float64"),
    ((50,), "float64"),
]


def density(data, w, key):
    x, y, square = data
    logits = x @ w + jnp.sum(x[:, 0]) + square @ w[:2] @ jnp.ones(2)
    values = y * logits - softplus_of_shifted(logits, y)
    values = values + jnp.sin(softplus_of_shifted(2 * logits, y))
    return jnp.sum(jnp.where(y > -9, values, -jnp.inf)) + jnp.sum(x[:3] @ w)


@jax.jit
def softplus_of_shifted(logits, y):
    return jax.nn.softplus(logits + jax.scipy.special.gammaln(y**2 + 1))


def test_values_and_gradients_stay(x64, key):
    rng = np.random.default_rng(0)
    data = [jnp.asarray(rng.normal(size=shape)) for shape in ((50, 3), (50,), (2, 2))]
    w = jnp.asarray(rng.normal(size=(4, 3)))

    def both(data):
        fast, held = by_columns(density, data, w[0], key)
        # The sum, the mask and log y! are found before the loop.
        found = sorted((x.shape, x.dtype.name) for x in held)
        assert found == sorted(HELD)
        return jax.vmap(jax.value_and_grad(lambda w: fast(held, w, key)))(w)

    expected = jax.vmap(jax.value_and_grad(lambda w: density(data, w, key)))(w)
    for result in (both(data), jax.jit(both)(data)):
        for ours, theirs in zip(result, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    # Both products of X are taken from the rows of the transpose, and no other.
    fast, held = by_columns(density, data, w[0], key)
    text = str(jax.make_jaxpr(lambda held, w: fast(held, w, key))(held, w[0]))
    assert text.count("dot_general") == 4
    assert "lgamma" not in text
    assert text.count("dimension_numbers=(([0], [0])") == 2


def test_batches_of_one_size_lose_no_draw(monkeypatch):
    target = vi.from_log_density(lambda u, y: -jnp.sum((u - y) ** 2), 0.0, jnp.ones(8))
    monkeypatch.setattr("vijax.vi.draws.MAX_BATCH", 24)
    positions = jnp.arange(7.0)[:, None]
    for one_by_one in (False, True):
        found = over_draws(target, target.log_density, positions, one_by_one=one_by_one)
        np.testing.assert_allclose(found, -8 * (np.arange(7.0) - 1) ** 2)
