"""The loss of a model without latents: what any trained model should be below."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vijax.types import LossFn
from vijax.vae.models.autoencoders import VAE, Autoencoder, Images
from vijax.vae.models.likelihoods import Likelihood

IN_NATS = ("negative_elbo(", "negative_iwae(")


def loss_without_latents(
    model: Autoencoder | VAE, loss: LossFn, images: Images
) -> float | None:
    """Return the least loss of a decoder that gives the same outputs for all images.

    Each pixel then has its mean and, where the likelihood has one, its own scale. The
    KL is 0, so this is a bound whatever its weight.

    Returns:
        Nats per image (an autoencoder's mean squared error), or None for a loss of
        one's own and for likelihoods of levels.

    Example:
        >>> from vijax.vae.models import autoencoders, losses
        >>> model = autoencoders.vae((1,), hidden=())
        >>> images = jnp.array([[0.0], [1.0]])  # a fair coin: log 2
        >>> round(loss_without_latents(model, losses.negative_elbo(model), images), 4)
        0.6931
    """
    name = getattr(loss, "__qualname__", "")
    if isinstance(model, Autoencoder):
        ours = name == "mean_squared_error()"
        mean_squared = float(jnp.mean(_moments(images)[1]))
        return mean_squared if ours and math.isfinite(mean_squared) else None
    if not name.startswith(IN_NATS):
        return None
    found = _of_pixels(model.likelihood, *map(np.asarray, _moments(images)))
    return found if found is not None and math.isfinite(found) else None


@jax.jit
def _moments(images: Images) -> tuple[Images, Images]:
    return jnp.mean(images, axis=0), jnp.var(images, axis=0)


def _of_pixels(
    likelihood: Likelihood, mean: np.ndarray, variance: np.ndarray
) -> float | None:
    mean, variance = mean.astype(float), variance.astype(float)
    if not np.isfinite(variance).all():  # a wild value overflows: nothing is known
        return None
    recipe = likelihood.recipe
    if recipe is not None and recipe.constructor == "bernoulli":
        p = np.clip(mean, 1e-12, 1 - 1e-12)
        return float(-np.sum(mean * np.log(p) + (1 - mean) * np.log1p(-p)))
    if recipe is not None and recipe.constructor == "gaussian":
        settings = dict(recipe.arguments)
        scale = settings["scale"]
        if scale is None:
            scale = np.maximum(np.sqrt(variance), settings["min_scale"])
        nats = np.log(scale) + 0.5 * variance / np.square(scale)
        return float(np.sum(nats + 0.5 * math.log(2 * math.pi)))
    return None
