"""The latent space: maps of data, grids and traversals to decode, distances, gaps.

The gap of an autoencoder. Nothing in an autoencoder's loss speaks of the latents
between those of the data, so a decoder does there what it likes: images of no digit.
A VAE's KL pulls q(z | x) to a prior that it fills, and the decoder sees draws, not
points. `off_data` measures the difference as a share of latent mass; it is what the
eye sees as gaps in a decoded grid.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.vae import models
from vijax.vae.models import VAE, Autoencoder, Images, ModelParams
from vijax.vi.divergences import kl_multivariate_normal

Latents = Float[Array, "n latent"]


class OffData(NamedTuple):
    """Share of latent mass that decodes to images unlike any that data decode to."""

    share: Scalar
    share_standard_error: Scalar  # binomial, from the number of latents
    threshold: Scalar  # distance beyond which an image counts as off the data


def encode(
    model: Autoencoder | VAE,
    params: ModelParams,
    x: ArrayLike,
    *,
    batch_size: int = 1000,
) -> Latents:
    """Map data to the latent space (the mean of q(z | x) for a VAE), in batches."""
    return _encode(model, batch_size, params, jnp.asarray(x))


@partial(jax.jit, static_argnums=(0, 1))
def _encode(
    model: Autoencoder | VAE, batch_size: int, params: ModelParams, x: Images
) -> Latents:
    return jax.lax.map(
        partial(models.latent_mean, model, params), x, batch_size=batch_size
    )


def decode(
    model: Autoencoder | VAE,
    params: ModelParams,
    z: ArrayLike,
    *,
    batch_size: int = 1000,
) -> Images:
    """Map latents (…, latent) to images (…, *shape), in batches."""
    z = jnp.asarray(z)
    images = _decode(model, batch_size, params, z.reshape(-1, z.shape[-1]))
    return images.reshape(*z.shape[:-1], *model.shape)


@partial(jax.jit, static_argnums=(0, 1))
def _decode(
    model: Autoencoder | VAE, batch_size: int, params: ModelParams, z: Latents
) -> Images:
    return jax.lax.map(
        partial(models.decoded_mean, model, params), z, batch_size=batch_size
    )


def quantile_grid(side: int) -> Float[Array, "side side 2"]:
    """Return a grid of equal mass under N(0, I) in two dimensions.

    Rows run from the top (large z₂) down, as an image is drawn.

    Example:
        >>> quantile_grid(2)[0].round(4).tolist()
        [[-0.674..., 0.674...], [0.674..., 0.674...]]
    """
    return _grid(jax.scipy.stats.norm.ppf((jnp.arange(side) + 0.5) / side), None)


def range_grid(z: Latents, side: int) -> Float[Array, "side side 2"]:
    """Return a uniform grid over the box that the latents fill, in two dimensions."""
    low, high = jnp.min(z, axis=0), jnp.max(z, axis=0)
    at = (jnp.arange(side) + 0.5) / side
    return _grid(low[0] + at * (high[0] - low[0]), low[1] + at * (high[1] - low[1]))


def _grid(x: Array, y: Array | None) -> Float[Array, "side side 2"]:
    y = x if y is None else y
    return jnp.stack(jnp.meshgrid(x, y[::-1]), axis=-1)


def uniform(key: Key, z: Latents, num_samples: int) -> Latents:
    """Draw uniformly from the box that the latents fill."""
    return jax.random.uniform(
        key,
        (num_samples, z.shape[-1]),
        z.dtype,
        minval=jnp.min(z, axis=0),
        maxval=jnp.max(z, axis=0),
    )


def traversal(
    z: Float[Array, " latent"], dimension: int, values: Float[Array, " steps"]
) -> Float[Array, "steps latent"]:
    """Return copies of z in which one dimension takes the values in turn."""
    return jnp.tile(z, (len(values), 1)).at[:, dimension].set(values)


def interpolate(
    start: Float[Array, " latent"], end: Float[Array, " latent"], steps: int
) -> Float[Array, "steps latent"]:
    """Return the straight line between two latents, both ends included."""
    at = jnp.linspace(0.0, 1.0, steps)[:, None]
    return (1 - at) * start + at * end


def kl_of_moments(z: Latents) -> Scalar:
    """KL[N(mean z, cov z) ‖ N(0, I)] in nats: zero for a centred, white map.

    It sees mean and covariance only; `sliced_wasserstein` sees the shape as well.

    Example:
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> abs(round(kl_of_moments(z).item(), 6))
        0.0
    """
    eye = jnp.eye(z.shape[-1])
    covariance = jnp.cov(z, rowvar=False, bias=True).reshape(eye.shape)
    return kl_multivariate_normal(
        jnp.mean(z, axis=0), jnp.linalg.cholesky(covariance), jnp.zeros_like(z[0]), eye
    )


def sliced_wasserstein(z: Latents, key: Key, *, num_projections: int = 100) -> Scalar:
    """Return the root mean square W₂ distance to N(0, 1) over random projections.

    Along a direction u, W₂² = mean of (sorted u·z - normal quantiles)². In the units
    of the latents; N(0, I) itself gives about sqrt(log log n / n).

    References:
        Bonneel, Rabin, Peyré & Pfister (2015), J. Math. Imaging Vis. 51.
    """
    directions = jax.random.normal(key, (num_projections, z.shape[-1]), z.dtype)
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    quantiles = jax.scipy.stats.norm.ppf((jnp.arange(len(z)) + 0.5) / len(z))
    projected = jnp.sort(z @ directions.T, axis=0)
    return jnp.sqrt(jnp.mean((projected - quantiles[:, None]) ** 2))


@jax.jit
def nearest_distance(
    queries: Float[Array, "n ..."], references: Float[Array, "m ..."]
) -> Float[Array, " n"]:
    """Return the Euclidean distance of each query to its nearest reference.

    Example:
        >>> nearest_distance(jnp.array([[3.0, 4.0]]), jnp.zeros((2, 2)))
        Array([5.], dtype=float32)
    """
    references = references.reshape(len(references), -1)
    squares = jnp.sum(references**2, axis=1)

    def one(query: Array) -> Scalar:
        # ‖q - r‖² = ‖q‖² + ‖r‖² - 2 q·r: one matrix product for a batch of queries.
        nearest = jnp.min(squares - 2 * references @ query)
        return jnp.sqrt(jnp.maximum(jnp.sum(query**2) + nearest, 0))

    return jax.lax.map(one, queries.reshape(len(queries), -1), batch_size=200)
