r"""A mixture of normals: one for every mode.

    q(z) = Σ_k w_k N(z; m_k, L_k L_kᵀ)

A draw takes its component from the first coordinate of the noise, u = Φ(ε_1): component
k where u lies in its part of (0, 1), whose place within the part gives a new ε_1.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key
from vijax.vi.families.base import normal_draws, normal_log_prob


@dataclass(frozen=True)
class Mixture:
    """The family of mixtures of normals, one for every mode that is found."""

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "NormalMixture":
        """Return one component, N(loc, diag(scale²))."""
        one = jnp.zeros(1, loc.dtype)
        return NormalMixture(one, loc[None], jnp.diag(scale)[None])


class NormalMixture(NamedTuple):
    """q(z) = Σ_k w_k N(z; m_k, L_k L_kᵀ).

    Example:
        >>> q = Mixture().init(jnp.zeros(2), jnp.ones(2))
        >>> round(q.log_prob(jnp.zeros(2)).item(), 5)
        -1.83788
    """

    log_weights: Float[Array, "..."]  # (components,); exponentials sum to 1
    loc: Float[Array, "..."]  # (components, dim)
    root: Float[Array, "..."]  # (components, dim, dim), lower triangular

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return False

    @property
    def richer(self) -> None:
        """The family to try where q is too poor."""
        return None

    def components(self) -> tuple[Any, Any]:
        """Return the components' centres, and roots of their covariances."""
        return self.loc, self.root

    @full_precision
    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""
        ends = jnp.cumsum(jnp.exp(self.log_weights))
        ends = ends / ends[-1]
        place = ndtr(eps[..., 0])
        chosen = jnp.sum(place[..., None] > ends[:-1], axis=-1)
        start = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
        within = (place - start[chosen]) / (ends - start)[chosen]
        tiny = 4 * jnp.finfo(eps.dtype).eps
        first = ndtri(jnp.clip(within, tiny, 1 - tiny))
        eps = jnp.concatenate([first[..., None], eps[..., 1:]], axis=-1)
        return self.loc[chosen] + jnp.einsum("...ij,...j->...i", self.root[chosen], eps)

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc[0]))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""
        rows = jnp.reshape(z, (-1, z.shape[-1]))

        def component(loc: Any, root: Any) -> Any:
            eps = solve_triangular(root, (rows - loc).T, lower=True).T
            return normal_log_prob(eps, jnp.sum(jnp.log(jnp.diag(root))))

        parts = jax.vmap(component)(self.loc, self.root)
        parts += (self.log_weights - jax.nn.logsumexp(self.log_weights))[:, None]
        return jnp.reshape(jax.nn.logsumexp(parts, axis=0), z.shape[:-1])

    def mean(self) -> Float[Array, " dim"]:
        """Return the means."""
        return jax.nn.softmax(self.log_weights) @ self.loc

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations, within and between the components."""
        within = jnp.sum(self.root**2, axis=2) + (self.loc - self.mean()) ** 2
        return jnp.sqrt(jax.nn.softmax(self.log_weights) @ within)
