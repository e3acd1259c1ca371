r"""MCMC that begins where a fit ends: NUTS in the coordinates of q, from draws of q.

    chained = vi.nuts(fit, key)        a Fit again, with `chains`
    vi.summary(chained)                moments of the chains, R-hat, effective sizes
    vi.sample(chained, key, 1000)      draws of the chains

The sampler sees v of z = m + L v, m and L Lᵀ the mean and covariance of q, in which the
posterior is about N(0, I). So most of the warm-up, which learns m and L, is saved.

References:
    Hoffman & Gelman (2014), JMLR 15 (NUTS); Hoffman et al. (2019), arXiv:1903.03704
    (HMC in the coordinates of a variational fit); Vehtari et al. (2021), Bayesian
    Analysis 16(2), arXiv:1903.08008 (R-hat, effective sample sizes).
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import diagnostics
from numpyro.infer import MCMC, NUTS

from vijax.types import Key
from vijax.validate import check
from vijax.vi.engine import noise
from vijax.vi.engine.batched_density import constrained_entries, slopes_of_many
from vijax.vi.engine.compilation import in_trace
from vijax.vi.engine.precision import own_precision
from vijax.vi.families import base
from vijax.vi.importance_weights import KHAT_LIMIT, moment_tails
from vijax.vi.methods.mode_search import MAX_DIM, Modes, inner_half
from vijax.vi.result import Chains, Fit
from vijax.vi.targets.arguments.data_arguments import to_device
from vijax.vi.targets.arguments.looked_up import require_unchanged

HOPELESS_R_HAT = 1.2
CAREFUL = 0.99  # acceptance that is tried where a step diverges
MAX_DRAWS_FOR_TAILS = 20_000
NUM_STARTS = 400  # draws of q that the chains' starts are chosen from


class _Coordinates(NamedTuple):
    """z = loc + scale v; the scale is a vector, or a lower triangular matrix."""

    loc: Any
    scale: Any

    def position(self, v: Any) -> Any:
        return self.loc + base.times(self.scale, v)


@own_precision
def nuts(
    fit: Fit,
    key: Key,
    *,
    num_chains: int = 4,
    num_warmup: int = 500,
    num_samples: int = 1000,
    max_samples: int = 10_000,
    target_accept: float = 0.9,
    seconds: float | None = None,
) -> Fit:
    r"""Run NumPyro's NUTS from draws of a fit, in its coordinates.

    Chains go on in blocks of `num_samples` until every mean and sd is known: R-hat
    below 1.01, 1,500 effective samples, and a standard error below 5 % of an sd for
    each; or until `max_samples` or the time is spent. An sd that few draws of a long
    tail make most of is "not known", whatever its effective samples say.

    A step that diverges has met a place that the step size is too long for, and moments
    are biased around it: all is run again with a target of 0.99, and is trusted only
    without divergences. Where the fit has found other modes, chains start in these too.
    If they stay there, R-hat says so; if they visit one too seldom, its mass does.

    Args:
        fit: from `vi.fit`; it need not be good, its place and scale are used.
        key: random key.
        num_chains: at least 2, run side by side in one program.
        num_warmup: steps of each chain that adapt step size and scales, not kept.
        num_samples: draws of each chain in a block.
        max_samples: of each chain.
        target_accept: of the step size adaptation.
        seconds: after which no further block begins.

    Returns:
        The fit with `chains`; `trusted`, `advice`, means and sds are now theirs.

    Raises:
        ValueError: for counts that are too small, in a trace, for a model that
            subsamples or has changed since the fit, and where the density is not
            finite at any draw of q.

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(2))
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> chained = nuts(fit, jax.random.key(1))
        >>> chained.trusted, bool(abs(chained.means).max() < 0.1)
        (True, True)
    """
    for name, value, least in (
        ("num_chains", num_chains, 2),
        ("num_warmup", num_warmup, 1),
        ("num_samples", num_samples, 100),
        ("max_samples", max_samples, num_samples),
    ):
        check(value >= least, name, value, f"give at least {least}")
    target = fit.target
    if in_trace() or np.ndim(fit.status):
        raise ValueError("fit is traced, or a stack of fits: give one, outside of jit")
    require_unchanged(fit.target.static.function, fit.target.static.looked_up)
    if target.streamed:
        raise ValueError(
            "fit is to a stream, of which each of the many steps of NUTS would be a "
            "pass: give a fit of rows in memory"
        )
    if target.subsampled:
        raise ValueError(
            "fit is of a model that subsamples its rows, which NUTS cannot use: give "
            "the plate no subsample_size"
        )
    began = time.perf_counter()
    draw_key, start_key, run_key = jax.random.split(key, 3)
    eps = noise.normal(draw_key, (NUM_STARTS, target.dim), target.init.dtype)
    z = base.placed(fit.q, eps)
    log_weights = slopes_of_many(target, z)[0] - base.log_probs(fit.q, z)
    coordinates = _coordinates(fit, z)
    starts = _choose(start_key, z, log_weights, num_chains)
    modes = known_modes(fit)
    if modes is not None and np.any(modes.hill):
        others = np.asarray(modes.loc, starts.dtype)[np.asarray(modes.hill)]
        starts[1::2] = np.resize(others, starts[1::2].shape)
    inner = _inverse(coordinates, starts)
    deadline = np.inf if seconds is None else began + seconds
    counts = num_warmup, num_samples, max_samples
    for accept in dict.fromkeys((target_accept, max(target_accept, CAREFUL))):
        options: Any = {"accept": accept, "deadline": deadline}
        chained = _run(fit, run_key, coordinates, inner, counts, **options)
        if not chained.chains.num_divergences or time.perf_counter() > deadline:
            break
    return chained


def _run(
    fit: Fit,
    key: Key,
    coordinates: _Coordinates,
    inner: np.ndarray,
    counts: tuple[int, int, int],
    *,
    accept: float,
    deadline: float,
) -> Any:
    """Sample block by block until all is known, or something is in the way."""
    num_warmup, num_samples, max_samples = counts
    target, num_chains = fit.target, len(inner)
    sampler = MCMC(
        NUTS(
            potential_fn=lambda v: -target.log_density(coordinates.position(v)),
            target_accept_prob=accept,
        ),
        num_warmup=num_warmup,
        num_samples=num_samples,
        num_chains=num_chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    blocks: list[np.ndarray] = []
    values: list[np.ndarray] = []
    divergences = 0
    while True:
        fields = ("diverging", "num_steps")
        sampler.run(key, init_params=jnp.asarray(inner), extra_fields=fields)
        extra = jax.device_get(sampler.get_extra_fields(group_by_chain=True))
        divergences += int(np.sum(extra["diverging"]))
        v = sampler.get_samples(group_by_chain=True)
        blocks.append(np.asarray(jax.vmap(jax.vmap(coordinates.position))(v)))
        # Block by block, for all draws together would compile anew with every block.
        flat = constrained_entries(target, blocks[-1].reshape(-1, target.dim))
        values.append(np.asarray(flat, float).reshape(num_chains, num_samples, -1))
        drawn, entries = (np.concatenate(x, axis=1) for x in (blocks, values))
        chained: Any = _with_chains(fit, drawn, entries, divergences)
        spent = len(blocks) * num_samples + num_samples > max_samples
        # Chains that stay apart for two blocks will not meet in ten.
        seen = chained.chains
        apart = np.max(seen.r_hat) > HOPELESS_R_HAT or abs(seen.visits - 1) > 0.5
        apart &= len(blocks) > 1
        late = time.perf_counter() > deadline
        if _is_enough(chained) or divergences or spent or late or apart:
            return chained
        sampler.post_warmup_state = sampler.last_state
        key = sampler.last_state.rng_key


def _is_enough(chained: Fit) -> bool:
    """Say whether more draws would change nothing: long tails are not known by them."""
    assert chained.chains is not None
    hopeless = chained.chains.tails >= KHAT_LIMIT
    return chained.chains.good and bool(np.all(chained.chains.known_sds | hopeless))


@np.errstate(all="ignore")
def _choose(key: Key, z: Any, log_weights: Any, number: int) -> np.ndarray:
    """Choose starts among draws of q, by their weights cut at their mean."""
    finite = np.isfinite(log_weights)
    if not finite.any():
        raise ValueError(
            "fit is not valid: the log density is not finite at any of its draws"
        )
    weights = np.where(finite, np.exp(log_weights - np.max(log_weights[finite])), 0.0)
    weights = np.minimum(weights, np.mean(weights))
    uniform = np.asarray(jax.random.uniform(key, weights.shape))
    # The largest of log w − log(−log u): draws without replacement (Gumbel).
    order = np.argsort(-(np.log(weights) - np.log(-np.log(uniform))))
    return np.array(z[np.resize(order[: max(1, min(number, finite.sum()))], number)])


def _coordinates(fit: Fit, z: np.ndarray) -> _Coordinates:
    """Return mean and scale of q: a matrix for few unknowns, else the sds."""
    like = fit.target.init
    loc = base.mean(fit.q, like)
    if fit.target.dim > MAX_DIM:
        return _Coordinates(loc, base.scale(fit.q, like))
    covariance: Any = fit.covariance
    if covariance is None:
        covariance = np.cov(np.asarray(z, float).T).reshape(2 * (z.shape[1],))
    covariance = np.asarray(covariance, float)
    # Draws of few, or of a covariance without full rank: lean on the diagonal.
    covariance = 0.95 * covariance + 0.05 * np.diag(np.diag(covariance))
    lower = np.linalg.cholesky(covariance)
    return _Coordinates(loc, to_device(lower.astype(like.dtype)))


def _inverse(coordinates: _Coordinates, z: np.ndarray) -> np.ndarray:
    centred, scale = z - np.asarray(coordinates.loc), np.asarray(coordinates.scale)
    if scale.ndim == 1:
        return centred / scale
    return np.linalg.solve(scale, centred.T).T.astype(z.dtype)


def _with_chains(
    fit: Fit, positions: np.ndarray, values: np.ndarray, divergences: int
) -> Fit:
    """Return the fit with what the chains say of its constrained unknowns."""
    means, sds = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    moves = sds > 0  # an entry that is always the same is known
    squares = (values - means) ** 2
    r_hat = np.ones_like(means)
    of_mean, of_sd = np.full((2, len(means)), np.inf)
    chosen, chosen_squares = values[..., moves], squares[..., moves]
    r_hat[moves] = np.maximum(
        diagnostics.split_gelman_rubin(chosen),
        diagnostics.split_gelman_rubin(chosen_squares),
    )
    of_mean[moves] = diagnostics.effective_sample_size(chosen)
    of_sd[moves] = diagnostics.effective_sample_size(chosen_squares)
    flat = values.reshape(-1, values.shape[-1])
    some = flat[:: -(-len(flat) // MAX_DRAWS_FOR_TAILS)]
    chains = Chains(
        to_device(positions),
        _visits(fit, positions.reshape(-1, positions.shape[-1])),
        r_hat,
        of_mean,
        of_sd,
        sds / of_mean**0.5,
        0.5 * squares.std(axis=(0, 1)) / np.where(moves, sds, 1.0) / of_sd**0.5,
        divergences,
        moment_tails(some, np.zeros(len(some))),
    )
    dtype = fit.target.init.dtype
    return fit._replace(
        chains=chains,
        means=to_device(means.astype(dtype)),
        sds=to_device(sds.astype(dtype)),
    )


def known_modes(fit: Fit) -> Modes | None:
    """Return the modes that a fit has found beside q, or that q is made of."""
    if fit.modes is not None or not hasattr(fit.q, "components"):
        return fit.modes
    locs, roots = (np.asarray(x, float) for x in fit.q.components())
    mass = np.exp(np.asarray(fit.q.log_weights, float))
    hill = np.ones(len(locs), bool)
    return Modes(locs, roots, mass, hill) if len(locs) > 1 else None


def _visits(fit: Fit, z: np.ndarray) -> float:
    """Return the draws near a mode over its mass, where that is the farthest from 1."""
    modes = known_modes(fit)
    if modes is None:
        return 1.0
    worst = 1.0
    # Within the inner half of what is no hill, the draws are mostly q's.
    hills = (np.asarray(x)[np.asarray(modes.hill)] for x in modes[:3])
    for loc, root, mass in zip(*hills, strict=True):
        share = 2 * np.mean(inner_half(z, loc, root)) / max(mass, 1e-12)
        worst = share if abs(share - 1) > abs(worst - 1) else worst
    return float(worst)
