"""quick_jit: the same numbers, from any place that jit may be called in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vi import quick


def square_sum(x):
    return jnp.sum(x**2, axis=-1)


@pytest.mark.parametrize("work", [1, quick.MAX_WORK + 1])
def test_eager_traced_and_inside_a_jit_are_the_same(work):
    function, x = quick.quick_jit(square_sum), jnp.arange(6.0).reshape(2, 3)
    for found in (
        function(x, work=work),
        jax.jit(lambda x: function(x, work=work))(x),
        jax.jit(lambda: function(x, work=work))(),  # a constant of the trace
        jax.vmap(lambda x: function(x, work=work))(x),
    ):
        np.testing.assert_array_equal(found, [5.0, 50.0])


def test_this_xla_has_the_options():
    # Where it does not, fits compile as usual: right, but several times slower.
    assert quick._options_are_known() == (jax.default_backend() == "cpu")


def test_unknown_options_compile_as_usual(monkeypatch):
    monkeypatch.setattr(quick, "OPTIONS", {"xla_no_such_option": True})
    quick._options_are_known.cache_clear()
    try:
        assert quick.quick_jit(square_sum)(jnp.ones(3), work=1) == 3.0
    finally:
        quick._options_are_known.cache_clear()
