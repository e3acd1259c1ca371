"""Gaps in a latent space: the share of latents that decode to images unlike the data.

An autoencoder's loss says nothing of the latents between those of the data, so its
decoder may do anything there. A VAE's KL pulls all q(z | x) towards one prior, which
together they fill, and its decoder is trained on draws instead of points. In a grid of
decoded latents the difference is seen as gaps. Here it is a number:

    a latent z is off the data if decode(z) is further from the nearest of the
    decoded training images, decode(encode(x)), than 99 % of the held-out ones are.

Both sides of the comparison are decoded images, because a decoder's images are smooth.
Even a meaningless one is nearer to some real image than most real images are to each
other, so a distance to real images would see no gap at all. Of held-out data, 1 % are
off the data by definition. A larger share is what a sampler wastes on images unlike
any that data decode to.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.batching import map_batches
from vijax.printing import in_digits
from vijax.types import Key, Scalar
from vijax.vae.evaluation import latent_maps
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    Images,
    Latents,
    ModelParams,
)
from vijax.validate import check, is_whole, seen, where_valid


class DecodedData(NamedTuple):
    """What data decode to: the reference that latents are compared with."""

    images: Images  # decode(encode(x)) of the training images
    held_out: Float[Array, " held_out"]  # distance of each held-out one to its nearest


class OffData(NamedTuple):
    """Share of latents that decode off the data."""

    share: Scalar
    share_standard_error: Scalar  # over samples of latents and of held-out data

    def __str__(self) -> str:
        """Return the share with its error."""
        return f"{in_digits(self.share, self.share_standard_error)} off the data"


def decoded_data(
    model: Autoencoder | VAE, params: ModelParams, train: ArrayLike, held_out: ArrayLike
) -> DecodedData:
    """Decode the data's latents and measure how far held-out data are from them.

    Args:
        model: the trained model.
        params: its parameters.
        train: training images (n, *shape).
        held_out: images that training has not seen; a few thousand are enough.

    Raises:
        ValueError: another shape, no image, NaN or infinities.

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

    Raises:
        ValueError: latents of another number of dimensions.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> decoded = DecodedData(jnp.array([[2.0]]), jnp.zeros(1))
        >>> z = jnp.array([[4.0]])  # decodes to 5
        >>> distances_to_data(model, params, decoded, z).tolist()
        [3.0]
    """
    return nearest_distance(latent_maps.decoded_means(model, params, z), decoded.images)


def share_off_data(
    distances: Float[Array, " n"],
    decoded: DecodedData,
    key: Key,
    *,
    quantile: float = 0.99,
    num_resamples: int = 200,
) -> OffData:
    """Return the share of distances beyond the held-out data's quantile.

    Its standard error is the bootstrap's, over latents and held-out data together.

    Args:
        distances: from `distances_to_data`.
        decoded: from `decoded_data`.
        key: for the bootstrap.
        quantile: of the held-out distances, inside (0, 1).
        num_resamples: resamples, 2 or more.

    Raises:
        ValueError: a setting out of its range, no distance, NaN or infinities.

    Example:
        >>> decoded = DecodedData(jnp.zeros((1, 1)), jnp.arange(100.0))
        >>> distances = jnp.array([0.0, 50.0, 200.0, 300.0])
        >>> share_off_data(distances, decoded, jax.random.key(0)).share.item()
        0.5
    """
    check(0 < quantile < 1, "quantile", quantile, "give a number between 0 and 1")
    valid = is_whole(num_resamples) and num_resamples >= 2
    check(valid, "num_resamples", num_resamples, "give 2 or more")
    finite: Any = True
    for name, sample in (("distances", distances), ("held_out", decoded.held_out)):
        check(len(sample) >= 1, f"number of {name}", len(sample), "give 1 or more")
        remedy = "remove NaN and infinities"
        mask: Any = check(abs(seen(sample)) < np.inf, name, sample, remedy)
        finite &= mask.all()
    found = _share_off_data(distances, decoded.held_out, key, quantile, num_resamples)
    return where_valid(finite, found)


@partial(jax.jit, static_argnums=4)
def _share_off_data(
    distances: Array,
    held_out: Array,
    key: Key,
    quantile: ArrayLike,
    num_resamples: int,
) -> OffData:
    def share(distances: Array, held_out: Array) -> Scalar:
        return jnp.mean(distances > jnp.quantile(held_out, quantile))

    def resampled(key: Key) -> Scalar:
        keys = jax.random.split(key)
        pairs = zip(keys, (distances, held_out), strict=True)
        return share(
            *(jax.random.choice(k, sample, sample.shape) for k, sample in pairs)
        )

    shares = jax.lax.map(resampled, jax.random.split(key, num_resamples), batch_size=10)
    return OffData(share(distances, held_out), jnp.std(shares, ddof=1))


def nearest_distance(
    queries: Float[ArrayLike, "n ..."],
    references: Float[ArrayLike, "m ..."],
    *,
    batch_size: int = 200,
) -> Float[Array, " n"]:
    """Return the Euclidean distance of each query to its nearest reference.

    Args:
        queries: (n, …).
        references: (m, …), one or more.
        batch_size: queries at once; memory only, batch_size × m numbers.

    Raises:
        ValueError: no reference, or of another shape than the queries.

    Example:
        >>> nearest_distance(jnp.array([[3.0, 4.0]]), jnp.zeros((2, 2))).tolist()
        [5.0]
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
