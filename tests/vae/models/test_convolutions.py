"""Convolutions by products are Flax's, values and gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import slow_except
from vijax.vae.models import convolutions

SHAPES = [
    ((2, 9, 7, 3), 4, 2),
    ((2, 8, 6, 1), 5, 2),
    ((2, 5, 6, 4), 2, 1),  # the product first
    ((2, 5, 6, 2), 3, 1),
    ((1, 1, 1, 2), 2, 2),
]


def draw(key, *shapes):
    keys = jax.random.split(key, len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def check(ours, theirs, x, kernel):
    def loss(function):
        return lambda x, kernel: jnp.sum(jnp.sin(function(x, kernel)))

    ours, theirs = jax.jit(ours), jax.jit(theirs)
    np.testing.assert_allclose(ours(x, kernel), theirs(x, kernel), atol=2e-5)
    slopes = [jax.jit(jax.grad(loss(f), (0, 1))) for f in (ours, theirs)]
    found, wanted = (slope(x, kernel) for slope in slopes)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("case", slow_except({SHAPES[0], SHAPES[2]}, SHAPES))
def test_convolution_is_that_of_flax(key, case):
    shape, outputs, stride = case
    x, kernel = draw(key, shape, (3, 3, shape[-1], outputs))
    flax = nn.Conv(outputs, (3, 3), strides=(stride, stride), use_bias=False)
    check(
        lambda x, k: convolutions.convolve(x, k, stride=stride),
        lambda x, k: flax.apply({"params": {"kernel": k}}, x),
        x,
        kernel,
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "shape", slow_except({(2, 5, 6, 3)}, [(2, 5, 6, 3), (1, 1, 4, 2)])
)
def test_transposed_convolution_is_that_of_flax(key, shape):
    x, kernel = draw(key, shape, (4, 4, shape[-1], 5))
    flax = nn.ConvTranspose(5, (4, 4), strides=(2, 2), use_bias=False)
    check(
        convolutions.convolve_transposed,
        lambda x, k: flax.apply({"params": {"kernel": k}}, x),
        x,
        kernel,
    )


@pytest.mark.thorough
def test_many_kernels_at_once_are_each_alone(key):
    x, kernels = draw(key, (2, 4, 4, 3), (3, 4, 4, 3, 2))
    found = jax.vmap(convolutions.convolve_transposed, (None, 0))(x, kernels)
    alone = [convolutions.convolve_transposed(x, kernel) for kernel in kernels]
    np.testing.assert_allclose(found, jnp.stack(alone), atol=1e-5)
