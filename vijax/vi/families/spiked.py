"""A normal q stretched along a few directions, as quasi-Newton methods find it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key, Scalar
from vijax.vi.families.base import LOG_2PI, normal_draws, normal_log_prob


class SpikedNormal(NamedTuple):
    r"""q = N(loc, D (I + U S Uᵀ)² D): a diagonal, stretched along a few directions.

    z = loc + d ∘ (ε + U (s ∘ Uᵀ ε)), U of orthonormal columns, s > −1.

    Example:
        >>> one = jnp.ones(2)
        >>> along = jnp.array([[1.0], [0.0]])
        >>> q = SpikedNormal(0 * one, 0 * one, along, jnp.array([2.0]))
        >>> q.scale().tolist(), round(q.entropy().item(), 5)
        ([3.0, 1.0], 3.93649)
    """

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]  # log d
    directions: Float[Array, "..."]  # U, (dim, directions)
    stretch: Float[Array, "..."]  # s

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return True

    @property
    def richer(self) -> str:
        """The family to try where q is too poor."""
        return "full_rank"

    @full_precision
    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + d (ε + U (s Uᵀ ε))."""
        along = (eps @ self.directions) * self.stretch
        mixed = eps + along @ self.directions.T
        return self.loc + jnp.exp(self.log_scale) * mixed

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc))

    @full_precision
    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        v = (z - self.loc) * jnp.exp(-self.log_scale)
        along = (v @ self.directions) * (self.stretch / (1 + self.stretch))
        eps = v - along @ self.directions.T
        return normal_log_prob(eps, self._log_det())

    def entropy(self) -> Scalar:
        """Return log det + dim/2 log 2πe."""
        return self._log_det() + 0.5 * self.loc.size * (1 + LOG_2PI)

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        extra = self.directions**2 @ ((1 + self.stretch) ** 2 - 1)
        return jnp.exp(self.log_scale) * jnp.sqrt(1 + extra)

    def _log_det(self) -> Scalar:
        return jnp.sum(self.log_scale) + jnp.sum(jnp.log1p(self.stretch))
