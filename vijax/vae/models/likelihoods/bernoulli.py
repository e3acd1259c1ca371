"""The Bernoulli likelihood: pixels are 0 or 1, as grey levels are after binarising."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

from vijax.types import Key
from vijax.vae.models.likelihoods.base import (
    GREY,
    Likelihood,
    Outputs,
    Pixels,
    as_they_are,
    is_grey,
)
from vijax.vae.models.memoize import cached
from vijax.validate import check, is_traced


def binarize(key: Key, images: ArrayLike) -> Pixels:
    """Draw pixels of 0 or 1 whose mean is the grey level in [0, 1].

    The draw compares with 16 random bits, two pixels to a word of the generator
    instead of a word or two to a pixel; its mean is exact to 2^-17 = 8e-6.

    Raises:
        ValueError: a pixel is not in [0, 1].

    Example:
        >>> binarize(jax.random.key(0), jnp.array([0.0, 0.0, 1.0, 1.0])).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    images = jnp.asarray(images)
    if not is_traced(images):
        check(is_grey(images), "images", images, GREY)
    half = math.ceil(images.size / 2)
    words = jax.random.bits(key, (half,), jnp.uint32)
    levels = jnp.pad(images.ravel(), (0, 2 * half - images.size)).reshape(2, half)

    def compare(_: None, numbered: tuple[Array, Array]) -> tuple[None, Pixels]:
        number, level = numbered
        bits = (words >> 16 * number) & 0xFFFF
        x = (bits.astype(level.dtype) + 0.5) / 2**16 < level
        return None, x.astype(level.dtype)

    # A scan, because the compiler would else fold the comparison into each of the
    # four places that use the pixels, and do it four times.
    _, x = jax.lax.scan(compare, None, (jnp.arange(2, dtype=jnp.uint32), levels))
    return x.ravel()[: images.size].reshape(images.shape)


@cached
def bernoulli(*, binary: bool = False) -> Likelihood:
    """Pixels of 0 or 1: p(x | logit) = sigmoid(logit)^x (1 - sigmoid(logit))^(1-x).

    Args:
        binary: the images are 0 and 1 already, and `prepare` returns them as they
            are. Else it binarises grey levels at random, anew at each call.

    Example:
        >>> bernoulli().log_prob(jnp.array(1.0), jnp.array([0.0])).item()
        -0.6931...
    """

    def affine(outputs: Outputs) -> tuple[Pixels, Pixels]:
        logits = outputs[..., 0]
        return logits, -softplus(logits)

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        slope, offset = affine(outputs)
        return slope * x + offset

    def mean(outputs: Outputs) -> Pixels:
        return jax.nn.sigmoid(outputs[..., 0])

    def sample(key: Key, outputs: Outputs) -> Pixels:
        probabilities = mean(outputs)
        return jax.random.bernoulli(key, probabilities).astype(probabilities.dtype)

    def is_binary(x: Pixels) -> Bool[Array, "..."]:
        return (x == 0) | (x == 1)

    remedy = "0 or 1: binarise grey levels with likelihoods.binarize"
    return Likelihood(
        name="bernoulli",
        num_outputs=1,
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=is_binary,
        accepts=is_binary if binary else is_grey,
        prepare=as_they_are if binary else binarize,
        remedy=remedy,
        remedy_images=remedy if binary else GREY,
        affine=affine,
    )


@jax.custom_jvp
def softplus(x: Pixels) -> Pixels:
    """Return log(1 + exp(x)); its derivative keeps nothing but x in memory.

    Example:
        >>> softplus(jnp.array([-1000.0, 1000.0])).tolist()
        [0.0, 1000.0]
    """
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(
    primals: tuple[Pixels], tangents: tuple[Pixels]
) -> tuple[Pixels, Pixels]:
    return softplus(*primals), jax.nn.sigmoid(primals[0]) * tangents[0]
