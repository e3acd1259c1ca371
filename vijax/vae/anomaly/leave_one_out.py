"""Leave each class out in turn: the scores of every example under every model.

Nobody can test a detector on the anomalies that it will meet. Labelled data offer a
substitute: train one VAE for each class on all the other classes, then ask how well a
score tells that class from the rest of a test set. `training.fit_ensemble` trains all
VAEs in one `vmap`:

    rows = training.rows_without(train_labels, key)             (classes, rows)
    trained = training.fit_ensemble(model, fit_key, train, rows, epochs=10)
    found = scores_by_model(model, trained.params, key, x)      (classes, examples)

`leave_one_out_areas` then measures how well each score finds the class left out.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae.anomaly import scores as one_model
from vijax.vae.anomaly import stroke_codes
from vijax.vae.anomaly.scores import AnomalyScores
from vijax.vae.input_checks import check_in_support
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.validate import check, seen

ByClass = Float[Any, "classes examples"]


class RelativeDistances(NamedTuple):
    """Two relative distances of every example from each model's training data."""

    unexplained: ByClass  # share of the example that the model cannot draw
    latent: ByClass  # distance to the nearest training example, in latent space


def scores_by_model(
    model: VAE, params: ModelParams, key: Key, x: Any, *, num_samples: int = 8
) -> AnomalyScores:
    """Return every score of every example under each of several models.

    Args:
        model: the architecture.
        params: with a leading axis of classes, from `training.fit_ensemble`.
        key: for z ~ q(z | x); the same draws for every model.
        x: (n, *shape) in the likelihood's support.
        num_samples: draws of z for each example.

    Returns:
        `AnomalyScores` whose fields have the shape (classes, examples).

    Raises:
        ValueError: as `scores.anomaly_scores`.

    Example:
        >>> from vijax.vae.models import autoencoders
        >>> model = autoencoders.vae((4,), latent=1, hidden=())
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> params = jax.vmap(lambda key: autoencoders.init(model, key))(keys)
        >>> blank = jax.tree.map(jnp.zeros_like, params)
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # four fair coins: 4 log 2
        >>> found = scores_by_model(model, blank, keys[0], x).negative_elbo
        >>> found.shape, round(found[0, 0].item(), 4)
        ((3, 1), 2.7726)
    """
    # In a compiled program a number that is not valid cannot raise: look before.
    x = check_in_support(model, x, least=1)
    return _scores_by_model(model, num_samples, params, key, x)


@partial(jax.jit, static_argnums=(0, 1))
def _scores_by_model(
    model: VAE, num_samples: int, params: ModelParams, key: Key, x: Array
) -> AnomalyScores:
    def one(params: ModelParams) -> AnomalyScores:
        return one_model.anomaly_scores(model, params, key, x, num_samples=num_samples)

    return jax.lax.map(one, params)


def distances_by_model(
    model: Autoencoder | VAE, params: ModelParams, rows: Any, train: Any, x: Any
) -> RelativeDistances:
    """Return both relative distances of every example under each of several models.

    Nothing is drawn at random: grey images are taken as they are.

    Args:
        model: the architecture.
        params: with a leading axis of classes, from `training.fit_ensemble`.
        rows: (classes, n), the training examples that a latent's nearest neighbour is
            sought among: those that the model has seen, or some of them.
        train: (m, *shape), what `rows` number.
        x: (examples, *shape), none of them zero everywhere.

    Returns:
        `RelativeDistances`, of shape (classes, examples) each.

    Raises:
        ValueError: if x or train have another shape than the model's or numbers that
            are not finite, or an example is zero everywhere.

    Example:
        >>> from vijax.vae.models import autoencoders
        >>> model = autoencoders.autoencoder((4,), latent=1, hidden=())
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> blank = jax.tree.map(lambda leaf: jnp.zeros_like(leaf)[None], params)
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # zeros decode to sigmoid(0) = ½
        >>> found = distances_by_model(model, blank, [[0]], x, x)
        >>> found.unexplained.tolist(), found.latent.tolist()
        ([[0.5]], [[0.0]])
    """
    x, train = jnp.asarray(x, jnp.float32), jnp.asarray(train, jnp.float32)
    for name, images in (("x", x), ("train", train)):
        check(np.isfinite(seen(images)), name, images, "remove NaN and infinities")
    blank = (seen(x) == 0).all(axis=tuple(range(1, x.ndim)))
    check(~blank, "x", x, "remove examples that are zero everywhere")
    return _distances_by_model(model, params, jnp.asarray(rows), train, x)


@partial(jax.jit, static_argnums=0)
def _distances_by_model(
    model: Autoencoder | VAE, params: ModelParams, rows: Array, train: Array, x: Array
) -> RelativeDistances:
    def one(run: tuple[ModelParams, Array]) -> RelativeDistances:
        params, rows = run
        return RelativeDistances(
            one_model.unexplained_share(model, params, x),
            one_model.latent_distance(model, params, x, train[rows]),
        )

    return jax.lax.map(one, (params, rows))


def local_code_without_class(train: Any, labels: Any, x: Any) -> ByClass:
    """Return what binary images cost in local codes, each without one class.

    The patterns of each class are counted once. The counts without a class are the
    sum over all others.

    Args:
        train: (n, height, width), 0 or 1.
        labels: (n,), the classes of `train`.
        x: (examples, height, width), 0 or 1.

    Returns:
        Nats, (classes, examples); see `stroke_codes.local_code`.

    Raises:
        ValueError: if images are not binary, or labels and images differ in number.

    Example:
        >>> black, white = np.ones((1, 1, 2)), np.zeros((1, 1, 2))
        >>> train, labels = np.concatenate([black, white, white]), [0, 1, 1]
        >>> cost = local_code_without_class(train, labels, black)
        >>> np.exp(-cost).round(4).tolist()  # (½ / 5) (½ / 1), and (1.5 / 2) (1.5 / 2)
        [[0.05...], [0.5625]]
    """
    train, labels = np.asarray(train), np.asarray(labels)
    same = labels.shape == train.shape[:1]
    check(same, "labels' shape", labels.shape, f"give one for each of {len(train)}")
    counts = np.stack(
        [
            stroke_codes.count_patterns(train[labels == label])
            for label in np.unique(labels)
        ]
    )
    without = counts.sum(axis=0) - counts
    return np.stack([np.asarray(stroke_codes.local_code(own, x)) for own in without])
