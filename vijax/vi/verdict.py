"""From fresh draws of a q to its Fit: ELBO, evidence, k̂, and whether modes are missed.

Draws of q are weighed by w = p / q. Where the search of `methods.mode_search` has found
other modes, draws around them join, and all are weighed against the mixture that they
were drawn from,

    w(z) = p(z) / Σ_k (n_k / n) q_k(z),    q_0 = q, two normals for each other mode,

so that a mode counts by its mass, however far away, and one that q covers counts once.

References:
    Veach & Guibas (1995), SIGGRAPH (the mixture as the one proposal).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.types import Key, Scalar
from vijax.validate import is_traced
from vijax.vi import importance_weights
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import (
    all_rows,
    constrained_entries,
    entries,
    evaluate,
    slopes_of_many,
)
from vijax.vi.families import base
from vijax.vi.families.base import normal_log_prob
from vijax.vi.methods.base import Found
from vijax.vi.methods.mode_search import Modes, Peaks, is_far
from vijax.vi.result import Fit
from vijax.vi.targets.arguments.data_arguments import to_device
from vijax.vi.targets.target import Target

WIDER = 1.5  # sds of the second normal around a mode
LEAST_SHARE = 1e-4  # of the mass, below which a mode is not spoken of
LEAST_SHARE_BY_LAPLACE = 1e-3  # where it is Laplace's


class Checked(NamedTuple):
    """What draws say, their log weights less a reference."""

    log_weights: Float[Array, " checks"]  # log p(z) less the log of what it came from
    values: Float[Array, "checks entries"]  # the constrained unknowns there
    reference: Scalar
    shares: Float[Array, "checks modes"] | None = None  # how far a draw is each mode's
    # Where q weighs its draws itself, some unknowns integrated out of the weights:
    log_joint: Float[Array, " checks"] | None = None  # with none integrated out
    other_log_weights: Float[Array, " checks"] | None = None  # by another quadrature
    entries: Float[Array, "checks entries"] | None = None  # of each unknown's own block
    few: Float[Array, " entries"] | None = None  # 1 where one of few that matter most


def check_draws(target: Target, q: Any, key: Key, *, num_checks: int) -> Checked:
    """Weigh fresh draws of q, whose noise has mean 0 and covariance I exactly."""
    if hasattr(q, "weigh"):  # a q that evaluates the density to draw
        return _weigh(target, q, key, num_checks=num_checks)
    like = target.init
    eps = noise.normal(key, (num_checks, like.shape[0]), like.dtype)
    z = base.placed(q, noise.whitened(eps))
    if target.subsampled or is_traced(target, z):
        log_p, reference = all_rows(target, z)
    else:  # by the program that fits have compiled, with gradients to no purpose
        log_p, _ = slopes_of_many(target, z)
        reference = like.dtype.type(0)
    values = constrained_entries(target, z)
    return Checked(log_p - base.log_probs(q, z), values, reference)


@np.errstate(all="ignore")
def check_modes(
    target: Target, q: Any, modes: Peaks, key: Key, *, num_checks: int
) -> Checked:
    """Weigh the draws of `check_draws` again, with half as many around each mode.

    Modes are looked for outside of traces only: this is NumPy's.
    """
    like = target.init
    eps = noise.normal(key, (num_checks, like.shape[0]), like.dtype)
    around = noise.whitened(eps[: num_checks // 4])
    places = [
        (loc.astype(like.dtype), root.astype(like.dtype))
        for loc, root in zip(modes.loc, modes.root, strict=True)
    ]
    draws = [base.placed(q, noise.whitened(eps))]
    for loc, root in places:
        step = around @ root.T
        draws.append(np.concatenate([loc + step, loc + WIDER * step]))
    numbers = np.array([len(part) for part in draws])
    z = np.concatenate(draws)
    parts = [base.log_probs(q, z)]
    for loc, root in places:
        inner = np.linalg.solve(root, (z - loc).T).T
        log_det = np.linalg.slogdet(root)[1]
        wide = log_det + inner.shape[1] * np.log(WIDER)
        both = normal_log_prob(inner, log_det), normal_log_prob(inner / WIDER, wide)
        parts.append(np.logaddexp(*both) - np.log(2.0))
    weighted = np.stack(parts) + np.log(numbers / len(z))[:, None]
    mixture = np.logaddexp.reduce(weighted, axis=0)
    log_p, reference, sites = evaluate(target, z)
    shares = np.exp(weighted[1:] - mixture).T
    # Within the bulk of q, draws of its tails are q's.
    shares[:, ~modes.hill] *= is_far(q, like, z)[:, None]
    return Checked(log_p - mixture, entries(target, sites), reference, shares)


def _weigh(target: Target, q: Any, key: Key, *, num_checks: int) -> Checked:
    """Let q weigh its draws, of which it may integrate some unknowns out."""
    drawn = q.weigh(key, num_checks)
    blocks = drawn.block_log_weights
    return Checked(
        drawn.log_weights,
        constrained_entries(target, drawn.positions),
        jnp.zeros_like(drawn.log_weights[0]),
        None,
        drawn.log_joint,
        drawn.other_log_weights,
        None if blocks is None else target.by_entry(blocks),
        q.global_entries(),
    )


@np.errstate(all="ignore")
def judge(
    target: Target,
    found: Found,
    checked: Checked,
    peaks: Peaks | None = None,
    beside: Checked | None = None,
) -> Fit:
    """Add ELBO, evidence and k̂ from the log weights, and put the Fit together.

    Args:
        target: the log density.
        found: q and how it was found.
        checked: draws of q.
        peaks: other modes that were found.
        beside: draws of q and of the modes, from `check_modes`; None where q weighs its
            draws itself: the modes then weigh what Laplace's formula gives all of them,
            q's own among them.
    """
    xp = array_module(found, checked)
    log_weights, values, reference = (xp.asarray(x) for x in checked[:3])
    dtype, number = log_weights.dtype, log_weights.shape[0]
    finite = xp.all(xp.isfinite(log_weights))
    smoothed = _smoothed(log_weights)
    joint = log_weights
    if checked.log_joint is not None:
        joint = xp.asarray(checked.log_joint)
        finite = finite & xp.all(xp.isfinite(joint))
    by_entry, agrees = _by_entry(checked, values, smoothed.log_weights)
    numbers = {
        "elbo": xp.where(finite, xp.mean(joint) + reference, xp.nan),
        "elbo_se": xp.where(finite, xp.std(joint, ddof=1), xp.nan) / number**0.5,
        "khat": xp.where(finite & agrees, smoothed.tail_shape, xp.inf),
        "khat_se": xp.where(finite, smoothed.tail_shape_se, xp.nan),
        "means": xp.mean(values, axis=0),
        "sds": xp.std(values, axis=0),
    }
    modes = None
    if beside is not None and peaks is not None:
        log_weights, values, reference = (np.asarray(x) for x in beside[:3])
        smoothed = _smoothed(log_weights)
        by_entry = smoothed.log_weights
        mass = np.exp(smoothed.log_weights) @ np.asarray(beside.shares)
        matters = mass >= LEAST_SHARE
        if matters.any():
            fields = (peaks.loc, peaks.root, mass, peaks.hill)
            modes = Modes(*(x[matters] for x in fields))
        # Beside other modes, the weights are as good as those of all draws together.
        numbers["khat"] = np.maximum(numbers["khat"], smoothed.tail_shape)
    elif peaks is not None:
        modes = _by_laplace(peaks)
        numbers["khat"] = numbers["khat"] if modes is None else np.inf
    shares = len(log_weights) * xp.exp(smoothed.log_weights)
    mean_shift, sd_shift = importance_weights.shifts(values, by_entry, number)
    if checked.few is not None:  # chance moves the largest of few by less
        few = np.flatnonzero(np.asarray(checked.few))
        moves = importance_weights.shifts(values[:, few], smoothed.log_weights)
        mean_shift = xp.maximum(mean_shift, moves[0])
        sd_shift = xp.maximum(sd_shift, moves[1])
    numbers |= {
        "log_evidence": xp.where(finite, smoothed.log_evidence + reference, xp.nan),
        "log_evidence_se": xp.std(shares, ddof=1) / len(shares) ** 0.5,
        "effective_sample_size": smoothed.effective_sample_size,
        "mean_shift": mean_shift,
        "sd_shift": sd_shift,
        "tails": importance_weights.moment_tails(values, by_entry),
    }
    arrays: Any = {
        name: to_device(xp.asarray(value, dtype)) for name, value in numbers.items()
    }
    rest: Any = found._asdict()
    status = xp.where(finite, xp.where(xp.asarray(rest.pop("good")), 0, 1), 2)
    status = to_device(xp.asarray(status, np.int32))
    return Fit(**rest, **arrays, status=status, target=target, modes=modes)


def _by_laplace(peaks: Peaks) -> Modes | None:
    """Return the modes whose share matters, of masses relative to q's own mode."""
    log_mass = np.append(np.minimum(peaks.log_mass, 700.0), 0.0)
    mass = np.exp(log_mass - np.logaddexp.reduce(log_mass))[:-1]
    matters = mass >= LEAST_SHARE_BY_LAPLACE
    if not matters.any():
        return None
    fields = (peaks.loc, peaks.root, mass, peaks.hill)
    return Modes(*(x[matters] for x in fields))


def _by_entry(checked: Checked, values: Any, log_weights: Any) -> tuple[Any, Any]:
    """Return each entry's log weights, and whether two quadratures agree on them.

    They agree where they put every mean within 0.05 sd of each other.
    """
    xp = array_module(values, log_weights)
    if checked.other_log_weights is None or checked.entries is None:
        return log_weights, xp.asarray(True)
    other = xp.asarray(checked.other_log_weights)
    by_entry = importance_weights.normalised(
        log_weights[:, None] + xp.asarray(checked.entries)
    )
    ratio = xp.exp(importance_weights.normalised(other)) - xp.exp(
        importance_weights.normalised(xp.asarray(checked.log_weights))
    )
    spread = xp.std(values, axis=0)
    moves = xp.abs(ratio @ values) / xp.where(spread > 0, spread, 1.0)
    return by_entry, xp.max(moves) < importance_weights.MEAN_LIMIT


def _smoothed(log_weights: Any) -> importance_weights.Smoothed:
    """Smooth the weights; zeros (−inf) are fine here, though not for an ELBO."""
    xp = array_module(log_weights)
    usable = xp.where(xp.isnan(log_weights), -xp.inf, log_weights)
    usable = xp.where(xp.any(usable > -xp.inf), usable, 0.0)
    return importance_weights.psis(usable)
