"""Likelihoods p(x | outputs): what a decoder's outputs say about the data.

One interface for all, elementwise over pixels (sum over them for an example):

    log_prob(x, outputs) -> nats per pixel     x (…, *shape), outputs (…, *shape, n)
    mean(outputs)        -> E[x]               (…, *shape)
    sample(key, outputs) -> x                  (…, *shape)
    support(x)           -> mask               True where x may have been drawn
    accepts(images)      -> mask               True where `prepare` takes the value
    prepare(key, images) -> x                  images (grey levels in [0, 1]) -> data

where n = `num_outputs` numbers of the decoder belong to each pixel. Every density
is normalised over its own support, so that bounds may be compared in nats: grey
pixels in a Bernoulli's formula would not be.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.types import Key
from vijax.validate import check

Pixels = Float[Array, "..."]
Outputs = Float[Array, "... n"]


class Likelihood(NamedTuple):
    """A distribution of pixels given a decoder's outputs."""

    name: str
    num_outputs: int
    log_prob: Callable[[Pixels, Outputs], Pixels]
    mean: Callable[[Outputs], Pixels]
    sample: Callable[[Key, Outputs], Pixels]
    support: Callable[[Pixels], Bool[Array, "..."]]
    accepts: Callable[[Pixels], Bool[Array, "..."]]
    prepare: Callable[[Key, Pixels], Pixels]
    remedy: str  # what x must be, and how to get there
    remedy_images: str  # what images must be


def check_support(likelihood: Likelihood, x: ArrayLike) -> None:
    """Raise a ValueError if any pixel is outside the likelihood's support.

    Example:
        >>> check_support(bernoulli(), jnp.array([0.0, 0.5]))
        Traceback (most recent call last):
        ...
        ValueError: x = 0.5 (at index 1) is not valid: bernoulli data are 0 or 1: ...
    """
    valid = jax.jit(likelihood.support)(x)
    check(valid, "x", x, f"{likelihood.name} data are {likelihood.remedy}")


def check_images(likelihood: Likelihood, images: ArrayLike) -> None:
    """Raise a ValueError if the likelihood cannot make data of these images.

    Example:
        >>> check_images(bernoulli(), jnp.array([0.0, 255.0]))
        Traceback (most recent call last):
        ...
        ValueError: images = 255.0 (at index 1) is not valid: bernoulli takes grey ...
    """
    valid = jax.jit(likelihood.accepts)(images)
    check(
        valid, "images", images, f"{likelihood.name} takes {likelihood.remedy_images}"
    )


def _is_grey(images: Pixels) -> Bool[Array, "..."]:
    return (images >= 0) & (images <= 1)


_FINITE = "finite numbers: remove or fill NaN and infinities"
_GREY_LEVELS = "grey levels in [0, 1]: divide by the highest level"


def binarize(key: Key, images: Pixels) -> Pixels:
    """Draw pixels of 0 or 1 whose mean is the grey level in [0, 1].

    The draw compares with 16 random bits, two pixels to a word of the generator
    instead of a word or two to a pixel; its mean is exact to 2^-17 = 8e-6.

    Example:
        >>> binarize(jax.random.key(0), jnp.array([0.0, 0.0, 1.0, 1.0]))
        Array([0., 0., 1., 1.], dtype=float32)
    """
    words = jax.random.bits(key, (math.ceil(images.size / 2),), jnp.uint32)
    bits = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)
    bits = bits[: images.size].reshape(images.shape)
    return ((bits.astype(images.dtype) + 0.5) / 2**16 < images).astype(images.dtype)


def _as_they_are(key: Key, images: Pixels) -> Pixels:
    return images


@lru_cache
def bernoulli() -> Likelihood:
    """Pixels of 0 or 1: p(x | logit) = sigmoid(logit)^x (1 - sigmoid(logit))^(1-x).

    `prepare` binarises grey levels at random, anew at each call.

    Example:
        >>> bernoulli().log_prob(jnp.array(1.0), jnp.array([0.0])).item()
        -0.6931...
    """

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        logits = outputs[..., 0]
        return x * logits - jax.nn.softplus(logits)

    def mean(outputs: Outputs) -> Pixels:
        return jax.nn.sigmoid(outputs[..., 0])

    def sample(key: Key, outputs: Outputs) -> Pixels:
        probabilities = mean(outputs)
        return jax.random.bernoulli(key, probabilities).astype(probabilities.dtype)

    return Likelihood(
        name="bernoulli",
        num_outputs=1,
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=lambda x: (x == 0) | (x == 1),
        accepts=_is_grey,
        prepare=binarize,
        remedy="0 or 1: binarise grey levels with likelihoods.binarize",
        remedy_images=_GREY_LEVELS,
    )


@lru_cache
def gaussian(scale: float | None = 1.0, *, min_scale: float = 1e-2) -> Likelihood:
    """Real pixels, N(x | loc, scale²).

    Args:
        scale: the same fixed number for all pixels, or None: the decoder's second
            output of a pixel is then the log of its scale.
        min_scale: the least learned scale. Pixels that never vary, such as an image's
            corners, would otherwise give an unbounded density.

    Example:
        >>> gaussian(0.5).log_prob(jnp.array(1.0), jnp.array([1.0])).item()
        -0.2257...
    """
    check(scale is None or scale > 0, "scale", scale, "give a number above 0 or None")
    check(min_scale > 0, "min_scale", min_scale, "give a number above 0")

    def log_scale(outputs: Outputs) -> Pixels:
        if scale is not None:
            return jnp.full_like(outputs[..., 0], math.log(scale))
        # log(min_scale + exp(s)), smooth so that its gradient never dies.
        return jnp.logaddexp(outputs[..., 1], math.log(min_scale))

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        log_s = log_scale(outputs)
        z = (x - outputs[..., 0]) * jnp.exp(-log_s)
        return -0.5 * z**2 - log_s - 0.5 * math.log(2 * math.pi)

    def mean(outputs: Outputs) -> Pixels:
        return outputs[..., 0]

    def sample(key: Key, outputs: Outputs) -> Pixels:
        loc = mean(outputs)
        noise = jax.random.normal(key, loc.shape, loc.dtype)
        return loc + jnp.exp(log_scale(outputs)) * noise

    return Likelihood(
        name="gaussian",
        num_outputs=1 if scale is not None else 2,
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=jnp.isfinite,
        accepts=jnp.isfinite,
        prepare=_as_they_are,
        remedy=_FINITE,
        remedy_images=_FINITE,
    )
