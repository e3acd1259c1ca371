r"""log p(x) by annealed importance sampling, which needs no encoder.

Chains walk from the prior to the posterior through p_β(z) ∝ p(z) p(x | z)^β by
Hamiltonian Monte Carlo. Each gathers the weight
log w = Σ_t (β_t - β_{t-1}) log p(x | z_{t-1}). The mean of w is p(x), so the log of
that mean is a lower bound in expectation. More steps raise it. Chains start all over
the prior, so they find modes that q(z | x), and with it importance sampling, misses.

Where x was drawn from the model and its z is known, the same walk backwards from z
gives an upper bound (bidirectional Monte Carlo). The two enclose log p(x).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.batching import map_batches
from vijax.types import Key
from vijax.vae.evaluation.annealed_walk import (
    WALK,
    Walk,
    anneal,
    from_prior,
    temperatures,
)
from vijax.vae.input_checks import check_in_support
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.validate import check, seen
from vijax.vi import bounds


class AnnealedEstimate(NamedTuple):
    """Estimates of log p(x) in nats, one for each example."""

    log_evidence: Float[Array, " examples"]  # log of the mean weight of the chains
    standard_error: Float[Array, " examples"]  # over chains
    acceptance: Float[Array, " examples"]  # share of proposals taken, over the walk


def annealed_lower_bound(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    walk: Walk = WALK,
    batch_size: int = 25,
) -> AnnealedEstimate:
    """Estimate log p(x) of each example by walks from the prior to the posterior.

    The estimate is a lower bound in expectation. Each chain adapts its step size to
    accept about 65 % of the proposals. That is usual, but not covered by the theory,
    which asks for a kernel that does not depend on the chain's past.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape) in the likelihood's support.
        walk: steps, chains and leapfrog steps.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: data of another shape or outside the support, no example.

    References:
        Neal (2001), Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse (2017),
        arXiv:1611.04273.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((2, 1))  # a decoder that ignores z: every weight is ½
        >>> key, walk = jax.random.key(0), Walk(10, 2, 1)
        >>> found = annealed_lower_bound(model, params, key, x, walk=walk)
        >>> found.log_evidence.round(4).tolist(), found.standard_error.max() < 1e-6
        ([-0.693..., -0.693...], Array(True, dtype=bool))
    """
    x = check_in_support(model, x, least=1)
    run = partial(_forward, model, walk, params, key)
    return map_batches(run, np.arange(len(x)), x, batch_size=batch_size)


def annealed_upper_bound(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    z: ArrayLike,
    *,
    walk: Walk = WALK,
    batch_size: int = 25,
) -> AnnealedEstimate:
    """Estimate log p(x) from above, for x drawn from the model with known z.

    The walk goes from z, an exact draw of the posterior, to the prior. Then
    -log mean(1 / w) is an upper bound in expectation.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape), x ~ p(x | z).
        z: (n, latent), z ~ p(z).
        walk: steps, chains and leapfrog steps; all chains of an example start at z.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: as `annealed_lower_bound`; z of another shape or not finite.

    References:
        Grosse, Ghahramani & Adams (2015), arXiv:1511.02543.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x, z = jnp.ones((2, 1)), jnp.zeros((2, 1))
        >>> key, walk = jax.random.key(0), Walk(10, 2, 1)
        >>> found = annealed_upper_bound(model, params, key, x, z, walk=walk)
        >>> found.log_evidence.round(4).tolist()  # no z matters: no gap to enclose
        [-0.693..., -0.693...]
    """
    x = check_in_support(model, x, least=1)
    expected = len(x), model.latent
    check(np.shape(z) == expected, "z's shape", np.shape(z), f"give {expected}")
    finite = abs(seen(jnp.asarray(z))) < np.inf
    check(finite, "z", z, "remove NaN and infinities")
    run = partial(_backward, model, walk, params, key)
    return map_batches(run, np.arange(len(x)), x, z, batch_size=batch_size)


@partial(jax.jit, static_argnums=(0, 1))
def _forward(
    model: VAE, walk: Walk, params: ModelParams, key: Key, index: Array, x: Images
) -> AnnealedEstimate:
    key = jax.random.fold_in(key, index[0])
    chains, path = from_prior(model, walk, params, key, x)
    return AnnealedEstimate(
        bounds.iwae(chains.log_weight),
        bounds.iwae_standard_error(chains.log_weight),
        jnp.mean(path.accepted, axis=(0, 1)),
    )


@partial(jax.jit, static_argnums=(0, 1))
def _backward(
    model: VAE,
    walk: Walk,
    params: ModelParams,
    key: Key,
    index: Array,
    x: Images,
    z: Array,
) -> AnnealedEstimate:
    key = jax.random.fold_in(key, index[0])
    z = jnp.broadcast_to(z, (walk.num_chains, *z.shape))
    betas = temperatures(walk.num_steps)[::-1]
    # The walk's weight is that of 1 / w: its temperatures fall.
    chains, path = anneal(model, params, key, x, z, betas, walk.num_leapfrog)
    return AnnealedEstimate(
        -bounds.iwae(chains.log_weight),
        bounds.iwae_standard_error(chains.log_weight),
        jnp.mean(path.accepted, axis=(0, 1)),
    )
