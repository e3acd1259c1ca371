r"""Approximate posteriors q(z | x): what an encoder's outputs say about the latents.

    mean_field()               N(loc, diag(scale²)), what a VAE has by default
    full_covariance()          N(loc, L Lᵀ)
    inverse_autoregressive()   a flow, from `autoregressive`
    layered()                  q(z₁ | x) q(z₂ | z₁) …, from `layers`

A family says what the encoder has to return, and makes distributions of it. A
distribution is a pytree of a batch of q, with

    loc                           (…, latent), where noise of zero goes; a normal's mean
    transform(noise)              z, for noise ~ N(0, I): the reparametrisation
    transform_and_log_prob(noise) z and log q(z | x)
    log_prob(z)                   log q(z | x) in nats, (…, latent) -> (…)
    take(index)                   the q of some examples

Draws may have more batch axes in front than q has.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models.memoize import Recipe, cached, reduced

Latents = Float[Array, "... latent"]
LOG_2PI = math.log(2 * math.pi)
MAX_LOG_SCALE = 5.0  # up to which the encoder's second output is the log scale as it is


class Distribution(Protocol):
    """What every q(z | x) has."""

    @property
    def loc(self) -> Latents:
        """Where noise of zero goes."""

    def transform(self, noise: Latents) -> Latents:
        """Map standard normal noise to draws."""

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Map noise to draws, and return their log q."""

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x) in nats."""

    def take(self, index: Array) -> "Distribution":
        """Return the q of some examples."""


class PosteriorFamily(NamedTuple):
    """What the encoder returns, and the q that is made of it."""

    name: str
    code_shape: Callable[[int], tuple[int, ...]]  # of the encoder's output, by latents
    init: Callable[[Key, int], Params]  # parameters beside the encoder's; () for none
    # (all parameters of the model, code (…, *code_shape)) -> q
    distribution: Callable[[Params, Array], Any]
    recipe: Recipe | None = None  # how it was made, for a file

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how pickle makes it again."""
        return reduced(self)


class Posterior(NamedTuple):
    """q(z | x) = N(loc, diag(exp(log_scale)²)), a batch of them."""

    loc: Latents
    log_scale: Latents

    def transform(self, noise: Latents) -> Latents:
        """Return loc + scale ε."""
        return self.loc + jnp.exp(self.log_scale) * noise

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Return loc + scale ε and its log density."""
        log_q = normal_log_prob(noise) - jnp.sum(self.log_scale, axis=-1)
        return self.transform(noise), log_q

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x)."""
        noise = (z - self.loc) * jnp.exp(-self.log_scale)
        return normal_log_prob(noise) - jnp.sum(self.log_scale, axis=-1)

    def take(self, index: Array) -> "Posterior":
        """Return the q of some examples."""
        return Posterior(self.loc[index], self.log_scale[index])


class FullPosterior(NamedTuple):
    """q(z | x) = N(loc, L Lᵀ), a batch of them.

    Example:
        >>> q = FullPosterior(jnp.zeros(2), jnp.array([[2.0, 0.0], [1.0, 0.5]]))
        >>> q.transform(jnp.array([1.0, 2.0])).tolist()
        [2.0, 2.0]
        >>> round(q.log_prob(jnp.array([2.0, 2.0])).item(), 5)  # -log 2π - 5/2
        -4.33788
    """

    loc: Latents
    scale_tril: Float[Array, "... latent latent"]  # L, lower triangular

    def transform(self, noise: Latents) -> Latents:
        """Return loc + L ε."""
        return self.loc + jnp.einsum("...ij,...j->...i", self.scale_tril, noise)

    def transform_and_log_prob(self, noise: Latents) -> tuple[Latents, Array]:
        """Return loc + L ε and its log density."""
        return self.transform(noise), normal_log_prob(noise) - self._log_det()

    def log_prob(self, z: Latents) -> Array:
        """Return log q(z | x)."""
        solve = jnp.vectorize(_solve_lower, signature="(n,n),(n)->(n)")
        noise = solve(self.scale_tril, z - self.loc)
        return normal_log_prob(noise) - self._log_det()

    def take(self, index: Array) -> "FullPosterior":
        """Return the q of some examples."""
        return FullPosterior(self.loc[index], self.scale_tril[index])

    def _log_det(self) -> Array:
        diagonal = jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)
        return jnp.sum(jnp.log(diagonal), axis=-1)


def kl_full_to_standard(q: FullPosterior) -> Array:
    """KL[N(loc, L Lᵀ) ‖ N(0, I)] in nats: (|L|² + |loc|² - latent) / 2 - log det L.

    Example:
        >>> q = FullPosterior(jnp.array([1.0, 2.0]), jnp.eye(2))
        >>> kl_full_to_standard(q).item()
        2.5
    """
    square = jnp.sum(q.scale_tril**2, axis=(-2, -1)) + jnp.sum(q.loc**2, axis=-1)
    return 0.5 * (square - q.loc.shape[-1]) - q._log_det()


def normal_log_prob(noise: Latents) -> Array:
    """Return log N(ε | 0, I), summed over the last axis.

    Example:
        >>> round(normal_log_prob(jnp.zeros(2)).item(), 5)
        -1.83788
    """
    return -0.5 * jnp.sum(noise**2 + LOG_2PI, axis=-1)


@cached
def mean_field() -> PosteriorFamily:
    """Return the family of normals with a diagonal covariance, the default.

    Example:
        >>> mean_field().code_shape(3)
        (2, 3)
    """
    return PosteriorFamily(
        "mean field",
        lambda latent: (2, latent),
        _no_params,
        lambda params, code: from_moments(code),
    )


@cached
def full_covariance() -> PosteriorFamily:
    """Return the family of normals with all correlations of the latents.

    Its KL to N(0, I) keeps a closed form. The encoder returns latent + 2 rows: loc, the
    log of L's diagonal, and L below its diagonal, row by row over the diagonal's.

    Example:
        >>> import jax
        >>> from vijax.vae import models
        >>> model = models.vae((4,), latent=3, posterior=full_covariance())
        >>> params = models.init(model, jax.random.key(0))
        >>> models.encode(model, params, jnp.zeros((5, 4))).scale_tril.shape
        (5, 3, 3)
    """

    def distribution(params: Params, code: Array) -> FullPosterior:
        diagonal = jnp.exp(bounded_log_scale(code[..., 1, :]))
        unit = jnp.eye(code.shape[-1], dtype=code.dtype)
        lower = jnp.tril(code[..., 2:, :], -1) + unit
        return FullPosterior(code[..., 0, :], diagonal[..., :, None] * lower)

    return PosteriorFamily(
        "full covariance",
        lambda latent: (latent + 2, latent),
        _no_params,
        distribution,
    )


def from_moments(code: Float[Array, "... 2 latent"]) -> Posterior:
    """Return N(loc, diag(scale²)) from loc and log_scale, the latter bounded."""
    return Posterior(code[..., 0, :], bounded_log_scale(code[..., 1, :]))


def bounded_log_scale(log_scale: Array) -> Array:
    """Return MAX_LOG_SCALE + log(1 + excess) above it, so that no scale overflows.

    Of one wild number among the data the KL is then large, and finite: exp(2 log_scale)
    would overflow at 44.
    """
    excess = jnp.maximum(log_scale - MAX_LOG_SCALE, 0)
    return jnp.minimum(log_scale, MAX_LOG_SCALE) + jnp.log1p(excess)


def _no_params(key: Key, latent: int) -> Params:
    return ()


def _solve_lower(tril: Array, x: Array) -> Array:
    return solve_triangular(tril, x, lower=True)
