r"""A normal q by Newton's method on an objective whose draws stay fixed.

With noise ε_1 … ε_S drawn once, the negative ELBO of q = N(m, L Lᵀ) is an ordinary
function, and a second-order method ends where a stochastic one only wanders:

    F(m, L) = −(1/S) Σ_s log p(m + L ε_s) − log det L

In the coordinates of the current q (u = m + L v) let g_s = Lᵀ ∇log p(u_s). Then

    gradient   ḡ = (1/S) Σ_s g_s                       zero at the optimum
    curvature  A = −(1/S) Σ_s ε_s g_sᵀ, symmetrised    E_q[−∇²log p], by Stein's lemma

and the optimum has A = I (full rank) or A_jj = 1 (mean field). A step moves the
precision of q to a blend of I and A, and the mean by A⁻¹ ḡ: on a normal posterior
one step arrives. The noise has mean 0 and covariance I exactly, hence F is exact on
every quadratic log density, whatever S.

Only gradients of log p are asked for: S of them a step, in one batch.

References:
    Giordano, Ingram & Broderick (2024), JMLR 25(18), arXiv:2304.05527 (fixed draws);
    Khan & Rue (2023), arXiv:2107.04562 (the step, as natural gradient descent).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Scalar
from vijax.vi.families.gaussian import LOG_2PI
from vijax.vi.methods import linear_response

LogDensity = Callable[[Float[Array, " dim"]], Scalar]


class Moments(NamedTuple):
    """What the fixed draws say at one q."""

    loss: Scalar  # F, the negative ELBO, in nats
    gradient: Float[Array, " dim"]  # ḡ
    eigenvalues: Float[Array, " dim"]  # of A
    vectors: Float[Array, "dim dim"]
    loc_error: Float[Array, " dim"]  # standard error of the mean, in sds of q
    scale_error: Float[Array, " dim"]  # standard error of the log sd
    third: Float[Array, "dim products"]  # B, E_q[−∇³log p] in the whitened coordinates
    third_noise: Float[Array, "dim dim"]  # what the draws' noise adds to B Bᵀ


class State(NamedTuple):
    """The current q and how the search goes."""

    loc: Float[Array, " dim"]
    root: Float[Array, "dim dim"]  # L; not triangular for the full rank
    log_det: Scalar  # log |det L|
    moments: Moments
    damping: Scalar  # ρ in (0, 1]: the share of a full step that is tried next
    num_batches: Int[Array, ""]  # of fixed draws in use
    num_steps: Int[Array, ""]
    num_rejected: Int[Array, ""]
    num_gradients: Int[Array, ""]  # of log p, each draw counted
    losses: Float[Array, " steps"]
    done: Bool[Array, ""]


def solve(
    log_density: LogDensity,
    loc: Float[Array, " dim"],
    scale: Float[Array, " dim"],
    noise: Float[Array, "batches draws dim"],
    *,
    diagonal: bool,
    max_steps: int,
    tolerance: float,
) -> State:
    """Minimise F from N(loc, diag(scale²)), with as many batches as accuracy needs.

    The first batch of draws is used until the search has converged; then, if the
    draws' own standard errors are above the tolerance, as many as bring them below.

    Args:
        log_density: one position -> log p, in nats.
        loc: mean to start from.
        scale: sds to start from.
        noise: fixed draws, from `noise.standardized`.
        diagonal: whether q's covariance is diagonal (mean field).
        max_steps: steps to spend.
        tolerance: of every mean in sds, of every log sd. The search stops where the
            next full step is a tenth of it.
    """
    max_batches = noise.shape[0]

    def attempt(state: State) -> State:
        q = _step(state, diagonal)
        moments = evaluate(log_density, *q, noise, state.num_batches, diagonal)
        # Rounding in a sum of |F| nats must not stop the last steps.
        slack = 10 * jnp.finfo(loc.dtype).eps * (1 + jnp.abs(moments.loss))
        leaves = jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves((q, moments))])
        better = jnp.all(jnp.isfinite(leaves))
        better &= moments.loss <= state.moments.loss + slack
        q, moments = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), (q, moments), _current(state)
        )
        arrived = better & (residual(moments, diagonal) < 0.1 * tolerance)
        error = jnp.max(jnp.maximum(moments.loc_error, moments.scale_error))
        wanted = state.num_batches * jnp.ceil(1.2 * (error / tolerance) ** 2)
        wanted = jnp.clip(wanted, state.num_batches, max_batches).astype(jnp.int32)
        more = arrived & (wanted > state.num_batches)
        # The objective changes with its draws: take the next step whatever it says.
        moments = moments._replace(loss=jnp.where(more, jnp.inf, moments.loss))
        loc_, root, log_det = q
        return State(
            loc_,
            root,
            log_det,
            moments,
            _damping(state, moments, better, diagonal),
            jnp.where(more, wanted, state.num_batches),
            state.num_steps + 1,
            state.num_rejected + jnp.where(better, 0, 1),
            state.num_gradients + state.num_batches * noise.shape[1],
            state.losses.at[state.num_steps].set(moments.loss),
            arrived & ~more,
        )

    def unfinished(state: State) -> Bool[Array, ""]:
        # A start that is not finite has nowhere to step to.
        hopeless = (state.damping < 1e-8) | (state.num_rejected == state.num_steps)
        hopeless &= state.num_steps > 0
        return ~state.done & ~hopeless & (state.num_steps < max_steps)

    one, zero = jnp.ones((), jnp.int32), jnp.zeros_like(loc)
    # At these moments the first step stays where it is: it evaluates the start.
    eye = jnp.eye(loc.size, dtype=loc.dtype)
    third = jnp.zeros(
        (loc.size, linear_response.num_products(loc.size, diagonal)), loc.dtype
    )
    start = State(
        loc,
        jnp.diag(scale),
        jnp.sum(jnp.log(scale)),
        Moments(zero[0] + jnp.inf, zero, zero + 1, eye, zero, zero, third, 0 * eye),
        jnp.ones((), loc.dtype),
        one,
        0 * one,
        0 * one,
        0 * one,
        jnp.full(max_steps, jnp.nan, loc.dtype),
        one < 0,
    )
    return jax.lax.while_loop(unfinished, attempt, start)


def evaluate(
    log_density: LogDensity,
    loc: Float[Array, " dim"],
    root: Float[Array, "dim dim"],
    log_det: Scalar,
    noise: Float[Array, "batches draws dim"],
    num_batches: Int[Array, ""],
    diagonal: bool,
) -> Moments:
    """Return F, its gradient and curvature over the first batches of draws."""
    _, num_draws, dim = noise.shape
    num_products = linear_response.num_products(dim, diagonal)

    def add(index: Array, total: tuple[Array, ...]) -> tuple[Array, ...]:
        eps = noise[index]
        value, gradient = jax.vmap(jax.value_and_grad(log_density))(loc + eps @ root.T)
        gradient = gradient @ root
        value_sum, gradient_sum, product_sum, third_sum, _ = total
        return (
            value_sum + jnp.sum(value),
            gradient_sum + jnp.sum(gradient, axis=0),
            product_sum + eps.T @ gradient,
            third_sum - gradient.T @ linear_response.products(eps, num_products),
            gradient,
        )

    zero = jnp.zeros_like(loc)
    third = jnp.zeros((dim, num_products), loc.dtype)
    value, gradient, product, third, last = jax.lax.fori_loop(
        0, num_batches, add, (zero[0], zero, jnp.zeros_like(root), third, 0 * noise[0])
    )
    num = num_draws * num_batches
    eigenvalues, vectors = jnp.linalg.eigh(-0.5 * (product + product.T) / num)
    # The noise's mean and covariance are exact, so a g linear in ε costs no accuracy:
    # the errors are those of what is left, in the last batch, in sds of q.
    eps = noise[num_batches - 1] @ vectors
    rest = last @ vectors + eps * eigenvalues
    to_sds = root @ vectors / jnp.sqrt(jnp.sum(root**2, axis=1))[:, None]
    mean_move = (rest / _magnitude(eigenvalues)) @ to_sds.T
    return Moments(
        -value / num - log_det - 0.5 * dim * (1 + LOG_2PI),
        gradient / num,
        eigenvalues,
        vectors,
        _pair_error(mean_move, num_batches),
        0.5 * _pair_error((rest @ to_sds.T) * (eps @ to_sds.T), num_batches),
        third / num,
        linear_response.third_noise(
            rest @ vectors.T, noise[num_batches - 1], num_products
        )
        / num_batches,
    )


def residual(moments: Moments, diagonal: bool) -> Scalar:
    """Return the largest move that a full step would make, in sds of q."""
    _, gradient, eigenvalues, vectors, *_ = moments
    if diagonal:
        move = vectors @ ((vectors.T @ gradient) / _magnitude(eigenvalues))
        stretch = vectors**2 @ eigenvalues - 1
    else:
        move, stretch = gradient, eigenvalues - 1
    return jnp.maximum(jnp.max(jnp.abs(move)), 0.5 * jnp.max(jnp.abs(stretch)))


def tril(state: State) -> Float[Array, "dim dim"]:
    """Return the lower triangular L with L Lᵀ the covariance of q."""
    r = jnp.linalg.qr(state.root.T, mode="r")
    return (r * jnp.sign(jnp.diag(r))[:, None]).T


def covariance(state: State) -> Float[Array, "dim dim"]:
    """Return the posterior's covariance by linear response; see response.py."""
    _, _, eigenvalues, vectors, _, _, third, noise = state.moments
    return linear_response.covariance(state.root, eigenvalues, vectors, third, noise)


def _current(state: State) -> tuple[tuple[Array, Array, Array], Moments]:
    return (state.loc, state.root, state.log_det), state.moments


def _step(state: State, diagonal: bool) -> tuple[Array, Array, Array]:
    """Return mean, root and log determinant of the next q."""
    (loc, root, log_det), moments = _current(state)
    _, gradient, eigenvalues, vectors, *_ = moments
    rho = state.damping
    along = vectors.T @ gradient
    # Saddle-free: |λ| descends where log p is not concave; 0.05 lets q grow by no
    # more than a factor 4.5 a step.
    if diagonal:
        size = jnp.maximum(vectors**2 @ eigenvalues, 0.05)
        stretch = 1 / jnp.sqrt((1 - rho) + rho * size)
        move, new_root = vectors @ (along / _magnitude(eigenvalues)), root * stretch
    else:
        precision = (1 - rho) + rho * jnp.maximum(jnp.abs(eigenvalues), 0.05)
        stretch = 1 / jnp.sqrt(precision)
        move, new_root = vectors @ (along / precision), root @ (vectors * stretch)
        new_root = new_root @ vectors.T
    return loc + rho * root @ move, new_root, log_det + jnp.sum(jnp.log(stretch))


def _damping(state: State, new: Moments, better: Array, diagonal: bool) -> Scalar:
    """Return the next share of a full step: less after a step too far, else more."""
    old, rho = state.moments, state.damping
    # Gradient and curvature that change sign and stay large: the steps go to and fro.
    product = jnp.vdot(new.gradient, old.gradient)
    product += jnp.sum(new.eigenvalues - 1) * jnp.sum(old.eigenvalues - 1)
    swings = (product < 0) & (residual(new, diagonal) > 0.25 * residual(old, diagonal))
    accepted = jnp.where(swings, jnp.maximum(0.25, 0.6 * rho), 1.5 * rho)
    return jnp.where(better, jnp.minimum(1, accepted), 0.25 * rho)


def _magnitude(eigenvalues: Array) -> Array:
    """Return |λ|, small ones raised to 1e-5 of the largest."""
    size = jnp.abs(eigenvalues)
    return jnp.maximum(size, 1e-5 * jnp.max(size))


def _pair_error(values: Array, num_batches: Array) -> Array:
    """Return the standard error of a mean over antithetic pairs."""
    half = values.shape[0] // 2
    pairs = 0.5 * (values[:half] + values[half:])
    return jnp.std(pairs, axis=0) / jnp.sqrt(half * num_batches)
