r"""A normalizing flow: a q that can lean, have long tails, and widths that vary.

    ε ~ N(0, I)
    x_j = sinh(τ_j asinh(ε_j) + κ_j)      each unknown leans (κ) and has its tails (τ)
    x ← x + (1 − m) ∘ (x ∘ (exp(s(m ∘ x)) − 1) + t(m ∘ x))    four couplings
    z = loc + L x                         a full rank around it

A coupling's mask m keeps every other unknown and scales and shifts the rest by a
small network of those that are kept, so that the inverse is as cheap as the map. All
begin as the identity: the flow starts as a full-rank normal.

References:
    Dinh, Sohl-Dickstein & Bengio (2017), arXiv:1605.08803 (couplings);
    Jones & Pewsey (2009), Biometrika 96(4) (sinh-arcsinh).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.precision import full_precision
from vijax.types import Key
from vijax.validate import check
from vijax.vi.families.base import LOG_2PI, fixed_draws, normal_draws
from vijax.vi.families.gaussian import FullRank

MAX_LOG_SCALE = 2.0  # of one coupling


@dataclass(frozen=True)
class Flow:
    """The family of sinh-arcsinh marginals, couplings, and a full-rank map around them.

    Raises:
        ValueError: for fewer than one coupling or hidden unit.
    """

    num_couplings: int = 4
    hidden: int = 32  # units of each coupling's network
    # Adam's: networks want smaller steps than the numbers of a normal distribution.
    learning_rate: float = 0.005

    def __post_init__(self) -> None:
        check(
            self.num_couplings >= 1,
            "num_couplings",
            self.num_couplings,
            "give 1 or more",
        )
        check(self.hidden >= 1, "hidden", self.hidden, "give 1 or more")

    @property
    def start(self) -> FullRank:
        """The normal family whose answer gives the coordinates to start in."""
        return FullRank()

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> "CouplingFlow":
        """Return N(loc, diag(scale²))."""
        # The same weights for every fit: a start, not random numbers.
        dim, rng = loc.size, np.random.default_rng(0)

        def coupling() -> Coupling:
            weights = rng.normal(size=(dim, self.hidden)) / dim**0.5
            bias = rng.normal(size=self.hidden)
            out = np.zeros((self.hidden, 2 * dim))
            return Coupling(
                *(jnp.asarray(x, loc.dtype) for x in (weights, bias, out, out[0]))
            )

        zero = jnp.zeros_like(loc)
        lower = jnp.zeros((dim, dim), loc.dtype)
        couplings = tuple(coupling() for _ in range(self.num_couplings))
        return CouplingFlow(loc, jnp.log(scale), lower, zero, zero, couplings)


class Coupling(NamedTuple):
    """A network of one hidden layer: kept unknowns -> (log scale, shift)."""

    weights: Float[Array, "..."]  # (dim, hidden)
    bias: Float[Array, "..."]
    out: Float[Array, "..."]  # (hidden, 2 dim), zero at first
    out_bias: Float[Array, "..."]

    @full_precision
    def __call__(
        self, x: Float[Array, "... dim"]
    ) -> tuple[Float[Array, "... dim"], Float[Array, "... dim"]]:
        """Return log scale and shift."""
        hidden = jnp.tanh(x @ self.weights + self.bias)
        log_scale, shift = jnp.split(hidden @ self.out + self.out_bias, 2, axis=-1)
        return MAX_LOG_SCALE * jnp.tanh(log_scale / MAX_LOG_SCALE), shift


class CouplingFlow(NamedTuple):
    """The distribution of z above; means and sds are those of 128 fixed draws.

    Example:
        >>> q = Flow().init(jnp.zeros(2), jnp.ones(2))
        >>> round(q.log_prob(jnp.zeros(2)).item(), 5)
        -1.83788
    """

    loc: Float[Array, "..."]
    log_diagonal: Float[Array, "..."]  # of L
    lower: Float[Array, "..."]  # (dim, dim); entries on and above the diagonal unused
    skew: Float[Array, "..."]  # κ
    log_tail: Float[Array, "..."]  # log τ
    couplings: tuple[Coupling, ...]

    @property
    def is_normal(self) -> bool:
        """Whether q is a normal distribution."""
        return False

    @property
    def richer(self) -> None:
        """The family to try where q is too poor."""
        return None

    @property
    def scale_tril(self) -> Float[Array, "dim dim"]:
        """The lower triangular L."""
        return jnp.tril(self.lower, -1) + jnp.diag(jnp.exp(self.log_diagonal))

    @full_precision
    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""
        x = jnp.sinh(jnp.exp(self.log_tail) * jnp.arcsinh(eps) + self.skew)
        for number, coupling in enumerate(self.couplings):
            mask = self._mask(number)
            log_scale, shift = coupling(mask * x)
            x = mask * x + (1 - mask) * (x * jnp.exp(log_scale) + shift)
        return self.loc + x @ self.scale_tril.T

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.loc))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z), by the inverse map."""
        eps, log_slope = self._inverse(z)
        return -jnp.sum(0.5 * eps**2 + 0.5 * LOG_2PI, axis=-1) - log_slope

    def inverse(self, z: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Return the noise that z is made of."""
        return self._inverse(z)[0]

    def _inverse(
        self, z: Float[Array, "... dim"]
    ) -> tuple[Float[Array, "... dim"], Float[Array, "..."]]:
        """Return the noise of z and log |dz/dε|."""
        centred = jnp.reshape(z - self.loc, (-1, self.loc.size)).T
        x = solve_triangular(self.scale_tril, centred, lower=True).T
        x = jnp.reshape(x, z.shape)
        log_det = jnp.sum(self.log_diagonal)
        for number in reversed(range(len(self.couplings))):
            mask = self._mask(number)
            log_scale, shift = self.couplings[number](mask * x)
            log_det += jnp.sum((1 - mask) * log_scale, axis=-1)
            x = mask * x + (1 - mask) * (x - shift) * jnp.exp(-log_scale)
        eps = jnp.sinh((jnp.arcsinh(x) - self.skew) * jnp.exp(-self.log_tail))
        # dx/dε = τ cosh(asinh x) / √(1 + ε²), cosh(asinh x) = √(1 + x²)
        slope = self.log_tail + 0.5 * (jnp.log1p(x**2) - jnp.log1p(eps**2))
        return eps, jnp.sum(slope, axis=-1) + log_det

    def mean(self) -> Float[Array, " dim"]:
        """Return the means over fixed draws."""
        return jnp.mean(fixed_draws(self, self.loc), axis=0)

    def scale(self) -> Float[Array, " dim"]:
        """Return the standard deviations over fixed draws."""
        return jnp.std(fixed_draws(self, self.loc), axis=0)

    def affine(
        self, loc: Float[Array, " dim"], tril: Float[Array, "dim dim"]
    ) -> "CouplingFlow":
        """Return the distribution of loc + tril z, tril lower triangular."""
        scale = tril @ self.scale_tril
        return self._replace(
            loc=loc + tril @ self.loc,
            log_diagonal=jnp.log(jnp.diag(scale)),
            lower=jnp.tril(scale, -1),
        )

    def _mask(self, number: int) -> Float[Array, " dim"]:
        keep = jnp.arange(self.loc.size) % 2 == number % 2
        return keep.astype(self.loc.dtype)
