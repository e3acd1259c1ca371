r"""A q that follows the model's conditional independence: locals given few globals.

    q(θ, z) = N(θ; m, L Lᵀ) · N(z; ẑ(θ), H(θ)⁻¹)

θ are the few globals, with all correlations. The locals z are normal given θ, with the
mode and the curvature that the model has there (see `conditional`), so that their means
and spreads bend with θ: q is not a normal distribution as a whole. H(θ) has small
blocks (the unknowns of one group) or bands (a chain along time), hence a draw costs as
much as a few gradients, whatever the number of locals.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.types import Key
from vijax.vi.engine.compilation import compile_ahead, density_jit
from vijax.vi.engine.noise import whitened
from vijax.vi.families.base import normal_draws
from vijax.vi.families.conditional import Conditional, conditional, draw, in_batches
from vijax.vi.families.gaussian import DiagonalNormal, FullRankNormal, MeanField
from vijax.vi.families.local_modes import Locals
from vijax.vi.targets.structure.dependencies import Structure
from vijax.vi.targets.target import Target

MOST_NUMBERS = 2**24  # that the data or the locals of all draws may hold
# A θ's weight is a mean over so many looks at its locals, each at so many pairs.
NUM_LOOKS, NUM_PAIRS = 8, 8
LEAST_DRAWS, MOST_DRAWS = 500, 10_000
MOST_OF_CHAINS = 640  # each of which looks at many draws of the chain


class Weighed(NamedTuple):
    """Draws of q, and what they weigh."""

    noise: Float[Array, "draws globals"]  # of mean 0 and covariance I, for the globals
    positions: Float[Array, "draws dim"]
    log_joint: Float[Array, " draws"]  # log p(θ, z) − log q(θ, z), nats
    # log p − log q of θ and what is not integrated, by two rules of integration
    log_weights: Float[Array, " draws"]
    other_log_weights: Float[Array, " draws"]
    # log p − log q of each unknown's own block; None where none is integrated
    block_log_weights: Float[Array, "draws dim"] | None


@dataclass(frozen=True)
class Structured:
    """The family of few globals with all correlations, and of locals given them.

    Which is which is found from the density, see `targets.structure`; where nothing
    is local, it is the full-rank family.
    """

    def init(
        self, loc: Float[Array, " dim"], scale: Float[Array, " dim"]
    ) -> DiagonalNormal:
        """Return N(loc, diag(scale²)): a start, which knows no structure yet."""
        return MeanField().init(loc, scale)


class StructuredNormal(NamedTuple):
    """q(θ, z) = q(θ) N(z; ẑ(θ), H(θ)⁻¹); see the module's docstring."""

    globals: FullRankNormal
    start: Locals  # where the search for ẑ(θ) begins: ẑ at the globals' mean
    structure: Structure
    target: Target

    @property
    def richer(self) -> str | None:
        """The family to try where q is too poor: none is."""
        return None

    @property
    def num_draws(self) -> int:
        """How many draws a check or a summary takes."""
        number = draws_of(self.target)
        return min(number, MOST_OF_CHAINS) if self.has_corrected else number

    def global_entries(self) -> Array:
        """Return 1 for each constrained entry that hangs on globals, 0 for locals'."""
        flags = jnp.zeros_like(self.target.init).at[self.structure.globals].set(1.0)
        return self.target.by_entry(flags[None])[0]

    def conditional(self, globals_: Float[Array, " globals"]) -> Conditional:
        """Return the locals' distribution given the globals."""
        return conditional(self.target, self.structure, globals_, self.start)

    def transform(self, eps: Float[Array, "... dim"]) -> Float[Array, "... dim"]:
        """Map standard normal noise to draws."""

        def one(eps: Array) -> Array:
            noise, rest = self.structure.split(eps)
            theta = self.globals.transform(noise)
            locals_ = self.conditional(theta).transform(rest)
            return self.structure.join(theta, locals_)

        return self._over(one, eps)

    def sample(self, key: Key, num_samples: int) -> Float[Array, "samples dim"]:
        """Draw from q."""
        return self.transform(normal_draws(key, num_samples, self.target.init))

    def log_prob(self, z: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Return log q(z)."""

        def one(z: Array) -> Array:
            theta, locals_ = self.structure.split(z)
            given = sum(self.conditional(theta).log_prob(locals_))
            return self.globals.log_prob(theta) + given

        return self._over(one, z)

    def weigh(self, key: Key, num_draws: int, num_looks: int = NUM_LOOKS) -> Weighed:
        """Draw from q, and weigh the draws, in one pass and bounded memory.

        Args:
            key: random key.
            num_draws: of θ, each with its locals.
            num_looks: at other locals of each θ, where these have weights of their own.
        """
        given, static = self._to_weigh(key, num_draws, num_looks)
        return _weigh(*given, **static)

    def compile_weigh(self, key: Key) -> Thread:
        """Compile `weigh` for a q of other globals, beside other work."""
        given, static = self._to_weigh(key, self.num_draws, NUM_LOOKS)
        return compile_ahead(_weigh, *given, **static)

    def _to_weigh(
        self, key: Key, num_draws: int, num_looks: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of `_weigh`."""
        # Flat, for `lower` fills a pytree with things that are no arrays.
        leaves, treedef = jax.tree.flatten(self)
        looks = np.int32(num_looks if self.has_corrected else 1)
        return (leaves, key, looks), {"treedef": treedef, "num_draws": num_draws}

    @property
    def has_corrected(self) -> bool:
        """Whether some locals' normals are corrected, and their weights noisy."""
        return any(group.corrected for group in self.structure.groups)

    def _noise(self, key: Key, number: Int[Array, ""]) -> Float[Array, "draws dim"]:
        """Draw the noise of the locals for one θ: pairs where their weights vary."""
        like = self.target.init
        if not self.has_corrected:
            return jax.random.normal(key, (1, *like.shape), like.dtype)
        key = jax.random.fold_in(key, number)
        half = jax.random.normal(key, (NUM_PAIRS, *like.shape), like.dtype)
        return jnp.concatenate([half, -half])

    def _by_unknown(self, weights: tuple[Array | None, ...]) -> Array | None:
        """Return each unknown's own block's log weight, 0 for those without."""
        dtype = self.target.init.dtype
        if all(block is None for block in weights):
            return None
        parts = []
        for group, block in zip(self.structure.groups, weights, strict=True):
            shape = group.index.shape
            column = jnp.zeros(shape[:1], dtype) if block is None else block
            parts.append(jnp.broadcast_to(column[:, None], shape))
        zeros = jnp.zeros(self.structure.globals.shape, dtype)
        return self.structure.join(zeros, tuple(parts))

    def _over(self, function: Any, given: Array) -> Array:
        """Apply a function of one vector to many, in bounded memory."""
        flat = jnp.reshape(given, (-1, given.shape[-1]))
        found = in_batches(self.target, function, flat)
        return jnp.reshape(found, (*given.shape[:-1], *found.shape[1:]))


@partial(density_jit, static_argnames=("treedef", "num_draws"))
def _weigh(
    leaves: list[Array],
    key: Key,
    num_looks: Int[Array, ""],
    *,
    treedef: Hashable,
    num_draws: int,
) -> Weighed:
    q = jax.tree.unflatten(treedef, leaves)
    first, second = jax.random.split(key)
    shape = (num_draws, q.structure.globals.size)
    dtype = q.target.init.dtype
    noise = whitened(jax.random.normal(first, shape, dtype))
    keys = jax.random.split(second, num_draws)

    def one(given: tuple[Array, Key]) -> tuple[Any, ...]:
        noise, key = given
        theta = q.globals.transform(noise)

        def look(number: Array) -> Any:
            # Noise has no order: parting it would only pick its numbers one by one.
            return jax.vmap(q.structure.cut)(q._noise(key, number))[1]

        drawn = draw(q.target, q.structure, theta, q.start, look, num_looks)
        position = q.structure.join(theta, drawn.locals_)
        log_q = q.globals.log_prob(theta)
        return (
            position,
            q.target.log_density(position) - log_q - drawn.log_q,
            drawn.log_weight - log_q,
            drawn.other_log_weight - log_q,
            q._by_unknown(drawn.block_log_weights),
        )

    given = (noise, keys)
    return Weighed(noise, *in_batches(q.target, one, given))


def draws_of(target: Target) -> int:
    """Return how many draws of a structured q a check takes: few of a large model.

    Example:
        >>> from vijax.vi.targets.target import from_log_density
        >>> draws_of(from_log_density(lambda x: -jnp.sum(x**2), jnp.zeros(50_000)))
        500
    """
    affordable = MOST_NUMBERS // max(target.data_size, target.dim)
    return max(LEAST_DRAWS, min(MOST_DRAWS, affordable))
