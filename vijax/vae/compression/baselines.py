"""What everybody has: the best linear autoencoder, and gzip, bz2 and xz.

    principal_components   latents of the linear map that loses least
    general_purpose_bits   what general compressors make of a file

A VAE's rates are held against both.
"""

import bz2
import gzip
import lzma
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.validate import check, is_whole, seen, where_valid


class PrincipalComponents(NamedTuple):
    """The best linear autoencoder: x ≈ mean + (x - mean) · componentsᵀ · components."""

    mean: Float[Array, " pixels"]
    components: Float[Array, "latent pixels"]  # orthonormal rows, by falling variance


def principal_components(
    rows: Float[ArrayLike, "examples pixels"], *, latent: int
) -> PrincipalComponents:
    """Return the linear map that loses least: principal component analysis.

    Args:
        rows: the examples, one or more.
        latent: number of components, at most the number of pixels.

    Raises:
        ValueError: no row, NaN or infinities, a number of components out of its range.

    Example:
        >>> rows = jnp.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> jnp.abs(principal_components(rows, latent=1).components).tolist()
        [[0.707..., 0.707...]]
    """
    rows = jnp.asarray(rows)
    if rows.ndim != 2 or not len(rows):
        raise ValueError(
            f"rows have shape {rows.shape}: give (examples, pixels), one row or more"
        )
    number = abs(seen(rows)) < np.inf
    finite: Any = check(number, "rows", rows, "remove NaN and infinities")
    valid = is_whole(latent) and 1 <= latent <= rows.shape[1]
    check(valid, "latent", latent, "give 1 to the number of pixels")
    return where_valid(finite.all(), _principal(rows, latent))


@partial(jax.jit, static_argnums=1)
def _principal(rows: Array, latent: int) -> PrincipalComponents:
    mean = jnp.mean(rows, axis=0)
    covariance = (rows - mean).T @ (rows - mean) / rows.shape[0]
    _, vectors = jnp.linalg.eigh(covariance)
    return PrincipalComponents(mean, vectors[:, ::-1][:, :latent].T)


GENERAL_PURPOSE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 9, mtime=0),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def general_purpose_bits(data: bytes) -> dict[str, int]:
    """Return the size in bits of a file compressed by gzip, bz2 and xz.

    Example:
        >>> general_purpose_bits(bytes(100_000))["gzip"] < 1200
        True
    """
    return {name: 8 * len(compress(data)) for name, compress in GENERAL_PURPOSE.items()}
