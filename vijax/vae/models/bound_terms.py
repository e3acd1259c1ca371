"""The terms of the bounds, example by example and in nats.

q is a q(z | x) as `posteriors` describes, p a p(z) as `priors` does, z are draws of q;
everything keeps its batch axes and sums over pixels and latents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.posteriors import FullPosterior, Posterior, kl_full_to_standard
from vijax.vae.models.priors import NormalPrior, StandardNormal
from vijax.vi.divergences import kl_normal, kl_normal_standard

PerExample = Float[Array, "..."]


class ELBOTerms(NamedTuple):
    """The two terms of the ELBO, in nats per example."""

    log_likelihood: PerExample  # E_q[log p(x | z)], estimated with L draws
    kl: PerExample  # KL[q(z | x) ‖ p(z)]: its closed form, or the mean over L draws

    @property
    def elbo(self) -> PerExample:
        """The bound on log p(x)."""
        return self.log_likelihood - self.kl


class ImportanceTerms(NamedTuple):
    """The two terms of log w = log p(x, z) - log q(z | x), in nats."""

    log_likelihood: PerExample  # log p(x | z)
    log_ratio: PerExample  # log p(z) - log q(z | x)


def sum_event(values: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the pixels of an example, keeping all batch axes.

    Example:
        >>> sum_event(jnp.ones((5, 2, 3)), (2, 3)).tolist()
        [6.0, 6.0, 6.0, 6.0, 6.0]
    """
    return jnp.sum(values, axis=tuple(range(-len(shape), 0)))


class DrawTerms(NamedTuple):
    """The terms of the bounds at draws of q, in nats, (num_samples, batch)."""

    log_likelihood: PerExample  # log p(x | z)
    log_ratio: PerExample  # log p(z) - log q(z | x)
    kl: PerExample  # whose mean is the KL: -log_ratio, or of less variance where known


class Draws(NamedTuple):
    """Draws of q and their density."""

    z: Float[Array, "..."]  # (num_samples, batch, latent)
    log_q: Float[Array, "..."]  # (num_samples, batch), log q(z | x)


def draw(key: Key, q: Any, *, num_samples: int) -> Float[Array, "..."]:
    """Draw z ~ q, of a normal loc + scale ε, ε ~ N(0, I): the reparametrisation trick.

    Returns:
        (num_samples, batch, latent)

    References:
        Kingma & Welling (2014), arXiv:1312.6114, section 2.4.

    Example:
        >>> q = Posterior(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
        >>> draw(jax.random.key(0), q, num_samples=3).shape
        (3, 5, 2)
    """
    return q.transform(noise_of(key, q, num_samples=num_samples))


def draw_with_density(key: Key, q: Any, *, num_samples: int) -> Draws:
    """Draw z ~ q as `draw` does, and return log q(z | x) with it.

    Example:
        >>> q = Posterior(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
        >>> draw_with_density(jax.random.key(0), q, num_samples=3).log_q.shape
        (3, 5)
    """
    return Draws(*q.transform_and_log_prob(noise_of(key, q, num_samples=num_samples)))


def noise_by_example(keys: Key, q: Any, *, num_samples: int) -> Float[Array, "..."]:
    """Return the noise of draws by a key for each example: none depends on the batch.

    Example:
        >>> q = Posterior(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
        >>> keys = jax.random.split(jax.random.key(0), 5)
        >>> noise_by_example(keys, q, num_samples=3).shape
        (3, 5, 2)
    """
    centre = jax.eval_shape(lambda q: q.loc, q)
    shape = num_samples, *centre.shape[1:]
    return jax.vmap(
        lambda key: jax.random.normal(key, shape, centre.dtype), out_axes=1
    )(keys)


def noise_of(key: Key, q: Any, *, num_samples: int) -> Float[Array, "..."]:
    """Return the noise of draws, N(0, I) of (num_samples, batch, latent).

    Example:
        >>> q = Posterior(jnp.zeros((5, 2)), jnp.zeros((5, 2)))
        >>> noise_of(jax.random.key(0), q, num_samples=3).shape
        (3, 5, 2)
    """
    centre = jax.eval_shape(lambda q: q.loc, q)  # of a ladder it is a way down
    return jax.random.normal(key, (num_samples, *centre.shape), centre.dtype)


def log_likelihood(
    model: VAE, params: ModelParams, x: Images, z: Float[Array, "... latent"]
) -> PerExample:
    """Return log p(x | z) in nats, summed over pixels; z may have more batch axes.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((2, 2), hidden=())
        >>> params = models.init(model, jax.random.key(0))
        >>> x, z = jnp.ones((2, 2)), jnp.zeros((3, 2))  # logits of 0 at z = 0
        >>> log_likelihood(model, params, x, z).round(4).tolist()  # -4 log 2
        [-2.772..., -2.772..., -2.772...]
    """
    outputs = autoencoders.decode(model, params, autoencoders.with_given(model, z, x))
    return sum_event(model.likelihood.log_prob(x, outputs), model.shape)


def log_likelihood_table(
    model: VAE, outputs: Float[Array, "points ..."], x: Images
) -> Float[Array, "points batch"]:
    """Return log p(x | outputs) of every example under every point's outputs.

    Args:
        model: the VAE.
        outputs: of the decoder, (points, *shape, num_outputs).
        x: data in the likelihood's support, (batch, *shape).

    Returns:
        (points, batch), in nats.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((2,), hidden=())
        >>> outputs = jnp.zeros((3, 2, 1))  # logits of 0
        >>> log_likelihood_table(model, outputs, jnp.ones((4, 2))).shape
        (3, 4)
    """
    if model.likelihood.affine is not None:
        slope, offset = model.likelihood.affine(outputs)
        slope = slope.reshape(len(slope), -1)
        return slope @ x.reshape(len(x), -1).T + sum_event(offset, model.shape)[:, None]
    log_prob = model.likelihood.log_prob
    return jax.lax.map(lambda o: sum_event(log_prob(x, o), model.shape), outputs)


def kl_to_prior(q: Posterior) -> PerExample:
    """KL[q(z | x) ‖ N(0, I)] in nats, (…,) for q of (…, latent).

    KL = Σ_j (scale_j² + loc_j² - 1) / 2 - log scale_j

    References:
        Kingma & Welling (2014), arXiv:1312.6114, appendix B.

    Example:
        >>> q = Posterior(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))
        >>> kl_to_prior(q).tolist()
        [2.5]
    """
    return jnp.vectorize(kl_normal_standard, signature="(n),(n)->()")(*q)


def closed_kl(q: Any, p: Any) -> PerExample | None:
    """Return KL[q(z | x) ‖ p(z)] in nats where it has a closed form, else None.

    It has one where q is normal and p is N(0, I), or both are diagonal normals.

    Example:
        >>> q = Posterior(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))
        >>> closed_kl(q, StandardNormal(jnp.zeros(2))).tolist()
        [2.5]
    """
    if isinstance(p, StandardNormal) and isinstance(q, Posterior):
        return kl_to_prior(q)
    if isinstance(p, StandardNormal) and isinstance(q, FullPosterior):
        return kl_full_to_standard(q)
    if isinstance(p, NormalPrior) and isinstance(q, Posterior):
        each = jnp.vectorize(kl_normal, signature="(n),(n),(n),(n)->()")
        return each(*q, *p.moments)
    return None


def kl_of_draws(p: Any, draws: Draws) -> PerExample:
    """Return log q(z | x) - log p(z) of each draw, whose mean estimates the KL.

    Example:
        >>> draws = Draws(jnp.zeros((3, 1, 2)), jnp.full((3, 1), -1.83788))
        >>> kl_of_draws(StandardNormal(jnp.zeros(2)), draws).shape
        (3, 1)
    """
    return draws.log_q - p.log_prob(draws.z)


def kl_per_latent(q: Posterior) -> Float[Array, "... latent"]:
    """KL[q(z_j | x) ‖ N(0, 1)] in nats of each latent; their sum is `kl_to_prior`.

    Example:
        >>> kl_per_latent(Posterior(jnp.array([1.0, 2.0]), jnp.zeros(2))).tolist()
        [0.5, 2.0]
    """
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

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((1, 1))  # q is the prior, the pixel's logit 0
        >>> elbo_terms(model, params, jax.random.key(0), x).elbo.round(4).item()
        -0.693...
    """
    q = autoencoders.encode(model, params, x)
    p = autoencoders.prior_of(model, params, x)
    noise = noise_of(key, q, num_samples=num_samples)
    terms = draw_terms(model, params, x, q, noise, p=p)
    kl = closed_kl(q, p)
    kl = jnp.mean(terms.kl, axis=0) if kl is None else kl
    return ELBOTerms(jnp.mean(terms.log_likelihood, axis=0), kl)


def draw_terms(
    model: VAE,
    params: ModelParams,
    x: Images,
    q: Any,
    noise: Float[Array, "..."],
    *,
    p: Any = None,
) -> DrawTerms:
    """Draw z by given noise and return the terms of the bounds there.

    A q that takes the decoder's own way has them all from one pass, `draw_and_decode`.

    Args:
        model: the VAE.
        params: its parameters.
        x: data in the likelihood's support (batch, *shape).
        q: q(z | x), from `autoencoders.encode`.
        noise: N(0, I) of (samples, batch, latent), as from `noise_of`.
        p: the prior where it is made already, `autoencoders.prior_of(model, params)`.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> q = Posterior(jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> noise = -jnp.ones((1, 1, 1))  # z = 0: log N(0 | 0, 1) - log N(0 | 1, 1)
        >>> draw_terms(model, params, jnp.ones((1, 1)), q, noise).log_ratio.item()
        0.5
    """
    p = autoencoders.prior_of(model, params, x) if p is None else p
    if isinstance(p, StandardNormal) and getattr(q, "way", None) == model.decoder:
        done = q.draw_and_decode(noise)
        values = sum_event(model.likelihood.log_prob(x, done.outputs), model.shape)
        return DrawTerms(values, p.log_prob(done.z) - done.log_q, done.kl)
    z, log_q = q.transform_and_log_prob(noise)
    terms = log_weights(model, params, x, q, z, log_q=log_q, p=p)
    return DrawTerms(*terms, -terms.log_ratio)


def log_weights(
    model: VAE,
    params: ModelParams,
    x: Images,
    q: Any,
    z: Float[Array, "..."],
    *,
    log_q: Float[Array, "..."] | None = None,
    p: Any = None,
) -> ImportanceTerms:
    """Return log p(x | z) and log p(z) - log q(z | x), (samples, batch) each, in nats.

    Args:
        model: the VAE.
        params: its parameters.
        x: data in the likelihood's support (batch, *shape).
        q: the distribution that z was drawn from.
        z: (samples, batch, latent).
        log_q: log q(z | x) where it is known, as from `draw_with_density`.
        p: the prior where it is made already, `autoencoders.prior_of(model, params)`.

    References:
        Burda et al. (2016), arXiv:1509.00519, equation 3.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> q = Posterior(jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> z = jnp.zeros((1, 1, 1))  # log N(0 | 0, 1) - log N(0 | 1, 1) = 1 / 2
        >>> log_weights(model, params, jnp.ones((1, 1)), q, z).log_ratio.item()
        0.5
    """
    p = autoencoders.prior_of(model, params, x) if p is None else p
    if isinstance(q, Posterior) and isinstance(p, StandardNormal):
        noise = (z - q.loc) * jnp.exp(-q.log_scale)
        # The 2π of prior and posterior cancel.
        ratio = jnp.sum(0.5 * (noise**2 - z**2) + q.log_scale, axis=-1)
    else:
        ratio = p.log_prob(z) - (q.log_prob(z) if log_q is None else log_q)
    return ImportanceTerms(log_likelihood(model, params, x, z), ratio)
