"""The latent space: where data are mapped, what its points decode to.

    latent_means, decoded_means        data -> latents -> images, in batches
    quantile_grid, range_grid          latents to decode on a grid of the plane
    latent_line, latent_traversal      latents along a line
    uniform_in_box                     random latents of the box that data fill
    kl_of_moments, sliced_wasserstein  how far the latents of data are from N(0, I)

Latents are (n, latent).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.special import ndtri

from vijax.batching import map_batches
from vijax.types import Key, Scalar
from vijax.vae.input_checks import check_finite
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    Images,
    Latents,
    ModelParams,
)
from vijax.validate import check, is_whole
from vijax.vi.divergences import kl_multivariate_normal


def latent_means(
    model: Autoencoder | VAE,
    params: ModelParams,
    x: ArrayLike,
    *,
    batch_size: int = 1000,
) -> Latents:
    """Map data to the latent space, in batches: a VAE's to the means of q(z | x).

    Args:
        model: the autoencoder or VAE.
        params: its parameters.
        x: (n, *shape), finite.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: another shape, no example, NaN or infinities.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> latent_means(model, params, jnp.array([[0.25], [0.5]])).tolist()
        [[1.25], [1.5]]
    """
    apply = partial(_latent_mean, model, params)
    return map_batches(apply, check_finite(model, x), batch_size=batch_size)


def decoded_means(
    model: Autoencoder | VAE,
    params: ModelParams,
    z: ArrayLike,
    *,
    batch_size: int = 1000,
) -> Images:
    """Decode latents to images, in batches: a VAE's to the mean of p(x | z).

    Args:
        model: the autoencoder or VAE.
        params: its parameters.
        z: (…, latent).
        batch_size: latents at once; memory only.

    Returns:
        Images of (…, *shape).

    Raises:
        ValueError: latents of another number of dimensions.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> decoded_means(model, params, jnp.array([[2.0], [5.0]])).tolist()  # z + 1
        [[3.0], [6.0]]
    """
    *batch, latent = np.shape(z)
    remedy = f"the model has {model.latent} latents"
    check(latent == model.latent, "z's last axis", latent, remedy)
    apply = partial(_decoded_mean, model, params)
    images = map_batches(apply, np.reshape(z, (-1, latent)), batch_size=batch_size)
    return images.reshape(*batch, *model.shape)


_latent_mean = jax.jit(autoencoders.latent_mean, static_argnums=0)
_decoded_mean = jax.jit(autoencoders.decoded_mean, static_argnums=0)


def quantile_grid(side: int, latent: int = 2) -> Float[Array, "side side latent"]:
    """Return a grid of equal mass under N(0, I) in the first two dimensions.

    The other dimensions are at zero. Rows run from the top (large z₂) down, as an
    image is drawn.

    Args:
        side: points along each of the two dimensions.
        latent: dimensions of the latent space, 2 or more.

    Raises:
        ValueError: a side that is not whole and positive, fewer than two dimensions.

    Example:
        >>> quantile_grid(2)[0].round(4).tolist()
        [[-0.674..., 0.674...], [0.674..., 0.674...]]
    """
    _check_grid(side, latent)
    at = ndtri((np.arange(side) + 0.5) / side)
    return _grid(at, at, np.zeros(latent))


def range_grid(z: Latents, side: int) -> Float[Array, "side side latent"]:
    """Return a uniform grid over the box that the latents fill.

    The first two dimensions are laid out as by `quantile_grid`. The other dimensions
    are at the latents' mean.

    Raises:
        ValueError: a side that is not whole and positive, fewer than two dimensions.

    Example:
        >>> z = jnp.array([[0.0, 0.0], [2.0, 4.0]])
        >>> range_grid(z, 2)[0].tolist()  # the top row
        [[0.5, 3.0], [1.5, 3.0]]
    """
    _check_grid(side, np.shape(z)[-1])
    left, right, bottom, top = latent_box(z)
    at = (np.arange(side) + 0.5) / side
    x, y = left + at * (right - left), bottom + at * (top - bottom)
    return _grid(x, y, np.asarray(z).mean(axis=0))


def latent_box(z: Latents) -> tuple[float, float, float, float]:
    """Return (left, right, bottom, top) of the first two dimensions.

    Example:
        >>> latent_box(jnp.array([[0.0, -1.0], [2.0, 4.0]]))
        (0.0, 2.0, -1.0, 4.0)
    """
    low, high = np.min(z, axis=0), np.max(z, axis=0)
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _check_grid(side: int, latent: int) -> None:
    check(is_whole(side) and side >= 1, "side", side, "give 1 or more")
    check(latent >= 2, "latent", latent, "a grid is for 2 dimensions or more")


def _grid(
    x: np.ndarray, y: np.ndarray, others: np.ndarray
) -> Float[Array, "side side latent"]:
    plane = np.stack(np.meshgrid(x, y[::-1]), axis=-1)
    rest = np.broadcast_to(others[2:], (*plane.shape[:-1], len(others) - 2))
    return jnp.asarray(np.concatenate([plane, rest], axis=-1), float)


def uniform_in_box(
    key: Key, z: Latents, *, num_samples: int
) -> Float[Array, "draws latent"]:
    """Draw uniformly from the box that the latents fill, in all dimensions.

    Raises:
        ValueError: a number of draws that is not whole and positive.

    Example:
        >>> box = jnp.array([[0.0, -1.0], [2.0, 4.0]])
        >>> z = uniform_in_box(jax.random.key(0), box, num_samples=1000)
        >>> (z[:, 1] >= -1).all().item(), abs(z[:, 1].mean() - 1.5).item() < 0.2
        (True, True)
    """
    valid = is_whole(num_samples) and num_samples >= 1
    check(valid, "num_samples", num_samples, "give 1 or more")
    return _uniform(key, jnp.min(z, axis=0), jnp.max(z, axis=0), num_samples)


@partial(jax.jit, static_argnums=3)
def _uniform(key: Key, low: Array, high: Array, num_samples: int) -> Array:
    shape = (num_samples, *low.shape)
    return jax.random.uniform(key, shape, low.dtype, minval=low, maxval=high)


def latent_traversal(
    z: Float[Array, " latent"], dimension: int, values: Float[Array, " steps"]
) -> Float[Array, "steps latent"]:
    """Return copies of z in which one dimension takes the values in turn.

    Raises:
        ValueError: a dimension that z does not have.

    Example:
        >>> latent_traversal(jnp.zeros(2), 1, jnp.array([-1.0, 1.0])).tolist()
        [[0.0, -1.0], [0.0, 1.0]]
    """
    remedy = f"give 0 to {len(z) - 1}"
    valid = is_whole(dimension) and 0 <= dimension < len(z)
    check(valid, "dimension", dimension, remedy)
    return jnp.tile(z, (len(values), 1)).at[:, dimension].set(values)


def latent_line(
    start: Float[Array, " latent"], end: Float[Array, " latent"], steps: int
) -> Float[Array, "steps latent"]:
    """Return the straight line between two latents, both ends included.

    Raises:
        ValueError: fewer than two steps, ends of unequal length.

    Example:
        >>> latent_line(jnp.zeros(2), jnp.array([1.0, 2.0]), 3).tolist()
        [[0.0, 0.0], [0.5, 1.0], [1.0, 2.0]]
    """
    check(is_whole(steps) and steps >= 2, "steps", steps, "give 2 or more")
    remedy = f"give {len(start)} latents, as the start has"
    check(len(end) == len(start), "end's length", len(end), remedy)
    at = jnp.linspace(0.0, 1.0, steps)[:, None]
    return (1 - at) * start + at * end


@jax.jit
def kl_of_moments(z: Latents) -> Scalar:
    """KL[N(mean z, cov z) ‖ N(0, I)] in nats: zero for a centred, white map.

    It sees mean and covariance only; `sliced_wasserstein` sees the shape as well. It is
    NaN where the latents do not span the space.

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


@partial(jax.jit, static_argnames="num_projections")
def sliced_wasserstein(z: Latents, key: Key, *, num_projections: int = 100) -> Scalar:
    """Return the root mean square W₂ distance to N(0, 1) over random projections.

    Along a direction u, W₂² = mean of (sorted u·z - normal quantiles)², in the units of
    the latents. N(0, I) itself gives about sqrt(log log n / n).

    Raises:
        ValueError: a number of projections that is not whole and positive.

    References:
        Bonneel, Rabin, Peyré & Pfister (2015), J. Math. Imaging Vis. 51.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (2000, 1))
        >>> round(sliced_wasserstein(z + 3, jax.random.key(1)).item(), 1)
        3.0
    """
    valid = is_whole(num_projections) and num_projections >= 1
    check(valid, "num_projections", num_projections, "give 1 or more")
    directions = jax.random.normal(key, (num_projections, z.shape[-1]), z.dtype)
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    quantiles = jax.scipy.stats.norm.ppf((jnp.arange(len(z)) + 0.5) / len(z))
    projected = jnp.sort(z @ directions.T, axis=0)
    return jnp.sqrt(jnp.mean((projected - quantiles[:, None]) ** 2))
