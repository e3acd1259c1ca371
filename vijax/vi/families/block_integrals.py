r"""Integrals over the locals of many small blocks, each of one to a dozen unknowns.

A block's log density given the globals is not known by itself, only the sum over all
blocks; but the sum's gradient by a block's unknowns is that of its own term. So the
integral of the gradient along a line through z̃ has the block's term, and one gradient
serves all blocks at once. With z = z̃ + L⁻ᵀ u d, d a direction, along a line

    r(u) = log p(z) − log p(z̃) + u²/2,    r'(u) = L⁻¹∇log p(z) · d + u

vanishes where the block is normal. Along each line r' is taken at the nodes of a Gauss
rule for |u|^(b−1) exp(−u²/2), r by integration of the polynomial through them, and

    ∫ p(z) dz = p(z̃) (2π)^(b/2) / det L · E[exp r]

with its first two moments alike. The lines are spread evenly: one for b = 1, seven
angles for b = 2, random orthonormal frames above.

References:
    Genz & Monahan (1998), SIAM J. Sci. Comput. 19(2) (spherical-radial rules); Naylor &
    Smith (1982), Applied Statistics 31(3) (centre and scale adapted to the integrand).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.vi.engine import banded

NUM_PAIRS = 4  # of nodes ±u on a line
NUM_ANGLES = 7
NUM_FRAMES = 4
NUM_STEPS = 6  # of Gauss and Legendre's rule from the centre to a draw


class Rule(NamedTuple):
    """Nodes u d on lines through the origin of ℝ^b, with weights that sum to 1."""

    directions: np.ndarray  # (lines, b)
    nodes: np.ndarray  # u, (nodes,)
    weights: np.ndarray  # (nodes,), the same on every line
    integrate: np.ndarray  # r at the nodes from r' there, (nodes, nodes)


class Integral(NamedTuple):
    """What the blocks of one group integrate to, in units of their normals."""

    log_ratio: Float[Array, " parts"]  # log E[exp r]
    mean: Float[Array, "parts rows"]  # of the noise that gives the block's unknowns
    spread: Float[Array, "parts rows width"]  # R, bands: R Rᵀ is its covariance


@lru_cache
def rule(size: int, other: bool = False) -> Rule:
    """Return the rule for blocks of a size, or another one to compare it with.

    Example:
        >>> found = rule(1)
        >>> moment = found.weights @ found.nodes**4  # of a standard normal
        >>> round(float(moment), 9)
        3.0
    """
    from scipy.special import roots_genlaguerre  # loads in tenths of a second

    if size == 1:
        directions = np.ones((1, 1))
    elif size == 2:
        angles = (np.arange(NUM_ANGLES) + 0.5 * other) * np.pi / NUM_ANGLES
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    else:
        rng = np.random.default_rng(1 if other else 0)
        frames = rng.normal(size=(NUM_FRAMES, size, size))
        directions = np.linalg.qr(frames)[0].reshape(-1, size)
    # With t = u²/2 the rule for |u|^(b−1) exp(−u²/2) is Laguerre's for t^(b/2−1) e^−t.
    pairs = NUM_PAIRS - 1 if other and size == 1 else NUM_PAIRS
    t, mass = roots_genlaguerre(pairs, size / 2 - 1)
    nodes = np.sqrt(2 * np.concatenate([t, t]))
    nodes[: len(t)] *= -1
    weights = np.concatenate([mass, mass]) / (2 * np.sum(mass))
    powers = np.arange(len(nodes))
    through = nodes[:, None] ** powers
    integrals = nodes[:, None] ** (powers + 1) / (powers + 1)
    return Rule(directions, nodes, weights, integrals @ np.linalg.inv(through))


def integrate(
    gradient: Callable[[tuple[Array, ...]], tuple[Array, ...]],
    centres: tuple[Array, ...],
    factors: tuple[Array, ...],
    *,
    other: bool = False,
) -> tuple[Integral, ...]:
    """Integrate over the blocks of several groups, all at once.

    Args:
        gradient: locals -> gradient of log p by them.
        centres: z̃, (parts, rows) of each group.
        factors: L, bands of each group, (parts, rows, rows).
        other: take the other rule, to compare.
    """
    rules = [rule(centre.shape[1], other) for centre in centres]
    slopes = _slopes(gradient, centres, factors, [_places(rule) for rule in rules])
    return tuple(
        _integral(rule, slope[: rule.directions.shape[0] * len(rule.nodes)])
        for rule, slope in zip(rules, slopes, strict=True)
    )


def log_ratios(
    gradient: Callable[[tuple[Array, ...]], tuple[Array, ...]],
    centres: tuple[Array, ...],
    factors: tuple[Array, ...],
    noise: tuple[Array, ...],
) -> tuple[Array, ...]:
    """Return r of each block at one draw of its own, z̃ + L⁻ᵀ noise, (parts,)."""
    nodes, weights = np.polynomial.legendre.leggauss(NUM_STEPS)
    moves = [banded.solve_upper(f, e) for f, e in zip(factors, noise, strict=True)]

    def add(total: tuple[Array, ...], step: tuple[Array, Array]) -> Any:
        share, weight = step
        place = tuple(c + share * m for c, m in zip(centres, moves, strict=True))
        parts = zip(total, gradient(place), moves, noise, strict=True)
        return tuple(
            t + weight * jnp.sum(g * m + share * e**2, axis=1) for t, g, m, e in parts
        ), None

    zeros = tuple(jnp.zeros_like(centre[:, 0]) for centre in centres)
    dtype = centres[0].dtype
    steps = jnp.asarray(0.5 + 0.5 * nodes, dtype), jnp.asarray(0.5 * weights, dtype)
    return jax.lax.scan(add, zeros, steps)[0]


def _places(rule: Rule) -> np.ndarray:
    """Return direction and node of each point, (lines · nodes, b + 1)."""
    lines, nodes = len(rule.directions), len(rule.nodes)
    directions = np.repeat(rule.directions, nodes, axis=0)
    return np.concatenate([directions, np.tile(rule.nodes, lines)[:, None]], axis=1)


def _slopes(
    gradient: Callable[[tuple[Array, ...]], tuple[Array, ...]],
    centres: tuple[Array, ...],
    factors: tuple[Array, ...],
    places: list[np.ndarray],
) -> tuple[Array, ...]:
    """Return r' of each block at the points of its rule, (points, parts)."""
    number = max(len(place) for place in places)
    # A group whose rule has fewer points waits at its centre for the others.
    padded = [np.pad(place, ((0, number - len(place)), (0, 0))) for place in places]

    def look(points: list[Array]) -> tuple[Array, ...]:
        moves = [
            banded.solve_upper(f, jnp.broadcast_to(point[:-1], c.shape))
            for f, c, point in zip(factors, centres, points, strict=True)
        ]
        parts = list(zip(centres, moves, points, strict=True))
        found = gradient(tuple(c + point[-1] * m for c, m, point in parts))
        pairs = zip(found, parts, strict=True)
        return tuple(jnp.sum(g * m, axis=1) + point[-1] for g, (_, m, point) in pairs)

    dtype = centres[0].dtype
    return jax.lax.map(look, [jnp.asarray(place, dtype) for place in padded])


def _integral(rule: Rule, slopes: Array) -> Integral:
    lines, number = len(rule.directions), len(rule.nodes)
    dtype, parts = slopes.dtype, slopes.shape[1]
    by_line = jnp.reshape(slopes, (lines, number, parts))
    integrate, directions, nodes = (
        jnp.asarray(x, dtype) for x in (rule.integrate, rule.directions, rule.nodes)
    )
    r = jnp.einsum("kn,lnp->lkp", integrate, by_line)
    r = jnp.where(jnp.isfinite(r), r, -jnp.inf)
    log_weights = jnp.asarray(np.log(rule.weights / lines), dtype)[:, None] + r
    log_ratio = jax.nn.logsumexp(log_weights, axis=(0, 1))
    shares = jax.lax.stop_gradient(jnp.exp(log_weights - log_ratio))
    first = jnp.einsum("lkp,k,lb->pb", shares, nodes, directions)
    second = jnp.einsum("lkp,k,lb,lc->pbc", shares, nodes**2, directions, directions)
    covariance = second - first[:, :, None] * first[:, None, :]
    rows = np.arange(directions.shape[1])[:, None]
    columns = rows - np.arange(directions.shape[1])
    bands = jnp.where(columns >= 0, covariance[:, rows, columns], 0.0)
    return Integral(log_ratio, first, banded.cholesky(bands))
