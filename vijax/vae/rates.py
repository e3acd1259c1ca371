r"""Rate against distortion of a trained VAE: what its code costs, at every quality.

For p_β(z | x) ∝ p(z) p(x | z)^β the distortion is D = E[-log p(x | z)], and the rate,
what a draw of it costs where the receiver knows the prior, is

    R = KL[p_β(z | x) ‖ p(z)] = -β D - log ∫ p(z) p(x | z)^β dz.

β from 0 to 1 traces the best that the decoder can do, whatever its encoder: at β = 1,
R + D = -log p(x). A VAE's own point, (KL, -E_q log p(x | z)), lies on the far side of
the curve by as much as its encoder loses. The walk of `annealing` passes all of it.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.vae import annealing
from vijax.vae.batching import map_batches
from vijax.vae.evaluate import standard_error
from vijax.vae.models import VAE, Images, ModelParams


class Curve(NamedTuple):
    """Means over examples, in nats per example, from β = 0 upwards."""

    beta: Float[Array, " steps"]
    rate: Float[Array, " steps"]  # too high rather than too low, in expectation
    rate_standard_error: Float[Array, " steps"]  # if the data are a sample
    distortion: Float[Array, " steps"]
    distortion_standard_error: Float[Array, " steps"]


def curve(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    num_steps: int = 500,
    num_chains: int = 16,
    num_leapfrog: int = 10,
    batch_size: int = 25,
) -> Curve:
    """Trace rate against distortion by annealed importance sampling.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape) in the likelihood's support, n >= 2.
        num_steps: temperatures from the prior on; the posterior's, β = 1, is the next.
        num_chains: walks for each example.
        num_leapfrog: gradients in each proposal.
        batch_size: examples at once.

    Raises:
        ValueError: data of another shape or outside the support, a setting below 1.

    References:
        Huang, Makhzani, Cao & Grosse (2020), arXiv:2008.06653; Alemi et al. (2018),
        arXiv:1711.00464.

    Example:
        >>> from vijax.vae import models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((2, 1))  # a decoder that ignores z: log 2 nats at no rate
        >>> found = curve(model, params, jax.random.key(0), x, num_steps=2)
        >>> found.distortion.round(4).tolist(), abs(found.rate.round(4)).tolist()
        ([0.693..., 0.693...], [0.0, 0.0])
    """
    x = annealing.check_walk(model, x, num_steps, num_chains, num_leapfrog)
    apply = partial(_curve, model, num_steps, num_chains, num_leapfrog, params, key)
    rate, distortion = map_batches(apply, np.arange(len(x)), x, batch_size=batch_size)
    error = jax.vmap(standard_error, in_axes=1)
    return Curve(
        annealing.temperatures(num_steps)[:-1],
        jnp.mean(rate, axis=0),
        error(rate),
        jnp.mean(distortion, axis=0),
        error(distortion),
    )


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _curve(
    model: VAE,
    num_steps: int,
    num_chains: int,
    num_leapfrog: int,
    params: ModelParams,
    key: Key,
    index: Array,
    x: Images,
) -> tuple[Float[Array, "batch steps"], Float[Array, "batch steps"]]:
    keys = jax.random.split(jax.random.fold_in(key, index[0]))
    z = jax.random.normal(keys[0], (num_chains, len(x), model.latent), x.dtype)
    betas = annealing.temperatures(num_steps)
    _, path = annealing.walk(model, params, keys[1], x, z, betas, num_leapfrog)
    share = jax.nn.softmax(path.log_weight, axis=1)  # of each chain
    distortion = -jnp.sum(share * path.log_likelihood, axis=1)
    log_mass = jax.nn.logsumexp(path.log_weight, axis=1) - jnp.log(num_chains)
    rate = -betas[:-1, None] * distortion - log_mass
    return rate.T, distortion.T
