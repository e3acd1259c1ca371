r"""Scores of how unlike its training data an example is: the higher, the odder.

A model trained on background reconstructs background. A VAE has five readings of how
well it does, and their order differs from data set to data set:

    reconstruction  -E_q[log p(x | z)]      it cannot be drawn
    kl              KL[q(z | x) ‖ p(z)]     it cannot be placed
    negative_elbo   their sum               a bound on -log p(x)
    negative_log_evidence                   -log p(x) itself, by importance sampling
    latent_norm     ‖E_q[z]‖                it is placed far out

-log p(x) is not "oddness": it is also large where an image is complex, and small where
it is simple, whatever the training data. An example of few pixels, such as the digit
one, has a high likelihood under a model that never saw it. `roc` measures how well a
score does.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae import likelihoods, losses, models
from vijax.vae.models import VAE, Autoencoder, ModelParams
from vijax.validate import check
from vijax.vi import bounds


class Scores(NamedTuple):
    """Of a VAE, one number an example; nats but for the norm."""

    reconstruction: Float[Array, " examples"]
    kl: Float[Array, " examples"]
    negative_elbo: Float[Array, " examples"]
    negative_log_evidence: Float[Array, " examples"]
    latent_norm: Float[Array, " examples"]


def scores(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: Any,
    *,
    num_samples: int = 16,
    batch_size: int = 500,
) -> Scores:
    """Return every score of every example.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        key: for z ~ q(z | x).
        x: (n, *shape) in the likelihood's support.
        num_samples: draws of z for each example; the importance-sampled -log p(x) is
            biased upwards, towards -ELBO, the less the more there are.
        batch_size: examples at once; memory only.
    """
    x = jnp.asarray(x)
    likelihoods.check_support(model.likelihood, x)
    check(num_samples >= 1, "num_samples", num_samples, "give 1 draw or more")

    def one(pair: tuple[Array, Array]) -> Scores:
        index, x = pair
        q = models.encode(model, params, x)
        # A key for each example: the result does not depend on the batches.
        z = losses.draw(jax.random.fold_in(key, index), q, num_samples=num_samples)
        terms = losses.log_weights(model, params, x, q, z)
        reconstruction = -jnp.mean(terms.log_likelihood)
        kl = losses.kl_to_prior(q)
        return Scores(
            reconstruction,
            kl,
            reconstruction + kl,
            -bounds.iwae(terms.log_likelihood + terms.log_ratio),
            jnp.linalg.norm(q.loc),
        )

    return jax.lax.map(one, (jnp.arange(len(x)), x), batch_size=batch_size)


def reconstruction_error(
    model: Autoencoder | VAE, params: ModelParams, x: Any, *, batch_size: int = 500
) -> Float[Array, " examples"]:
    """Return the mean of (x' - x)² over an example's pixels: an autoencoder's score."""
    x = jnp.asarray(x)

    def one(x: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.mean((models.reconstruct(model, params, x) - x) ** 2)

    return jax.lax.map(one, x, batch_size=batch_size)
