r"""Draws that adapt: where q's weights are uneven, a better proposal is fitted to them.

Round after round a mixture of t distributions r is fitted to the weighted draws, and
new draws of it are weighed together with the first ones, against what all of them come
from,

    w(z) = p(z) / (α q₀(z) + (1 − α) r(z)),

q₀ the mixture of q and what is around it (`draws_around`). It ends where k̂ is below
0.4 and the weights no longer get more even. What is found must hold still: while the
evidence moves from one round to the next, draws have yet to find part of the posterior.
Where it moves by more than 0.02 nats, and by more than twice its error, there is no
answer; what it moves by is the share of the mass that may be missed still, and its
effect on a mean, at some sds' distance, is part of the stated errors. And the draws
have to know the moments of p's gradient, which they do not where p goes on beyond the
last of them (`stein_identities`): else nothing is known.

References:
    Cappé, Douc, Guillin, Marin & Robert (2008), Stat. Comput. 18, arXiv:0710.4242.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.checks.draws_around import (
    Mixed,
    batches_affordable,
    evaluated,
    log_mixture,
    over,
)
from vijax.vi.checks.stein_identities import stein_residual
from vijax.vi.checks.t_mixture import MAX_DIM, TMixture, fit_mixture
from vijax.vi.engine.threefry import fold_in
from vijax.vi.importance_weights import KHAT_LIMIT, Smoothed, psis
from vijax.vi.result import Fit

# Tail shape of the weights, from which on a better proposal is looked for, and no
# proposal believed: k̂ is a little too good for one that is fitted to its own draws.
UNEVEN = 0.4
HOPELESS = 1.0  # above, the draws have not seen enough to fit anything to
MAX_ROUNDS = 6
MIN_GAIN = 1.2  # of the effective draws in a round, to go on
MAX_RESIDUAL = 3.5  # standard errors, of the largest of Stein's identities
STILL = 0.02  # nats that the evidence may move by in a round, or twice its error


class _Pool(NamedTuple):
    """Draws, log p, and the log densities of the two things they may come from."""

    positions: Any
    log_p: Any
    log_first: Any
    sites: dict[str, Any]

    def plus(self, other: "_Pool") -> "_Pool":
        """Return both, one after the other."""
        sites = {
            name: np.concatenate([x, other.sites[name]])
            for name, x in self.sites.items()
        }
        return _Pool(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.log_p, other.log_p]),
            np.concatenate([self.log_first, other.log_first]),
            sites,
        )

    def weighed(self, share: float, proposal: TMixture) -> Any:
        """Return log weights where `share` of all draws are the first ones."""
        log_second = proposal.log_prob(self.positions)
        log_mixture = np.logaddexp(
            np.log(share) + self.log_first, np.log1p(-share) + log_second
        )
        return over(self.log_p, log_mixture)


class _Round(NamedTuple):
    """The draws of a round, and what the new ones of them came from."""

    drawn: _Pool
    proposal: TMixture
    log_weights: Any
    smoothed: Smoothed
    moved: float  # nats, the evidence since the round before


def more_even(
    fit: Fit,
    key: Key,
    first: Mixed,
    freedom: int,
    wanted: Callable[[Mixed], int] = lambda mixed: 0,
    *,
    least: float = UNEVEN,
) -> Mixed:
    """Return draws with more even weights, or the first where none are found.

    Their drift is infinite where Stein's identities say that they miss part of p. Of a
    search that has not settled it is a number wherever they have been asked.

    None are looked for in a trace, where the search has diverged, with more than 200
    unknowns, where a draw is a pass over many rows, where q weighs its draws itself, or
    where the weights of the first have no long tail.

    Args:
        fit: one fit.
        key: random key.
        first: draws by `draw_mixture` with the same degrees of freedom.
        freedom: of the t distributions around q.
        wanted: how many draws are to be added to those of the last round.
        least: tail shape of the first weights, below which they are left as they are.
    """
    if is_traced(fit, first) or not may_adapt(fit):
        return first
    smoothed = psis(np.asarray(first.log_weights, float))
    rounds = batches_affordable(fit.target, first)
    if not least <= smoothed.tail_shape < HOPELESS or rounds < 2:
        return first
    best = _best_round(fit, key, first, freedom, min(rounds, MAX_ROUNDS))
    found = first if best is None else _extended(fit, key, first, best, freedom, wanted)
    smoothed = psis(np.asarray(found.log_weights, float))
    residual = stein_residual(fit.target, found.positions, smoothed.log_weights)
    if residual <= MAX_RESIDUAL:
        unsaid = fit.verdict == "not_converged" and found.drift is None
        return found._replace(drift=0.0) if unsaid else found
    # Draws in one part: their noise, of as many parts as q has around it, goes.
    return found._replace(eps=_no_noise(found.log_weights), drift=np.inf)


def _extended(
    fit: Fit,
    key: Key,
    first: Mixed,
    best: _Round,
    freedom: int,
    wanted: Callable[[Mixed], int],
) -> Mixed:
    """Return the draws of a round and as many more as are wanted."""
    found = _mixed(first, best.drawn, best.log_weights, best.moved)
    more = wanted(found)
    if more > 0:
        new_key = fold_in(key, 2 * MAX_ROUNDS)
        drawn = best.drawn.plus(_draw(fit, best.proposal, new_key, more, freedom))
        share = len(first.positions) / len(drawn.positions)
        weights = drawn.weighed(share, best.proposal)
        found = _mixed(first, drawn, weights, best.moved)
    return found


def may_adapt(fit: Fit) -> bool:
    """Say whether draws of a fit, outside of a trace, are ever adapted."""
    costly = fit.target.subsampled or fit.target.streamed
    usual = not costly and not hasattr(fit.q, "weigh")
    return usual and fit.target.dim <= MAX_DIM and fit.verdict != "diverged"


def _best_round(
    fit: Fit, key: Key, first: Mixed, freedom: int, max_rounds: int
) -> _Round | None:
    """Return the round whose draws weigh most evenly, of those that hold still."""
    log_weights = np.asarray(first.log_weights, float)
    positions = np.asarray(first.positions, float)
    log_first = np.asarray(log_mixture(fit, first.positions, freedom), float)
    pool = _Pool(positions, log_weights + log_first, log_first, first.sites)
    before, drawn = psis(log_weights), pool
    best: _Round | None = None
    for number in range(max_rounds):
        fit_key, new_key = (fold_in(key, 2 * number + i) for i in range(2))
        proposal = fit_mixture(fit_key, drawn.positions, before.log_weights)
        if proposal is None:
            break
        drawn = pool.plus(_draw(fit, proposal, new_key, len(positions), freedom))
        log_weights = drawn.weighed(0.5, proposal)
        after = psis(log_weights)
        moved = float(abs(after.log_evidence - before.log_evidence))
        still = moved <= max(STILL, 2 * _evidence_se(after))
        more_even = _efficiency(after) > MIN_GAIN * _efficiency(before)
        before = after
        if number == 0 or not still or after.tail_shape >= KHAT_LIMIT:
            continue
        if best is None or _efficiency(after) > _efficiency(best.smoothed):
            best = _Round(drawn, proposal, log_weights, after, moved)
        if after.tail_shape < UNEVEN and not more_even:
            break
    return best


def _draw(
    fit: Fit, proposal: TMixture, key: Key, num_samples: int, freedom: int
) -> _Pool:
    dtype = np.dtype(fit.target.init.dtype)
    z = proposal.sample(key, num_samples).astype(dtype)
    log_first = np.asarray(log_mixture(fit, z, freedom), float)
    log_proposal = np.logaddexp(log_first, proposal.log_prob(z.astype(float)))
    log_p, _, sites = evaluated(fit.target, z, log_proposal)
    return _Pool(z.astype(float), np.asarray(log_p, float), log_first, sites)


def _mixed(first: Mixed, drawn: _Pool, log_weights: Any, drift: float) -> Mixed:
    """Return draws whose noise has no exact moments."""
    return first._replace(
        eps=_no_noise(log_weights),
        positions=drawn.positions,
        log_weights=log_weights,
        sites=drawn.sites,
        drift=drift,
    )


def _no_noise(log_weights: Any) -> np.ndarray:
    return np.empty((len(log_weights), 0))


def _evidence_se(smoothed: Any) -> float:
    shares = len(smoothed.log_weights) * np.exp(smoothed.log_weights)
    return float(np.std(shares) / len(shares) ** 0.5)


def _efficiency(smoothed: Any) -> float:
    """Return the effective draws of one draw."""
    return float(smoothed.effective_sample_size) / len(smoothed.log_weights)
