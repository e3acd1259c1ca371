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
one, has a high likelihood under a model that never saw it. Subtract what the image
costs in a code that knows strokes but not digits, and what is left is the image's own
oddness: `complexity` is such a code that knows no training data at all, `local_code`
one that has learned from them what a pixel's neighbours say, and no more. `roc`
measures how well a score does.

References:
    Serrà et al. (2020), Input complexity and out-of-distribution detection with
    likelihood-based generative models, arXiv:1909.11480; Ren et al. (2019),
    Likelihood ratios for out-of-distribution detection, arXiv:1906.02845.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import betaln

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

    Example:
        >>> model = models.vae((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # four fair coins: 4 log 2
        >>> round(scores(model, params, jax.random.key(1), x).negative_elbo.item(), 4)
        2.7726
    """
    x = _of_shape(model, x)
    likelihoods.check_support(model.likelihood, x)
    check(num_samples >= 1, "num_samples", num_samples, "give 1 draw or more")
    check(batch_size >= 1, "batch_size", batch_size, "give 1 or more")

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
    """Return the mean of (x' - x)² over an example's pixels: an autoencoder's score.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), finite.
        batch_size: examples at once; memory only.

    Example:
        >>> model = models.autoencoder((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # zeros decode to sigmoid(0) = ½
        >>> reconstruction_error(model, params, x).tolist()
        [0.25]
    """
    x = _of_shape(model, x)
    check(jnp.isfinite(x), "x", x, "remove NaN and infinities")
    check(batch_size >= 1, "batch_size", batch_size, "give 1 or more")

    def one(x: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.mean((models.reconstruct(model, params, x) - x) ** 2)

    return jax.lax.map(one, x, batch_size=batch_size)


def unexplained(
    model: Autoencoder | VAE, params: ModelParams, x: Any, *, batch_size: int = 500
) -> Float[Array, " examples"]:
    r"""Return the share of an example's energy that its reconstruction x' misses.

        share = ‖x - x'‖² / ‖x‖²,    0 where x' = x, 1 where x' is blank

    The squared error, and so a Gaussian likelihood of fixed scale, calls ordinary what
    has little ink: there is little to get wrong. The share asks how much of what is
    there the model can draw. It is a likelihood ratio, of the model against noise,
    each with the scale that fits the example's D pixels best:

        log max_σ N(x | x', σ² I) - log max_τ N(x | 0, τ² I) = -(D/2) log share

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), in units whose zero means "nothing there"; no example all zero.
        batch_size: examples at once; memory only.

    Example:
        >>> model = models.autoencoder((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # zeros decode to sigmoid(0) = ½
        >>> unexplained(model, params, x).tolist()  # 4 · ½² / (1 + 1)
        [0.5]
    """
    x = _of_shape(model, x)
    energy = jnp.mean(x**2, axis=tuple(range(1, x.ndim)))
    valid = check(energy > 0, "the mean square of x", energy, "remove blank examples")
    share = reconstruction_error(model, params, x, batch_size=batch_size) / energy
    return where_valid(valid, share)


def _of_shape(model: Autoencoder | VAE, x: Any) -> Float[Array, "..."]:
    x = jnp.asarray(x)
    if x.shape[1:] != model.shape or not len(x):
        shape = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"x has shape {x.shape}: give ({shape}), n >= 1")
    return x


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
    x = _binary(x)
    patterns = _patterns(x, 4).reshape(len(x), -1)
    black = np.stack([np.bincount(p[v], minlength=16) for p, v in _pairs(patterns, x)])
    every = np.stack([np.bincount(p, minlength=16) for p, _ in _pairs(patterns, x)])
    nats = betaln(black + 0.5, every - black + 0.5) - betaln(0.5, 0.5)
    return jnp.asarray(-nats.sum(axis=1), jnp.float32)


# Rows down and columns right of a pixel, in the order of their distance from it.
NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-1, 2))


def count_patterns(
    x: Any, *, num_neighbours: int = 8
) -> Int[np.ndarray, "patterns colours"]:
    """Return how often a pixel is 0 and 1 after each pattern of its neighbours.

    Args:
        x: (n, height, width), 0 or 1: training images. Counts of parts add up.
        num_neighbours: of the pixels that come before a pixel, 1 to 8.

    Example:
        >>> count_patterns(np.ones((1, 1, 3)), num_neighbours=1).tolist()
        [[0, 1], [0, 2]]
    """
    remedy = f"give 1 to {len(NEIGHBOURS)}"
    within = 1 <= num_neighbours <= len(NEIGHBOURS)
    check(within, "num_neighbours", num_neighbours, remedy)
    x = _binary(x)
    index = 2 * _patterns(x, num_neighbours) + x
    counts = np.bincount(index.ravel(), minlength=2 << num_neighbours)
    return counts.reshape(-1, 2)


def local_code(
    counts: Int[np.ndarray, "patterns colours"], x: Any
) -> Float[Array, " examples"]:
    """Return what binary images cost in a code of pixels given neighbours, in nats.

        -log p(x) = -Σ_pixels log (n_cx + ½) / (n_c + 1),    c a pixel's neighbours

    Args:
        counts: from `count_patterns`, of training images.
        x: (n, height, width), 0 or 1.

    Example:
        >>> counts = count_patterns(np.ones((1, 1, 3)), num_neighbours=1)
        >>> cost = local_code(counts, np.ones((1, 1, 2)))  # 1.5 / 2 · 2.5 / 3
        >>> round(float(np.exp(-cost[0])), 4)
        0.625
    """
    x = _binary(x)
    counts = np.asarray(counts)
    if counts.shape not in [(2**k, 2) for k in range(1, len(NEIGHBOURS) + 1)]:
        raise ValueError(
            f"counts have shape {counts.shape}: give the result of count_patterns"
        )
    check(counts >= 0, "counts", counts, "give numbers of 0 or more")
    num_neighbours = len(counts).bit_length() - 1
    log_p = np.log(counts + 0.5) - np.log(counts.sum(axis=1, keepdims=True) + 1.0)
    index = 2 * _patterns(x, num_neighbours) + x
    return jnp.asarray(-log_p.ravel()[index].sum(axis=(1, 2)), jnp.float32)


def _binary(x: Any) -> Int[np.ndarray, "n height width"]:
    x = np.asarray(x)
    if x.ndim != 3 or not x.size:
        raise ValueError(f"x has shape {x.shape}: give (n, height, width), none empty")
    check((x == 0) | (x == 1), "x", x, "give binary images: binarise them")
    return x.astype(np.int32)


def _patterns(x: np.ndarray, num_neighbours: int) -> Int[np.ndarray, "n height width"]:
    """Return the number that a pixel's neighbours write in binary; 0 beyond edges."""
    _, height, width = x.shape
    around = np.pad(x, ((0, 0), (2, 0), (2, 2)))
    parts = (
        around[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width] << k
        for k, (down, right) in enumerate(NEIGHBOURS[:num_neighbours])
    )
    return np.stack(list(parts)).sum(axis=0, dtype=np.int32)


def _pairs(patterns: np.ndarray, x: np.ndarray) -> Any:
    return zip(patterns, x.reshape(len(x), -1).astype(bool), strict=True)
