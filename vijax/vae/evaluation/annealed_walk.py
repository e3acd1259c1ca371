r"""The walk of annealed importance sampling, from the prior to the posterior.

Chains go through the densities p_β(z) ∝ p(z) p(x | z)^β while β rises from 0 to 1, or
falls from 1 to 0. At each new β every chain is weighed, then moved by one step of
Hamiltonian Monte Carlo under the new density.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vijax.types import Key
from vijax.vae.models import bound_terms
from vijax.vae.models.autoencoders import VAE, Images, ModelParams, prior_of
from vijax.vae.models.priors import StandardNormal
from vijax.validate import check, is_whole

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
    z = _first_draws(model, params, keys[0], walk.num_chains, x)
    betas = temperatures(walk.num_steps)
    return anneal(model, params, keys[1], x, z, betas, walk.num_leapfrog)


def _first_draws(
    model: VAE, params: ModelParams, key: Key, num_chains: int, x: Images
) -> Float[Array, "chains batch latent"]:
    p, shape = prior_of(model, params, x), (num_chains, len(x), model.latent)
    if isinstance(p, StandardNormal):
        return jax.random.normal(key, shape, x.dtype)
    conditional = hasattr(model.prior.distribution(model, params), "given")
    z = p.sample(key, num_chains if conditional else num_chains * len(x))
    return z.reshape(shape).astype(x.dtype)


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

    p = prior_of(model, params, x)

    def log_likelihood(z: Array) -> Array:
        return bound_terms.log_likelihood(model, params, x, z)

    def log_prior(z: Array) -> Array:
        if isinstance(p, StandardNormal):  # its constant cancels
            return -0.5 * jnp.sum(z**2, axis=-1)
        return p.log_prob(z)

    def step(
        chains: Chains, inputs: tuple[Array, Array, Array]
    ) -> tuple[Chains, WalkRecord]:
        key, before, beta = inputs
        values = log_likelihood(chains.z)
        log_weight = chains.log_weight + (beta - before) * values

        def log_density(z: Array) -> Array:
            return beta * log_likelihood(z) + log_prior(z)

        step_size = jnp.exp(chains.log_step)
        z, accepted = _move(key, chains.z, log_density, step_size, num_leapfrog)
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
    log_density: Callable[[Array], Array],
    step_size: Float[Array, "chains batch"],
    num_leapfrog: int,
) -> tuple[Array, Array]:
    """Take one Hamiltonian Monte Carlo step of a density, here p(z) p(x | z)^β."""
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
