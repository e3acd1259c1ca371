r"""Estimators of ∇ E_q[f(z)], q = N(loc, diag(scale²)): the reparametrisation trick.

Each estimator returns one gradient for each draw of z, with respect to
`Posterior(loc, log_scale)`. The mean of every estimator is the exact gradient; they
differ in how much they scatter. With z = loc + scale ε and ε ~ N(0, I):

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
from vijax.vae.models.posteriors import Posterior
from vijax.validate import check, is_whole

Integrand = Callable[[Float[Array, " latent"]], Scalar]


class Draws(NamedTuple):
    """f at draws of z = loc + scale ε, or at the nodes of a quadrature."""

    noise: Float[Array, "draws latent"]  # ε
    values: Float[Array, " draws"]  # f(z)
    slopes: Float[Array, "draws latent"]  # ∂f/∂z


def evaluate(f: Integrand, q: Posterior, noise: Float[Array, "draws latent"]) -> Draws:
    """Return f and its slope at draws; one program for as many estimators as wanted.

    Example:
        >>> q = Posterior(jnp.array([1.0]), jnp.zeros(1))
        >>> draws = evaluate(lambda z: z[0] ** 2, q, jnp.array([[0.0], [1.0]]))
        >>> draws.values.tolist(), draws.slopes.ravel().tolist()
        ([1.0, 4.0], [2.0, 4.0])
    """
    values, slopes = map_draws(jax.value_and_grad(f), _to_latent(q, noise))
    return Draws(noise, values, slopes)


def reparametrised(
    f: Integrand, q: Posterior, key: Key, *, num_samples: int
) -> Posterior:
    """Return the reparametrised gradient of each draw, (num_samples, latent).

    Raises:
        ValueError: `num_samples` is not a whole number of 1 or more.

    Example:
        >>> q, key = Posterior(jnp.array([1.0]), jnp.zeros(1)), jax.random.key(0)
        >>> found = reparametrised(lambda z: 3 * z[0], q, key, num_samples=2)
        >>> found.loc.ravel().tolist()  # no noise where f is linear
        [3.0, 3.0]
    """
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

    Raises:
        ValueError: `num_samples` is below 2.

    Example:
        >>> q, key = Posterior(jnp.array([1.0]), jnp.zeros(1)), jax.random.key(0)
        >>> found = score_function(lambda z: 3 * z[0], q, key, num_samples=40_000)
        >>> abs(found.loc.mean() - 3).item() < 0.15  # a draw's sd is 5.2
        True
    """
    check(num_samples >= 2, "num_samples", num_samples, "give 2 draws or more")
    noise = draw_noise(q, key, num_samples)
    values = map_draws(f, _to_latent(q, noise))
    return from_values(q, noise, values, baseline=baseline)


def from_slopes(q: Posterior, draws: Draws) -> Posterior:
    """Return the reparametrised gradient of each draw from the slopes of f.

    Example:
        >>> q = Posterior(jnp.zeros(1), jnp.log(jnp.array([2.0])))
        >>> draws = Draws(jnp.array([[0.5]]), jnp.array([7.0]), jnp.array([[3.0]]))
        >>> [gradient.item() for gradient in from_slopes(q, draws)]  # 3, and 3 · 2 · ½
        [3.0, 3.0]
    """
    return Posterior(draws.slopes, draws.slopes * jnp.exp(q.log_scale) * draws.noise)


def from_values(
    q: Posterior,
    noise: Float[Array, "draws latent"],
    values: Float[Array, " draws"],
    *,
    baseline: bool = False,
) -> Posterior:
    """Return the score-function gradient of each draw from the values of f.

    Example:
        >>> q = Posterior(jnp.zeros(1), jnp.log(jnp.array([2.0])))
        >>> found = from_values(q, jnp.array([[3.0]]), jnp.array([5.0]))
        >>> [gradient.item() for gradient in found]  # 5 · 3 / 2, and 5 · (9 - 1)
        [7.5, 40.0]
    """
    if baseline:
        # f_s - mean of the others = (f_s - mean of all) n / (n - 1)
        values = (values - jnp.mean(values)) * len(values) / (len(values) - 1)
    weights = values[:, None]
    return Posterior(weights * noise * jnp.exp(-q.log_scale), weights * (noise**2 - 1))


def exact(f: Integrand, q: Posterior, *, num_nodes: int = 40) -> Posterior:
    """Return the gradient by quadrature: the mean of the reparametrised one.

    Exact for polynomials up to degree 2 num_nodes - 1; for few latent dimensions.

    Raises:
        ValueError: `num_nodes` is not a whole number of 1 or more.

    Example:
        >>> q = Posterior(jnp.array([1.0]), jnp.log(jnp.array([2.0])))
        >>> found = exact(lambda z: z[0] ** 2, q)  # of loc² + scale²: 2 loc, 2 scale²
        >>> [round(gradient.item(), 3) for gradient in found]
        [2.0, 8.0]
    """
    noise, weights = nodes(q, num_nodes)
    return mean_of(from_slopes(q, evaluate(f, q, noise)), weights)


def mean_of(gradients: Posterior, weights: Float[Array, " draws"]) -> Posterior:
    """Return the weighted sum over draws.

    Example:
        >>> gradients = Posterior(jnp.array([[1.0], [3.0]]), jnp.array([[0.0], [4.0]]))
        >>> [gradient.item() for gradient in mean_of(gradients, jnp.array([0.5, 0.5]))]
        [2.0, 2.0]
    """
    return jax.tree.map(lambda gradient: weights @ gradient, gradients)


def expectation(f: Integrand, q: Posterior, *, num_nodes: int = 40) -> Scalar:
    """Return E_q[f(z)] by Gauss-Hermite quadrature, num_nodes in each dimension.

    Raises:
        ValueError: `num_nodes` is not a whole number of 1 or more.

    Example:
        >>> q = Posterior(jnp.array([1.0]), jnp.log(jnp.array([2.0])))
        >>> round(expectation(lambda z: z[0] ** 2, q).item(), 4)
        5.0
    """
    noise, weights = nodes(q, num_nodes)
    return weights @ map_draws(f, _to_latent(q, noise))


def map_draws(f: Callable[[Array], Any], z: Float[Array, "draws latent"]) -> Any:
    """Apply f to every draw, hundreds at once, which bounds the memory.

    Example:
        >>> map_draws(jnp.sum, jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [3.0, 7.0]
    """
    # A size that leaves no rest: the rest would be compiled as a second program.
    sizes = [size for size in range(100, 1001) if len(z) % size == 0]
    return jax.lax.map(f, z, batch_size=max(sizes, default=min(1000, len(z))))


def draw_noise(
    q: Posterior, key: Key, num_samples: int
) -> Float[Array, "draws latent"]:
    """Draw ε ~ N(0, I), `num_samples` times, 1 or more.

    Raises:
        ValueError: `num_samples` is not a whole number of 1 or more.

    Example:
        >>> q = Posterior(jnp.zeros(2), jnp.zeros(2))
        >>> draw_noise(q, jax.random.key(0), 5).shape
        (5, 2)
    """
    remedy = "give 1 draw or more"
    check(
        is_whole(num_samples) and num_samples >= 1, "num_samples", num_samples, remedy
    )
    return jax.random.normal(key, (num_samples, *q.loc.shape), q.loc.dtype)


def nodes(
    q: Posterior, num_nodes: int = 40
) -> tuple[Float[Array, "nodes latent"], Float[Array, " nodes"]]:
    """Return nodes and weights of E[·] under N(0, I), a product over dimensions.

    Raises:
        ValueError: `num_nodes` is not a whole number of 1 or more.

    Example:
        >>> at, weights = nodes(Posterior(jnp.zeros(1), jnp.zeros(1)), 3)
        >>> at.ravel().round(3).tolist(), weights.round(3).tolist()
        ([-1.73..., 0.0, 1.73...], [0.16..., 0.66..., 0.16...])
    """
    remedy = "give 1 or more"
    check(is_whole(num_nodes) and num_nodes >= 1, "num_nodes", num_nodes, remedy)
    at, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    grids = np.meshgrid(*[at] * q.loc.shape[-1], indexing="ij")
    products = np.meshgrid(*[weights / weights.sum()] * len(grids), indexing="ij")
    noise = np.stack([grid.ravel() for grid in grids], axis=-1)
    product = np.prod(np.stack(products), axis=0).ravel()
    return jnp.asarray(noise, q.loc.dtype), jnp.asarray(product, q.loc.dtype)


def _to_latent(q: Posterior, noise: Float[Array, "draws latent"]) -> Array:
    return q.loc + jnp.exp(q.log_scale) * noise
