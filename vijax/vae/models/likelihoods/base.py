"""What a likelihood is: a tuple of functions of pixels and a decoder's outputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.types import Key
from vijax.vae.models.memoize import Recipe, reduced
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
    # outputs -> (slope, offset), where log_prob = slope x + offset; None where not.
    affine: Callable[[Outputs], tuple[Pixels, Pixels]] | None = None
    # outputs -> probability of each level, (…, num_levels), to within 2⁻²⁴ or so: what
    # an entropy coder needs, and much faster than log_prob of each. None where not.
    masses: Callable[[Outputs], Float[Array, "..."]] | None = None
    recipe: Recipe | None = None  # how it was made, for a file

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how pickle makes it again."""
        return reduced(self)


def check_support(likelihood: Likelihood, x: ArrayLike) -> None:
    """Check that every pixel is in the likelihood's support.

    Raises:
        ValueError: one is not; the message says what x must be.

    Example:
        >>> from vijax.vae.models import likelihoods
        >>> check_support(likelihoods.bernoulli(), 0.5)
        Traceback (most recent call last):
        ...
        ValueError: x = 0.5 is not valid: bernoulli data are 0 or 1: ...
    """
    valid = jax.jit(likelihood.support)(x)
    check(valid, "x", x, f"{likelihood.name} data are {likelihood.remedy}")


def check_images(likelihood: Likelihood, images: ArrayLike) -> None:
    """Check that the likelihood can make data of these images.

    Raises:
        ValueError: it cannot; the message says what images must be.

    Example:
        >>> from vijax.vae.models import likelihoods
        >>> check_images(likelihoods.bernoulli(), 16.0)
        Traceback (most recent call last):
        ...
        ValueError: images = 16.0 is not valid: bernoulli takes grey levels in [0, 1]...
    """
    valid = jax.jit(likelihood.accepts)(images)
    check(
        valid, "images", images, f"{likelihood.name} takes {likelihood.remedy_images}"
    )


def as_they_are(key: Key, images: Pixels) -> Pixels:
    """Return the images: they are data already."""
    return images


def is_grey(images: Pixels) -> Bool[Array, "..."]:
    """Say where a pixel is in [0, 1]."""
    return (images >= 0) & (images <= 1)


GREY = "grey levels in [0, 1]: divide by the highest level"
FINITE = "finite numbers: remove or fill NaN and infinities"
