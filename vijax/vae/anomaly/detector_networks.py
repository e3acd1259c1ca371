"""The VAEs of a detector: several at once, each without its own part of the rows.

`fit_table` and `fit_images` also return what the views say of every training row, by
the network that did not see it.
"""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.batching import map_batches
from vijax.types import Key
from vijax.vae import training
from vijax.vae.anomaly import event_vaes, neighbours, stroke_directions
from vijax.vae.anomaly.event_vaes import EventDetectorSettings
from vijax.vae.anomaly.table_columns import Encoded
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.training import Adam
from vijax.vae.training.trained import Trained
from vijax.validate import check

if TYPE_CHECKING:
    from vijax.vae.anomaly.detector import DetectorSettings

BATCH = 512  # rows that networks see at once; memory only
MOST = 1e6  # sds of a feature, and nats of a row, beyond which all is equally odd
IMAGE_HIDDEN, IMAGE_LATENT = (256,), 16


@dataclass(frozen=True)
class Networks:
    """VAEs of one architecture and what their views need; a pytree of its arrays."""

    model: VAE = field(metadata={"static": True})
    params: ModelParams  # (trainings, …)
    key: Key  # of z; the same for all rows
    inputs: Any  # of a table: the features that vary; of images: highest level
    latents: Any  # of images: (trainings, references, latent), of training rows
    energy: Any  # of images: mean square of a training image
    images: Any  # of images: training images that the nearest one is sought among
    # Whether images are compared by their edges; in files of before they are by pixels.
    by_edges: bool = field(default=False, metadata={"static": True})

    @property
    def num_trainings(self) -> int:
        """How many VAEs there are."""
        return len(jax.tree.leaves(self.params)[0])

    @cached_property
    def units(self) -> Float[np.ndarray, "images features"]:
        """Training images of length 1; once, for a stream comes in small batches."""
        return neighbours.unit_rows(self.compared(np.asarray(self.images)))

    def compared(self, images: np.ndarray) -> Float[np.ndarray, "images features"]:
        """Return the features by which images are compared."""
        if self.by_edges:
            return stroke_directions.directions(images)
        return images.reshape(len(images), -1)


jax.tree_util.register_dataclass(Networks)


def fit_table(
    key: Key, encoded: Encoded, settings: "DetectorSettings"
) -> tuple[Networks, Float[np.ndarray, " rows"]]:
    """Train VAEs of a table's features on the standard scale.

    Returns:
        The networks, and -ELBO of each row by the one that did not see it.
    """
    keys = jax.random.split(key, 3)
    features = np.flatnonzero(np.ptp(encoded.standard, axis=0) > 0)
    x = _inputs(features, encoded)
    parts = _parts(keys[0], len(x), settings.trainings)
    default = EventDetectorSettings()
    wanted = EventDetectorSettings(
        hidden=settings.hidden or default.hidden,
        latent=settings.latent or default.latent,
        steps=settings.steps,
    )
    model, params = event_vaes.fit_event_vaes(keys[1], x, _others(parts), wanted)
    none = np.zeros(0)  # of images
    networks = Networks(model, params, keys[2], features, none, none, none)
    return networks, _own(parts, _negative_elbo(networks, encoded))


def table_view(networks: Networks, encoded: Encoded) -> Float[np.ndarray, " rows"]:
    """Return -ELBO, mean over the networks."""
    return _negative_elbo(networks, encoded).mean(axis=0)


def fit_images(
    key: Key, images: Any, settings: "DetectorSettings"
) -> tuple[Networks, tuple[np.ndarray, ...]]:
    """Train VAEs of images with Bernoulli pixels, grey levels binarised anew each step.

    Returns:
        The networks, and the views of each image: two by the network that did not see
        it, and the angle of its edges' directions to those of the nearest other image.
    """
    images = np.asarray(images)
    _check_images(images)
    highest = 255 if images.dtype == np.uint8 else images.max()
    check(
        highest > 0, "images' highest level", highest, "give images that are not blank"
    )
    keys = jax.random.split(key, 4)
    x = np.asarray(images / np.float32(highest), np.float32)
    parts = _parts(keys[0], len(x), settings.trainings)
    others = _others(parts)
    model = autoencoders.vae(
        x.shape[1:],
        latent=settings.latent or IMAGE_LATENT,
        hidden=settings.hidden or IMAGE_HIDDEN,
    )
    batch_size = min(128, others.shape[1])
    trained = training.fit_ensemble(
        model,
        keys[1],
        x,
        others,
        epochs=training.num_epochs(others.shape[1], settings.steps, batch_size),
        batch_size=batch_size,
        optimizer=Adam(2e-3),
        description="VAEs of images",
    )
    _check_verdict(trained)
    latents = map_batches(partial(_latents, model, trained.params), x, batch_size=BATCH)
    latents = np.moveaxis(np.asarray(latents), 1, 0)  # (trainings, images, latent)
    known = others[:, : settings.max_references]
    references = np.take_along_axis(latents, known[:, :, None], axis=1)
    order = np.asarray(jax.random.permutation(keys[3], len(x)))
    chosen = order[: settings.max_images]
    networks = Networks(
        model,
        trained.params,
        keys[2],
        np.asarray(highest, np.float32),
        references,
        np.mean(x**2, dtype=np.float32),
        images[chosen] if images.dtype == np.uint8 else x[chosen],
        by_edges=True,
    )
    shares, distances = _image_views(networks, x)
    own = np.full(len(x), -1)
    own[chosen] = np.arange(len(chosen))
    views = _own(parts, shares), _own(parts, distances), angles(networks, x, own)
    return networks, views


def image_views(networks: Networks, x: Any) -> Float[np.ndarray, "rows 3"]:
    """Return log share and log distance, means over the networks, and log angle."""
    x = _prepared(networks, x)
    views = [view.mean(axis=0) for view in _image_views(networks, x)]
    return np.stack([*views, angles(networks, x)], axis=1)


def angles(
    networks: Networks, x: np.ndarray, own: np.ndarray | None = None
) -> Float[np.ndarray, " rows"]:
    """Return log (1 - cos) of the angle to the nearest training image.

    Args:
        networks: of images.
        x: images.
        own: as for `neighbours.log_angle`.
    """
    own = np.full(len(x), -1) if own is None else own
    parts = []
    for start in range(0, max(len(x), 1), BATCH):
        rows = slice(start, start + BATCH)
        features = networks.compared(x[rows])
        parts.append(neighbours.log_angle(networks.units, features, own[rows]))
    return np.concatenate(parts)


def pixel_shares(networks: Networks, x: Any) -> Float[np.ndarray, "..."]:
    """Return each pixel's share of the squared residual, mean over the networks."""
    x = _prepared(networks, x)
    squares = map_batches(
        partial(_residuals, networks.model, networks.params), x, batch_size=BATCH
    )
    squares = np.asarray(squares).mean(axis=1)
    axes = tuple(range(1, squares.ndim))
    total = squares.sum(axis=axes, keepdims=True)
    return squares / np.where(total > 0, total, 1)


def _parts(key: Key, rows: int, trainings: int) -> list[Int[np.ndarray, " part"]]:
    """Return the rows, in random order, in as many parts as there are trainings."""
    trainings = min(trainings, rows // 2)
    order = np.asarray(jax.random.permutation(key, rows))
    return np.array_split(order, trainings)


def _others(parts: list[np.ndarray]) -> Int[np.ndarray, "trainings rows"]:
    """Return the rows that each training sees: all but its part, equally many."""
    others = [
        np.concatenate([part for j, part in enumerate(parts) if j != i])
        for i in range(len(parts))
    ]
    shortest = min(map(len, others))
    return np.stack([rows[:shortest] for rows in others])


def _own(parts: list[np.ndarray], values: np.ndarray) -> Float[np.ndarray, " rows"]:
    """Return of (trainings, rows) each row's value by the network without it."""
    result = np.zeros(values.shape[1])
    for part, of_training in zip(parts, values, strict=True):
        result[part] = of_training[part]
    return result


def _inputs(features: np.ndarray, encoded: Encoded) -> Float[np.ndarray, "rows _"]:
    inside = np.clip(encoded.standard[:, features], -MOST, MOST)
    return inside.astype(np.float32)


def _negative_elbo(networks: Networks, encoded: Encoded) -> np.ndarray:
    x = _inputs(networks.inputs, encoded)

    def of_batch(x: np.ndarray) -> Array:
        found = event_vaes.score_events(
            networks.model, networks.params, networks.key, x
        )
        return jnp.moveaxis(found[event_vaes.BOUND], 0, 1)

    values = np.asarray(map_batches(of_batch, x, batch_size=BATCH), float).T
    return np.nan_to_num(values, nan=MOST**2, posinf=MOST**2)


def _check_numbers(images: np.ndarray) -> None:
    kinds = np.bool_, np.integer, np.floating
    real = any(np.issubdtype(images.dtype, kind) for kind in kinds)
    check(real, "images' dtype", images.dtype, "give real numbers")


def _check_images(images: np.ndarray) -> None:
    _check_numbers(images)
    check(images.ndim in (3, 4), "images' axes", images.ndim, "give (n, height, width)")
    check(len(images) >= 8, "images", len(images), "give 8 or more")
    check(images.size > 0, "images' shape", images.shape, "give images with pixels")
    valid = np.isfinite(images) & (images >= 0)
    check(valid, "images", images, "give finite levels of 0 or more")


def _prepared(networks: Networks, x: Any) -> Float[np.ndarray, "..."]:
    x = np.asarray(x)
    if x.shape[1:] != networks.model.shape:
        expected = ", ".join(["n", *map(str, networks.model.shape)])
        raise ValueError(f"x has shape {x.shape}: give ({expected})")
    _check_numbers(x)
    check(np.isfinite(x), "x", x, "remove NaN and infinities")
    return np.asarray(x / np.float32(networks.inputs), np.float32)


def _check_verdict(trained: Trained) -> None:
    verdict = trained.verdict
    if verdict is not None and verdict.word == "diverged":
        raise ValueError(f"the detector's networks diverged: {verdict.advice}")


def _image_views(networks: Networks, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log share and log distance, each (trainings, images)."""
    views = partial(
        _views_of_batch,
        networks.model,
        networks.params,
        jnp.asarray(networks.latents),
        jnp.asarray(networks.energy),
    )
    found = map_batches(views, x, batch_size=BATCH)
    shares, distances = np.moveaxis(np.asarray(found, float), 1, 0)
    return shares.T, distances.T


@partial(jax.jit, static_argnums=0)
def _views_of_batch(
    model: VAE, params: ModelParams, latents: Array, energy: Array, x: Array
) -> Float[Array, "rows 2 trainings"]:
    def one(pair: tuple[ModelParams, Array]) -> Array:
        params, known = pair
        z = autoencoders.latent_mean(model, params, x)
        axes = tuple(range(1, x.ndim))
        residual = jnp.mean(
            (autoencoders.decoded_mean(model, params, z) - x) ** 2, axes
        )
        # A thousandth of a typical image's energy: a blank one has a share too.
        share = residual / (jnp.mean(x**2, axes) + 1e-3 * energy)
        # Products find the nearest one; differences give its distance in full digits.
        nearest = jnp.argmin(jnp.sum(known**2, axis=1) - 2 * z @ known.T, axis=1)
        distance = jnp.linalg.norm(known[nearest] - z, axis=1)
        return jnp.log(jnp.stack([share + 1e-12, distance + 1e-6]))

    return jnp.moveaxis(jax.lax.map(one, (params, latents)), (0, 1, 2), (2, 1, 0))


@partial(jax.jit, static_argnums=0)
def _latents(model: VAE, params: ModelParams, x: Array) -> Array:
    found = jax.lax.map(lambda p: autoencoders.latent_mean(model, p, x), params)
    return jnp.moveaxis(found, 0, 1)


@partial(jax.jit, static_argnums=0)
def _residuals(model: VAE, params: ModelParams, x: Array) -> Array:
    def one(params: ModelParams) -> Array:
        return (autoencoders.reconstruct(model, params, x) - x) ** 2

    return jnp.moveaxis(jax.lax.map(one, params), 0, 1)
