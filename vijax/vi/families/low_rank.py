r"""A normal q whose covariance is a diagonal plus a matrix of low rank.

    z = loc + d ∘ (ε + W Wᵀ ε),    W of shape (dim, rank)
    covariance = D (I + W Wᵀ)² D = D² + D W (2 I + Wᵀ W) Wᵀ D

Every covariance D² + D V Vᵀ D of that rank can be reached (W has V's left singular
vectors and t with t⁴ + 2 t² = s² for each singular value s), from as many normal
numbers as there are unknowns; determinant and inverse cost dim · rank², by Woodbury.

References:
    Ong, Nott & Smith (2018), J. Comput. Graph. Stat. 27(3), arXiv:1701.03208.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key, Scalar
from vijax.validate import check
from vijax.vi.families.base import LOG_2PI, normal_draws, normal_log_prob
from vijax.vi.families.gaussian import MeanField


@dataclass(frozen=True)
class LowRank:
    """The family of a diagonal covariance and `rank` directions, for many unknowns.

    Raises:
        ValueError: for a rank below 1.
    """

    rank: int = 10

    def __post_init__(self) -> None:
        check(self.rank >= 1, "rank", self.rank, "give 1 or more")

    @property
    def start(self) -> MeanField:
        """The normal family whose answer gives the coordinates to start in."""
        return MeanField()

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "LowRankNormal":
        """Return about N(loc, diag(scale²)): W = 0 would be a saddle."""
        shape = (loc.size, min(self.rank, loc.size))
        # The same directions for every fit: a start, not random numbers.
        factor = 0.1 * np.random.default_rng(0).normal(size=shape) / shape[0] ** 0.5
        return LowRankNormal(loc, jnp.log(scale), jnp.asarray(factor, loc.dtype))


class LowRankNormal(NamedTuple):
    r"""q(z) = N(loc, D² + D W (2 I + Wᵀ W) Wᵀ D).

    Example:
        >>> q = LowRank(rank=1).init(jnp.zeros(3), jnp.ones(3))._replace(
        ...     factor=jnp.ones((3, 1)))
        >>> [round(sd, 4) for sd in q.scale().tolist()], round(q.entropy().item(), 4)
        ([2.4495, 2.4495, 2.4495], 5.6431)
    """

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]  # log d
    factor: Float[Array, "..."]  # W, (dim, rank)

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return True

    @property
    def richer(self) -> str:
        """The family to try where q is too poor."""
        return "flow"

    @full_precision
    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + d (ε + W Wᵀ ε)."""
        mixed = eps + (eps @ self.factor) @ self.factor.T
        return self.loc + jnp.exp(self.log_scale) * mixed

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc))

    @full_precision
    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        v = (z - self.loc) * jnp.exp(-self.log_scale)
        # (I + W Wᵀ)⁻¹ = I − W (I + Wᵀ W)⁻¹ Wᵀ
        inner = jnp.linalg.solve(self._gram(), self.factor.T)
        eps = v - (v @ self.factor) @ inner
        return normal_log_prob(eps, self._log_det())

    def entropy(self) -> Scalar:
        """Return log det + dim/2 log 2πe."""
        return self._log_det() + 0.5 * self.loc.size * (1 + LOG_2PI)

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        w = self.factor
        inner = jnp.eye(w.shape[1], dtype=w.dtype) + self._gram()
        return jnp.exp(self.log_scale) * jnp.sqrt(1 + jnp.sum((w @ inner) * w, axis=1))

    def affine(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "LowRankNormal":
        """Return the distribution of loc + scale * z, the scale a vector."""
        log_scale = self.log_scale + jnp.log(scale)
        return LowRankNormal(loc + scale * self.loc, log_scale, self.factor)

    def _gram(self) -> Float[Array, "rank rank"]:
        w = self.factor
        return jnp.eye(w.shape[1], dtype=w.dtype) + w.T @ w

    def _log_det(self) -> Scalar:
        return jnp.sum(self.log_scale) + jnp.linalg.slogdet(self._gram())[1]
