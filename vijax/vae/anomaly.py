r"""Scores of how unlike its training data an example is: the higher, the odder.

A model trained on background reconstructs background. A VAE has five readings of how
well it does, and their order differs from data set to data set:

    reconstruction  -E_q[log p(x | z)]      it cannot be drawn
    kl              KL[q(z | x) ‖ p(z)]     it cannot be placed
    negative_elbo   their sum               a bound on -log p(x)
    negative_log_evidence                   -log p(x) itself, by importance sampling
    latent_norm     ‖E_q[z]‖                it is placed far out

-log p(x) is not "oddness": it is also large where an image is complex, and small where
it is simple, whatever the training data. An image of one stroke, such as the digit
one, has a high likelihood under a model that never saw it. Subtract `complexity`, what
the image costs in a code that knows no training data at all, and what is left is the
image's own oddness. `roc` measures how well a score does.

References:
    Serrà et al. (2020), Input complexity and out-of-distribution detection with
    likelihood-based generative models, arXiv:1909.11480.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae import likelihoods, losses, models
from vijax.vae.models import VAE, Autoencoder, ModelParams
from vijax.validate import check, where_valid
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


def complexity(x: Any) -> Float[Array, " examples"]:
    r"""Return what binary images cost without a model of them, in nats.

    Each pixel is predicted from its four neighbours that come before it (left, and the
    three above), with nothing known beforehand about any of the 16 patterns c: their
    pixels are Bernoulli draws under a Beta(½, ½) prior, so that

        -log p(x) = -Σ_c log B(n_c1 + ½, n_c0 + ½) / B(½, ½)

    is the evidence of 16 coins, learnt from the image itself while it is read.

    Args:
        x: (n, height, width), 0 or 1.

    Example:
        >>> blank, noise = jnp.zeros((8, 8)), jnp.arange(64.0).reshape(8, 8) * 7 % 5 % 2
        >>> [round(v, 1) for v in complexity(jnp.stack([blank, noise])).tolist()]
        [2.7, 24.9]
    """
    x = jnp.asarray(x)
    valid = check((x == 0) | (x == 1), "x", x, "give binary images: binarise them")
    height, width = x.shape[1:]

    def one(x: Float[Array, "height width"]) -> Float[Array, ""]:
        around = jnp.pad(x, ((1, 0), (1, 1)))  # nothing beyond the edges
        left, above = around[1:, :width], around[:height]
        three = (above[:, shift : shift + width] for shift in range(3))
        pattern = sum(2**k * part for k, part in enumerate((left, *three)))
        index = jnp.asarray(pattern, int).ravel()
        black = jnp.zeros(16).at[index].add(x.ravel())
        white = jnp.zeros(16).at[index].add(1 - x.ravel())
        return -jnp.sum(betaln(black + 0.5, white + 0.5) - betaln(0.5, 0.5))

    return where_valid(jnp.all(valid), jax.vmap(one)(x))
