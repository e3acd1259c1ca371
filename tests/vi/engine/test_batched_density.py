"""A log density at many positions, in batches."""

import jax.numpy as jnp
import numpy as np

from vijax import vi
from vijax.vi.engine.batched_density import over_draws


def test_batches_of_one_size_lose_no_draw(monkeypatch):
    target = vi.from_log_density(lambda u, y: -jnp.sum((u - y) ** 2), 0.0, jnp.ones(8))
    monkeypatch.setattr("vijax.vi.engine.batched_density.MAX_BATCH", 24)
    positions = jnp.arange(7.0)[:, None]
    found = over_draws(target, target.log_density, positions)
    np.testing.assert_allclose(found, -8 * (np.arange(7.0) - 1) ** 2)
