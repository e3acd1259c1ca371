"""The gaps of a latent space, measured: latent mass that decodes off the data.

Nothing in an autoencoder's loss speaks of the latents between those of the data, so
the decoder does there what it likes, and nothing says where to draw from. A VAE's KL
pulls the q(z | x) together to a prior that they fill, and its decoder sees draws, not
points. The eye sees the difference as gaps in a decoded grid. As a number:

    a latent z is off the data if decode(z) is further from the nearest of the
    decoded training images, decode(encode(x)), than 99 % of the held-out ones are.

Both sides of the comparison are decoded images, because a decoder's images are
smooth: the most meaningless of them is nearer to some real image than most real
images are to each other, so the distance to real images would see no gap at all.
Held-out data themselves are off the data by 1 %. A share larger than that is mass
that a sampler spends on images unlike any that data are mapped to.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.batching import map_batches
from vijax.types import Key, Scalar
from vijax.vae.evaluation import latent_maps
from vijax.vae.evaluation.latent_maps import Latents
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    Images,
    ModelParams,
)
from vijax.validate import check, is_whole


class DecodedData(NamedTuple):
    """What data decode to: the reference that latents are held against."""

    images: Images  # decode(encode(x)) of the training images
    held_out: Float[Array, " held_out"]  # distances of held-out ones to their nearest


class OffData(NamedTuple):
    """Share of latents that decode off the data."""

    share: Scalar
    share_standard_error: Scalar  # of both samples, the latents and the held-out data


def decoded_data(
    model: Autoencoder | VAE, params: ModelParams, train: ArrayLike, held_out: ArrayLike
) -> DecodedData:
    """Decode the data's latents and measure how far held-out data are from them.

    Args:
        model: the trained model.
        params: its parameters.
        train: training images (n, *shape).
        held_out: images that training has not seen; some thousand are enough.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> train, held_out = jnp.array([[0.0], [5.0]]), jnp.array([[1.5]])
        >>> found = decoded_data(model, params, train, held_out)  # x decodes to x + 2
        >>> found.images.ravel().tolist(), found.held_out.tolist()
        ([2.0, 7.0], [1.5])
    """
    images, others = (
        latent_maps.decoded_means(
            model, params, latent_maps.latent_means(model, params, x)
        )
        for x in (train, held_out)
    )
    return DecodedData(images, nearest_distance(others, images))


def distances_to_data(
    model: Autoencoder | VAE, params: ModelParams, decoded: DecodedData, z: Latents
) -> Float[Array, " n"]:
    """Return the distance from each decoded latent to what data decode to.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> decoded = DecodedData(jnp.array([[2.0]]), jnp.zeros(1))
        >>> distances_to_data(model, params, decoded, jnp.array([[4.0]])).tolist()  # 4 + 1 - 2
        [3.0]
    """
    return nearest_distance(latent_maps.decoded_means(model, params, z), decoded.images)


def share_off_data(
    distances: Float[Array, " n"],
    decoded: DecodedData,
    key: Key,
    *,
    quantile: float = 0.99,
    num_bootstraps: int = 200,
) -> OffData:
    """Return the share of distances beyond the held-out data's quantile.

    The standard error is the bootstrap's, over latents and held-out data together.

    Example:
        >>> decoded = DecodedData(jnp.zeros((1, 1)), jnp.arange(100.0))
        >>> share_off_data(jnp.array([0.0, 50.0, 200.0, 300.0]), decoded,
        ...          jax.random.key(0)).share.item()
        0.5
    """
    check(0 < quantile < 1, "quantile", quantile, "give a number between 0 and 1")
    valid = is_whole(num_bootstraps) and num_bootstraps >= 2
    check(valid, "num_bootstraps", num_bootstraps, "give 2 or more")
    samples = np.asarray(distances), np.asarray(decoded.held_out)
    for name, sample in zip(("distances", "held_out"), samples, strict=True):
        check(len(sample) >= 1, f"number of {name}", len(sample), "give 1 or more")
        check(np.isfinite(sample), name, sample, "remove NaN and infinities")

    def share(distances: np.ndarray, held_out: np.ndarray) -> Any:
        threshold = np.quantile(held_out, quantile, axis=-1, keepdims=True)
        return np.mean(distances > threshold, axis=-1)

    # NumPy's generator: JAX's would compile a program for every number of rows.
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    resampled = [
        sample[random.integers(len(sample), size=(num_bootstraps, len(sample)))]
        for sample in samples
    ]
    error = np.std(share(*resampled), ddof=1)
    return OffData(jnp.asarray(share(*samples)), jnp.asarray(error))


def nearest_distance(
    queries: Float[ArrayLike, "n ..."],
    references: Float[ArrayLike, "m ..."],
    *,
    batch_size: int = 200,
) -> Float[Array, " n"]:
    """Return the Euclidean distance of each query to its nearest reference.

    Example:
        >>> nearest_distance(jnp.array([[3.0, 4.0]]), jnp.zeros((2, 2)))
        Array([5.], dtype=float32)
    """
    shapes = np.shape(queries), np.shape(references)
    if shapes[0][1:] != shapes[1][1:] or not shapes[1][0]:
        raise ValueError(
            f"queries have shape {shapes[0]}, references {shapes[1]}: give one "
            "reference or more, of the queries' shape"
        )
    references = jnp.reshape(references, (np.shape(references)[0], -1))
    return map_batches(partial(_nearest, references), queries, batch_size=batch_size)


@jax.jit
def _nearest(references: Array, queries: Array) -> Array:
    # ‖q - r‖² = ‖q‖² + ‖r‖² - 2 q·r: one matrix product.
    queries = queries.reshape(len(queries), -1)
    nearest = jnp.min(jnp.sum(references**2, 1) - 2 * queries @ references.T, axis=1)
    return jnp.sqrt(jnp.maximum(jnp.sum(queries**2, axis=1) + nearest, 0))
