"""The ELBO of a trained VAE on held-out data, with its standard errors.

The data must be in the likelihood's support: for Bernoulli pixels, binarise a test set
once with `likelihoods.binarize` and keep it, so that numbers can be compared. Examples
are evaluated in batches, so memory is bounded whatever the size of the test set.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax.batching import map_batches
from vijax.printing import in_digits
from vijax.types import Key, Scalar
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import autoencoders, bound_terms
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.bound_terms import ELBOTerms
from vijax.validate import check, is_whole
from vijax.vi import bounds


class ELBOEstimate(NamedTuple):
    """The ELBO of a data set, mean over its examples, in nats per example."""

    elbo: Scalar
    elbo_standard_error: Scalar  # over test sets of this size, and over draws of z
    draw_standard_error: Scalar  # over draws of z, for this very test set
    log_likelihood: Scalar  # E_q[log p(x | z)]
    log_likelihood_standard_error: Scalar
    kl: Scalar
    kl_standard_error: Scalar

    def __str__(self) -> str:
        """Return the ELBO and its two terms with their errors over test sets."""
        return (
            f"ELBO {in_digits(self.elbo, self.elbo_standard_error)} nats per example = "
            f"{in_digits(self.log_likelihood, self.log_likelihood_standard_error)} "
            f"- KL {in_digits(self.kl, self.kl_standard_error)}"
        )


class ELBOPerExample(NamedTuple):
    """The ELBO's terms example by example, in nats."""

    log_likelihood: Float[Array, " examples"]  # mean over the draws of z
    draw_variance: Float[Array, " examples"]  # of the ELBO over draws
    kl: Float[Array, " examples"]  # its closed form, or the mean over the draws


def held_out_elbo(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    num_samples: int = 10,
    batch_size: int = 500,
) -> ELBOEstimate:
    """Estimate the mean ELBO over a data set, without bias.

    Args:
        model: the VAE.
        params: its parameters.
        key: for z ~ q(z | x).
        x: (n, *shape) in the likelihood's support, n >= 2.
        num_samples: L draws of z for each example; the error needs 2 or more.
        batch_size: examples at once; memory only.

    Returns:
        The terms and their standard errors, in nats per example.

    Raises:
        ValueError: data of another shape or outside the support, fewer than two
            examples or draws.

    References:
        Kingma & Welling (2014), arXiv:1312.6114, equation 10.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> found = held_out_elbo(model, params, jax.random.key(0), jnp.ones((2, 1)))
        >>> print(found)  # log ½: a fair coin, and q(z | x) is the prior
        ELBO -0.693147 ± 0 nats per example = -0.693147 ± 0 - KL 0 ± 0
    """
    check_in_support(model, x)
    terms = elbo_per_example(
        model, params, key, x, num_samples=num_samples, batch_size=batch_size
    )
    return mean_elbo(terms)


@jax.jit
def mean_elbo(terms: ELBOPerExample) -> ELBOEstimate:
    """Return means and standard errors of the terms of many examples.

    Example:
        >>> values, kl = jnp.array([-80.0, -90.0]), jnp.array([20.0, 24.0])
        >>> found = mean_elbo(ELBOPerExample(values, jnp.zeros(2), kl))
        >>> error = found.elbo_standard_error.round(4)
        >>> found.elbo.item(), error.item()  # of -100 and -114
        (-107.0, 7.0)
    """
    mean, error = jnp.mean, bounds.standard_error
    each = ELBOTerms(terms.log_likelihood, terms.kl).elbo
    return ELBOEstimate(
        mean(each),
        error(each),
        jnp.sqrt(mean(terms.draw_variance) / len(each)),
        mean(terms.log_likelihood),
        error(terms.log_likelihood),
        mean(terms.kl),
        error(terms.kl),
    )


def elbo_per_example(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    num_samples: int = 10,
    batch_size: int = 500,
) -> ELBOPerExample:
    """Return the ELBO's terms example by example; the arguments are `held_out_elbo`'s.

    Raises:
        ValueError: as `held_out_elbo`.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> found = elbo_per_example(model, params, jax.random.key(0), jnp.ones((2, 1)))
        >>> found.log_likelihood.round(4).tolist(), found.kl.tolist()
        ([-0.693..., -0.693...], [0.0, 0.0])
    """
    remedy = "give 2 draws or more"
    check(
        is_whole(num_samples) and num_samples >= 2, "num_samples", num_samples, remedy
    )
    x = check_in_support(model, x, least=1)
    apply = partial(_per_example, model, num_samples, params, key)
    return map_batches(apply, np.arange(len(x)), x, batch_size=batch_size)


@partial(jax.jit, static_argnums=(0, 1))
def _per_example(
    model: VAE,
    num_samples: int,
    params: ModelParams,
    key: Key,
    index: Int[Array, " batch"],
    x: Images,
) -> ELBOPerExample:
    q = autoencoders.encode(model, params, x)
    # A key for each example: the result does not depend on the batches.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    p = autoencoders.prior_of(model, params, x)
    noise = bound_terms.noise_by_example(keys, q, num_samples=num_samples)
    terms = bound_terms.draw_terms(model, params, x, q, noise, p=p)
    kl = bound_terms.closed_kl(q, p)
    values = draws = terms.log_likelihood
    if kl is None:
        kl, draws = jnp.mean(terms.kl, axis=0), values - terms.kl
    return ELBOPerExample(
        jnp.mean(values, axis=0), jnp.var(draws, axis=0, ddof=1) / num_samples, kl
    )
