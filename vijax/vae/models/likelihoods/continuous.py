"""Likelihoods of pixels that are real numbers: Gaussian and continuous Bernoulli."""

import math

import jax
import jax.numpy as jnp

from vijax.types import Key
from vijax.vae.models.likelihoods.base import (
    FINITE,
    GREY,
    Likelihood,
    Outputs,
    Pixels,
    as_they_are,
    is_grey,
)
from vijax.vae.models.memoize import cached
from vijax.validate import check


@cached
def gaussian(scale: float | None = 1.0, *, min_scale: float = 1e-2) -> Likelihood:
    """Real pixels, N(x | loc, scale²).

    Args:
        scale: the same fixed number for all pixels, or None: the decoder's second
            output of a pixel is then the log of its scale.
        min_scale: added to the learned scale. Pixels that never vary, such as an
            image's corners, would otherwise have an unbounded density.

    Raises:
        ValueError: a scale is not above 0.

    Example:
        >>> gaussian(0.5).log_prob(jnp.array(1.0), jnp.array([1.0])).item()
        -0.2257...
    """
    check(scale is None or scale > 0, "scale", scale, "give a number above 0 or None")
    check(min_scale > 0, "min_scale", min_scale, "give a number above 0")

    def log_scale(outputs: Outputs) -> Pixels:
        if scale is not None:
            return jnp.full_like(outputs[..., 0], math.log(scale))
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
        prepare=as_they_are,
        remedy=FINITE,
        remedy_images=FINITE,
    )


@cached
def continuous_bernoulli() -> Likelihood:
    """Grey levels as real numbers: p(x | η) = exp(η x) η / (exp(η) - 1) on [0, 1].

    The Bernoulli's formula with the normalisation that grey pixels lack in it.

    References:
        Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.

    Example:
        >>> log_prob = continuous_bernoulli().log_prob(jnp.array(1.0), jnp.array([1.0]))
        >>> round(log_prob.item(), 6)  # 1 - log(e - 1)
        0.458675
    """

    def affine(outputs: Outputs) -> tuple[Pixels, Pixels]:
        # log (e^η - 1) / η = η/2 + log sinh(η/2) / (η/2)
        eta = outputs[..., 0]
        return eta, -0.5 * eta - _log_sinhc(0.5 * eta)

    def log_prob(x: Pixels, outputs: Outputs) -> Pixels:
        slope, offset = affine(outputs)
        return slope * x + offset

    def mean(outputs: Outputs) -> Pixels:
        # The derivative of log (e^η - 1) / η.
        half = 0.5 * outputs[..., 0]
        return 0.5 + 0.5 * jax.grad(lambda u: jnp.sum(_log_sinhc(u)))(half)

    def sample(key: Key, outputs: Outputs) -> Pixels:
        # The inverse distribution function for η = -|η|, mirrored for η > 0.
        eta = outputs[..., 0]
        uniform = jax.random.uniform(key, eta.shape, eta.dtype)
        size = jnp.abs(eta)
        safe = jnp.where(size < _SMALL, 1.0, size)
        x = -jnp.log1p(uniform * jnp.expm1(-safe)) / safe
        x = jnp.clip(jnp.where(size < _SMALL, uniform, x), 0, 1)
        return jnp.where(eta > 0, 1 - x, x)

    return Likelihood(
        name="continuous_bernoulli",
        num_outputs=1,
        log_prob=log_prob,
        mean=mean,
        sample=sample,
        support=is_grey,
        accepts=is_grey,
        prepare=as_they_are,
        remedy="real numbers in [0, 1]",
        remedy_images=GREY,
        affine=affine,
    )


_SMALL = 1e-4  # |η| below which the distribution is uniform to rounding


def _log_sinhc(u: Pixels) -> Pixels:
    """Return log (sinh(u) / u), by its series near 0 where the quotient cancels."""
    near = jnp.abs(u) < 0.3
    small, large = jnp.where(near, u, 0.0), jnp.abs(jnp.where(near, 1.0, u))
    square = small**2
    series = square / 6 - square**2 / 180 + square**3 / 2835 - square**4 / 37800
    return jnp.where(
        near, series, large + jnp.log1p(-jnp.exp(-2 * large)) - jnp.log(2 * large)
    )
