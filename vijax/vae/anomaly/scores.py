r"""AnomalyScores of how unlike its training data an example is: the higher, the odder.

A model trained on background reconstructs background. A VAE has five readings of how
well it does, and their order differs from data set to data set:

    reconstruction  -E_q[log p(x | z)]      it cannot be drawn
    kl              KL[q(z | x) ‖ p(z)]     it cannot be placed
    negative_elbo   their sum               a bound on -log p(x)
    negative_log_evidence                   -log p(x) itself, by importance sampling
    latent_norm     ‖E_q[z]‖                it is placed far out

-log p(x) is not "oddness": it is also large where an image is complex, and small where
it is simple, whatever the training data. An image of one stroke, such as the digit
one, has a high likelihood under a model that never saw it. Two ways out:

    a likelihood ratio     -ELBO less what the image costs in a code that knows strokes
                           and no digits, from `strokes`
    two relative distances `unexplained_share`, the share of x that cannot be drawn, times
                           `latent_distance`, how far it is put from all training data:
                           their product is small only where neither is large

`roc` measures how well a score does.

References:
    Ren et al. (2019), Likelihood ratios for out-of-distribution detection,
    arXiv:1906.02845.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae.models import autoencoders, likelihoods, losses
from vijax.vae.models.autoencoders import VAE, Autoencoder, ModelParams
from vijax.validate import check, is_whole, where_valid
from vijax.vi import bounds


class AnomalyScores(NamedTuple):
    """Of a VAE, one number an example; nats but for the norm."""

    reconstruction: Float[Array, " examples"]
    kl: Float[Array, " examples"]
    negative_elbo: Float[Array, " examples"]
    negative_log_evidence: Float[Array, " examples"]
    latent_norm: Float[Array, " examples"]


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
        key: for z ~ q(z | x).
        x: (n, *shape) in the likelihood's support.
        num_samples: draws of z for each example; the importance-sampled -log p(x) is
            biased upwards, towards -ELBO, the less the more there are.
        batch_size: examples at once; memory only.

    Example:
        >>> model = models.vae((4,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[1.0, 1.0, 0.0, 0.0]])  # four fair coins: 4 log 2
        >>> round(anomaly_scores(model, params, jax.random.key(1), x).negative_elbo.item(), 4)
        2.7726
    """
    if not isinstance(model, VAE):
        raise ValueError(
            "model is not a VAE: an autoencoder's score is reconstruction_error"
        )
    x = _of_shape(model, x)
    likelihoods.check_support(model.likelihood, x)
    remedy = "give 1 draw or more"
    check(
        is_whole(num_samples) and num_samples >= 1, "num_samples", num_samples, remedy
    )
    _check_batch(batch_size)

    def one(pair: tuple[Array, Array]) -> AnomalyScores:
        index, x = pair
        q = autoencoders.encode(model, params, x)
        # A key for each example: the result does not depend on the batches.
        z = losses.draw(jax.random.fold_in(key, index), q, num_samples=num_samples)
        terms = losses.log_weights(model, params, x, q, z)
        reconstruction = -jnp.mean(terms.log_likelihood)
        kl = losses.kl_to_prior(q)
        return AnomalyScores(
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
    _check_batch(batch_size)

    def one(x: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.mean((autoencoders.reconstruct(model, params, x) - x) ** 2)

    return jax.lax.map(one, x, batch_size=batch_size)


def unexplained_share(
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
        >>> unexplained_share(model, params, x).tolist()  # 4 · ½² / (1 + 1)
        [0.5]
    """
    x = _of_shape(model, x)
    energy = jnp.mean(x**2, axis=tuple(range(1, x.ndim)))
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

    z is the latent mean. In L dimensions the nearest of n neighbours estimates the
    density of the latents, log p(z) = -L log distance + constant: where it is far, the
    encoder has put nothing like the example, whatever the prior says of the place.

    Args:
        model: trained on background.
        params: its parameters; `vmap` over them for several models.
        x: (n, *shape), finite.
        background: (m, *shape), finite: what the model was trained on.
        batch_size: examples at once; memory only, batch_size × m numbers.

    References:
        Kozachenko & Leonenko (1987), Probl. Inf. Transm. 23, 95.

    Example:
        >>> model = models.autoencoder((2,), latent=2, hidden=())
        >>> params = models.init(model, jax.random.key(0))
        >>> kernel = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
        >>> params = params._replace(encoder={"output": kernel})  # z = x
        >>> background = jnp.array([[0.0, 0.0], [9.0, 9.0]])
        >>> latent_distance(model, params, jnp.array([[3.0, 4.0]]), background).tolist()
        [5.0]
    """
    x, background = _of_shape(model, x), _of_shape(model, background)
    for name, y in (("x", x), ("background", background)):
        check(jnp.isfinite(y), name, y, "remove NaN and infinities")
    _check_batch(batch_size)
    known = autoencoders.latent_mean(model, params, background)

    def one(z: Float[Array, " latent"]) -> Float[Array, ""]:
        # Where, by products; how far, by differences, which cancel no digits.
        nearest = jnp.argmin(jnp.sum(known**2, axis=1) - 2 * known @ z)
        return jnp.linalg.norm(known[nearest] - z)

    z = autoencoders.latent_mean(model, params, x)
    return jax.lax.map(one, z, batch_size=batch_size)


def _check_batch(size: int) -> None:
    check(is_whole(size) and size >= 1, "batch_size", size, "give 1 or more")


def _of_shape(model: Autoencoder | VAE, x: Any) -> Float[Array, "..."]:
    x = jnp.asarray(x)
    if x.shape[1:] != model.shape or not len(x):
        shape = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"x has shape {x.shape}: give ({shape}), n >= 1")
    return x
