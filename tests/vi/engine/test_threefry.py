"""Random bits by NumPy are those of JAX."""

import jax
import numpy as np
import pytest

from vijax.vi.engine import noise, threefry


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_bits_and_folded_keys_are_those_of_jax(seed: int) -> None:
    key = jax.random.fold_in(jax.random.key(seed), 5)
    folded = threefry.fold_in(key, np.int32(77))
    expected = jax.random.fold_in(key, 77)
    np.testing.assert_array_equal(
        jax.random.key_data(folded), jax.random.key_data(expected)
    )
    np.testing.assert_array_equal(
        threefry.bits(threefry.words(folded), 1000),
        jax.random.bits(expected, (1000,), "uint32"),
    )


def test_normal_numbers_are_those_of_one_program() -> None:
    key = jax.random.key(3)
    shape = (2, noise.SMALL - 5)  # more than a block
    inside = jax.jit(lambda key: noise.normal(key, shape, "float32"))(key)
    np.testing.assert_array_equal(noise.normal(key, shape, "float32"), inside)


def test_other_generators_are_left_to_jax() -> None:
    key = jax.random.key(3, impl="rbg")
    assert not threefry.is_ours(key)
    folded = threefry.fold_in(key, 4)
    np.testing.assert_array_equal(
        jax.random.key_data(folded), jax.random.key_data(jax.random.fold_in(key, 4))
    )
    assert np.std(noise.normal(key, (1000,), "float32")) == pytest.approx(1, abs=0.1)
