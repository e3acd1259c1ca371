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
from jaxtyping import Array, Float, Int

from vijax.types import Scalar
from vijax.vi.engine import banded
from vijax.vi.families import local_modes
from vijax.vi.families.base import LOG_2PI
from vijax.vi.families.block_integrals import Integral, integrate, log_ratios
from vijax.vi.families.local_modes import Factors, Locals
from vijax.vi.targets.structure.dependencies import Structure
from vijax.vi.targets.target import Target

# Numbers that the locals and the data of a batch of θ may hold: one θ of a large model
# at a time stays in the cache and runs three times as fast.
MAX_BATCH = 2**13
LEAST_BATCH = 4  # below, one θ at a time, which also compiles faster


class Conditional(NamedTuple):
    """The locals given θ, N(centre, L⁻ᵀ R Rᵀ L⁻¹)."""

    centre: Locals
    factors: Factors  # L
    spreads: tuple[Float[Array, "parts rows width"] | None, ...]  # R; None for I

    def transform(self, eps: Locals) -> Locals:
        """Map standard normal noise to locals."""
        found = []
        for c, factor, spread, e in zip(*self, eps, strict=True):
            noise = e if spread is None else banded.times_lower(spread, e)
            found.append(c + banded.solve_upper(factor, noise))
        return tuple(found)

    def log_prob(self, locals_: Locals) -> tuple[Scalar, ...]:
        """Return the log density of each group's locals given θ."""
        found = []
        for c, factor, spread, z in zip(*self, locals_, strict=True):
            eps, log_det = (
                banded.times_upper(factor, z - c),
                banded.half_log_det(factor),
            )
            if spread is not None:
                eps = banded.solve_lower(spread, eps)
                log_det -= banded.half_log_det(spread)
            found.append(log_det - 0.5 * jnp.sum(eps**2 + LOG_2PI))
        return tuple(found)


class Normals(NamedTuple):
    """Normals at the mode of the locals, by the curvature there: Laplace's."""

    mode: Locals
    bands: Factors  # of the negative Hessian there
    factors: Factors


def laplace(
    target: Target, structure: Structure, globals_: Array, start: Locals
) -> Normals:
    """Return the normals at the mode of the locals given the globals.

    Where the derivative by the globals is taken, ẑ(θ) has its own: the last Newton step
    is differentiated. Groups that are integrated have none, since no integral depends
    on where its nodes lie.

    Args:
        target: the log density of all.
        structure: which unknowns are local.
        globals_: θ.
        start: locals to begin the search at, the same for every θ.
    """
    density = partial(_density, target, structure)
    fixed = jax.lax.stop_gradient(globals_)
    found = local_modes.newton(
        partial(density, fixed), structure, jax.lax.stop_gradient(start)
    )
    found = jax.lax.stop_gradient(found)
    gradient = jax.grad(density, argnums=1)(globals_, found.position)
    moved = local_modes.moved(found.position, found.factors, gradient)
    mode = _stopped(structure, moved)
    bands = local_modes.curvature(partial(density, globals_), structure, mode)
    factors = tuple(map(banded.cholesky, bands))
    return Normals(mode, bands, _stopped(structure, factors))


def log_marginal(
    target: Target, structure: Structure, globals_: Array, start: Locals
) -> Scalar:
    """Return log p(θ), the locals integrated out; for the arguments see `laplace`."""
    normals = laplace(target, structure, globals_, start)
    integrals = _integrals(target, structure, globals_, normals)
    return _log_marginal(target, structure, globals_, normals, integrals)


def conditional(
    target: Target, structure: Structure, globals_: Array, start: Locals
) -> Conditional:
    """Return the locals' distribution given the globals.

    Integrated groups have the mean and covariance that quadrature finds; the others
    Laplace's, chains with the correction of `_corrected`. For the arguments see
    `laplace`.
    """
    normals = laplace(target, structure, globals_, start)
    integrals = _integrals(target, structure, globals_, normals)
    return _conditional(target, structure, globals_, normals, integrals)


def _conditional(
    target: Target,
    structure: Structure,
    globals_: Array,
    normals: Normals,
    integrals: list[Integral | None],
) -> Conditional:
    corrected = _corrected(target, structure, globals_, normals)
    centres, spreads = [], []
    modes, factors = corrected
    for mode, factor, integral in zip(modes, factors, integrals, strict=True):
        if integral is not None:
            mode = mode + banded.solve_upper(factor, integral.mean)
        centres.append(mode)
        spreads.append(None if integral is None else integral.spread)
    return Conditional(tuple(centres), factors, tuple(spreads))


def _corrected(
    target: Target, structure: Structure, globals_: Array, normals: Normals
) -> tuple[Locals, Factors]:
    """Move the normals of long parts to the best ones, to the next order.

    The best normal N(m, V) for E[log p] + entropy has E[∇log p] = 0 and precision
    E[−∇² log p]. To second order in V the expectation is log p − ½ tr(V H(z)), of which
    one Newton step from the mode is taken, with V the inverse of H there.
    """
    chosen = [n for n, group in enumerate(structure.groups) if group.corrected]
    if not chosen:
        return normals.mode, normals.factors
    density, bands = partial(_density, target, structure, globals_), normals.bands

    def half_log_det(bands: Array) -> Scalar:
        return banded.half_log_det(banded.cholesky(bands))

    halves = {n: jax.grad(half_log_det)(bands[n]) for n in chosen}  # ½ V in H's bands

    def expected(locals_: Locals) -> Scalar:
        found = local_modes.curvature(density, structure, locals_)
        return density(locals_) - sum(jnp.vdot(halves[n], found[n]) for n in chosen)

    scales = tuple(1 / jnp.sqrt(jnp.abs(part[..., 0])) for part in bands)
    slope, found = local_modes.differenced(
        jax.grad(expected), structure, normals.mode, scales
    )
    factors = tuple(map(banded.cholesky, found))
    moved = local_modes.moved(normals.mode, factors, slope)
    mode, kept = list(normals.mode), list(normals.factors)
    for n in chosen:
        mode[n], kept[n] = moved[n], factors[n]
    return tuple(mode), tuple(kept)


class Drawn(NamedTuple):
    """A draw of the locals given θ, and what it weighs."""

    locals_: Locals
    log_q: Scalar  # of all locals given θ
    log_weight: Scalar  # log p(θ) and what is drawn, less log q of what is drawn
    other_log_weight: Scalar  # the same by the other rule of integration
    # of each block by itself: log p less log q of its draw, both normalised
    block_log_weights: tuple[Float[Array, " parts"] | None, ...]


def draw(
    target: Target,
    structure: Structure,
    globals_: Array,
    start: Locals,
    noise: Callable[[Int[Array, ""]], Any],
    num_looks: Int[Array, ""] | int,
) -> Drawn:
    """Draw locals given θ from noise, and weigh them.

    Integrated groups play no part in `log_weight`: they are not drawn there. For the
    others it is the log of a mean over all draws, an unbiased estimate of p(θ); the
    first of them is returned, and weighed against the mean.

    Args:
        target: the log density of all.
        structure: which unknowns are local.
        globals_: θ.
        start: locals to begin the search at, the same for every θ.
        noise: number of a look -> standard normal noise, a leading axis of draws.
        num_looks: how many times that many draws are looked at; at least 1.
    """
    normals = laplace(target, structure, globals_, start)
    integrals = _integrals(target, structure, globals_, normals)
    given = _conditional(target, structure, globals_, normals, integrals)

    def weigh(eps: Locals) -> tuple[Locals, Scalar, Scalar]:
        locals_ = given.transform(eps)
        log_q = given.log_prob(locals_)
        # Integrated groups stay at their centres, the others where they are drawn.
        triples = zip(integrals, normals.mode, locals_, strict=True)
        place = tuple(z if x is None else mode for x, mode, z in triples)
        pairs = zip(integrals, log_q, strict=True)
        of_drawn = sum(log for x, log in pairs if x is None)
        log_weight = _density(target, structure, globals_, place) - of_drawn
        return locals_, jnp.asarray(sum(log_q)), log_weight

    def look(number: Array, before: Any) -> Any:
        eps = noise(number)
        drawn, log_q, log_weights = jax.vmap(weigh)(eps)
        here = jax.tree.map(lambda x: x[0], (drawn, eps, log_q, log_weights))
        first, total = before
        keep = partial(jnp.where, number == 0)
        total = jnp.logaddexp(total, jax.nn.logsumexp(log_weights))
        return jax.tree.map(keep, here, first), total

    zero = jnp.zeros((), globals_.dtype)
    begin = ((normals.mode, normals.mode, zero, zero), zero - jnp.inf)
    found = jax.lax.fori_loop(0, num_looks, look, begin)
    (locals_, first, log_q, log_weight_of_first), total = found
    num_draws = len(jax.eval_shape(noise, 0)[0]) * num_looks
    log_weight = total - jnp.log(jnp.asarray(num_draws, total.dtype))
    own = log_weight_of_first - log_weight
    other = jnp.zeros_like(log_weight)
    others = _integrals(target, structure, globals_, normals, other=True)
    groups = normals.mode, normals.factors, integrals, others
    for mode, factor, x, y in zip(*groups, strict=True):
        if x is not None and y is not None:
            log_weight += 0.5 * LOG_2PI * mode.size - banded.half_log_det(factor)
            log_weight += jnp.sum(x.log_ratio)
            other += jnp.sum(y.log_ratio - x.log_ratio)
    blocks = _block_log_weights(target, structure, globals_, normals, integrals, first)
    weights = tuple(
        jnp.full(len(z), own) if group.corrected else block
        for group, z, block in zip(structure.groups, locals_, blocks, strict=True)
    )
    return Drawn(locals_, log_q, log_weight, log_weight + other, weights)


def _block_log_weights(
    target: Target,
    structure: Structure,
    globals_: Array,
    normals: Normals,
    integrals: list[Integral | None],
    eps: Locals,
) -> tuple[Array | None, ...]:
    known = {
        n: integral for n, integral in enumerate(integrals) if integral is not None
    }
    found: list[Array | None] = [None] * len(integrals)
    if not known:
        return tuple(found)
    noise = tuple(  # in the units of Laplace's normal
        integral.mean + banded.times_lower(integral.spread, eps[n])
        for n, integral in known.items()
    )
    blocks = _of_blocks(target, structure, globals_, normals, list(known))
    triples = zip(known.items(), noise, log_ratios(*blocks, noise), strict=True)
    for (n, integral), noise_n, r in triples:
        log_det = jnp.sum(jnp.log(integral.spread[:, :, 0]), axis=1)
        squares = 0.5 * jnp.sum(eps[n] ** 2 - noise_n**2, axis=1)
        found[n] = r + squares + log_det - integral.log_ratio
    return tuple(found)


def non_normality(
    target: Target, structure: Structure, globals_: Array, normals: Normals
) -> tuple[Scalar, ...]:
    """Return how far each group is from normal given θ, nats in all."""

    def half_log_det(locals_: Locals) -> Scalar:
        density = partial(_density, target, structure, globals_)
        factors = local_modes.factorise(density, structure, locals_)
        return jnp.asarray(sum(map(banded.half_log_det, factors)))

    # Of a normal the curvature is the same everywhere; else the best normal's mean is
    # away from the mode, to first order by H⁻¹ ∇(−½ log det H).
    slopes = jax.grad(half_log_det)(normals.mode)
    found = []
    for n, integral in enumerate(_integrals(target, structure, globals_, normals)):
        if integral is None:
            move = banded.solve_lower(normals.factors[n], slopes[n])
            found.append(jnp.sum(move**2))
            continue
        log_det = jnp.sum(jnp.log(integral.spread[:, :, 0]), axis=1)
        size = jnp.abs(integral.log_ratio) + jnp.sum(integral.mean**2, axis=1)
        found.append(jnp.sum(size + log_det**2))
    return tuple(found)


def _density(
    target: Target, structure: Structure, globals_: Array, locals_: Locals
) -> Scalar:
    return target.log_density(structure.join(globals_, locals_))


def _integrals(
    target: Target,
    structure: Structure,
    globals_: Array,
    normals: Normals,
    *,
    other: bool = False,
) -> list[Integral | None]:
    """Integrate over the groups that want it, the others held at their modes."""
    chosen = [n for n, group in enumerate(structure.groups) if group.integrated]
    if not chosen:
        return [None] * len(structure.groups)
    blocks = _of_blocks(target, structure, globals_, normals, chosen)
    found = iter(integrate(*blocks, other=other))
    return [next(found) if g.integrated else None for g in structure.groups]


def _of_blocks(
    target: Target,
    structure: Structure,
    globals_: Array,
    normals: Normals,
    chosen: list[int],
) -> tuple[Callable[[Locals], Locals], Locals, Factors]:
    """Return the gradient by some groups' locals, and their normals."""

    def gradient(blocks: Locals) -> Locals:
        place = list(normals.mode)
        for n, block in zip(chosen, blocks, strict=True):
            place[n] = block
        found = jax.grad(_density, argnums=3)(target, structure, globals_, tuple(place))
        return tuple(found[n] for n in chosen)

    centres = tuple(normals.mode[n] for n in chosen)
    return gradient, centres, tuple(normals.factors[n] for n in chosen)


def _log_marginal(
    target: Target,
    structure: Structure,
    globals_: Array,
    normals: Normals,
    integrals: list[Integral | None],
) -> Scalar:
    total = _density(target, structure, globals_, normals.mode)
    found = normals.mode, normals.factors, integrals
    for mode, factor, integral in zip(*found, strict=True):
        total += 0.5 * LOG_2PI * mode.size - banded.half_log_det(factor)
        if integral is not None:
            total += jnp.sum(integral.log_ratio)
    return total


def _stopped(structure: Structure, parts: Any) -> Any:
    """Return the parts, those of integrated groups without derivative."""
    pairs = zip(structure.groups, parts, strict=True)
    return tuple(jax.lax.stop_gradient(p) if g.integrated else p for g, p in pairs)


def in_batches(target: Target, function: Callable[[Any], Any], given: Any) -> Any:
    """Apply a function of one θ to many: as many at a time as run fastest."""
    size = MAX_BATCH // max(target.data_size, target.dim)
    if size < LEAST_BATCH:
        return jax.lax.map(function, given)
    number = jax.tree.leaves(given)[0].shape[0]
    num_batches = -(-number // size)
    size = -(-number // num_batches)
    # Batches of one size: a remainder would compile the function a second time.
    rows = jnp.minimum(jnp.arange(num_batches * size), number - 1)
    batches = jax.tree.map(
        lambda x: x[rows].reshape(num_batches, size, *x.shape[1:]), given
    )
    found = jax.lax.map(jax.vmap(function), batches)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:number], found)
