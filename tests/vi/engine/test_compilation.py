"""light_jit: the same numbers, from any place that jit may be called in."""

import jax
import jax.numpy as jnp
import numpy as np

from vijax.vi.engine import compilation


@compilation.light_jit
def square_sum(x):
    return jnp.sum(x**2, axis=-1)


def test_eager_traced_and_inside_a_jit_are_the_same():
    x = jnp.arange(6.0).reshape(2, 3)
    for found in (
        square_sum(x),
        jax.jit(square_sum)(x),
        jax.jit(lambda: square_sum(x))(),  # a constant of the trace
        jax.vmap(square_sum)(x),
    ):
        np.testing.assert_array_equal(found, [5.0, 50.0])


def test_options_are_asked_for_one_by_one(monkeypatch):
    known = {"xla_backend_optimization_level": 0}
    options = {"xla_no_such_option": True} | known
    monkeypatch.setattr(compilation, "LIGHT", options)
    compilation.known_options.cache_clear()
    try:
        expected = known if jax.default_backend() == "cpu" else {}
        assert compilation.known_options() == expected
        assert compilation.light_jit(lambda x: 2 * x)(3.0) == 6.0
    finally:
        compilation.known_options.cache_clear()


def test_in_trace_knows_every_transformation():
    seen = []

    def look(x):
        seen.append(compilation.in_trace())
        return x

    look(1.0)
    jax.jit(look)(1.0)
    jax.vmap(look)(jnp.ones(2))
    jax.grad(look)(1.0)
    look(1.0)
    assert seen == [False, True, True, True, False]
