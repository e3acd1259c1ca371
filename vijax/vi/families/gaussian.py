r"""Families of q over ℝ^dim: NamedTuples of parameters, hence pytrees.

Every family has

    F.init(loc, scale)   -> q, a normal with these means and standard deviations
    q.transform(eps)     -> z(eps), eps ~ N(0, I), (..., dim): reparametrisation
    q.sample(key, n)     -> (n, dim)
    q.log_prob(z)        -> log q(z) in nats, (..., dim) -> (...)
    q.entropy()          -> −E_q[log q(z)] in nats (not of a flow: there is no formula)
    q.mean(), q.scale()  -> means and standard deviations of the coordinates
    q.affine(loc, scale) -> the family's law of loc + scale z; scale is a vector for a
                            mean field, lower triangular for a full rank
"""

from typing import NamedTuple, Protocol

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.vi.engine import noise

LOG_2PI = 1.8378770664093453


class Family(Protocol):
    """What the optimisers ask of a family."""

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""

    def entropy(self) -> Scalar:
        """Return −E_q[log q(z)]."""


class MeanField(NamedTuple):
    r"""q(z) = N(loc, diag(scale²)).

    Example:
        >>> q = MeanField.init(jnp.zeros(2), jnp.ones(2))
        >>> round(q.entropy().item(), 6), round(q.log_prob(jnp.zeros(2)).item(), 6)
        (2.837877, -1.837877)
    """

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]

    @classmethod
    def init(
        cls, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "MeanField":
        """Return N(loc, diag(scale²))."""
        return cls(loc, jnp.log(scale))

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + scale * eps."""
        return self.loc + jnp.exp(self.log_scale) * eps

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        shape = (num_samples, *self.loc.shape)
        return self.transform(noise.normal(key, shape, self.loc.dtype))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        eps = (z - self.loc) * jnp.exp(-self.log_scale)
        return -jnp.sum(0.5 * eps**2 + self.log_scale + 0.5 * LOG_2PI, axis=-1)

    def entropy(self) -> Scalar:
        """Return Σ_j (log scale_j + ½ log 2πe)."""
        return jnp.sum(self.log_scale + 0.5 * (1 + LOG_2PI))

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        return jnp.exp(self.log_scale)

    def affine(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "MeanField":
        """Return the law of loc + scale * z."""
        return MeanField(loc + scale * self.loc, self.log_scale + jnp.log(scale))


class FullRank(NamedTuple):
    r"""q(z) = N(loc, L Lᵀ), L = lower (below its diagonal) + diag(exp(log_diagonal)).

    Example:
        >>> q = FullRank.init(jnp.zeros(2), jnp.array([1.0, 2.0]))
        >>> q.scale_tril.tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """

    loc: Float[Array, "..."]
    log_diagonal: Float[Array, "..."]
    lower: Float[Array, "..."]  # (dim, dim); entries on and above the diagonal unused

    @classmethod
    def init(cls, loc: Float[Array, " dim"], scale: Float[Array, " dim"]) -> "FullRank":
        """Return N(loc, diag(scale²))."""
        return cls(loc, jnp.log(scale), jnp.zeros((loc.size, loc.size), loc.dtype))

    @classmethod
    def from_tril(
        cls, loc: Float[Array, " dim"], tril: Float[Array, "dim dim"]
    ) -> "FullRank":
        """Return N(loc, tril trilᵀ), tril with a positive diagonal."""
        return cls(loc, jnp.log(jnp.diag(tril)), jnp.tril(tril, -1))

    @property
    def scale_tril(self) -> Float[Array, "dim dim"]:
        """The lower triangular L."""
        return jnp.tril(self.lower, -1) + jnp.diag(jnp.exp(self.log_diagonal))

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return loc + L eps."""
        return self.loc + eps @ self.scale_tril.T

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        shape = (num_samples, *self.loc.shape)
        return self.transform(noise.normal(key, shape, self.loc.dtype))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        centred = jnp.reshape(z - self.loc, (-1, self.loc.size)).T
        eps = solve_triangular(self.scale_tril, centred, lower=True)
        log_det = jnp.sum(self.log_diagonal + 0.5 * LOG_2PI)
        return jnp.reshape(-0.5 * jnp.sum(eps**2, axis=0) - log_det, z.shape[:-1])

    def entropy(self) -> Scalar:
        """Return Σ_j (log L_jj + ½ log 2πe)."""
        return jnp.sum(self.log_diagonal + 0.5 * (1 + LOG_2PI))

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations."""
        return jnp.sqrt(jnp.sum(self.scale_tril**2, axis=1))

    def affine(
        self, loc: Float[Array, " dim"], tril: Float[Array, "dim dim"]
    ) -> "FullRank":
        """Return the law of loc + tril z."""
        return self.from_tril(loc + tril @ self.loc, tril @ self.scale_tril)
