"""What a likelihood is: a tuple of functions of pixels and a decoder's outputs."""

from collections.abc import Callable
from typing import NamedTuple

import jax
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
    # outputs -> (slope, offset), where log_prob = slope x + offset; None where not.
    affine: Callable[[Outputs], tuple[Pixels, Pixels]] | None = None


def check_support(likelihood: Likelihood, x: ArrayLike) -> None:
    """Raise a ValueError if any pixel is outside the likelihood's support."""
    valid = jax.jit(likelihood.support)(x)
    check(valid, "x", x, f"{likelihood.name} data are {likelihood.remedy}")


def check_images(likelihood: Likelihood, images: ArrayLike) -> None:
    """Raise a ValueError if the likelihood cannot make data of these images."""
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
