r"""Estimators of ∇ E_q[f(z)], q = N(loc, diag(scale²)): the reparametrisation trick.

Each estimator returns one gradient a draw, with respect to `Posterior(loc,
log_scale)`; its mean over draws is unbiased, its spread is what differs. With
z = loc + scale ε and ε ~ N(0, I):

    reparametrised   ∂f/∂z                    scale ε ∂f/∂z
    score function   (f(z) - b) ε / scale     (f(z) - b) (ε² - 1)

For a VAE f(z) = log p(x | z); its KL has a closed form and adds no noise.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.vae.models import Posterior
from vijax.validate import check

Integrand = Callable[[Float[Array, " latent"]], Scalar]


class Draws(NamedTuple):
    """f at draws of z = loc + scale ε, or at the nodes of a quadrature."""

    noise: Float[Array, "draws latent"]  # ε
    values: Float[Array, " draws"]  # f(z)
    slopes: Float[Array, "draws latent"]  # ∂f/∂z


def evaluate(f: Integrand, q: Posterior, noise: Float[Array, "draws latent"]) -> Draws:
    """Return f and its slope at draws; one program for as many estimators as wanted."""
    values, slopes = map_draws(jax.value_and_grad(f), _to_latent(q, noise))
    return Draws(noise, values, slopes)


def reparametrised(
    f: Integrand, q: Posterior, key: Key, *, num_samples: int
) -> Posterior:
    """Return the reparametrised gradient of each draw, (num_samples, latent)."""
    return from_slopes(q, evaluate(f, q, draw_noise(q, key, num_samples)))


def score_function(
    f: Integrand, q: Posterior, key: Key, *, num_samples: int, baseline: bool = False
) -> Posterior:
    """Return the score-function gradient of each draw, (num_samples, latent).

    Args:
        f: needs no gradient, so that z may be discrete.
        q: the Gaussian.
        key: for the draws.
        num_samples: draws, 2 or more.
        baseline: subtract from f the mean of the other draws, which leaves the
            gradient unbiased and takes most of its variance away.
    """
    check(num_samples >= 2, "num_samples", num_samples, "give 2 draws or more")
    noise = draw_noise(q, key, num_samples)
    values = map_draws(f, _to_latent(q, noise))
    return from_values(q, noise, values, baseline=baseline)


def from_slopes(q: Posterior, draws: Draws) -> Posterior:
    """Return the reparametrised gradient of each draw from the slopes of f."""
    return Posterior(draws.slopes, draws.slopes * jnp.exp(q.log_scale) * draws.noise)


def from_values(
    q: Posterior,
    noise: Float[Array, "draws latent"],
    values: Float[Array, " draws"],
    *,
    baseline: bool = False,
) -> Posterior:
    """Return the score-function gradient of each draw from the values of f."""
    if baseline:
        # f_s - mean of the others = (f_s - mean of all) n / (n - 1)
        values = (values - jnp.mean(values)) * len(values) / (len(values) - 1)
    weights = values[:, None]
    return Posterior(weights * noise * jnp.exp(-q.log_scale), weights * (noise**2 - 1))


def exact(f: Integrand, q: Posterior, *, num_nodes: int = 40) -> Posterior:
    """Return the gradient by quadrature: the mean of the reparametrised one.

    Exact for polynomials up to degree 2 num_nodes - 1; for few latent dimensions.
    """
    noise, weights = nodes(q, num_nodes)
    return mean_of(from_slopes(q, evaluate(f, q, noise)), weights)


def mean_of(gradients: Posterior, weights: Float[Array, " draws"]) -> Posterior:
    """Return the weighted sum over draws."""
    return jax.tree.map(lambda gradient: weights @ gradient, gradients)


def expectation(f: Integrand, q: Posterior, *, num_nodes: int = 40) -> Scalar:
    """Return E_q[f(z)] by Gauss-Hermite quadrature, num_nodes in each dimension.

    Example:
        >>> q = Posterior(jnp.array([1.0]), jnp.log(jnp.array([2.0])))
        >>> round(expectation(lambda z: z[0] ** 2, q).item(), 4)
        5.0
    """
    noise, weights = nodes(q, num_nodes)
    return weights @ map_draws(f, _to_latent(q, noise))


def map_draws(f: Callable[[Array], Any], z: Float[Array, "draws latent"]) -> Any:
    """Apply f to every draw, hundreds at once, which bounds the memory."""
    # A size that leaves no rest: the rest would be compiled as a second program.
    sizes = [size for size in range(100, 1001) if len(z) % size == 0]
    return jax.lax.map(f, z, batch_size=max(sizes, default=min(1000, len(z))))


def draw_noise(
    q: Posterior, key: Key, num_samples: int
) -> Float[Array, "draws latent"]:
    """Draw ε ~ N(0, I)."""
    return jax.random.normal(key, (num_samples, *q.loc.shape), q.loc.dtype)


def nodes(
    q: Posterior, num_nodes: int = 40
) -> tuple[Float[Array, "nodes latent"], Float[Array, " nodes"]]:
    """Return nodes and weights of E[·] under N(0, I), a product over dimensions."""
    at, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    grids = np.meshgrid(*[at] * q.loc.shape[-1], indexing="ij")
    products = np.meshgrid(*[weights / weights.sum()] * len(grids), indexing="ij")
    noise = np.stack([grid.ravel() for grid in grids], axis=-1)
    product = np.prod(np.stack(products), axis=0).ravel()
    return jnp.asarray(noise, q.loc.dtype), jnp.asarray(product, q.loc.dtype)


def _to_latent(q: Posterior, noise: Float[Array, "draws latent"]) -> Array:
    return q.loc + jnp.exp(q.log_scale) * noise
