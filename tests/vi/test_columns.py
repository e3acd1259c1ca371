"""Products taken from a transpose: the same values, gradients and batches."""

import jax
import jax.numpy as jnp
import numpy as np

from vijax import vi
from vijax.vi.columns import by_columns
from vijax.vi.draws import over_draws


def density(data, w, key):
    x, y, square = data
    logits = x @ w + jnp.sum(x[:, 0]) + square @ w[:2] @ jnp.ones(2)
    return jnp.sum(y * logits - jax.nn.softplus(logits)) + jnp.sum(x[:3] @ w)


def test_values_and_gradients_stay(x64, key):
    rng = np.random.default_rng(0)
    data = [jnp.asarray(rng.normal(size=shape)) for shape in ((50, 3), (50,), (2, 2))]
    w = jnp.asarray(rng.normal(size=(4, 3)))

    def both(data):
        fast, held = by_columns(density, data, w[0], key)
        assert [x.shape for x in held] == [(3, 50), (50,), (2, 2)]
        return jax.vmap(jax.value_and_grad(lambda w: fast(held, w, key)))(w)

    expected = jax.vmap(jax.value_and_grad(lambda w: density(data, w, key)))(w)
    for result in (both(data), jax.jit(both)(data)):
        for ours, theirs in zip(result, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    # The product is taken from the rows of the transpose, and nothing else is.
    fast, held = by_columns(density, data, w[0], key)
    text = str(jax.make_jaxpr(lambda held, w: fast(held, w, key))(held, w[0]))
    assert text.count("dot_general") == 4
    assert text.count("dimension_numbers=(([0], [0])") == 2


def test_batches_of_one_size_lose_no_draw(monkeypatch):
    target = vi.from_log_density(lambda u, y: -jnp.sum((u - y) ** 2), 0.0, jnp.ones(8))
    monkeypatch.setattr("vijax.vi.draws.MAX_BATCH", 24)
    positions = jnp.arange(7.0)[:, None]
    found = over_draws(target, target.log_density, positions)
    np.testing.assert_allclose(found, -8 * (np.arange(7.0) - 1) ** 2)
