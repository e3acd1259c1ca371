"""Scores of events that need no network: the yardsticks of a VAE.

    mahalanobis_distance   distance from the mean, in units of the covariance
    pca_residual           distance from the plane of the principal components

A VAE that finds no more than these has learnt no more than means and covariances.
"""

import numpy as np
from jaxtyping import Float

from vijax.vae.event_tables import Events
from vijax.validate import check, is_whole


def mahalanobis_distance(train: Events, events: Events) -> Float[np.ndarray, " events"]:
    r"""Return the squared Mahalanobis distance, (x − m)ᵀ C⁻¹ (x − m).

    m and C are mean and covariance of the training events. Up to a constant it is
    twice −log p(x) of the normal distribution that fits them, so it is what a VAE with
    nothing to learn beyond correlations would find.

    Args:
        train: (n, features), more events than features.
        events: (m, features).

    Raises:
        ValueError: if the tables have different columns, or are not finite, or the
            covariance is singular.

    Example:
        >>> train = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
        >>> events = np.array([[1.0, 0.0], [0.0, 2.0]])
        >>> mahalanobis_distance(train, events).round(3).tolist()
        [1.5, 1.5]
    """
    train, events = _same_columns(train, events)
    covariance = np.atleast_2d(np.cov(train, rowvar=False))
    rank = int(np.linalg.matrix_rank(covariance))
    remedy = "leave out columns that are constant or follow from the others"
    check(rank == len(covariance), "the rank of train's covariance", rank, remedy)
    centred = events - train.mean(axis=0)
    return np.einsum("ni,ni->n", centred, np.linalg.solve(covariance, centred.T).T)


def pca_residual(
    train: Events, events: Events, *, latent: int
) -> Float[np.ndarray, " events"]:
    """Return the squared distance from the plane of the principal components.

    It is the squared reconstruction error of a linear autoencoder.

    Args:
        train: (n, features).
        events: (m, features).
        latent: components kept, 1 to the number of features.

    Raises:
        ValueError: if the tables have different columns, or are not finite; if
            `latent` is not among 1 to the number of features.

    Example:
        >>> train = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> events = np.array([[5.0, 5.0], [3.0, 1.0]])
        >>> np.abs(pca_residual(train, events, latent=1).round(3)).tolist()
        [0.0, 2.0]
    """
    train, events = _same_columns(train, events)
    features = train.shape[1]
    remedy = f"give 1 to the number of features, {features}"
    check(is_whole(latent) and 1 <= latent <= features, "latent", latent, remedy)
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(train, rowvar=False)))
    left_out = vectors[:, : features - latent]  # the smallest variances come first
    return np.sum(((events - train.mean(axis=0)) @ left_out) ** 2, axis=1)


def _same_columns(train: Events, events: Events) -> tuple[np.ndarray, np.ndarray]:
    train, events = np.asarray(train, float), np.asarray(events, float)
    if train.ndim != 2 or events.ndim != 2 or train.shape[1:] != events.shape[1:]:
        raise ValueError(
            f"train has shape {train.shape} and events {events.shape}: give tables "
            "(events, features) of the same columns"
        )
    for name, table in (("train", train), ("events", events)):
        check(np.isfinite(table), name, table, "remove NaN and infinities")
    return train, events
