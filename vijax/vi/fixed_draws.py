r"""A normal q by Newton's method on an objective whose draws stay fixed.

With noise ε_1 … ε_S drawn once, the negative ELBO of q = N(m, L Lᵀ) is an ordinary
function, and a second-order method ends where a stochastic one only wanders:

    F(m, L) = −(1/S) Σ_s log p(m + L ε_s) − log det L

In the coordinates of the current q (u = m + L v) let g_s = Lᵀ ∇log p(u_s). Then

    gradient   ḡ = (1/S) Σ_s g_s                       zero at the optimum
    curvature  A = −(1/S) Σ_s ε_s g_sᵀ, symmetrised    E_q[−∇²log p], by Stein's lemma

and the optimum has A = I (full rank) or A_jj = 1 (mean field). A step moves the
precision of q to a blend of I and A, and the mean by A⁻¹ ḡ: on a normal posterior
one step arrives. The noise is standardised to mean 0 and covariance I, hence exact
on every quadratic log density, whatever S.

Only gradients of log p are asked for: S of them a step, in one batch.

References:
    Giordano, Ingram & Broderick (2024), JMLR 25(18), arXiv:2304.05527 (fixed draws);
    Khan & Rue (2023), arXiv:2107.04562 (the step, as natural gradient descent).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vijax.types import Key, Scalar
from vijax.vi.families import LOG_2PI

LogDensity = Callable[[Float[Array, " dim"]], Scalar]


class Moments(NamedTuple):
    """What the fixed draws say at one q."""

    loss: Scalar  # F, the negative ELBO, in nats
    gradient: Float[Array, " dim"]  # ḡ
    curvature: Float[Array, "dim dim"]  # A
    loc_error: Float[Array, " dim"]  # standard error of the mean, in sds of q
    scale_error: Float[Array, " dim"]  # standard error of the log sd


class State(NamedTuple):
    """The current q and how the search goes."""

    loc: Float[Array, " dim"]
    tril: Float[Array, "dim dim"]
    moments: Moments
    damping: Scalar  # ρ in (0, 1]: the share of a full step that is tried next
    num_batches: Int[Array, ""]  # of fixed draws in use
    num_steps: Int[Array, ""]
    num_rejected: Int[Array, ""]
    num_gradients: Int[Array, ""]  # of log p, each draw counted
    losses: Float[Array, " steps"]
    done: Bool[Array, ""]


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def standardized_noise(
    key: Key, num_batches: int, num_draws: int, dim: int, dtype: Any
) -> Float[Array, "batches draws dim"]:
    """Draw antithetic normal noise; each batch has mean 0 and covariance I exactly.

    The covariance is exact where `num_draws` is above twice the dimension.
    """
    half = num_draws // 2
    noise = jax.random.normal(key, (num_batches, half, dim), dtype)
    if half > dim:
        # ε = Q R: the columns of Q are orthonormal. R's signs are made positive, so
        # that noise that is nearly standard nearly stays itself.
        q, r = jnp.linalg.qr(noise)
        signs = jnp.sign(jnp.diagonal(r, axis1=1, axis2=2))
        noise = q * signs[:, None, :] * half**0.5
    return jnp.concatenate([noise, -noise], axis=1)


def solve(
    log_density: LogDensity,
    loc: Float[Array, " dim"],
    tril: Float[Array, "dim dim"],
    noise: Float[Array, "batches draws dim"],
    *,
    diagonal: bool,
    max_steps: int,
    tolerance: float,
) -> State:
    """Minimise F from N(loc, tril trilᵀ), with as many batches as the accuracy needs.

    The first batch of draws is used until the search has converged; then, if the
    draws' own standard errors are above the tolerance, as many as bring them below.

    Args:
        log_density: one position -> log p, in nats.
        loc: mean to start from.
        tril: lower triangular scale to start from (diagonal for a mean field).
        noise: fixed draws, from `standardized_noise`.
        diagonal: whether q's covariance is diagonal (mean field).
        max_steps: steps to spend.
        tolerance: of every mean in sds, of every log sd. The search stops where the
            next full step is a tenth of it.
    """
    max_batches = noise.shape[0]

    def attempt(state: State) -> State:
        new_loc, new_tril = _step(state, diagonal)
        moments = evaluate(log_density, new_loc, new_tril, noise, state.num_batches)
        # Rounding in a sum of |F| nats must not stop the last steps.
        slack = 10 * jnp.finfo(loc.dtype).eps * (1 + jnp.abs(moments.loss))
        finite = jax.tree.map(
            lambda leaf: jnp.all(jnp.isfinite(leaf)), (new_loc, new_tril, moments)
        )
        better = jnp.all(jnp.array(jax.tree.leaves(finite)))
        better &= ~(moments.loss > state.moments.loss + slack)
        loc_, tril_, moments = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (new_loc, new_tril, moments),
            (state.loc, state.tril, state.moments),
        )
        damping = jnp.where(
            better, jnp.minimum(1.0, 2 * state.damping), 0.25 * state.damping
        )
        arrived = better & (residual(moments, diagonal) < 0.1 * tolerance)
        error = jnp.max(jnp.maximum(moments.loc_error, moments.scale_error))
        wanted = state.num_batches * jnp.ceil(1.2 * (error / tolerance) ** 2)
        wanted = jnp.clip(wanted, state.num_batches, max_batches).astype(jnp.int32)
        more = arrived & (wanted > state.num_batches)
        # The objective changes with its draws: take the next step whatever it says.
        moments = moments._replace(loss=jnp.where(more, jnp.inf, moments.loss))
        return State(
            loc_,
            tril_,
            moments,
            damping,
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

    one = jnp.ones((), jnp.int32)
    zero = jnp.zeros_like(loc)
    # At these moments the first step stays where it is: it evaluates the start.
    nothing = Moments(
        zero[0] + jnp.inf, zero, jnp.eye(loc.size, dtype=loc.dtype), zero, zero
    )
    start = State(
        loc,
        tril,
        nothing,
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
    tril: Float[Array, "dim dim"],
    noise: Float[Array, "batches draws dim"],
    num_batches: Int[Array, ""],
) -> Moments:
    """Return F, its gradient and curvature over the first batches of draws."""
    _, num_draws, dim = noise.shape

    def add(index: Array, total: tuple[Array, ...]) -> tuple[Array, ...]:
        eps = noise[index]
        value, gradient = jax.vmap(jax.value_and_grad(log_density))(loc + eps @ tril.T)
        gradient = gradient @ tril
        value_sum, gradient_sum, product_sum, _ = total
        return (
            value_sum + jnp.sum(value),
            gradient_sum + jnp.sum(gradient, axis=0),
            product_sum + eps.T @ gradient,
            gradient,
        )

    zero = jnp.zeros_like(loc)
    value, gradient, product, last = jax.lax.fori_loop(
        0, num_batches, add, (zero[0], zero, jnp.zeros_like(tril), 0 * noise[0])
    )
    num = num_draws * num_batches
    curvature = -0.5 * (product + product.T) / num
    # The noise's mean and covariance are exact, so a g linear in ε costs no accuracy:
    # the errors are those of what is left, of antithetic pairs, in the last batch.
    eps = noise[num_batches - 1]
    rest = last + eps @ curvature
    return Moments(
        -value / num - jnp.sum(jnp.log(jnp.diag(tril))) - 0.5 * dim * (1 + LOG_2PI),
        gradient / num,
        curvature,
        _pair_error(rest, num_batches),
        0.5 * _pair_error(rest * eps, num_batches),
    )


def _pair_error(rest: Array, num_batches: Array) -> Array:
    half = rest.shape[0] // 2
    pairs = 0.5 * (rest[:half] + rest[half:])
    return jnp.std(pairs, axis=0) / jnp.sqrt(half * num_batches)


def residual(moments: Moments, diagonal: bool) -> Scalar:
    """Return the largest move that a full step would make, in sds of q."""
    if diagonal:
        move = _solve_positive(moments.curvature, moments.gradient)
        stretch = jnp.diag(moments.curvature) - 1
    else:
        move = moments.gradient
        stretch = moments.curvature - jnp.eye(move.size)
    return jnp.maximum(jnp.max(jnp.abs(move)), 0.5 * jnp.max(jnp.abs(stretch)))


def covariance(state: State) -> Float[Array, "dim dim"]:
    r"""Return L A⁻¹ Lᵀ, the posterior's covariance by linear response.

    How the mean of q moves when the posterior is tilted. It repairs the sds that a
    mean field has too small, exactly so where the posterior is normal; the response
    through q's scale, which is zero there, is left out.
    """
    eigenvalues, vectors = jnp.linalg.eigh(state.moments.curvature)
    root = state.tril @ vectors / jnp.sqrt(jnp.maximum(eigenvalues, 1e-6))
    return root @ root.T


def _step(state: State, diagonal: bool) -> tuple[Array, Array]:
    gradient, curvature = state.moments.gradient, state.moments.curvature
    rho = state.damping
    if diagonal:
        move = rho * _solve_positive(curvature, gradient)
        precision = (1 - rho) + rho * jnp.maximum(jnp.diag(curvature), 0.05)
        return state.loc + state.tril @ move, state.tril / jnp.sqrt(precision)
    eigenvalues, vectors = jnp.linalg.eigh(curvature)
    # Saddle-free: |λ| descends where log p is not concave; 0.05 lets q grow by no
    # more than a factor 4.5 a step.
    precision = (1 - rho) + rho * jnp.maximum(jnp.abs(eigenvalues), 0.05)
    move = rho * vectors @ ((vectors.T @ gradient) / precision)
    # With V D Vᵀ the new precision, Q R = D^(−½) Vᵀ gives its inverse as Rᵀ R.
    r = jnp.linalg.qr((vectors / jnp.sqrt(precision)).T, mode="r")
    root = (r * jnp.sign(jnp.diag(r))[:, None]).T
    return state.loc + state.tril @ move, jnp.tril(state.tril @ root)


def _solve_positive(matrix: Array, vector: Array) -> Array:
    """Solve with the absolute eigenvalues, small ones raised to 1e-5 of the largest."""
    eigenvalues, vectors = jnp.linalg.eigh(matrix)
    size = jnp.abs(eigenvalues)
    size = jnp.maximum(size, 1e-5 * jnp.max(size))
    return vectors @ ((vectors.T @ vector) / size)
