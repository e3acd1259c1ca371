r"""Draws of the posterior from a fit: of q, corrected by importance, or of its chains.

posterior_draws(fit, key, num_samples)   equal weights: for prediction
weighted_draws(fit, key, num_samples)    with log weights: for estimates

"chains"      draws of NUTS: where the fit has them (`vi.nuts`)
"q"           draws of q: where the verdict trusts q's own means and sds
"importance"  draws of q, of the normal that linear response finds, and around other
              modes, weighed by w = p / (their mixture): where the verdict tells to
              use corrected moments; with equal weights, resampled by them
"auto"        the first of these that the verdict tells to use; where it tells to use
              none, outside of a trace, "importance" if draws that adapt correct q,
              else q, and then `trusted` is False

Outside of a trace draws of "importance" adapt where their weights are uneven
(`checks.adaptation`); in one they do not, and are then others.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.checks.adaptation import HOPELESS, UNEVEN, may_adapt, more_even
from vijax.vi.checks.draws_around import draw_mixture, freedom_of
from vijax.vi.checks.summary_table import sample
from vijax.vi.engine.batched_density import constrained_entries, constrained_sites
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.threefry import fold_in
from vijax.vi.importance_weights import (
    KHAT_LIMIT,
    MIN_EFFECTIVE_SAMPLE_SIZE,
    VARIANCE_LIMIT,
    moment_tails,
    psis,
)
from vijax.vi.methods.mode_search import MAX_DIM
from vijax.vi.result import Fit, may_have_more_modes, remedy, shown_entries
from vijax.vi.targets.target import Target

SOURCES = ("auto", "q", "importance", "chains")
MANY_UNKNOWN = 0.05  # of the sds, where q integrates unknowns out
LEAST_POOL = 4000  # draws that are resampled; 500 where each is a pass over all rows
Q, IMPORTANCE, CHAINS = SOURCES[1:]


class PosteriorDraws(NamedTuple):
    """Draws of equal weight of the constrained unknowns, and what they are worth."""

    values: dict[str, Array]  # draws first
    source: str  # "q", "importance" or "chains"
    trusted: Any  # whether they stand for the posterior
    khat: Any  # tail shape of the importance weights; NaN where none were used
    effective_sample_size: Any  # independent draws that give as small an error
    advice: str


class WeightedDraws(NamedTuple):
    """Positions with log weights; equal ones are 0."""

    positions: Float[Array, "draws dim"]
    log_weights: Float[Array, " draws"]
    source: str
    num_parts: int  # draws of equal noise, one block after another
    num_chains: int  # chains, one block after another; 0: no chains
    drift: float | None = None  # of draws that adapt; see `draws_around.Mixed`


def source_of(fit: Fit, draws: str = "auto") -> str:
    """Return where draws come from: as asked for, or as the verdict tells.

    Raises:
        ValueError: an unknown name; "chains" of a fit without; "auto" of a traced fit,
            or of a stack of fits.
    """
    if draws not in SOURCES:
        raise ValueError(f"draws = {draws!r} is not one of {SOURCES}")
    if np.ndim(fit.status):
        raise ValueError("fit is a stack of fits: give one of them, or use vmap")
    if draws == CHAINS and fit.chains is None:
        raise ValueError(
            'draws = "chains" is not valid: fit has none; run vi.nuts(fit, key) first, '
            "and give what it returns"
        )
    if draws != "auto":
        return draws
    if fit.chains is not None:
        return CHAINS
    if is_traced(fit.status):
        raise ValueError(
            'draws = "auto" asks for the verdict, which a traced fit does not have '
            'yet: give "q" or "importance"'
        )
    # The verdict of a fit that is there is known inside a trace too.
    with jax.ensure_compile_time_eval():
        return IMPORTANCE if fit.correctable and not fit.trusted else Q


def posterior_draws(
    fit: Fit,
    key: Key,
    num_samples: int,
    draws: str = "auto",
    *,
    deterministic: bool = False,
) -> PosteriorDraws:
    """Draw the constrained unknowns, with equal weights; see the module's docstring.

    Args:
        fit: one fit.
        key: random key.
        num_samples: number of draws.
        draws: "q", "importance", "chains", or "auto".
        deterministic: whether deterministic sites are among the values.

    Raises:
        ValueError: as `source_of`.
    """
    source = source_of(fit, draws)
    found = None
    if source == IMPORTANCE:
        found = _resampled(fit, key, num_samples)
    elif draws == "auto" and source == Q and not is_traced(key) and _is_near(fit):
        found = _resampled(fit, key, num_samples)
        found = found if found.trusted else None
    if found is None:
        found = _as_they_are(fit, key, num_samples, source)
    if deterministic:
        return found
    return found._replace(values=unknowns(fit.target, found.values))


def _as_they_are(fit: Fit, key: Key, num_samples: int, source: str) -> PosteriorDraws:
    """Draw from q, or choose among the draws of its chains."""
    chains = fit.chains if source == CHAINS else None
    fit = fit._replace(chains=chains)
    values = sample(fit, key, num_samples)
    size: Any = float(num_samples)
    if chains is not None:
        known = jnp.minimum(jnp.min(chains.mean_ess), jnp.min(chains.sd_ess))
        size = 1 / (1 / num_samples + 1 / known)
        size = size if is_traced(size) else float(size)
    if is_traced(fit.status, chains):
        return PosteriorDraws(values, source, False, np.nan, size, "")
    with jax.ensure_compile_time_eval():
        trusted, advice = bool(fit.has_good_draws), fit.advice
    return PosteriorDraws(values, source, trusted, np.nan, size, advice)


def _resampled(fit: Fit, key: Key, num_samples: int) -> PosteriorDraws:
    """Resample weighted draws, each as often as its weight says, in random order."""
    pool_key, place_key, order_key = jax.random.split(key, 3)
    size = pool_size(fit, num_samples)
    # With long tails, for no second batch follows that would add them.
    pool = weighted_draws(fit, pool_key, size, IMPORTANCE, long_tails=True)
    chosen, khat, effective = _choose(
        pool.log_weights, place_key, order_key, num_samples=num_samples
    )
    values = constrained_sites(fit.target, pool.positions[chosen])
    size = 1 / (1 / num_samples + 1 / effective)
    if is_traced(khat, fit.status):
        return PosteriorDraws(values, IMPORTANCE, False, khat, size, "")
    trusted, advice = judge_weights(fit, pool, float(khat), float(effective))
    advice += _long_tails(fit, pool) if trusted else ""
    return PosteriorDraws(values, IMPORTANCE, trusted, float(khat), float(size), advice)


@partial(density_jit, static_argnames="num_samples")
def _choose(
    log_weights: Array, place_key: Key, order_key: Key, *, num_samples: int
) -> tuple[Array, Array, Array]:
    smoothed = psis(log_weights)
    cumulative = jnp.cumsum(jnp.exp(smoothed.log_weights))
    places = jnp.arange(num_samples) + jax.random.uniform(place_key)
    chosen = jnp.searchsorted(cumulative / cumulative[-1], places / num_samples)
    chosen = jnp.minimum(chosen, len(log_weights) - 1)
    chosen = jax.random.permutation(order_key, chosen)
    return chosen, smoothed.tail_shape, smoothed.effective_sample_size


def judge_weights(
    fit: Fit, pool: "WeightedDraws", khat: float, effective: float
) -> tuple[bool, str]:
    """Say whether draws that importance weights correct may be used, and in words."""
    fit = fit._replace(chains=None)
    quality = f"k̂ = {khat:.2f}, {effective:.0f} effective samples"
    if fit.verdict != "converged":
        return False, f"Do not trust it: {fit.advice}"
    if may_have_more_modes(fit):
        return False, fit.advice
    good = khat < KHAT_LIMIT and effective >= MIN_EFFECTIVE_SAMPLE_SIZE
    if good and _correct(fit, pool, khat):
        return True, f"Trust it: corrected by importance weights ({quality})."
    why = quality
    if good:
        why = "linear response finds q much too narrow"
        if _many_unknown(fit):
            why = "their tails are too long for many of the unknowns"
        if pool.drift is not None:
            why = "their tail is long for a fitted proposal"
        if pool.drift == np.inf:
            why = "by the gradients of its density, draws miss part of the posterior"
    return False, (
        f"Do not trust it: importance weights do not correct q ({why}); {remedy(fit)}, "
        "or use vi.nuts(fit, key)."
    )


def _correct(fit: Fit, pool: "WeightedDraws", khat: float) -> bool:
    """Say whether weights with a good k̂ correct q.

    Those of draws that adapted do where they are even and know each sd, however
    narrow q is; others not where linear response finds q much too narrow.
    """
    if pool.drift is None:
        return bool(fit.correctable or fit.trusted) and not _many_unknown(fit)
    log_weights = psis(np.asarray(pool.log_weights, float)).log_weights
    tails = moment_tails(np.asarray(pool.positions, float), log_weights)
    known = khat < UNEVEN and bool(np.max(tails) < VARIANCE_LIMIT)
    return known and pool.drift < np.inf


def _many_unknown(fit: Fit) -> bool:
    """Say whether a q that integrates many unknowns out leaves many sds not known."""
    unknown = np.asarray(fit.tails) >= KHAT_LIMIT
    return hasattr(fit.q, "weigh") and bool(np.mean(unknown) > MANY_UNKNOWN)


def _long_tails(fit: Fit, pool: "WeightedDraws") -> str:
    """Say which unknowns' sds the weights do not know, though their draws are good."""
    if fit.target.dim > MAX_DIM:
        return ""
    log_weights = psis(np.asarray(pool.log_weights, float)).log_weights
    values = np.asarray(constrained_entries(fit.target, pool.positions), float)
    unknown = moment_tails(values, log_weights) >= KHAT_LIMIT
    if not unknown.any():
        return ""
    return (
        f" But the sd of {shown_entries(fit, unknown)} is not known: few draws of long "
        "tails make most of it."
    )


def _is_near(fit: Fit) -> bool:
    """Say whether draws that adapt may correct a q that is not trusted."""
    with jax.ensure_compile_time_eval():
        return not fit.trusted and may_adapt(fit) and float(fit.khat) < HOPELESS


def weighted_draws(
    fit: Fit,
    key: Key,
    num_samples: int,
    draws: str = "importance",
    *,
    long_tails: bool = False,
) -> WeightedDraws:
    """Draw positions with log weights, p over what they were drawn from.

    Args:
        fit: one fit.
        key: random key.
        num_samples: of each part of the mixture; at most so many of chains.
        draws: "importance"; "q", q taken for the posterior; or "chains".
        long_tails: whether some of the draws are of a t, not of normals.
    """
    target, source = fit.target, source_of(fit, draws)
    if source == CHAINS:
        assert fit.chains is not None
        positions = jnp.asarray(fit.chains.positions)
        step = -(-positions.shape[0] * positions.shape[1] // num_samples)
        thinned = positions[:, ::step]
        flat = thinned.reshape(-1, target.dim)
        return WeightedDraws(flat, jnp.zeros_like(flat[:, 0]), source, 1, len(thinned))
    drift = None
    if hasattr(fit.q, "weigh"):  # a q that evaluates the density to draw
        drawn = fit.q.weigh(key, num_samples)
        log_weights = jnp.asarray(drawn.log_joint)
        positions = jnp.asarray(drawn.positions)
    else:
        if source == Q:
            fit = fit._replace(covariance=None, modes=None)
        wide = long_tails or fit.modes is not None
        freedom = freedom_of(fit) if wide and source != Q else 0
        drawn = draw_mixture(fit, key, num_samples, freedom)
        if long_tails and source == IMPORTANCE:
            drawn = more_even(fit, fold_in(key, 1), drawn, freedom)
        drift = drawn.drift
        positions = jnp.asarray(drawn.positions)
        log_weights = jnp.asarray(drawn.log_weights)
    if source == Q:
        log_weights = jnp.zeros_like(log_weights)
    parts = len(positions) // num_samples
    return WeightedDraws(positions, log_weights, source, parts, 0, drift)


def light(fit: Fit) -> Fit:
    """Return a fit without what differs in shape from one search to the next."""
    return fit._replace(losses=jnp.zeros(()), chains=None)


def pool_size(fit: Fit, num_samples: int) -> int:
    """Return how many draws of each part are weighed for `num_samples` of them."""
    if fit.target.subsampled:  # each is a pass over all rows
        return max(500, num_samples)
    return max(LEAST_POOL, 2 * num_samples)


def unknowns(target: Target, values: dict[str, Array]) -> dict[str, Array]:
    """Return the unknowns among values by name, deterministic sites left out."""
    return {site.name: values[site.name] for site in target.static.sites}
