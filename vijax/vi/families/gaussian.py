r"""Normal families: a diagonal covariance (mean field) and a full one."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.precision import full_precision
from vijax.types import Key, Scalar
from vijax.vi.families.base import LOG_2PI, normal_draws, normal_log_prob


@dataclass(frozen=True)
class MeanField:
    """The family N(loc, diag(scale²)): every unknown on its own."""

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "DiagonalNormal":
        """Return N(loc, diag(scale²))."""
        return DiagonalNormal(loc, jnp.log(scale))


@dataclass(frozen=True)
class FullRank:
    """The family N(loc, L Lᵀ), L lower triangular: all correlations."""

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "FullRankNormal":
        """Return N(loc, diag(scale²))."""
        lower = jnp.zeros((loc.size, loc.size), loc.dtype)
        return FullRankNormal(loc, jnp.log(scale), lower)


class DiagonalNormal(NamedTuple):
    r"""q(z) = N(loc, diag(scale²)).

    Example:
        >>> q = MeanField().init(jnp.zeros(2), jnp.ones(2))
        >>> round(q.entropy().item(), 6), round(q.log_prob(jnp.zeros(2)).item(), 6)
        (2.837877, -1.837877)
    """

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return True

    @property
    def richer(self) -> str:
        """The family to try where q is too poor."""
        return "full_rank"

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + scale * eps."""
        return self.loc + jnp.exp(self.log_scale) * eps

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        eps = (z - self.loc) * jnp.exp(-self.log_scale)
        return normal_log_prob(eps, jnp.sum(self.log_scale))

    def entropy(self) -> Scalar:
        """Return Σ_j (log scale_j + ½ log 2πe)."""
        return jnp.sum(self.log_scale + 0.5 * (1 + LOG_2PI))

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        return jnp.exp(self.log_scale)

    @np.errstate(all="ignore")
    def coordinates(self) -> tuple[Any, Any]:
        """Return (m, s), so that z = m + s * v with v ~ N(0, I)."""
        xp = array_module(self)
        return xp.asarray(self.loc), xp.exp(xp.asarray(self.log_scale))

    def affine(self, loc: Any, scale: Any) -> "DiagonalNormal":
        """Return the distribution of loc + scale * z, the scale a vector."""
        xp = array_module(self, loc, scale)
        mine, log_scale = xp.asarray(self.loc), xp.asarray(self.log_scale)
        return DiagonalNormal(loc + scale * mine, log_scale + xp.log(scale))


class FullRankNormal(NamedTuple):
    r"""q(z) = N(loc, L Lᵀ), L = lower (below its diagonal) + diag(exp(log_diagonal)).

    Example:
        >>> q = FullRank().init(jnp.zeros(2), jnp.array([1.0, 2.0]))
        >>> q.scale_tril.tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """

    loc: Float[Array, "..."]
    log_diagonal: Float[Array, "..."]
    lower: Float[Array, "..."]  # (dim, dim); entries on and above the diagonal unused

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return True

    @property
    def richer(self) -> str:
        """The family to try where q is too poor."""
        return "flow"

    @classmethod
    def from_tril(cls, loc: Any, tril: Any) -> "FullRankNormal":
        """Return N(loc, tril trilᵀ), tril with a positive diagonal."""
        xp = array_module(loc, tril)
        loc, log_diagonal = xp.asarray(loc), xp.log(xp.diag(tril))
        return cls(loc, log_diagonal, xp.tril(tril, -1))

    @property
    def scale_tril(self) -> Float[Array, "dim dim"]:
        """The lower triangular L."""
        return jnp.asarray(self.coordinates()[1])

    @full_precision
    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + L eps."""
        return self.loc + eps @ self.scale_tril.T

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        centred = jnp.reshape(z - self.loc, (-1, self.loc.size)).T
        eps = solve_triangular(self.scale_tril, centred, lower=True)
        log_prob = normal_log_prob(eps.T, jnp.sum(self.log_diagonal))
        return jnp.reshape(log_prob, z.shape[:-1])

    def entropy(self) -> Scalar:
        """Return Σ_j (log L_jj + ½ log 2πe)."""
        return jnp.sum(self.log_diagonal + 0.5 * (1 + LOG_2PI))

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        return jnp.sqrt(jnp.sum(self.scale_tril**2, axis=1))

    @np.errstate(all="ignore")
    def coordinates(self) -> tuple[Any, Any]:
        """Return (m, L), so that z = m + L v with v ~ N(0, I)."""
        xp = array_module(self)
        diagonal = xp.diag(xp.exp(xp.asarray(self.log_diagonal)))
        return xp.asarray(self.loc), xp.tril(xp.asarray(self.lower), -1) + diagonal

    def affine(self, loc: Any, tril: Any) -> "FullRankNormal":
        """Return the distribution of loc + tril z, tril lower triangular."""
        mine, root = self.coordinates()
        return self.from_tril(loc + tril @ mine, tril @ root)
