r"""log p(x) by annealed importance sampling, which needs no encoder.

Chains walk from the prior to the posterior through p_β(z) ∝ p(z) p(x | z)^β by
Hamiltonian Monte Carlo. Each gathers the weight
log w = Σ_t (β_t - β_{t-1}) log p(x | z_{t-1}). The mean of w is p(x), so the log of
that mean is a lower bound in expectation. More steps raise it. Chains start all over
the prior, so they find modes that q(z | x), and with it importance sampling, misses.

Where x was drawn from the model and its z is known, the same walk backwards from z
gives an upper bound (bidirectional Monte Carlo). The two enclose log p(x).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.batching import map_batches
from vijax.types import Key
from vijax.vae.input_checks import check_in_support
from vijax.vae.models import losses
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.validate import check, is_whole, seen
from vijax.vi import bounds

TARGET_ACCEPTANCE = 0.65


@dataclass(frozen=True)
class Walk:
    """How long the chains walk; the time grows with the product of all three.

    Attributes:
        num_steps: T, temperatures from the prior to the posterior, 1 or more.
        num_chains: chains for each example, 2 or more.
        num_leapfrog: gradients in each proposal, 1 or more.

    Raises:
        ValueError: a number that is not whole, or too small.
    """

    num_steps: int = 500
    num_chains: int = 16
    num_leapfrog: int = 10

    def __post_init__(self) -> None:
        """Raise a ValueError that names what is out of its range."""
        for name, least in (("num_steps", 1), ("num_chains", 2), ("num_leapfrog", 1)):
            value = getattr(self, name)
            valid = is_whole(value) and value >= least
            check(valid, name, value, f"give {least} or more")


WALK = Walk()


class AnnealedEstimate(NamedTuple):
    """Estimates of log p(x) in nats, one for each example."""

    log_evidence: Float[Array, " examples"]  # log of the mean weight of the chains
    standard_error: Float[Array, " examples"]  # over chains
    acceptance: Float[Array, " examples"]  # share of proposals taken, over the walk


class Chains(NamedTuple):
    """Where all chains stand at one temperature."""

    z: Float[Array, "chains batch latent"]
    log_weight: Float[Array, "chains batch"]
    log_step: Float[Array, "chains batch"]  # log of the leapfrog's step size


class WalkRecord(NamedTuple):
    """What the chains saw on their way, before each step."""

    log_weight: Float[Array, "steps chains batch"]
    log_likelihood: Float[Array, "steps chains batch"]
    accepted: Bool[Array, "steps chains batch"]  # the step's proposal


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
        ValueError: data of another shape or outside the support, fewer than two
            examples.

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
    x = check_in_support(model, x)
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
        z: (n, latent), z ~ N(0, I).
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
    x = check_in_support(model, x)
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


def temperatures(num_steps: int) -> Float[Array, " steps"]:
    """Return β from 0 to 1, dense at both ends, where the path bends.

    Example:
        >>> temperatures(4).round(3).tolist()
        [0.0, 0.10..., 0.5, 0.89..., 1.0]
    """
    path = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, num_steps + 1))
    return (path - path[0]) / (path[-1] - path[0])


def from_prior(
    model: VAE, walk: Walk, params: ModelParams, key: Key, x: Images
) -> tuple[Chains, WalkRecord]:
    """Walk from draws of the prior to the posterior of each example.

    Returns:
        Where the chains end, and what they saw before each step.
    """
    keys = jax.random.split(key)
    z = jax.random.normal(keys[0], (walk.num_chains, len(x), model.latent), x.dtype)
    betas = temperatures(walk.num_steps)
    return anneal(model, params, keys[1], x, z, betas, walk.num_leapfrog)


def anneal(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: Images,
    z: Float[Array, "chains batch latent"],
    betas: Float[Array, " temperatures"],
    num_leapfrog: int,
) -> tuple[Chains, WalkRecord]:
    """Weigh the draws at each new temperature, then move them under it.

    A walk along rising temperatures and one along falling ones are each other's
    reverse: the draw weighed between two temperatures was moved under the one before.
    """
    # One type for all that the walk carries: temperatures alone would widen it.
    dtype = jnp.result_type(x, z)
    z, betas = z.astype(dtype), betas.astype(dtype)

    def log_likelihood(z: Array) -> Array:
        return losses.log_likelihood(model, params, x, z)

    def step(
        chains: Chains, inputs: tuple[Array, Array, Array]
    ) -> tuple[Chains, WalkRecord]:
        key, before, beta = inputs
        values = log_likelihood(chains.z)
        log_weight = chains.log_weight + (beta - before) * values
        z, accepted = _move(
            key, chains.z, log_likelihood, beta, jnp.exp(chains.log_step), num_leapfrog
        )
        rate = accepted.astype(z.dtype) - TARGET_ACCEPTANCE
        seen = WalkRecord(chains.log_weight, values, accepted)
        return Chains(z, log_weight, chains.log_step + 0.05 * rate), seen

    zero = jnp.zeros(z.shape[:-1], z.dtype)
    start = Chains(z, zero, zero + jnp.log(0.1))
    keys = jax.random.split(key, len(betas) - 1)
    return jax.lax.scan(step, start, (keys, betas[:-1], betas[1:]))


def _move(
    key: Key,
    z: Array,
    log_likelihood: Callable[[Array], Array],
    beta: Array,
    step_size: Float[Array, "chains batch"],
    num_leapfrog: int,
) -> tuple[Array, Array]:
    """Take one Hamiltonian Monte Carlo step of p(z) p(x | z)^β."""

    def log_density(z: Array) -> Array:
        return beta * log_likelihood(z) - 0.5 * jnp.sum(z**2, axis=-1)

    slope = jax.grad(lambda z: jnp.sum(log_density(z)))
    keys = jax.random.split(key)
    size = step_size[..., None]
    momentum = jax.random.normal(keys[0], z.shape, z.dtype)

    def leap(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        z, half = state
        z = z + size * half
        return z, half + size * slope(z)

    half = momentum + 0.5 * size * slope(z)
    end, half = jax.lax.fori_loop(0, num_leapfrog, leap, (z, half))
    last = half - 0.5 * size * slope(end)
    energy = log_density(end) - 0.5 * jnp.sum(last**2, axis=-1)
    energy -= log_density(z) - 0.5 * jnp.sum(momentum**2, axis=-1)
    accepted = jnp.log(jax.random.uniform(keys[1], energy.shape, z.dtype)) < energy
    return jnp.where(accepted[..., None], end, z), accepted
