r"""A normal q by Newton's method on an objective whose draws stay fixed.

With noise ε_1 … ε_S drawn once, the negative ELBO of q = N(m, L Lᵀ) is an ordinary
function, and a second-order method ends where a stochastic one only wanders:

    F(m, L) = −(1/S) Σ_s log p(m + L ε_s) − log det L − ½ dim (1 + log 2π)

At the optimum the whitened gradient ḡ is zero and the whitened curvature A is I (full
rank) or has A_jj = 1 (mean field); `newton` has the step. The noise has mean 0 and
covariance I exactly, hence F is exact on every quadratic log density, whatever S, and
on a normal posterior one step arrives.

Only gradients of log p are asked for: S of them a step, in one batch.

References:
    Giordano, Ingram & Broderick (2024), JMLR 25(18), arXiv:2304.05527 (fixed draws);
    Khan & Rue (2023), arXiv:2107.04562 (the step, as natural gradient descent).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from vijax.array_module import array_module
from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import enough_draws, slopes, slopes_of_many
from vijax.vi.engine.compilation import in_trace
from vijax.vi.engine.loops import while_running
from vijax.vi.families.base import Family
from vijax.vi.families.gaussian import (
    DiagonalNormal,
    FullRank,
    FullRankNormal,
    MeanField,
)
from vijax.vi.methods import linear_response, newton
from vijax.vi.methods.base import Found, needs_all_rows
from vijax.vi.methods.newton import Moments, Normal, Totals
from vijax.vi.targets.arguments.data_arguments import to_device
from vijax.vi.targets.target import Target

MAX_DIM = 200  # unknowns, above which "auto" does not take this method
LEAST_SHARE = 1e-8  # of a full step


@dataclass(frozen=True)
class FixedDraws:
    """Newton's method on fixed draws, for `MeanField` and `FullRank`; no step size.

    The first batch of draws is used until the search has converged; then, if the
    draws' own standard errors are above the tolerance, as many batches as bring them
    below it.

    Raises:
        ValueError: for a count below 1.
    """

    num_draws: int | None = None  # a batch; None: 128 to 4096, more where data are few
    num_steps: int = 200  # the budget
    num_batches: int = 32  # of fixed draws, at most

    def __post_init__(self) -> None:
        for name in ("num_draws", "num_steps", "num_batches"):
            value = getattr(self, name)
            least = 2 if name == "num_draws" else 1  # draws come in pairs
            check(value is None or value >= least, name, value, f"give {least} or more")

    def check(self, target: Target, family: Family) -> None:
        """Raise a ValueError where the method cannot fit this."""
        if not self.can_fit(family):
            raise ValueError(
                f'method = "fixed_draws" does not fit family = {family}: '
                'leave it "auto"'
            )
        needs_all_rows(target, 'method = "fixed_draws"')

    @staticmethod
    def can_fit(family: Family) -> bool:
        """Say whether this method can fit the family."""
        return isinstance(family, MeanField | FullRank)

    def find(
        self,
        target: Target,
        key: Key,
        family: Family,
        loc: Float[ArrayLike, " dim"],
        scale: Float[ArrayLike, " dim"],
        *,
        tolerance: float,
    ) -> Found:
        """Find q from N(loc, diag(scale²)); stop where a full step is tolerance/10."""
        diagonal = isinstance(family, MeanField)
        num_pairs = (self.num_draws or enough_draws(target)) // 2
        shape = (self.num_batches, num_pairs, target.dim)
        half = noise.normal(key, shape, target.init.dtype)
        options: Any = {"max_steps": self.num_steps, "diagonal": diagonal}
        start = _begin(half, loc, scale, **options)
        state = solve(target, start, diagonal=diagonal, tolerance=tolerance)
        return _found(state, tolerance, diagonal=diagonal)


class State(NamedTuple):
    """The current q and how the search goes."""

    normal: Normal
    moments: Moments
    proposal: Normal  # that is looked at next
    share: Float[Array, "..."]  # of a full step that it is away
    residual: Float[Array, "..."]  # a full step from the current q, in sds
    num_batches: Int[Array, "..."]  # of fixed draws in use
    num_steps: Int[Array, "..."]
    num_rejected: Int[Array, "..."]
    num_gradients: Int[Array, "..."]  # of log p, each draw counted
    losses: Float[Array, "..."]
    done: Bool[Array, "..."]
    running: Bool[Array, "..."]


class Start(NamedTuple):
    """What a search begins with."""

    draws: Float[Array, "batches draws dim"]  # noise, of mean 0 and covariance I
    nothing: Totals  # sums over no draws
    state: State


def solve(target: Target, start: Start, *, diagonal: bool, tolerance: float) -> State:
    """Minimise F from the start, with as many batches as accuracy needs.

    Args:
        target: the log density.
        start: from `_begin`.
        diagonal: whether q's covariance is diagonal (mean field).
        tolerance: of every mean in sds, of every log sd. The search stops where the
            next full step is a tenth of it.
    """
    if in_trace():  # maybe of the data alone: what is NumPy's is indexed by tracers
        start = jax.tree.map(jnp.asarray, start)
    draws = start.draws

    def step(state: State) -> State:
        totals = _look(target, state.proposal, draws, state.num_batches, start.nothing)
        return _advance(state, totals, draws, diagonal=diagonal, tolerance=tolerance)

    return while_running(step, start.state)


@np.errstate(all="ignore")
def _look(
    target: Target, normal: Normal, draws: Any, num_batches: Any, nothing: Totals
) -> Totals:
    """Sum log p and its whitened gradient over the first batches of draws of q."""
    traced = is_traced(draws, normal)
    look = slopes if traced else slopes_of_many

    def add(index: Any, totals: Totals) -> Totals:
        eps = draws[index]
        value, gradient = look(target, normal.loc + eps @ normal.root.T)
        return newton.add(totals, eps, value, gradient @ normal.root)

    if traced:
        return jax.lax.fori_loop(0, num_batches, add, nothing)
    for index in range(int(num_batches)):
        nothing = add(index, nothing)
    return nothing


def _begin(half: Any, loc: Any, scale: Any, *, max_steps: int, diagonal: bool) -> Start:
    """Standardise the noise; the first step looks at N(loc, diag(scale²)) itself."""
    xp = array_module(half, loc, scale)
    loc, scale = xp.asarray(loc), xp.asarray(scale)
    dim, dtype, one = loc.shape[0], loc.dtype, xp.asarray(1, np.int32)
    draws = noise.standardized(half)
    nothing = newton.no_totals(draws, linear_response.num_products(dim, diagonal))
    zero, eye = xp.zeros(dim, dtype), xp.eye(dim, dtype=dtype)
    normal = Normal(loc, xp.diag(scale), xp.sum(xp.log(scale)))
    infinite = xp.asarray(xp.inf, dtype)
    third = xp.zeros(nothing.third.shape, dtype)
    state = State(
        normal,
        Moments(infinite, zero, zero + 1, eye, zero, zero, third, 0 * eye),
        normal,
        xp.asarray(1, dtype),
        infinite,
        one,
        0 * one,
        0 * one,
        0 * one,
        xp.full(max_steps, xp.inf, dtype),
        one < 0,
        one > 0,
    )
    return Start(draws, nothing, state)


@np.errstate(all="ignore")
def _advance(
    state: State, totals: Totals, draws: Any, *, diagonal: bool, tolerance: float
) -> State:
    """Take the proposal or leave it, and make the next one."""
    xp = array_module(state, totals)
    last = draws[state.num_batches - 1]
    moments = newton.moments(totals, state.proposal, last, state.num_batches)
    better = _is_better(state, moments)
    normal, moments = jax.tree.map(
        lambda new, old: xp.where(better, new, old),
        (state.proposal, moments),
        (state.normal, state.moments),
    )
    residual = newton.residual(moments, diagonal)
    arrived = better & (residual < 0.1 * tolerance)
    error = xp.max(xp.maximum(moments.loc_error, moments.scale_error))
    wanted = state.num_batches * xp.ceil(1.2 * (error / tolerance) ** 2)
    wanted = xp.clip(wanted, state.num_batches, draws.shape[0]).astype(np.int32)
    more = arrived & (wanted > state.num_batches)
    # The objective changes with its draws: take the next step whatever it says.
    moments = moments._replace(loss=xp.where(more, xp.inf, moments.loss))
    ratio = residual / state.residual
    share = newton.next_share(state.share, state.moments, moments, better, ratio)
    num_steps = state.num_steps + 1
    num_rejected = state.num_rejected + 1 - better
    done = arrived & ~more
    # A start that is not finite has nowhere to step to.
    hopeless = (share < LEAST_SHARE) | (num_rejected == num_steps)
    max_steps = state.losses.shape[0]
    here = xp.arange(max_steps) == state.num_steps
    return State(
        normal,
        moments,
        newton.step(normal, moments, share, diagonal),
        share,
        residual,
        xp.where(more, wanted, state.num_batches),
        num_steps,
        num_rejected,
        state.num_gradients + state.num_batches * draws.shape[1],
        xp.where(here, moments.loss, state.losses),
        done,
        ~done & ~hopeless & (num_steps < max_steps),
    )


def _is_better(state: State, moments: Moments) -> Any:
    """Say whether the proposal is finite and its F no higher, up to rounding."""
    xp = array_module(state, moments)
    # Rounding in a sum of |F| nats must not stop the last steps.
    slack = 10 * np.finfo(moments.loss.dtype).eps * (1 + xp.abs(moments.loss))
    leaves = jax.tree.leaves((state.proposal, moments))
    finite = xp.all(xp.isfinite(xp.concatenate([xp.ravel(x) for x in leaves])))
    return finite & (moments.loss <= state.moments.loss + slack)


@np.errstate(all="ignore")
def _found(state: State, tolerance: float, *, diagonal: bool) -> Found:
    xp = array_module(state)
    normal, moments = state.normal, state.moments
    q: Any = (
        DiagonalNormal(normal.loc, xp.log(xp.diag(normal.root)))
        if diagonal
        else FullRankNormal.from_tril(normal.loc, newton.lower_root(normal.root))
    )
    error = xp.max(xp.maximum(moments.loc_error, moments.scale_error))
    found = Found(
        q,
        # Where the most draws allowed leave more than the tolerance open, that is
        # said by the errors; only a tenfold one puts the answer itself in doubt.
        state.done & (error < 10 * tolerance),
        state.num_steps,
        state.losses,
        moments.loc_error,
        moments.scale_error,
        state.num_rejected,
        state.num_gradients,
        newton.covariance(normal, moments),
    )
    return jax.tree.map(lambda x: to_device(xp.asarray(x)), found)
