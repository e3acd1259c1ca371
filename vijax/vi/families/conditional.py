r"""Locals given globals: their conditional normal, and the globals' marginal density.

With θ the globals and z the locals of a target,

    ẑ(θ) = argmax_z log p(θ, z)        by Newton's method, all parts at once
    H(θ) = −∇²_z log p(θ, ẑ(θ))        blocks or bands, from few products with vectors
    log p(θ) ≈ log p(θ, ẑ) + n/2 log 2π − ½ log det H        (Laplace)

which is exact where the locals are normal given the globals, whatever the globals do:
a scale that the locals' spread depends on (a funnel) costs nothing. All costs are
linear in the number of locals.

References:
    Tierney & Kadane (1986), J. Am. Stat. Assoc. 81(393); Rue, Martino & Chopin (2009),
    J. R. Stat. Soc. B 71(2); Kristensen et al. (2016), J. Stat. Softw. 70(5).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Scalar
from vijax.vi.engine import banded
from vijax.vi.families.base import LOG_2PI
from vijax.vi.targets.dependencies import Structure
from vijax.vi.targets.target import Target

MAX_STEPS = 50  # of Newton's method for the locals
ACCURACY = 1e-3  # that the last step is below, in conditional sds
# Numbers that the locals and the data of a batch of θ may hold. Blocks run fastest
# where one θ stays in the cache; the recursion along a chain, for many θ at once.
MAX_BATCH, MAX_CHAIN_BATCH = 2**13, 2**19

Locals = tuple[Float[Array, "parts rows"], ...]
Factors = tuple[Float[Array, "parts rows width"], ...]


class Conditional(NamedTuple):
    """The locals given θ, N(mode, (L Lᵀ)⁻¹), and what is left of log p for θ."""

    mode: Locals
    factors: Factors  # L
    log_marginal: Scalar  # nats

    def transform(self, eps: Locals) -> Locals:
        """Map standard normal noise to locals."""
        pairs = zip(self.mode, self.factors, eps, strict=True)
        return tuple(m + banded.solve_upper(factor, e) for m, factor, e in pairs)

    def log_prob(self, locals_: Locals) -> Scalar:
        """Return the log density of locals given θ."""
        total = jnp.zeros((), self.log_marginal.dtype)
        for z, mode, factor in zip(locals_, self.mode, self.factors, strict=True):
            eps = banded.times_upper(factor, z - mode)
            total += banded.half_log_det(factor) - 0.5 * jnp.sum(eps**2 + LOG_2PI)
        return total


def conditional(
    target: Target, structure: Structure, globals_: Array, start: Locals
) -> Conditional:
    """Return the locals' distribution given the globals, and log p(θ).

    The derivative of `log_marginal` by the globals is that of the formula, ẑ(θ)'s own
    included: the last Newton step is differentiated, which has ẑ's derivative.

    Args:
        target: the log density of all.
        structure: which unknowns are local.
        globals_: θ.
        start: locals to begin the search at, the same for every θ.
    """

    def density(globals_: Array, locals_: Locals) -> Scalar:
        return target.log_density(structure.join(globals_, locals_))

    fixed = jax.lax.stop_gradient(globals_)
    found = newton(partial(density, fixed), structure, jax.lax.stop_gradient(start))
    found = jax.lax.stop_gradient(found)
    gradient = jax.grad(density, argnums=1)(globals_, found.position)
    mode = _moved(found.position, found.factors, gradient)
    factors = factorise(partial(density, globals_), structure, mode)
    log_marginal = density(globals_, mode)
    for z, factor in zip(mode, factors, strict=True):
        log_marginal += 0.5 * LOG_2PI * z.size - banded.half_log_det(factor)
    return Conditional(mode, factors, log_marginal)


class Search(NamedTuple):
    """Where Newton's method for the locals stands."""

    position: Locals
    gradient: Locals
    factors: Factors  # of H at the position before
    num_steps: Int[Array, ""]
    done: Bool[Array, ""]


def newton(
    density: Callable[[Locals], Scalar], structure: Structure, start: Locals
) -> Search:
    """Climb to the mode of the locals, each part with a step length of its own.

    A part whose slope along its step has turned goes back to where the slope is zero
    (by the secant); slopes come with one gradient for all parts at once.
    """
    look = jax.grad(density)

    def step(search: Search) -> Search:
        factors = factorise(density, structure, search.position)
        move = _solved(factors, search.gradient)
        tried = jax.tree.map(jnp.add, search.position, move)
        shares = jax.tree.map(_share, search.gradient, look(tried), move)
        tried = jax.tree.map(
            lambda z, share, m: z + share * m, search.position, shares, move
        )
        gradient = look(tried)
        rest = _solved(factors, gradient)
        sizes = [
            jnp.max(jnp.abs(r * factor[:, :, 0]))
            for r, factor in zip(rest, factors, strict=True)
        ]
        whole = [jnp.all(share == 1) for share in shares]
        done = jnp.all(jnp.stack(sizes) < ACCURACY) & jnp.all(jnp.stack(whole))
        return Search(tried, gradient, factors, search.num_steps + 1, done)

    zero = jnp.zeros((), jnp.int32)
    factors = tuple(
        jnp.zeros((*z.shape, group.bandwidth + 1), z.dtype)
        for z, group in zip(start, structure.groups, strict=True)
    )
    begin = Search(start, look(start), factors, zero, zero > 0)
    return jax.lax.while_loop(
        lambda search: ~search.done & (search.num_steps < MAX_STEPS), step, begin
    )


def factorise(
    density: Callable[[Locals], Scalar], structure: Structure, position: Locals
) -> Factors:
    """Return the factors of the negative Hessian's bands at a position."""
    _, product = jax.linearize(jax.grad(density), position)
    seeds = [
        tuple(
            jnp.broadcast_to(jnp.asarray(group.seed(colour), z.dtype), z.shape)
            for group, z in zip(structure.groups, position, strict=True)
        )
        for colour in range(structure.num_colours)
    ]
    products = [product(seed) for seed in seeds]
    shown = jax.tree.map(lambda *parts: jnp.stack(parts), *products)
    return tuple(
        banded.cholesky(-group.bands(part[: group.num_colours]))
        for group, part in zip(structure.groups, shown, strict=True)
    )


def _solved(factors: Factors, right: Locals) -> Locals:
    pairs = zip(factors, right, strict=True)
    return tuple(banded.solve(factor, part) for factor, part in pairs)


def _moved(position: Locals, factors: Factors, gradient: Locals) -> Locals:
    return jax.tree.map(jnp.add, position, _solved(factors, gradient))


def _share(before: Array, after: Array, move: Array) -> Array:
    """Return the share of its step that each part takes, (parts, 1)."""
    rising = jnp.sum(before * move, axis=1, keepdims=True)
    falling = -jnp.sum(after * move, axis=1, keepdims=True)
    secant = rising / (rising + falling)
    share = jnp.where(falling > 0.25 * rising, secant, 1.0)
    return jnp.where(jnp.isfinite(falling), share, 0.1)


def in_batches(
    structure: Structure, target: Target, function: Callable[[Any], Any], given: Any
) -> Any:
    """Apply a function of one θ to many: as many at a time as run fastest."""
    number = jax.tree.leaves(given)[0].shape[0]
    is_chain = any(group.is_chain for group in structure.groups)
    numbers = MAX_CHAIN_BATCH if is_chain else MAX_BATCH
    size = max(1, min(number, numbers // max(target.data_size, target.dim)))
    return jax.lax.map(function, given, batch_size=size)
