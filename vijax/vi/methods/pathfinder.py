r"""Pathfinder: the best normal distribution along a quasi-Newton path, by its ELBO.

L-BFGS climbs log p from a start, u₀, u₁, …; at each point its inverse Hessian H gives

    q_k = N(u_k + H_k ∇log p(u_k), H_k)

and the one of the highest ELBO, on the same few draws all along, is kept: it costs some
hundred gradients. In the units of the diagonal H₀ = D², and in an orthonormal basis Q
of the last six moves and changes of the gradient, H is a matrix M of at most 12 × 12,

    H = D (I + Q (M − I) Qᵀ) D,    M ← (I − ρ a bᵀ) M (I − ρ b aᵀ) + ρ a aᵀ

M is a sum of positive terms, so that it stays positive in float32 too, where the usual
compact formula, with its triangular inverse, loses its digits near the mode.

References:
    Zhang, Carpenter, Gelman & Vehtari (2022), JMLR 23(306), arXiv:2108.03782;
    Gilbert & Lemaréchal (1989), Math. Program. 45 (the diagonal).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Scalar
from vijax.vi.families.spiked import SpikedNormal

HISTORY = 6  # pairs that H is made from
MAX_HALVINGS = 25  # of a step
NUM_SMALL = 5  # steps below the tolerance that end a path


class Path(NamedTuple):
    """Where a climb stands, and the best q that it has met."""

    position: Float[Array, " dim"]
    value: Scalar  # log p
    gradient: Float[Array, " dim"]
    moves: Float[Array, "history dim"]  # zeros where there is none yet
    changes: Float[Array, "history dim"]  # of −∇log p along the moves
    here: SpikedNormal  # the distribution at this position
    best: SpikedNormal
    elbo: Scalar  # of `best`; −inf while there is none
    losses: Float[Array, " steps"]  # −log p
    num_steps: Int[Array, ""]
    num_gradients: Int[Array, ""]
    num_small: Int[Array, ""]  # steps below the tolerance, in a row
    arrived: Bool[Array, ""]
    stuck: Bool[Array, ""]


def climb(
    log_density: Callable[[Float[Array, " dim"]], Scalar],
    start: Float[Array, " dim"],
    eps: Float[Array, "draws dim"],
    *,
    max_steps: int,
    tolerance: float,
) -> Path:
    """Follow one path; where it fails, its ELBO is −inf or the best before it failed.

    Args:
        log_density: one position -> log p, in nats.
        start: a position.
        eps: fixed noise for the ELBOs.
        max_steps: steps to spend.
        tolerance: arrived where a full step is below this many sds of q.

    Example:
        >>> sd = jnp.array([1.0, 10.0])
        >>> path = climb(
        ...     lambda u: -0.5 * jnp.sum((u / sd) ** 2), jnp.ones(2),
        ...     jax.random.normal(jax.random.key(0), (16, 2)),
        ...     max_steps=50, tolerance=0.01)
        >>> bool(path.arrived), path.best.scale().round(2).tolist()
        (True, [1.0, 10.0])
        >>> round(path.elbo.item(), 2)  # log 2π·10
        4.14
    """
    look = jax.value_and_grad(log_density)
    dtype = start.dtype
    precision = jnp.finfo(dtype).eps

    def elbo(q: SpikedNormal) -> Scalar:
        z = q.transform(eps)
        value = jnp.mean(jax.vmap(log_density)(z) - q.log_prob(z))
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    def step(path: Path) -> Path:
        direction = path.here.loc - path.position
        slope = jnp.vdot(direction, path.gradient)  # the step's square, in sds of q
        slack = 10 * precision * (1 + jnp.abs(path.value))

        def worse(trial: tuple[Array, ...]) -> Bool[Array, ""]:
            share, _, value, gradient, _ = trial
            rises = value >= path.value + 1e-4 * share * slope - slack
            return ~(rises & jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient)))

        def attempt(share: Array, number: Array) -> tuple[Array, ...]:
            position = path.position + share * direction
            return share, position, *look(position), number + 1

        trial = jax.lax.while_loop(
            lambda t: worse(t) & (t[-1] < MAX_HALVINGS),
            lambda t: attempt(0.5 * t[0], t[-1]),
            attempt(jnp.ones((), dtype), jnp.zeros((), jnp.int32)),
        )
        failed = worse(trial)
        _, position, value, gradient, tries = trial
        moves, changes, log_scale = _remember(path, position, gradient)
        here = _normal(position, gradient, moves, changes, log_scale)
        height = elbo(here)
        better = ~failed & (height > path.elbo)
        new = path._replace(
            position=position,
            value=value,
            gradient=gradient,
            moves=moves,
            changes=changes,
            here=here,
        )
        new = jax.tree.map(lambda n, o: jnp.where(failed, o, n), new, path)
        # Half the slope is what a full step gains, in nats: rounding hides a small one.
        # H learns about a flat direction only once it has moved there: several times.
        small = 0.5 * slope < jnp.maximum(0.5 * tolerance**2, slack)
        num_small = jnp.where(small, path.num_small + 1, 0)
        arrived = small & (failed | (num_small == NUM_SMALL))
        return new._replace(
            best=jax.tree.map(lambda n, o: jnp.where(better, n, o), here, path.best),
            elbo=jnp.where(better, height, path.elbo),
            losses=path.losses.at[path.num_steps].set(-new.value),
            num_steps=path.num_steps + 1,
            num_gradients=path.num_gradients + tries,
            num_small=num_small,
            arrived=arrived & jnp.isfinite(path.elbo),
            stuck=failed,
        )

    value, gradient = look(start)
    zeros = jnp.zeros((HISTORY, start.size), dtype)
    # The first step has at most the length 1.
    size = jnp.sqrt(jnp.maximum(jnp.linalg.norm(gradient), 1))
    here = _normal(start, gradient, zeros, zeros, jnp.full_like(start, -jnp.log(size)))
    never, one = jnp.zeros((), bool), jnp.ones((), jnp.int32)
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    begin = Path(
        start,
        value,
        gradient,
        zeros,
        zeros,
        here,
        here,
        jnp.full((), -jnp.inf, dtype),
        jnp.full(max_steps, jnp.inf, dtype),
        0 * one,
        one,
        0 * one,
        never,
        ~finite,
    )
    return jax.lax.while_loop(
        lambda p: ~p.arrived & ~p.stuck & (p.num_steps < max_steps), step, begin
    )


def _remember(
    path: Path, position: Array, gradient: Array
) -> tuple[Array, Array, Array]:
    """Add a pair to the history where log p is concave along it; return log d too."""
    move, change = position - path.position, path.gradient - gradient
    curvature = jnp.vdot(move, change)
    sizes = jnp.linalg.norm(move) * jnp.linalg.norm(change)
    concave = curvature > 10 * jnp.finfo(move.dtype).eps * sizes

    def add(rows: Array, row: Array) -> Array:
        return jnp.where(concave, jnp.concatenate([rows[1:], row[None]]), rows)

    variance = jnp.exp(2 * path.here.log_scale)
    a, c = jnp.vdot(change, variance * change), jnp.vdot(move, move / variance)
    safe = jnp.where(concave, curvature, 1.0)
    precision = (
        a / (safe * variance)
        + change**2 / safe
        - a / safe * (move / variance) ** 2 / jnp.where(c > 0, c, 1.0)
    )
    usable = concave & (precision > 0) & jnp.isfinite(precision)
    log_scale = jnp.where(
        usable, -0.5 * jnp.log(jnp.where(usable, precision, 1.0)), path.here.log_scale
    )
    return add(path.moves, move), add(path.changes, change), log_scale


def _normal(
    position: Array, gradient: Array, moves: Array, changes: Array, log_scale: Array
) -> SpikedNormal:
    """Return N(u + H ∇log p(u), H)."""
    d = jnp.exp(log_scale)
    moves, changes = moves / d, changes * d
    sizes = jnp.linalg.norm(moves, axis=1, keepdims=True)
    sizes = jnp.where(sizes > 0, sizes, 1.0)
    moves, changes = moves / sizes, changes / sizes
    basis, _ = jnp.linalg.qr(jnp.concatenate([moves, changes]).T)
    eye = jnp.eye(basis.shape[1], dtype=basis.dtype)

    def update(m: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        a, b = pair
        product = jnp.vdot(a, b)
        rho = jnp.where(product > 0, 1 / jnp.where(product > 0, product, 1.0), 0.0)
        left = eye - rho * jnp.outer(a, b)
        return left @ m @ left.T + rho * jnp.outer(a, a), None

    m, _ = jax.lax.scan(update, eye, (moves @ basis, changes @ basis))
    eigenvalues, vectors = jnp.linalg.eigh(0.5 * (m + m.T))
    floor = jnp.finfo(m.dtype).eps * eigenvalues[-1]
    stretch = jnp.sqrt(jnp.maximum(eigenvalues, floor)) - 1
    directions = basis @ vectors
    scaled = d * gradient
    along = (scaled @ directions) * ((1 + stretch) ** 2 - 1)
    loc = position + d * (scaled + along @ directions.T)
    return SpikedNormal(loc, log_scale, directions, stretch)
