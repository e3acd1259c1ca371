"""A small classifier whose last hidden layer gives features to compare images by.

    classifier = train_classifier(key, images, labels)
    y = classifier_features(classifier, other_images)        (n, num_features)

Distances between pixels say little about digits: a digit shifted by a few pixels is as
far from itself as from another digit. Features that tell classes apart ignore such
differences. `vijax.metrics` measures distances between sets of them.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from vijax import optimize
from vijax.types import Key, LossFn, Params, Scalar
from vijax.vae.models import networks
from vijax.vae.models.autoencoders import Images
from vijax.vae.models.networks import Network, Shape
from vijax.validate import check


class Labelled(NamedTuple):
    """A batch of images with their classes."""

    images: Images  # (batch, *shape)
    labels: Int[Array, " batch"]


class Classifier(NamedTuple):
    """A map of images to features and of features to logits, with its parameters."""

    shape: Shape
    num_features: int
    num_classes: int
    hidden: tuple[int, ...]
    params: Any  # {"body": …, "head": …}


def train_classifier(
    key: Key,
    images: Any,
    labels: Any,
    *,
    num_features: int = 32,
    hidden: tuple[int, ...] = (128,),
    epochs: int = 20,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
) -> Classifier:
    """Train by Adam on the cross entropy, with a cosine to zero.

    Args:
        key: for the start and the shuffling.
        images: (n, *shape), grey levels.
        labels: (n,), whole numbers from 0; two classes or more.
        num_features: width of the layer before the logits.
        hidden: widths of the layers before that one.
        epochs: passes over the images.
        batch_size: images in a step.
        learning_rate: Adam's, at the first step.

    Raises:
        ValueError: labels that are not one for each image or not whole numbers, fewer
            than two classes, NaN or infinities, a setting out of its range.

    Example:
        >>> images = np.repeat([[[0.0, 1.0]], [[1.0, 0.0]]], 50, axis=0)
        >>> labels = np.repeat([0, 1], 50)
        >>> key = jax.random.key(0)
        >>> classifier = train_classifier(key, images, labels, batch_size=10)
        >>> classifier_accuracy(classifier, images, labels).item()
        1.0
        >>> classifier_features(classifier, images).shape
        (100, 32)
    """
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if labels.shape != images.shape[:1] or not len(labels):
        raise ValueError(
            f"labels have shape {labels.shape}: give one for each of "
            f"{images.shape[:1]} images"
        )
    check(np.isfinite(images), "images", images, "remove NaN and infinities")
    is_class = (labels >= 0) & (labels == np.floor(labels))
    check(is_class, "labels", labels, "number the classes 0, 1, 2, …")
    check(labels.max() >= 1, "labels", labels.max(), "give two classes or more")
    check(epochs >= 1, "epochs", epochs, "give 1 or more")
    check(learning_rate > 0, "learning_rate", learning_rate, "give more than 0")
    remedy = f"give 1 to the number of images, {len(images)}"
    check(1 <= batch_size <= len(images), "batch_size", batch_size, remedy)
    shape, num_classes = images.shape[1:], int(labels.max()) + 1
    params, run_key = _start((shape, num_features, num_classes, hidden), key)
    steps = len(images) // batch_size
    optimizer = _optimizer(epochs * steps, learning_rate)
    state, _ = optimize.minimize(
        _cross_entropy(shape, num_features, num_classes, hidden),
        optimize.init(params, optimizer),
        run_key,
        Labelled(jnp.asarray(images), jnp.asarray(labels, jnp.int32)),
        optimizer=optimizer,
        num_chunks=epochs,
        chunk_size=steps,
        make_batches=_batches(batch_size),
        description="classifier",
    )
    return Classifier(shape, num_features, num_classes, hidden, state.params)


def classifier_features(
    classifier: Classifier, images: Any, *, batch_size: int = 1000
) -> Float[Array, "n features"]:
    """Return the activations of the last hidden layer, in which logits are linear.

    Args:
        classifier: from `train_classifier`, whose example shows a call.
        images: (n, *shape), grey levels.
        batch_size: images at once; memory only.

    Raises:
        ValueError: another shape, no image, NaN or infinities, no batch size.
    """
    images = jnp.asarray(images)
    if images.shape[1:] != classifier.shape or not len(images):
        shape = ", ".join(["n", *map(str, classifier.shape)])
        raise ValueError(f"images have shape {images.shape}: give ({shape}), n >= 1")
    check(jnp.isfinite(images), "images", images, "remove NaN and infinities")
    check(batch_size >= 1, "batch_size", batch_size, "give 1 or more")
    return _features(classifier[:-1], batch_size, classifier.params, images)


def classifier_accuracy(classifier: Classifier, images: Any, labels: Any) -> Scalar:
    """Return the share of images whose largest logit is that of their label.

    Args:
        classifier: from `train_classifier`, whose example shows a call.
        images: (n, *shape), grey levels.
        labels: (n,), whole numbers from 0.

    Raises:
        ValueError: as `classifier_features`; labels that are not one for each image.
    """
    y = classifier_features(classifier, images)
    if np.shape(labels) != (len(y),):
        raise ValueError(
            f"labels have shape {np.shape(labels)}: give one for each of {len(y)}"
        )
    return _accuracy(classifier[:-1], classifier.params, y, jnp.asarray(labels))


@partial(jax.jit, static_argnums=0)
def _accuracy(architecture: tuple, params: Params, y: Array, labels: Array) -> Scalar:
    _, head = _networks(*architecture)
    logits = head.apply(params["head"], y)
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)


@partial(jax.jit, static_argnums=0)
def _start(architecture: tuple, key: Key) -> tuple[Params, Key]:
    """Return the parameters before training, and a key for it."""
    body, head = _networks(*architecture)
    body_key, head_key, run_key = jax.random.split(key, 3)
    return {"body": body.init(body_key), "head": head.init(head_key)}, run_key


@lru_cache
def _networks(
    shape: Shape, num_features: int, num_classes: int, hidden: tuple[int, ...]
) -> tuple[Network, Network]:
    body = networks.mlp(shape, (num_features,), hidden=hidden)
    return body, networks.mlp((num_features,), (num_classes,), hidden=())


@lru_cache
def _cross_entropy(*architecture: Any) -> LossFn:
    body, head = _networks(*architecture)

    def loss_fn(params: Params, key: Key, batch: Labelled) -> tuple[Scalar, None]:
        y = jax.nn.relu(body.apply(params["body"], batch.images))
        logits = head.apply(params["head"], y)
        losses = optax.losses.softmax_cross_entropy_with_integer_labels(
            logits, batch.labels
        )
        return jnp.mean(losses), None

    return loss_fn


@lru_cache
def _optimizer(num_steps: int, learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(optax.schedules.cosine_decay_schedule(learning_rate, num_steps))


@lru_cache
def _batches(batch_size: int) -> optimize.MakeBatches:
    def make_batches(key: Key, data: Labelled) -> Labelled:
        return optimize.shuffled_batches(key, data, batch_size=batch_size)

    return make_batches


@partial(jax.jit, static_argnums=(0, 1))
def _features(
    architecture: tuple, batch_size: int, params: Params, images: Images
) -> Float[Array, "n features"]:
    body, _ = _networks(*architecture)

    def one(image: Images) -> Float[Array, " features"]:
        return jax.nn.relu(body.apply(params["body"], image))

    return jax.lax.map(one, images, batch_size=batch_size)
