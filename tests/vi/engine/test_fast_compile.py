"""quick_jit: the same numbers, from any place that jit may be called in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vi.engine import fast_compile


def square_sum(x):
    return jnp.sum(x**2, axis=-1)


@pytest.mark.parametrize("is_quick", [True, False])
def test_eager_traced_and_inside_a_jit_are_the_same(is_quick):
    function, x = fast_compile.quick_jit(square_sum), jnp.arange(6.0).reshape(2, 3)
    for found in (
        function(x, quick=is_quick),
        jax.jit(lambda x: function(x, quick=is_quick))(x),
        jax.jit(lambda: function(x, quick=is_quick))(),  # a constant of the trace
        jax.vmap(lambda x: function(x, quick=is_quick))(x),
    ):
        np.testing.assert_array_equal(found, [5.0, 50.0])


def test_this_xla_has_the_options():
    # Where it does not, fits compile as usual: right, but several times slower.
    is_cpu = jax.default_backend() == "cpu"
    for options in (
        fast_compile.LITTLE,
        fast_compile.PLAIN_KERNELS,
        fast_compile.PLAIN_LOOP,
    ):
        assert fast_compile._are_known(*options.items()) == is_cpu


def test_unknown_options_compile_as_usual():
    function = fast_compile.quick_jit(square_sum, options={"xla_no_such_option": True})
    assert function(jnp.ones(3), quick=True) == 3.0
