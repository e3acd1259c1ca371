"""What training minimises, in nats per example (an autoencoder's: per pixel).

Each constructor returns the loss function that `vijax.optimize` asks for,

    loss_fn(params, key, batch) -> (loss, terms by name)

where a batch is a `Batch` of images and the KL's weight. Images are grey levels: in
each step the likelihood's own `prepare` makes data of them (for Bernoulli pixels it
draws binary images anew). Equal arguments give the same function, so a second training
compiles nothing. `bound_terms` has what losses are made of, such as the KL divergence
of each example.

A loss of your own is any function of this signature: `fit(…, loss=mine)`.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax.types import Key, LossFn, Scalar
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.autoencoders import (
    VAE,
    Autoencoder,
    Images,
    ModelParams,
)
from vijax.vae.models.bound_terms import PerExample
from vijax.validate import check, is_whole
from vijax.vi import bounds


class Batch(NamedTuple):
    """One step's data."""

    images: Images  # (batch, *shape)
    kl_weight: Scalar  # multiplies β: below 1 while the KL warms up


class IWAETerms(NamedTuple):
    """The importance-weighted bound, in nats per example."""

    bound: PerExample


@lru_cache
def negative_elbo(
    model: VAE, *, num_samples: int = 1, beta: float = 1.0, free_bits: float = 0.0
) -> LossFn:
    """Return the loss -(E_q[log p(x | z)] - β KL), mean over the batch.

    Args:
        model: the VAE.
        num_samples: L.
        beta: weight of the KL; the loss is a bound on log p(x) for β >= 1.
        free_bits: nats that each latent may carry at no cost: the loss counts
            max(free_bits, KL of the latent, mean over the batch). The terms returned
            are the true ones. It needs latents that are independent under q and p.

    Raises:
        ValueError: a setting is out of its range, the model is not a VAE, free bits for
            another prior than N(0, I) or another q than the default.

    References:
        Higgins et al. (2017), β-VAE; Kingma et al. (2016), arXiv:1606.04934,
        equation 15, free bits.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> batch = Batch(jnp.ones((1, 1)), jnp.ones(()))
        >>> loss, terms = negative_elbo(model)(params, jax.random.key(0), batch)
        >>> loss.round(4).item(), terms.kl.item()
        (0.693..., 0.0)
    """
    _check_vae(model)
    _check_draws(num_samples)
    for name, value in (("beta", beta), ("free_bits", free_bits)):
        check(0 <= value < math.inf, name, value, "give a number of 0 or more")
    remedy = "a learned prior or a q of other shape has no KL of each latent: give 0"
    check(autoencoders.is_plain(model) or not free_bits, "free_bits", free_bits, remedy)

    def loss_fn(
        params: ModelParams, key: Key, batch: Batch
    ) -> tuple[Scalar, bound_terms.ELBOTerms]:
        data_key, z_key = jax.random.split(key)
        x = model.likelihood.prepare(data_key, batch.images)
        terms = bound_terms.elbo_terms(model, params, z_key, x, num_samples=num_samples)
        terms = jax.tree.map(jnp.mean, terms)
        kl = terms.kl
        if free_bits > 0:  # of normals alone, as has been checked
            each = bound_terms.kl_per_latent(autoencoders.encode(model, params, x))
            kl = jnp.sum(jnp.maximum(jnp.mean(each, axis=0), free_bits))
        return beta * batch.kl_weight * kl - terms.log_likelihood, terms

    settings = f"num_samples={num_samples}, beta={beta}, free_bits={free_bits}"
    return _named(loss_fn, f"negative_elbo({settings})")


@lru_cache
def negative_iwae(model: VAE, *, num_samples: int, gradient: str = "total") -> LossFn:
    """Return the loss -log (1/k) Σ_k w_k, the importance-weighted bound, mean of batch.

    Args:
        model: the VAE.
        num_samples: k; the bound rises with it from the ELBO to log p(x).
        gradient: "total" differentiates the bound as it is; "dreg" is the doubly
            reparametrised estimator, whose signal does not drown for large k.

    Raises:
        ValueError: a setting is out of its range, the model is not a VAE.

    References:
        Burda et al. (2016), arXiv:1509.00519; Tucker et al. (2019), arXiv:1810.04152.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> batch = Batch(jnp.ones((1, 1)), jnp.ones(()))
        >>> loss_fn = negative_iwae(model, num_samples=5)
        >>> loss_fn(params, jax.random.key(0), batch)[1].bound.round(4).item()
        -0.693...
    """
    _check_vae(model)
    _check_draws(num_samples)
    if gradient not in ("total", "dreg"):
        raise ValueError(f"gradient = {gradient!r} is not known: total or dreg")

    def loss_fn(
        params: ModelParams, key: Key, batch: Batch
    ) -> tuple[Scalar, IWAETerms]:
        data_key, z_key = jax.random.split(key)
        x = model.likelihood.prepare(data_key, batch.images)
        q = autoencoders.encode(model, params, x)
        noise = bound_terms.noise_of(z_key, q, num_samples=num_samples)

        def log_w(terms: Any) -> Array:
            # A weight of a wider type than the data's would widen the gradient.
            kl_weight = jnp.asarray(batch.kl_weight, terms.log_ratio.dtype)
            return terms.log_likelihood + kl_weight * terms.log_ratio

        if gradient == "dreg":
            fixed = jax.lax.stop_gradient(q)
            bound = bounds.dreg(
                lambda z: log_w(bound_terms.log_weights(model, params, x, fixed, z)),
                q.transform(noise),
            )
        else:
            bound = bounds.iwae(
                log_w(bound_terms.draw_terms(model, params, x, q, noise))
            )
        mean = jnp.mean(bound)
        return -mean, IWAETerms(mean)

    return _named(
        loss_fn, f"negative_iwae(num_samples={num_samples}, gradient={gradient!r})"
    )


@lru_cache
def mean_squared_error(model: Autoencoder) -> LossFn:
    """Return the autoencoder's loss, mean of (x' - x)² over pixels and the batch.

    Raises:
        ValueError: the model is not an autoencoder.

    Example:
        >>> from vijax.vae import models
        >>> model = models.autoencoder((1,), latent=1, hidden=(), output="identity")
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> batch = Batch(jnp.array([[3.0]]), jnp.ones(()))
        >>> mean_squared_error(model)(params, jax.random.key(0), batch)[0].item()
        9.0
    """
    if not isinstance(model, Autoencoder):
        raise ValueError("model is not an autoencoder: a VAE's loss is negative_elbo")

    def loss_fn(
        params: ModelParams, key: Key, batch: Batch
    ) -> tuple[Scalar, dict[str, Scalar]]:
        error = autoencoders.reconstruct(model, params, batch.images) - batch.images
        loss = jnp.mean(error**2)
        return loss, {"mse": loss}

    return _named(loss_fn, "mean_squared_error()")


def _check_vae(model: VAE) -> None:
    if not isinstance(model, VAE):
        raise ValueError("model is not a VAE: use mean_squared_error")


def _check_draws(number: int) -> None:
    check(is_whole(number) and number >= 1, "num_samples", number, "give 1 or more")


def _named(loss_fn: LossFn, name: str) -> LossFn:
    """Give a loss function the name that messages show."""
    loss_fn.__qualname__ = name
    return loss_fn
