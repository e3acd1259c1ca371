r"""VAEs of tables of events: train several at once, and score events with each.

    settings = EventDetectorSettings(latent=2)
    model, params = fit_event_vaes(key, scaled, rows, settings)   (trainings, ...)
    found = score_events(model, params, key, events)     score -> (trainings, events)

Events are tables (events, features); the networks see them through
`event_tables.to_scaled`. Two trainings of the same network give different scores, so
several are trained at once: their spread is part of the error of what they find.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.types import Key
from vijax.vae import training
from vijax.vae.anomaly import scores
from vijax.vae.event_tables import Events
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

BOUND, RECONSTRUCTION, KL = "−ELBO", "reconstruction", "KL"
SCORES = (BOUND, RECONSTRUCTION, KL)


@dataclass(frozen=True)
class EventDetectorSettings:
    """Architecture and training of a VAE of a table, with a Gaussian likelihood."""

    hidden: tuple[int, ...] = (64, 64)  # widths of the encoder's hidden layers
    latent: int = 4  # latent dimensions
    # The least standard deviation of a column, in its own: peaks are not worth more.
    min_scale: float = 0.05
    steps: int = 2500  # of optimisation
    batch_size: int = 128  # events in a step
    learning_rate: float = 2e-3  # Adam's at the first step; falls along a cosine


DEFAULT = EventDetectorSettings()


def fit_event_vaes(
    key: Key,
    events: Events,
    rows: Int[Any, "trainings rows"],
    settings: EventDetectorSettings = DEFAULT,
) -> tuple[VAE, ModelParams]:
    """Train one VAE for each set of rows, all in one `vmap`.

    Args:
        key: of every training.
        events: (n, features), scaled.
        rows: the events that each training sees, equally many for all.
        settings: architecture and training.

    Returns:
        The model, and parameters with a leading axis of trainings.

    Raises:
        ValueError: as `autoencoders.vae` and `training.fit_ensemble`.

    Example:
        >>> events = np.random.default_rng(0).normal(size=(40, 3))
        >>> rows = np.tile(np.arange(40), (2, 1))
        >>> small = EventDetectorSettings(hidden=(4,), latent=1, steps=2)
        >>> model, params = fit_event_vaes(jax.random.key(0), events, rows, small)
        >>> params.encoder["output"]["bias"].shape  # 2 trainings, mean and log scale
        (2, 2)
    """
    events, rows = np.asarray(events, np.float32), np.asarray(rows)
    model = autoencoders.vae(
        events.shape[1:],
        latent=settings.latent,
        hidden=settings.hidden,
        likelihood=likelihoods.gaussian(None, min_scale=settings.min_scale),
    )
    batch_size = min(settings.batch_size, rows.shape[1])
    trained = training.fit_ensemble(
        model,
        key,
        events,
        rows,
        epochs=training.num_epochs(rows.shape[1], settings.steps, batch_size),
        batch_size=batch_size,
        optimizer=training.Adam(settings.learning_rate),
        description="VAEs of events",
    )
    return model, trained.params


def score_events(
    model: VAE, params: ModelParams, key: Key, events: Any
) -> dict[str, Float[Array, "trainings events"]]:
    """Return the scores of every event under each training.

    Args:
        model: the architecture.
        params: with a leading axis of trainings.
        key: for z ~ q(z | x); the same draws for every training.
        events: (n, features), scaled as the training events were.

    Returns:
        Score -> (trainings, events), higher for what looks more anomalous.

    Raises:
        ValueError: if the events are not finite or not of the model's features.

    Example:
        >>> events = np.random.default_rng(0).normal(size=(40, 3))
        >>> small = EventDetectorSettings(hidden=(4,), latent=1, steps=2)
        >>> rows = np.tile(np.arange(40), (2, 1))
        >>> model, params = fit_event_vaes(jax.random.key(0), events, rows, small)
        >>> found = score_events(model, params, jax.random.key(1), events[:5])
        >>> {name: values.shape for name, values in found.items()}
        {'−ELBO': (2, 5), 'reconstruction': (2, 5), 'KL': (2, 5)}
    """
    x = check_in_support(model, jnp.asarray(events, jnp.float32), least=1)
    return dict(zip(SCORES, _score_events(model, params, key, x), strict=True))


@partial(jax.jit, static_argnums=0)
def _score_events(model: VAE, params: ModelParams, key: Key, x: Array) -> Array:
    def one(params: ModelParams) -> Array:
        found = scores.anomaly_scores(model, params, key, x)
        return jnp.stack([found.negative_elbo, found.reconstruction, found.kl])

    return jnp.moveaxis(jax.lax.map(one, params), 0, 1)  # (scores, trainings, events)
