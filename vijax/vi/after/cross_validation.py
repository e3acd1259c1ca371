r"""How well a model predicts observations that it has not seen: PSIS-LOO and WAIC.

    elpd = Σ_i log p(y_i | y_−i)       expected log predictive density, in nats

Leaving observation i out of the posterior divides it by p(y_i | θ). So draws θ_s of q,
which have the weights p(θ_s, y) / q(θ_s) for the posterior, have for it

    w_is ∝ p(θ_s, y) / (q(θ_s) p(y_i | θ_s)),   elpd_i = log Σ_s w_is p(y_i | θ_s)

with Pareto-smoothed weights that sum to 1. One k̂ for each observation says whether they
can be known: it sees both what q misses of the posterior and how far an observation
pulls the posterior towards itself.

The evidence (`vi.evidence`) answers another question: how probable were these data
before any were seen, under the whole prior? It depends on the prior's width without
end; the elpd asks for the next observation, once the others are known.

References:
    Vehtari, Gelman & Gabry (2017), Stat. Comput. 27(5), arXiv:1507.04544 (PSIS-LOO,
    WAIC, p_loo, standard errors); Magnusson et al. (2019), arXiv:1904.10679, section
    2.2 (draws of an approximation, the joint weights); Vehtari et al. (2024),
    arXiv:1507.02646 (k̂, its threshold).
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi.after.pointwise import (
    MAX_NUMBERS,
    Data,
    as_columns,
    observed_data,
    observed_sites,
    pointwise,
    require_observations,
)
from vijax.vi.after.posterior_draws import (
    IMPORTANCE,
    Q,
    WeightedDraws,
    judge_weights,
    source_of,
    unknowns,
    weighted_draws,
)
from vijax.vi.engine.batched_density import constrained_sites
from vijax.vi.engine.precision import own_precision
from vijax.vi.importance_weights import KHAT_LIMIT, ROWS, psis
from vijax.vi.result import Fit

DRAWS, DRAWS_OF_SUBSAMPLED = 4000, 1000
FEWEST = 100  # draws, of normals and as many of t's
MAX_VARIANCE = 0.4  # of a log likelihood, above which WAIC is not to be used
MAX_NAMED = 10
FEW = 100  # observations, below which elpd_se is rough


class Loo(NamedTuple):
    """PSIS-LOO; nats throughout. Prints as a table with advice."""

    elpd: float  # Σ_i log p(y_i | y_−i)
    elpd_se: float  # its standard error for other data of the same source
    p_loo: float  # effective number of parameters, Σ_i log p(y_i | y) − elpd
    p_loo_se: float
    monte_carlo_se: float  # of elpd, for other draws; good where `trusted`
    pointwise: np.ndarray  # log p(y_i | y_−i), (observations,)
    khat: np.ndarray  # tail shape of the weights, k̂ or Hill's, the smaller
    khat_limit: float  # below which they are good for so many draws
    trusted: bool
    advice: str
    source: str  # "importance", "chains" or "q"
    data: Data

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Names of observations whose elpd is not known."""
        bad = ~(self.khat < self.khat_limit)
        return tuple(np.asarray(self.data.names, object)[bad])

    def __str__(self) -> str:
        return _table(
            "PSIS-LOO",
            self.source,
            len(self.pointwise),
            _rows(self, "loo"),
            self.advice,
        )

    def __repr__(self) -> str:
        return str(self)


class Waic(NamedTuple):
    """The widely applicable information criterion; nats. Prints as a table."""

    elpd: float  # Σ_i (log p(y_i | y) − Var_θ[log p(y_i | θ)])
    elpd_se: float  # its standard error for other data of the same source
    p_waic: float  # effective number of parameters, Σ_i Var_θ[log p(y_i | θ)]
    p_waic_se: float
    monte_carlo_se: float  # of elpd, for other draws
    pointwise: np.ndarray
    variances: np.ndarray  # of log p(y_i | θ); above 0.4 says: do not use it
    trusted: bool
    advice: str
    source: str
    data: Data

    def __str__(self) -> str:
        return _table(
            "WAIC", self.source, len(self.pointwise), _rows(self, "waic"), self.advice
        )

    def __repr__(self) -> str:
        return str(self)


class _Drawn(NamedTuple):
    """Draws for one of the two, and what they are worth."""

    log_likelihoods: np.ndarray  # (draws, observations), in the model's precision
    log_weights: np.ndarray  # for the posterior, not normalised; float64
    draws: WeightedDraws
    trusted: bool
    advice: str
    data: Data


@own_precision
def loo(
    fit: Fit,
    key: Key | None = None,
    *,
    num_samples: int | None = None,
    draws: str = "auto",
) -> Loo:
    r"""Estimate the expected log predictive density by leaving each observation out.

    The draws are weighed for what q lacks of the posterior, so that q need not be the
    posterior. Where k̂ of an observation is too large its elpd is not known: it is
    named, and the result is not `trusted`.

    Observations are taken to be independent given the unknowns, one for each entry of
    a site's log density; of a time series this leaves out one step of it, not what
    follows. Of a model that subsamples its rows the weights are those of whole batches,
    with a scale for the rest.

    Args:
        fit: of a target of `vi.from_numpyro`.
        key: random key.
        num_samples: draws, 4000 by default; 1000 where the model subsamples. Of many
            observations the default is fewer, so that all can be held at once.
        draws: "auto": the chains where the fit has them (`vi.nuts`), else
            "importance", as above; or "q", which takes q for the posterior.

    Returns:
        The Loo: elpd, its standard error for other data and its Monte Carlo error,
        p_loo, k̂ of each observation, and advice.

    Raises:
        ValueError: as `vi.log_likelihood`; fewer than 100 samples, or more than can be
            held at once; more than about a million observations; inside a trace.

    References:
        See the module's.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> y = jnp.array([-1.0, 0.0, 1.0, 2.0])
        >>> found = loo(vi.fit(vi.from_numpyro(model, y), jax.random.key(0)))
        >>> exact = [dist.Normal((2 - x) / 4, 1.25**0.5).log_prob(x) for x in y]
        >>> abs(found.elpd - sum(exact).item()) < 0.02, found.trusted
        (True, True)
    """
    drawn = _drawn(fit, key, num_samples, draws, "vi.loo")
    number, count = drawn.log_likelihoods.shape
    elpd, lppd, khat = np.empty((3, count))
    # What each draw adds to elpd and to Σ_i log p(y_i | y), to first order.
    added, added_to_lppd = np.zeros((2, number))
    log_weights = psis(drawn.log_weights).log_weights
    for rows, own in _blocks(drawn.log_likelihoods):
        smoothed = psis(_usable(drawn.log_weights - own))
        terms = smoothed.log_weights + own
        elpd[rows] = _log_sum(terms)
        lppd[rows] = _log_sum(log_weights + own)
        khat[rows] = np.where(np.isfinite(elpd[rows]), smoothed.tail_shape, np.inf)
        added += np.sum(np.exp(terms - elpd[rows, None]), axis=0)
        added -= np.sum(np.exp(smoothed.log_weights), axis=0)
        gains = np.exp(log_weights + own - lppd[rows, None]) - np.exp(log_weights)
        added_to_lppd += np.sum(gains, axis=0)
    p_loo = lppd - elpd
    draw_error = _monte_carlo_se(added_to_lppd - added, drawn.draws)
    limit = min(1 - 1 / math.log10(number), KHAT_LIMIT)
    bad = ~(khat < limit)
    surely = float(np.sum(p_loo)) - 2 * math.hypot(_spread(p_loo), draw_error)
    advice = _advise_loo(drawn, khat, bad, limit, surely)
    return Loo(
        float(np.sum(elpd)),
        _spread(elpd),
        float(np.sum(p_loo)),
        _spread(p_loo),
        _monte_carlo_se(added, drawn.draws),
        elpd,
        khat,
        limit,
        drawn.trusted and not bad.any(),
        advice,
        drawn.draws.source,
        drawn.data,
    )


@own_precision
def waic(
    fit: Fit,
    key: Key | None = None,
    *,
    num_samples: int | None = None,
    draws: str = "auto",
) -> Waic:
    r"""Return the widely applicable information criterion, which `loo` is better than.

        elpd_i = log E[p(y_i | θ)] − Var[log p(y_i | θ)]     over the posterior

    For comparison with other work: it estimates what `loo` does, and its only warning
    is a variance above 0.4. Arguments and errors as in `loo`.

    References:
        Watanabe (2010), JMLR 11; Vehtari, Gelman & Gabry (2017), arXiv:1507.04544.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> fit = vi.fit(vi.from_numpyro(model, jnp.arange(4.0)), jax.random.key(0))
        >>> abs(waic(fit).elpd - loo(fit).elpd) < 0.1
        True
    """
    drawn = _drawn(fit, key, num_samples, draws, "vi.waic")
    number, count = drawn.log_likelihoods.shape
    lppd, variances = np.empty((2, count))
    added = np.zeros(number)
    log_weights = psis(drawn.log_weights).log_weights
    weights = np.exp(log_weights)
    for rows, own in _blocks(drawn.log_likelihoods):
        terms = log_weights + own
        lppd[rows] = _log_sum(terms)
        centred = np.where(weights > 0, own - (own @ weights)[:, None], 0.0)
        variances[rows] = centred**2 @ weights
        # What each draw adds to elpd_i, to first order.
        parts = np.exp(terms - lppd[rows, None]) - weights
        parts -= weights * (centred**2 - variances[rows, None])
        added += np.sum(parts, axis=0)
    elpd = lppd - variances
    bad = ~(variances < MAX_VARIANCE)
    advice = _advise_waic(drawn, variances, bad)
    return Waic(
        float(np.sum(elpd)),
        _spread(elpd),
        float(np.sum(variances)),
        _spread(variances),
        _monte_carlo_se(added, drawn.draws),
        elpd,
        variances,
        drawn.trusted and not bad.any(),
        advice,
        drawn.draws.source,
        drawn.data,
    )


def _drawn(
    fit: Fit, key: Key | None, num_samples: int | None, draws: str, purpose: str
) -> _Drawn:
    """Draw, evaluate every observation, and say what the draws are worth."""
    if is_traced(fit.status, key):
        raise ValueError(f"{purpose} is for one fit, outside of jit and vmap")
    names = require_observations(fit, purpose)
    source = source_of(fit, draws)
    if draws == "auto" and source == Q:
        source = IMPORTANCE
    wanted = DRAWS_OF_SUBSAMPLED if fit.target.subsampled else DRAWS
    wanted = wanted if num_samples is None else num_samples
    check(wanted >= FEWEST, "num_samples", num_samples, f"give at least {FEWEST}")
    key = jax.random.key(0) if key is None else key
    start = unknowns(fit.target, constrained_sites(fit.target, fit.target.init[None]))
    data, kept = observed_data(observed_sites(fit.target, start, names))
    count = sum(mask.size for mask in kept.values())
    held = MAX_NUMBERS // max(1, count)  # draws at once
    most = held // 2 if source == IMPORTANCE else held  # half of normals, half of t's
    if most < FEWEST:
        raise ValueError(
            f"fit is of {count} observations, which are too many for {purpose}: score "
            "rows that were held out of the fit, by vi.log_likelihood"
        )
    if most < wanted:
        told = f"of {count} observations give at most {most}, which is the default"
        check(num_samples is None, "num_samples", num_samples, told)
        wanted = most
    drawn = weighted_draws(fit, key, wanted, source, long_tails=True)
    if len(drawn.positions) > held:  # of several modes
        fewer = max(FEWEST, wanted * held // len(drawn.positions))
        drawn = weighted_draws(fit, key, fewer, source, long_tails=True)
    values = unknowns(fit.target, constrained_sites(fit.target, drawn.positions))
    log_p = as_columns(pointwise(fit.target, values), kept)
    log_weights = _usable(np.asarray(drawn.log_weights, float))
    if source == IMPORTANCE:
        smoothed = psis(log_weights)
        given = float(smoothed.tail_shape), float(smoothed.effective_sample_size)
        trusted, advice = judge_weights(fit, drawn, *given)
    else:
        own = fit if source != Q else fit._replace(chains=None)
        trusted, advice = bool(own.has_good_draws), own.advice
    return _Drawn(log_p, log_weights, drawn, trusted, advice, data)


def _blocks(log_p: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some observations and their log likelihoods, (observations, draws)."""
    for first in range(0, log_p.shape[1], ROWS):
        rows = slice(first, first + ROWS)
        yield rows, np.ascontiguousarray(log_p[:, rows].T, float)


def _usable(log_weights: np.ndarray) -> np.ndarray:
    """Give draws outside of the support no weight."""
    return np.where(log_weights < np.inf, log_weights, -np.inf)


def _log_sum(terms: np.ndarray) -> Any:
    """Return log Σ exp over the draws, the last axis."""
    largest = np.max(terms, axis=-1)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        sums = np.sum(np.exp(terms - largest[..., None]), axis=-1)
        return np.log(sums) + largest


def _spread(parts: np.ndarray) -> float:
    """Return the standard error of a sum over observations; NaN for a single one."""
    number = len(parts)
    return float(np.sqrt(number * np.var(parts, ddof=1))) if number > 1 else math.nan


def _monte_carlo_se(parts: np.ndarray, draws: WeightedDraws) -> float:
    """Return the standard error of an estimate from what each draw adds to it."""
    if draws.num_chains:
        from numpyro.diagnostics import (
            effective_sample_size,
        )  # loads SciPy's statistics

        chains = np.reshape(parts, (draws.num_chains, -1))
        effective = float(effective_sample_size(chains)) if np.ptp(parts) else 1.0
        return float(np.sqrt(np.sum(parts**2) * len(parts) / effective))
    together = np.sum(np.reshape(parts, (draws.num_parts, -1)), axis=0)
    return float(np.sqrt(np.sum(together**2)))


def _advise_loo(
    drawn: _Drawn, khat: np.ndarray, bad: np.ndarray, limit: float, surely: float
) -> str:
    """Return the advice; p_loo is `surely` at least so large."""
    if not drawn.trusted:
        return drawn.advice
    if bad.any():
        named = _named(drawn.data, bad, khat)
        return (
            f"Do not trust it: k̂ is above {limit:.2f} at {int(bad.sum())} of "
            f"{len(bad)} observations, {named}. Their elpd is not known: leave each of "
            "them out of the data and fit again, or look whether the model can explain "
            "them at all."
        )
    words = f"Trust it: k̂ is below {limit:.2f} at every observation."
    unknown = len(drawn.draws.positions[0])
    if surely > unknown:
        words += (
            f" p_loo is above the {unknown} unknowns: the model is likely wrong for "
            "these data; see vi.posterior_predictive_check."
        )
    return words + _note(drawn)


def _advise_waic(drawn: _Drawn, variances: np.ndarray, bad: np.ndarray) -> str:
    if not drawn.trusted:
        return drawn.advice
    if bad.any():
        named = _named(drawn.data, bad, variances)
        return (
            f"Do not trust it: the variance is above {MAX_VARIANCE} at "
            f"{int(bad.sum())} of {len(bad)} observations, {named}; use vi.loo."
        )
    return f"Trust it: no variance is above {MAX_VARIANCE}; vi.loo sees more." + _note(
        drawn
    )


def _note(drawn: _Drawn) -> str:
    few = len(drawn.data.names) < FEW
    note = f" Of fewer than {FEW} observations elpd_se is rough." if few else ""
    if drawn.draws.source == Q:
        note += " q was taken for the posterior: the Monte Carlo error is without that."
    return note


def _named(data: Data, bad: np.ndarray, values: np.ndarray) -> str:
    """Return the worst of the observations by name, with their numbers."""
    order = [i for i in np.argsort(-values) if bad[i]]
    shown = ", ".join(f"{data.names[i]} ({values[i]:.2f})" for i in order[:MAX_NAMED])
    return shown + (", …" if len(order) > MAX_NAMED else "")


def _rows(found: Any, name: str) -> list[tuple[str, float, float]]:
    parameters = f"p_{name}"
    return [
        (f"elpd_{name}", found.elpd, found.elpd_se),
        (parameters, getattr(found, parameters), getattr(found, f"{parameters}_se")),
        ("Monte Carlo error of elpd", found.monte_carlo_se, math.nan),
    ]


def _table(
    method: str,
    source: str,
    number: int,
    rows: list[tuple[str, float, float]],
    advice: str,
) -> str:
    lines = [f"{method} of {number} observations, draws by {source}, in nats"]
    for name, value, error in rows:
        shown = "" if math.isnan(error) else f" ± {error:.3g}"
        lines.append(f"{name:<26}{value:>12.3f}{shown}")
    return "\n".join([*lines, advice])
