r"""Anomaly scores: how unlike its training data an example is; higher is odder.

A model that was trained on background reconstructs background well and other examples
badly. A VAE gives five scores of this. Which one is best differs from data set to data
set:

    reconstruction  -E_q[log p(x | z)]      it cannot be drawn
    kl              KL[q(z | x) ‖ p(z)]     it cannot be placed
    negative_elbo   their sum               a bound on -log p(x)
    negative_log_evidence                   -log p(x) itself, by importance sampling
    latent_norm     ‖E_q[z]‖                it is placed far out

-log p(x) alone does not measure oddness. It is also large for complex images and small
for simple ones, whatever the training data. An image of one stroke, such as the digit
one, has a high likelihood under a model that never saw it. Two ways out:

    a likelihood ratio     -ELBO minus what the image costs in a code that knows strokes
                           but no digits, from `stroke_codes`
    a product of distances `unexplained_share`, the share of x that cannot be drawn,
                           times `latent_distance`, its distance from all training
                           data; small where either is

`vijax.metrics.roc` measures how well a score separates anomalies from background.

References:
    Ren et al. (2019), Likelihood ratios for out-of-distribution detection,
    arXiv:1906.02845.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key, Scalar
from vijax.vae.input_checks import (
    check_batch_size,
    check_finite,
    check_in_support,
    check_shape,
)
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.autoencoders import VAE, Autoencoder, Images, ModelParams
from vijax.validate import check, is_traced, is_whole, where_valid
from vijax.vi import bounds


class AnomalyScores(NamedTuple):
    """Five scores of each example under a VAE; in nats except the norm."""

    reconstruction: Float[Array, " examples"]
    kl: Float[Array, " examples"]
    negative_elbo: Float[Array, " examples"]
    negative_log_evidence: Float[Array, " examples"]
    latent_norm: Float[Array, " examples"]

    def __str__(self) -> str:
        """Return a table of each score's quantiles over the examples."""
        if is_traced(self) or np.ndim(self.kl) != 1:
            return f"anomaly scores of shape {np.shape(self.kl)}"
        lines = [f"{len(self.kl)} examples         5 %     median       95 %"]
        for name, values in self._asdict().items():
            low, middle, high = np.quantile(np.asarray(values), [0.05, 0.5, 0.95])
            lines.append(f"{name:<21} {low:10.4g} {middle:10.4g} {high:10.4g}")
        return "\n".join(lines)


def anomaly_scores(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: Any,
    *,
    num_samples: int = 16,
    batch_size: int = 500,
) -> AnomalyScores:
    """Return every score of every example.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        key: for z ~ q(z | x); the noise is the same for all examples, so that a score
            depends on the example alone.
        x: (n, *shape) in the likelihood's support.
        num_samples: draws of z for each example. The importance-sampled -log p(x) is
            biased upwards, towards -ELBO; more draws lessen that.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: data of another shape or outside the support, no example, a
            setting that is not whole and positive, a model that is not a VAE.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # four fair coins: 4 log 2
        >>> found = anomaly_scores(model, params, jax.random.key(1), x)
        >>> round(found.negative_elbo.item(), 4)
        2.7726
    """
    x = check_in_support(model, x, least=1)
    valid = is_whole(num_samples) and num_samples >= 1
    check(valid, "num_samples", num_samples, "give 1 draw or more")
    check_batch_size(batch_size)
    return _anomaly_scores(model, num_samples, batch_size, params, key, x)


@partial(jax.jit, static_argnums=(0, 1, 2))
@full_precision
def _anomaly_scores(
    model: VAE,
    num_samples: int,
    batch_size: int,
    params: ModelParams,
    key: Key,
    x: Images,
) -> AnomalyScores:
    def one(x: Images) -> AnomalyScores:
        q = autoencoders.encode(model, params, x)
        p = autoencoders.prior_of(model, params, x)
        # The same noise for all: a score does not depend on where the example stands.
        noise = bound_terms.noise_of(key, q, num_samples=num_samples)
        terms = bound_terms.draw_terms(model, params, x, q, noise, p=p)
        reconstruction = -jnp.mean(terms.log_likelihood)
        kl = bound_terms.closed_kl(q, p)
        kl = jnp.mean(terms.kl) if kl is None else kl
        return AnomalyScores(
            reconstruction,
            kl,
            reconstruction + kl,
            -bounds.iwae(terms.log_likelihood + terms.log_ratio),
            jnp.linalg.norm(q.loc),
        )

    return jax.lax.map(one, x, batch_size=batch_size)


def reconstruction_error(
    model: Autoencoder | VAE, params: ModelParams, x: Any, *, batch_size: int = 500
) -> Float[Array, " examples"]:
    """Return the mean of (x' - x)² over each example's pixels: an autoencoder's score.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), finite.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: another shape, no example, NaN or infinities, a batch size that is
            not whole and positive.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # zeros decode to sigmoid(0) = ½
        >>> reconstruction_error(model, params, x).tolist()
        [0.25]
    """
    x = check_finite(model, x)
    check_batch_size(batch_size)
    return _reconstruction_error(model, batch_size, params, x)


@partial(jax.jit, static_argnums=(0, 1))
def _reconstruction_error(
    model: Autoencoder | VAE, batch_size: int, params: ModelParams, x: Images
) -> Float[Array, " examples"]:
    def one(x: Images) -> Scalar:
        data = autoencoders.data_of(model, x)
        return jnp.mean((autoencoders.reconstruct(model, params, x) - data) ** 2)

    return jax.lax.map(one, x, batch_size=batch_size)


def unexplained_share(
    model: Autoencoder | VAE, params: ModelParams, x: Any, *, batch_size: int = 500
) -> Float[Array, " examples"]:
    r"""Return the share of an example's energy that its reconstruction x' misses.

        share = ‖x - x'‖² / ‖x‖²,    0 where x' = x, 1 where x' is blank

    The squared error calls an example with little ink ordinary, because there is little
    to get wrong. So does a Gaussian likelihood of fixed scale. The share asks instead
    how much of what is there the model can draw. It is a likelihood ratio of the model
    against noise, each with the scale that fits the example's D pixels best:

        log max_σ N(x | x', σ² I) - log max_τ N(x | 0, τ² I) = -(D/2) log share

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), in units whose zero means "nothing there"; no example all zero.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: another shape, no example, NaN or infinities, a blank example, a
            batch size that is not whole and positive.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # zeros decode to sigmoid(0) = ½
        >>> unexplained_share(model, params, x).tolist()  # 4 · ½² / (1 + 1)
        [0.5]
    """
    x = check_shape(model, x)
    data = autoencoders.data_of(model, x)
    energy = jnp.mean(data**2, axis=tuple(range(1, x.ndim)))
    valid = check(energy > 0, "the mean square of x", energy, "remove blank examples")
    share = reconstruction_error(model, params, x, batch_size=batch_size) / energy
    return where_valid(valid, share)


def latent_distance(
    model: Autoencoder | VAE,
    params: ModelParams,
    x: Any,
    background: Any,
    *,
    batch_size: int = 250,
) -> Float[Array, " examples"]:
    r"""Return how far an example's latents are from the nearest background's, ‖z - z'‖.

    z is the latent mean. In L dimensions the distance to the nearest of n neighbours
    estimates the density of latents, log p(z) = -L log distance + constant. Where it is
    large, the encoder has put nothing like the example, whatever the prior says there.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), finite.
        background: (m, *shape), finite: what the model was trained on.
        batch_size: examples at once; memory only, batch_size × m numbers.

    Raises:
        ValueError: another shape, no example, NaN or infinities, a batch size that is
            not whole and positive.

    References:
        Kozachenko & Leonenko (1987), Probl. Inf. Transm. 23, 95.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.autoencoder((2,), latent=2, hidden=())
        >>> params = models.init(model, jax.random.key(0))
        >>> kernel = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
        >>> params = params._replace(encoder={"output": kernel})  # z = x
        >>> background = jnp.array([[0.0, 0.0], [1.0, 1.0]])
        >>> found = latent_distance(model, params, jnp.array([[0.3, 0.4]]), background)
        >>> round(found.item(), 6)
        0.5
    """
    x = check_finite(model, x)
    background = check_finite(model, background, name="background")
    check_batch_size(batch_size)
    return _latent_distance(model, batch_size, params, x, background)


@partial(jax.jit, static_argnums=(0, 1))
def _latent_distance(
    model: Autoencoder | VAE,
    batch_size: int,
    params: ModelParams,
    x: Images,
    background: Images,
) -> Float[Array, " examples"]:
    known = autoencoders.latent_mean(model, params, background)

    def one(z: Float[Array, " latent"]) -> Scalar:
        # Products find the nearest one; differences give its distance in full digits.
        nearest = jnp.argmin(jnp.sum(known**2, axis=1) - 2 * known @ z)
        return jnp.linalg.norm(known[nearest] - z)

    z = autoencoders.latent_mean(model, params, x)
    return jax.lax.map(one, z, batch_size=batch_size)
