r"""log p(x) by annealed importance sampling: a check that needs no encoder.

Chains walk from the prior to the posterior through p_β(z) ∝ p(z) p(x | z)^β with
Hamiltonian Monte Carlo, and each gathers the weight
log w = Σ_t (β_t - β_{t-1}) log p(x | z_{t-1}). The mean of w is p(x), so its log is a
lower bound in expectation, which rises with the number of steps. Chains start all over
the prior: a mode that q(z | x) misses is found, which `evidence.importance` cannot.

Where x was drawn from the model with a known z, the same walk backwards from that z
gives an upper bound (bidirectional Monte Carlo), and the two enclose log p(x).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from vijax.types import Key
from vijax.vae import losses
from vijax.vae.batching import map_batches
from vijax.vae.evaluate import check_data
from vijax.vae.models import VAE, Images, ModelParams
from vijax.validate import check
from vijax.vi import bounds

TARGET_ACCEPTANCE = 0.65


class Annealed(NamedTuple):
    """Estimates of log p(x), in nats, one for each example."""

    log_evidence: Float[Array, " examples"]  # log of the mean weight of the chains
    standard_error: Float[Array, " examples"]  # from the chains' spread
    acceptance: Float[Array, " examples"]  # of the proposals, mean over the walk


class Chains(NamedTuple):
    """Where the walks stand."""

    z: Float[Array, "chains batch latent"]
    log_weight: Float[Array, "chains batch"]
    log_step: Float[Array, "chains batch"]  # log of the leapfrog's step size


class Path(NamedTuple):
    """What a walk saw on its way, before each of its steps."""

    log_weight: Float[Array, "steps chains batch"]
    log_likelihood: Float[Array, "steps chains batch"]
    accepted: Bool[Array, "steps chains batch"]  # the step's proposal


def annealed(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    num_steps: int = 500,
    num_chains: int = 16,
    num_leapfrog: int = 10,
    batch_size: int = 25,
) -> Annealed:
    """Estimate log p(x) of each example by walks from the prior to the posterior.

    Each chain adapts its step size to accept about 65 % of the proposals, as is usual;
    strictly, a kernel that learns from its past is not the one that the theory asks
    for.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape) in the likelihood's support.
        num_steps: T, temperatures between prior and posterior.
        num_chains: walks for each example.
        num_leapfrog: gradients in each proposal.
        batch_size: examples at once.

    References:
        Neal (2001), Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse (2017),
        arXiv:1611.04273.
    """
    x = check_walk(model, x, num_steps, num_chains, num_leapfrog)
    walk = partial(_forward, model, num_steps, num_chains, num_leapfrog, params, key)
    return map_batches(walk, np.arange(len(x)), x, batch_size=batch_size)


def reverse(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    z: ArrayLike,
    *,
    num_steps: int = 500,
    num_chains: int = 16,
    num_leapfrog: int = 10,
    batch_size: int = 25,
) -> Annealed:
    """Estimate log p(x) from above, for x drawn from the model with known z.

    The walk goes from z, an exact draw of the posterior, to the prior; -log of the
    mean of 1 / w is an upper bound in expectation. The arguments are `annealed`'s.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape), x ~ p(x | z).
        z: (n, latent), z ~ N(0, I).
        num_steps: T.
        num_chains: walks for each example, all from the same z.
        num_leapfrog: gradients in each proposal.
        batch_size: examples at once.

    References:
        Grosse, Ghahramani & Adams (2015), arXiv:1511.02543.
    """
    x = check_walk(model, x, num_steps, num_chains, num_leapfrog)
    expected = len(x), model.latent
    check(np.shape(z) == expected, "z's shape", np.shape(z), f"give {expected}")
    walk = partial(_backward, model, num_steps, num_chains, num_leapfrog, params, key)
    return map_batches(walk, np.arange(len(x)), x, z, batch_size=batch_size)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _forward(
    model: VAE,
    num_steps: int,
    num_chains: int,
    num_leapfrog: int,
    params: ModelParams,
    key: Key,
    index: Array,
    x: Images,
) -> Annealed:
    keys = jax.random.split(jax.random.fold_in(key, index[0]))
    z = jax.random.normal(keys[0], (num_chains, len(x), model.latent), x.dtype)
    betas = temperatures(num_steps)
    chains, path = walk(model, params, keys[1], x, z, betas, num_leapfrog)
    return Annealed(
        bounds.iwae(chains.log_weight),
        bounds.iwae_standard_error(chains.log_weight),
        jnp.mean(path.accepted, axis=(0, 1)),
    )


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _backward(
    model: VAE,
    num_steps: int,
    num_chains: int,
    num_leapfrog: int,
    params: ModelParams,
    key: Key,
    index: Array,
    x: Images,
    z: Array,
) -> Annealed:
    key = jax.random.fold_in(key, index[0])
    z = jnp.broadcast_to(z, (num_chains, *z.shape))
    betas = temperatures(num_steps)[::-1]
    # The walk's weight is that of 1 / w: its temperatures fall.
    chains, path = walk(model, params, key, x, z, betas, num_leapfrog)
    return Annealed(
        -bounds.iwae(chains.log_weight),
        bounds.iwae_standard_error(chains.log_weight),
        jnp.mean(path.accepted, axis=(0, 1)),
    )


def temperatures(num_steps: int) -> Float[Array, " steps"]:
    """Return β from 0 to 1, dense at both ends, where the path bends."""
    path = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, num_steps + 1))
    return (path - path[0]) / (path[-1] - path[0])


def walk(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: Images,
    z: Float[Array, "chains batch latent"],
    betas: Float[Array, " temperatures"],
    num_leapfrog: int,
) -> tuple[Chains, Path]:
    """Weigh the draw at each new temperature, then move it under that temperature.

    Forward and backward are each other's reverse: the draw that is weighed between two
    temperatures was made by moves under the one before.
    """

    def log_likelihood(z: Array) -> Array:
        return losses.log_likelihood(model, params, x, z)

    def step(chains: Chains, inputs: tuple[Array, Array, Array]) -> tuple[Chains, Path]:
        key, before, beta = inputs
        values = log_likelihood(chains.z)
        log_weight = chains.log_weight + (beta - before) * values
        z, accepted = _move(
            key, chains.z, log_likelihood, beta, jnp.exp(chains.log_step), num_leapfrog
        )
        rate = accepted.astype(z.dtype) - TARGET_ACCEPTANCE
        seen = Path(chains.log_weight, values, accepted)
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


def check_walk(
    model: VAE, x: ArrayLike, num_steps: int, num_chains: int, num_leapfrog: int
) -> Images:
    """Put data on the device, or raise a ValueError that names what does not fit."""
    check(num_steps >= 1, "num_steps", num_steps, "give 1 or more")
    check(num_chains >= 2, "num_chains", num_chains, "give 2 or more")
    check(num_leapfrog >= 1, "num_leapfrog", num_leapfrog, "give 1 or more")
    return check_data(model, x)
