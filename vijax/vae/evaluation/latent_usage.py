"""Which latents a VAE uses, and how the codes of all data together fill the prior.

A latent whose q(z_j | x) is the prior for every x carries nothing: it has collapsed.
`active_units` finds it. `aggregate_posterior` compares the codes of all data with the
prior. Both need no decoder and run in batches of bounded memory.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.batching import map_batches
from vijax.types import Key, Scalar
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.bound_terms import Draws
from vijax.vae.models.posteriors import Posterior
from vijax.vae.models.priors import log_prob_table
from vijax.validate import check, is_traced


class LatentUsage(NamedTuple):
    """How much each latent carries."""

    # Mean over x of KL[q(z_j | x) ‖ N(0, 1)] in nats; None where the prior is learned
    # or q is no diagonal normal: the KL is then no sum over latents.
    kl: Float[Array, " latent"] | None
    variance_of_means: Float[Array, " latent"]  # over x, of the centre of q(z_j | x)
    active: Bool[Array, " latent"]  # where that variance is above the threshold

    def __str__(self) -> str:
        """Return how many latents are active, and what each carries."""
        if is_traced(self) or np.ndim(self.active) != 1:
            return f"latent usage of shape {np.shape(self.active)}"
        number = int(np.sum(self.active))
        text = f"{number} of {len(self.active)} latents active"
        if self.kl is None:
            return text
        kl = ", ".join(f"{value:.2f}" for value in np.sort(self.kl)[::-1])
        return f"{text}; KL in nats: {kl}"


class AggregatePosterior(NamedTuple):
    """The codes of all data together, q(z) = mean over x of q(z | x)."""

    mean: Float[Array, " latent"]
    standard_deviation: Float[Array, " latent"]
    mutual_information: Scalar  # of x and z in nats; the estimate is log n at most
    marginal_kl: Scalar  # KL[q(z) ‖ prior] = mean KL - mutual information, nats

    def __str__(self) -> str:
        """Return the two parts of the mean KL."""
        if is_traced(self) or np.ndim(self.marginal_kl):
            return f"aggregate posteriors of shape {np.shape(self.marginal_kl)}"
        return (
            f"mutual information {self.mutual_information:.3f} nats, "
            f"KL[q(z) ‖ prior] {self.marginal_kl:.3f} nats"
        )


def active_units(
    model: VAE, params: ModelParams, x: ArrayLike, *, threshold: float = 0.01
) -> LatentUsage:
    """Return what each latent carries, and whether it is active.

    Args:
        model: the VAE.
        params: its parameters.
        x: (n, *shape) in the likelihood's support, n >= 2.
        threshold: variance of the posterior means above which a latent is active.

    Raises:
        ValueError: data of another shape or outside the support, fewer than two
            examples, a negative threshold.

    References:
        Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, section 5.2.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> print(active_units(model, params, jnp.array([[0.0], [1.0]])))
        0 of 1 latents active; KL in nats: 0.00
    """
    check(threshold >= 0, "threshold", threshold, "give a variance of 0 or more")
    q = posteriors(model, params, check_in_support(model, x))
    return _usage(autoencoders.is_plain(model), q, threshold)


@partial(jax.jit, static_argnums=0)
def _usage(independent: bool, q: Any, threshold: ArrayLike) -> LatentUsage:
    variance = jnp.var(q.loc, axis=0)
    kl = jnp.mean(bound_terms.kl_per_latent(q), axis=0) if independent else None
    return LatentUsage(kl, variance, variance > threshold)


def aggregate_posterior(
    model: VAE, params: ModelParams, key: Key, x: ArrayLike, *, batch_size: int = 500
) -> AggregatePosterior:
    """Compare the aggregate posterior with the prior, by one draw of z for each x.

    The mean KL of q(z | x) to the prior has two parts. A model needs the first, the
    mutual information of x and z. The second, KL[q(z) ‖ prior], says how far draws from
    the prior miss the codes of data. log q(z) is the log mean of all n densities
    q(z | x).

    Args:
        model: the VAE.
        params: its parameters.
        key: for one z ~ q(z | x) of each example.
        x: (n, *shape) in the likelihood's support, n >= 2.
        batch_size: examples at once; memory only, batch_size × n numbers.

    Raises:
        ValueError: data of another shape or outside the support, fewer than two
            examples, a prior that depends on covariates.

    References:
        Hoffman & Johnson (2016), ELBO surgery.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.array([[0.0], [1.0]])  # collapsed: q(z | x) is the prior
        >>> found = aggregate_posterior(model, params, jax.random.key(0), x)
        >>> found.standard_deviation.item(), abs(found.mutual_information).item() < 1e-5
        (1.0, True)
    """
    x = check_in_support(model, x)
    p = _prior(model, params)
    if hasattr(p, "given"):
        raise ValueError(
            "the prior depends on covariates, so the codes of all data have no single "
            "one: compare with evaluation.held_out_elbo"
        )
    q = posteriors(model, params, x)
    draws = _draw(key, q)
    log_all = map_batches(partial(_log_mean_density, q), draws.z, batch_size=batch_size)
    return _aggregate(q, p, draws, log_all)


@jax.jit
def _draw(key: Key, q: Any) -> Draws:
    z, log_q = bound_terms.draw_with_density(key, q, num_samples=1)
    return Draws(z[0], log_q[0])


@jax.jit
def _aggregate(q: Any, p: Any, draws: Draws, log_all: Array) -> AggregatePosterior:
    # As in the mean over all: so each term is log n at most, rounded or not.
    log_own = q.log_prob(draws.z) if isinstance(q, Posterior) else draws.log_q
    information = jnp.mean(log_own - log_all)
    kl = bound_terms.closed_kl(q, p)
    kl = jnp.mean(bound_terms.kl_of_draws(p, draws) if kl is None else kl)
    if isinstance(q, Posterior):
        mean = jnp.mean(q.loc, axis=0)
        variance = jnp.var(q.loc, axis=0) + jnp.mean(jnp.exp(2 * q.log_scale), axis=0)
    else:
        mean, variance = jnp.mean(draws.z, axis=0), jnp.var(draws.z, axis=0)
    return AggregatePosterior(mean, jnp.sqrt(variance), information, kl - information)


@jax.jit
def _log_mean_density(q: Any, z: Array) -> Array:
    """Return the log mean over all x of q(z | x)."""
    if isinstance(q, Posterior):
        every = log_prob_table(q, z)
        return jax.nn.logsumexp(every, axis=1) - jnp.log(every.shape[1])

    def one(z: Array) -> Array:
        every = q.log_prob(z)
        return jax.nn.logsumexp(every) - jnp.log(len(every))

    return jax.lax.map(one, z)


def posteriors(
    model: VAE, params: ModelParams, x: Images, *, batch_size: int = 1000
) -> Any:
    """Return q(z | x) of all examples, in batches.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.ones_like, models.init(model, jax.random.key(0)))
        >>> posteriors(model, params, jnp.array([[2.0]])).loc.item()  # weight x + bias
        3.0
    """
    code = map_batches(partial(_code, model, params), x, batch_size=batch_size)
    return _distribution(model, params, code)


_code = jax.jit(autoencoders.code_of, static_argnums=0)


# Compiled: a VampPrior goes through the encoder.
@partial(jax.jit, static_argnums=0)
def _prior(model: VAE, params: ModelParams) -> Any:
    return model.prior.distribution(model, params)


@partial(jax.jit, static_argnums=0)
def _distribution(model: VAE, params: ModelParams, code: Array) -> Any:
    return model.posterior.distribution(params, code)
