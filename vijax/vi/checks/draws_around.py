r"""Draws of q and around it, weighed by p against the mixture they come from.

Equal parts are drawn from q, from r = N(mean of q, the covariance that linear response
knows), and from a normal at every mode that was found beside q, so that no weight is
far above p / q, and those where q is too narrow, or is not, are far below.

References:
    Veach & Guibas (1995), SIGGRAPH (the mixture); Hesterberg (1995), Technometrics
    37(2) (defensive mixtures).
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from vijax.array_module import array_module, cholesky
from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import constrained_sites, evaluate
from vijax.vi.engine.precision import in_float64, precision_of
from vijax.vi.engine.threefry import fold_in
from vijax.vi.families import base
from vijax.vi.families.gaussian import FullRankNormal
from vijax.vi.result import Fit
from vijax.vi.targets.target import Target

LEAST_FREEDOM = 8
MAX_BATCHES = 8
MAX_NUMBERS = 2**25  # that the draws of all batches may be
ABSURD = 30.0  # nats that a log weight may be above the usual in float32
LOOKED_AT = 1024  # largest weights, that are computed in float64 too
ROUNDING = 1.0  # nats that the two may differ by
MAX_WORK = 2**30  # rows that the density of all batches may see


def freedom_of(fit: Fit) -> int:
    """Return the degrees of freedom of the wider distributions beside q."""
    return max(LEAST_FREEDOM, fit.target.dim)


class Mixed(NamedTuple):
    """Draws of q and around it, one part after the other."""

    eps: Any  # (samples, dim), which the parts share
    positions: Any  # (parts · samples, dim)
    log_weights: Any  # log p less that of the mixture, and less the reference
    reference: Any
    sites: dict[str, Any]  # constrained, by name
    # Of draws that adapt: nats that the evidence moved by; infinite: part is missed.
    drift: float | None = None


def draw_mixture(fit: Fit, key: Key, num_samples: int, freedom: int) -> Mixed:
    """Draw from q and around it, and weigh.

    Args:
        fit: with a q that does not weigh its draws itself.
        key: random key.
        num_samples: of each part of the mixture.
        freedom: of the t that parts beside q, and a normal q alone, are widened to; 0
            leaves them as they are.
    """
    target = fit.target
    like, xp = target.init, array_module(fit, key)
    noise_key, spread_key = (fold_in(key, i) for i in range(2))
    eps = noise.normal(noise_key, (num_samples, target.dim), like.dtype)
    eps = noise.whitened(eps)
    parts, widened = _parts(fit, freedom)
    noises = [eps] * len(parts)
    for number in widened:
        squares = noise.normal(spread_key, (num_samples, freedom), like.dtype) ** 2
        noises[number] = eps * xp.mean(squares, axis=1, keepdims=True) ** -0.5
    pairs = zip(parts, noises, strict=True)
    z = xp.concatenate([base.placed(part, e) for part, e in pairs])
    log_proposal = log_mixture(fit, z, freedom)
    log_p, reference, draws = evaluated(target, z, log_proposal)
    return Mixed(eps, z, over(log_p, log_proposal), reference, draws)


def response_draws(fit: Fit, eps: Any) -> dict[str, Any]:
    """Return draws of the normal that linear response finds, constrained, by site."""
    parts, _ = _parts(fit, 0)
    return constrained_sites(fit.target, base.placed(parts[1], eps))


def evaluated(
    target: Target, z: Any, log_proposal: Any
) -> tuple[Any, Any, dict[str, Any]]:
    """Return `evaluate`, with log p in float64 where float32 makes a weight absurd.

    Far out a density may lose all digits, in a difference of log gamma functions of
    10⁸ say, and a weight of e³⁰⁰ be nothing but rounding.
    """
    log_p, reference, sites = evaluate(target, z)
    single = np.dtype(target.init.dtype) == np.float32
    if not single or target.static.plates or is_traced(target, z, log_proposal):
        return log_p, reference, sites
    log_weights = over(log_p, log_proposal)
    finite = log_weights[np.isfinite(log_weights)]
    usual = np.median(finite) if finite.size else np.inf
    if not (log_weights > usual + ABSURD).any():
        return log_p, reference, sites
    wide, rows = in_float64(target), np.asarray(z, float)
    with precision_of(wide):
        largest = np.argsort(log_weights)[-LOOKED_AT:]
        exact, _, _ = evaluate(wide, rows[largest])
        # A q that is far off may have such weights: then these are exact enough.
        if not np.max(np.abs(log_p[largest] - exact)) <= ROUNDING:
            log_p, reference, _ = evaluate(wide, rows)
    return log_p, reference, sites


def batches_affordable(target: Target, batch: Mixed) -> int:
    """Return how many batches memory and the density's cost allow, at least 1."""
    numbers = sum(x.size for x in batch.sites.values())
    work = len(batch.log_weights) * target.cost
    return max(1, min(MAX_BATCHES, MAX_NUMBERS // numbers, MAX_WORK // work))


def log_mixture(fit: Fit, z: Any, freedom: int) -> Any:
    """Return the log density of what `draw_mixture` draws from, at positions z."""
    parts, widened = _parts(fit, freedom)
    log_parts = [base.log_probs(part, z) for part in parts]
    for number in widened:
        log_parts[number] = _widened(parts[number], log_parts[number], freedom)
    xp = array_module(z, *log_parts)
    return reduce(xp.logaddexp, log_parts) - math.log(len(parts))


def over(log_p: Any, log_proposal: Any) -> Any:
    """Return log weights: none where a draw reaches and p is not a number."""
    xp = array_module(log_p, log_proposal)
    log_weights = log_p - log_proposal
    return xp.where(xp.isnan(log_weights), -xp.inf, log_weights)


def _parts(fit: Fit, freedom: int) -> tuple[list[Any], Sequence[int]]:
    """Return q and the normals around it, and the numbers of those made a t."""
    like, xp, parts = fit.target.init, array_module(fit), [fit.q]
    if fit.covariance is not None:
        root = cholesky(xp.asarray(fit.covariance))
        centre = xp.asarray(base.mean(fit.q, like))
        parts.append(FullRankNormal.from_tril(centre, root))
    if fit.modes is not None:
        places = zip(fit.modes.loc, fit.modes.root, strict=True)
        parts += [
            FullRankNormal.from_tril(*(xp.asarray(x, like.dtype) for x in place))
            for place in places
        ]
    # A q that is not normal has its own tails.
    alone = len(parts) == 1 and base.is_normal(fit.q)
    return parts, range(0 if alone else 1, len(parts)) if freedom else ()


def _widened(normal: Any, log_normal: Any, freedom: int) -> Any:
    """Return the log density of the t of a normal's centre and scale.

    The normal's own density says how far a draw is, ‖ε‖² = 2 (log q(m) − log q(z)).
    """
    dim = normal.loc.size
    peak = base.log_probs(normal, normal.loc[None])[0]
    # Of the t's density over the normal's, at their centre.
    constant = math.lgamma((freedom + dim) / 2) - math.lgamma(freedom / 2)
    constant -= 0.5 * dim * math.log(freedom / 2)
    squares = 2 * (peak - log_normal)
    log1p = array_module(squares).log1p
    return peak + constant - 0.5 * (freedom + dim) * log1p(squares / freedom)
