"""What training minimises, in nats per example (an autoencoder's: per pixel).

Each constructor returns the loss function that `vijax.optimize` asks for,

    loss_fn(params, key, batch) -> (loss, terms by name)

where a batch is a `Batch` of images and the KL's weight. Images are grey levels: the
likelihood's own `prepare` makes data of them inside each step, anew each time (for
Bernoulli: binarises them). Constructors are cached, so equal arguments give the
same function and compile once.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key, LossFn, Scalar
from vijax.vae import models
from vijax.vae.models import VAE, Autoencoder, Images, ModelParams, Posterior
from vijax.validate import check, is_whole
from vijax.vi import bounds
from vijax.vi.divergences import kl_normal_standard

PerExample = Float[Array, "..."]


class Batch(NamedTuple):
    """One step's data."""

    images: Images  # (batch, *shape)
    kl_weight: Scalar  # multiplies β: below 1 while the KL warms up


class ELBOTerms(NamedTuple):
    """The two terms of the ELBO, in nats per example."""

    log_likelihood: PerExample  # E_q[log p(x | z)], estimated with L draws
    kl: PerExample  # KL[q(z | x) ‖ p(z)], closed form

    @property
    def elbo(self) -> PerExample:
        """The bound on log p(x)."""
        return self.log_likelihood - self.kl


class ImportanceTerms(NamedTuple):
    """The two terms of log w = log p(x, z) - log q(z | x), in nats."""

    log_likelihood: PerExample  # log p(x | z)
    log_ratio: PerExample  # log p(z) - log q(z | x)


class IWAETerms(NamedTuple):
    """The importance-weighted bound, in nats per example."""

    bound: PerExample


def sum_event(values: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the pixels of an example, keeping all batch axes."""
    return jnp.sum(values, axis=tuple(range(-len(shape), 0)))


def draw(key: Key, q: Posterior, *, num_samples: int) -> Float[Array, "..."]:
    """Draw z = loc + scale ε, ε ~ N(0, I): the reparametrisation trick.

    Returns:
        (num_samples, batch, latent)
    """
    noise = jax.random.normal(key, (num_samples, *q.loc.shape), q.loc.dtype)
    return q.loc + jnp.exp(q.log_scale) * noise


def log_likelihood(
    model: VAE, params: ModelParams, x: Images, z: Float[Array, "... latent"]
) -> PerExample:
    """Return log p(x | z) in nats, summed over pixels; z may have more batch axes."""
    outputs = models.decode(model, params, z)
    return sum_event(model.likelihood.log_prob(x, outputs), model.shape)


def log_likelihood_table(
    model: VAE, outputs: Float[Array, "points ..."], x: Images
) -> Float[Array, "points batch"]:
    """Return log p(x | outputs) of every example under every point's outputs."""
    if model.likelihood.affine is not None:
        slope, offset = model.likelihood.affine(outputs)
        slope = slope.reshape(len(slope), -1)
        return slope @ x.reshape(len(x), -1).T + sum_event(offset, model.shape)[:, None]
    log_prob = model.likelihood.log_prob
    return jax.lax.map(lambda o: sum_event(log_prob(x, o), model.shape), outputs)


def kl_to_prior(q: Posterior) -> PerExample:
    """KL[q(z | x) ‖ N(0, I)] in nats, (…,) for q of (…, latent)."""
    return jnp.vectorize(kl_normal_standard, signature="(n),(n)->()")(*q)


def kl_per_latent(q: Posterior) -> Float[Array, "... latent"]:
    """KL[q(z_j | x) ‖ N(0, 1)] in nats of each latent; their sum is `kl_to_prior`."""
    return jnp.vectorize(kl_normal_standard)(*q)


def elbo_terms(
    model: VAE, params: ModelParams, key: Key, x: Images, *, num_samples: int = 1
) -> ELBOTerms:
    """Estimate the terms of ELBO = E_q[log p(x | z)] - KL[q ‖ p(z)], one per example.

    Args:
        model: the VAE.
        params: its parameters.
        key: for z ~ q(z | x).
        x: data in the likelihood's support (batch, *shape).
        num_samples: L, the number of draws of z; they cost time, not bias.

    References:
        Kingma & Welling (2014), arXiv:1312.6114, equation 10.
    """
    q = models.encode(model, params, x)
    z = draw(key, q, num_samples=num_samples)
    return ELBOTerms(
        jnp.mean(log_likelihood(model, params, x, z), axis=0), kl_to_prior(q)
    )


def log_weights(
    model: VAE, params: ModelParams, x: Images, q: Posterior, z: Float[Array, "..."]
) -> ImportanceTerms:
    """Return log p(x | z) and log p(z) - log q(z | x), (samples, batch) each, in nats.

    Args:
        model: the VAE.
        params: its parameters.
        x: data in the likelihood's support (batch, *shape).
        q: the distribution that z was drawn from.
        z: (samples, batch, latent).
    """
    noise = (z - q.loc) * jnp.exp(-q.log_scale)
    # The 2π of prior and posterior cancel.
    ratio = jnp.sum(0.5 * (noise**2 - z**2) + q.log_scale, axis=-1)
    return ImportanceTerms(log_likelihood(model, params, x, z), ratio)


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
            are the true ones.

    References:
        Higgins et al. (2017), β-VAE; Kingma et al. (2016), arXiv:1606.04934,
        equation 15, free bits.
    """
    _check_vae(model)
    _check_draws(num_samples)
    check(beta >= 0, "beta", beta, "give 0 or more")
    check(free_bits >= 0, "free_bits", free_bits, "give 0 or more")

    def loss_fn(
        params: ModelParams, key: Key, batch: Batch
    ) -> tuple[Scalar, ELBOTerms]:
        data_key, z_key = jax.random.split(key)
        x = model.likelihood.prepare(data_key, batch.images)
        terms = elbo_terms(model, params, z_key, x, num_samples=num_samples)
        terms = jax.tree.map(jnp.mean, terms)
        kl = terms.kl
        if free_bits > 0:
            each = kl_per_latent(models.encode(model, params, x))
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

    References:
        Burda et al. (2016), arXiv:1509.00519; Tucker et al. (2019), arXiv:1810.04152.
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
        q = models.encode(model, params, x)
        z = draw(z_key, q, num_samples=num_samples)

        def log_w(q: Posterior, z: Array) -> Array:
            terms = log_weights(model, params, x, q, z)
            return terms.log_likelihood + batch.kl_weight * terms.log_ratio

        if gradient == "dreg":
            fixed = jax.lax.stop_gradient(q)
            bound = bounds.dreg(lambda z: log_w(fixed, z), z)
        else:
            bound = bounds.iwae(log_w(q, z))
        mean = jnp.mean(bound)
        return -mean, IWAETerms(mean)

    return _named(
        loss_fn, f"negative_iwae(num_samples={num_samples}, gradient={gradient!r})"
    )


@lru_cache
def mean_squared_error(model: Autoencoder) -> LossFn:
    """Return the autoencoder's loss, mean of (x' - x)² over pixels and the batch."""
    if not isinstance(model, Autoencoder):
        raise ValueError("model is not an autoencoder: a VAE's loss is negative_elbo")

    def loss_fn(
        params: ModelParams, key: Key, batch: Batch
    ) -> tuple[Scalar, dict[str, Scalar]]:
        error = models.reconstruct(model, params, batch.images) - batch.images
        loss = jnp.mean(error**2)
        return loss, {"mse": loss}

    return _named(loss_fn, "mean_squared_error()")


def _check_vae(model: VAE) -> None:
    if not isinstance(model, VAE):
        raise ValueError("model is not a VAE: use mean_squared_error")


def _check_draws(number: int) -> None:
    check(is_whole(number) and number >= 1, "num_samples", number, "give 1 or more")


def _named(loss_fn: LossFn, name: str) -> LossFn:
    """Give a loss function the name that a checkpoint knows it by."""
    loss_fn.__qualname__ = name
    return loss_fn
