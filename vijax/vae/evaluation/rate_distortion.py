r"""Rate against distortion of a trained VAE: the best that its decoder can do.

Take z from p_β(z | x) ∝ p(z) p(x | z)^β. The distortion is D = E[-log p(x | z)]. The
rate is what sending such a draw costs where the receiver knows the prior:

    R = KL[p_β(z | x) ‖ p(z)] = -β D - log ∫ p(z) p(x | z)^β dz.

β from 0 to 1 traces the best that the decoder can do with any encoder. At β = 1,
R + D = -log p(x). A VAE's own point, (KL, -E_q log p(x | z)), lies above the curve by
what its encoder loses. One walk of `annealed_sampling` passes through the whole curve.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.batching import map_batches
from vijax.printing import in_digits
from vijax.types import Key
from vijax.vae.evaluation import annealed_walk
from vijax.vae.evaluation.annealed_walk import WALK, Walk
from vijax.vae.input_checks import check_in_support
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.validate import is_traced
from vijax.vi import bounds


class RateDistortionPerExample(NamedTuple):
    """Rate and distortion of each example in nats, from β = 0 upwards."""

    beta: Float[Array, " steps"]
    rate: Float[Array, "examples steps"]
    distortion: Float[Array, "examples steps"]


class RateDistortionCurve(NamedTuple):
    """Means over examples, in nats per example, from β = 0 upwards."""

    beta: Float[Array, " steps"]
    rate: Float[Array, " steps"]  # too high rather than too low, in expectation
    rate_standard_error: Float[Array, " steps"]  # over data sets of this size
    distortion: Float[Array, " steps"]
    distortion_standard_error: Float[Array, " steps"]

    def __str__(self) -> str:
        """Return rate and distortion at five values of β, a line each."""
        if is_traced(self) or np.ndim(self.beta) != 1:
            return f"rate-distortion curves of shape {np.shape(self.beta)}"
        lines = [f"{'β':>5}  {'rate':>16}  {'distortion':>16}   nats per example"]
        steps = [np.argmin(abs(self.beta - beta)) for beta in (0, 0.1, 0.3, 0.6, 1)]
        for step in dict.fromkeys(map(int, steps)):
            beta, *numbers = (leaf[step] for leaf in self)
            rate, distortion = in_digits(*numbers[:2]), in_digits(*numbers[2:])
            lines.append(f"{beta:5.2f}  {rate:>16}  {distortion:>16}")
        return "\n".join(lines)


def rate_distortion_curve(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    walk: Walk = WALK,
    batch_size: int = 25,
) -> RateDistortionCurve:
    """Trace rate against distortion by annealed importance sampling.

    Args:
        model: the VAE.
        params: its parameters.
        key: for the walks.
        x: (n, *shape) in the likelihood's support, n >= 2.
        walk: steps, chains and leapfrog steps; the curve has a point before each step.
        batch_size: examples at once; memory only.

    Raises:
        ValueError: data of another shape or outside the support, fewer than two
            examples.

    References:
        Huang, Makhzani, Cao & Grosse (2020), arXiv:2008.06653; Alemi et al. (2018),
        arXiv:1711.00464.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> x = jnp.ones((2, 1))  # a decoder that ignores z: log 2 nats at no rate
        >>> key, walk = jax.random.key(0), Walk(num_steps=2)
        >>> found = rate_distortion_curve(model, params, key, x, walk=walk)
        >>> found.distortion.round(4).tolist(), abs(found.rate.round(4)).tolist()
        ([0.693..., 0.693...], [0.0, 0.0])
    """
    found = rate_distortion_per_example(
        model, params, key, x, walk=walk, batch_size=batch_size
    )
    return RateDistortionCurve(
        found.beta,
        jnp.mean(found.rate, axis=0),
        bounds.standard_error(found.rate),
        jnp.mean(found.distortion, axis=0),
        bounds.standard_error(found.distortion),
    )


def rate_distortion_per_example(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: ArrayLike,
    *,
    walk: Walk = WALK,
    batch_size: int = 25,
) -> RateDistortionPerExample:
    """Return every example's own curve; the arguments are `rate_distortion_curve`'s.

    Rates of one example at two β, or under two models, share what is particular to the
    example. Their difference has a smaller error than either.

    Raises:
        ValueError: as `rate_distortion_curve`.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((1,), latent=1, hidden=())
        >>> params = jax.tree.map(jnp.zeros_like, models.init(model, jax.random.key(0)))
        >>> walk = Walk(num_steps=2, num_chains=2, num_leapfrog=1)
        >>> key, x = jax.random.key(0), jnp.ones((3, 1))
        >>> found = rate_distortion_per_example(model, params, key, x, walk=walk)
        >>> found.rate.shape  # examples, β
        (3, 2)
    """
    x = check_in_support(model, x)
    apply = partial(_curve, model, walk, params, key)
    rate, distortion = map_batches(apply, np.arange(len(x)), x, batch_size=batch_size)
    return RateDistortionPerExample(
        annealed_walk.temperatures(walk.num_steps)[:-1], rate, distortion
    )


@partial(jax.jit, static_argnums=(0, 1))
def _curve(
    model: VAE, walk: Walk, params: ModelParams, key: Key, index: Array, x: Images
) -> tuple[Float[Array, "batch steps"], Float[Array, "batch steps"]]:
    key = jax.random.fold_in(key, index[0])
    _, path = annealed_walk.from_prior(model, walk, params, key, x)
    share = jax.nn.softmax(path.log_weight, axis=1)  # of each chain
    distortion = -jnp.sum(share * path.log_likelihood, axis=1)
    betas = annealed_walk.temperatures(walk.num_steps)[:-1, None]
    betas = betas.astype(distortion.dtype)
    log_mass = jax.nn.logsumexp(path.log_weight, axis=1) - jnp.log(walk.num_chains)
    return (-betas * distortion - log_mass).T, distortion.T
