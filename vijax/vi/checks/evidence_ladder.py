r"""The ladder of evidences log p(x), from a fit: which rung, how good, on which side.

    exact       vijax.bayes, where the model is conjugate
    "bridge"    from draws of q and of the posterior (MCMC's): the smallest error
    "importance" from draws of q alone: good where k̂ < 0.7
    "elbo"      a lower bound, off by KL[q ‖ posterior], which nobody knows

A Bayes factor is a difference of two of them. Of two lower bounds it is off by the
difference of two unknown KLs, on an unknown side, and is refused unless asked for.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import printing
from vijax.types import Key
from vijax.validate import check
from vijax.vi import importance_weights
from vijax.vi.engine.batched_density import log_densities
from vijax.vi.engine.compilation import density_jit
from vijax.vi.families import base
from vijax.vi.result import Fit

METHODS = ("importance", "bridge", "elbo")
ESTIMATE, LOWER_BOUND = "estimate", "lower bound"
MAX_ITERATIONS = 1000


class Evidence(NamedTuple):
    """log p(x) in nats."""

    log_evidence: float
    standard_error: float
    side: str  # "estimate", or "lower bound" (of which the error is not the gap)
    khat: float  # of the weights of q; the estimate holds below 0.7

    def __str__(self) -> str:
        value = printing.in_digits(self.log_evidence, self.standard_error)
        return f"log p(data) {value} nats ({self.side}, k̂ = {self.khat:.2f})"

    def __repr__(self) -> str:
        return str(self)


class BayesFactor(NamedTuple):
    """log K = log p(x | first) − log p(x | second) in nats."""

    log_bayes_factor: float
    standard_error: float
    statement: str  # what it is worth

    def __str__(self) -> str:
        value = printing.in_digits(self.log_bayes_factor, self.standard_error)
        return f"log K {value} nats ({self.statement})"

    def __repr__(self) -> str:
        return str(self)


def evidence(
    fit: Fit,
    method: str = "importance",
    *,
    draws: dict[str, Any] | None = None,
    num_samples: int = 10_000,
    key: Key | None = None,
) -> Evidence:
    r"""Return log p(x) by one rung of the ladder, from fresh draws of q.

    "bridge" is Meng and Wong's estimator with the optimal bridge, found by iteration

        r ← mean_q[w / (s₁ w + s₂ r)] / mean_post[1 / (s₁ w + s₂ r)],  w = p(z) / q(z)

    s₁ and s₂ the shares of posterior draws and draws of q; its error is the delta
    method's, with the effective number of posterior draws. Without `draws` those of the
    posterior are resampled from q by importance: that adds no information, and the
    error is importance sampling's.

    Args:
        fit: of a model whose priors are proper and whose log density is normalised.
        method: "importance", "bridge" or "elbo".
        draws: of the posterior, for "bridge" only: a dict from the name of a site to
            an array, draws first, of values as the model has them (constrained), every
            unknown of the model and nothing else needed. Of NumPyro's MCMC that is
            `mcmc.get_samples()`, of `vi.nuts` it is `vi.sample(chains, key, 2000)`.
            Independent of the draws of q: they are what "bridge" adds. Their order is
            the chain's, for the error counts how many of them are independent.
        num_samples: draws of q.
        key: random key.

    Returns:
        The Evidence; of a lower bound the error is that of its estimate, not the gap.

    Raises:
        ValueError: an unknown method; draws for another method than "bridge", or not
            of the model's unknowns; fewer than 100 samples; a stack of fits.

    References:
        Meng & Wong (1996), Statistica Sinica 6; Frühwirth-Schnatter (2004),
        Econometrics J. 7 (the error); Gronau et al. (2017), arXiv:1703.05984.

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> found = evidence(vi.fit(target, jax.random.key(0)))
        >>> round(found.log_evidence, 4), found.side  # ½ log 2π
        (0.9189, 'estimate')
    """
    if method not in METHODS:
        raise ValueError(f"method = {method!r} is not one of {METHODS}")
    if draws is not None and method != "bridge":
        raise ValueError(f'draws are for method = "bridge", not for {method!r}')
    check(num_samples >= 100, "num_samples", num_samples, "give at least 100")
    if np.ndim(fit.status):
        raise ValueError("fit is a stack of fits: give one of them")
    key = jax.random.key(0) if key is None else key
    first_key, second_key = jax.random.split(key)
    weights, reference = _drawn_log_weights(fit, first_key, num_samples)
    smoothed = importance_weights.psis(weights)
    shares = num_samples * np.exp(smoothed.log_weights)
    error = float(np.std(shares, ddof=1) / num_samples**0.5)
    khat = float(smoothed.tail_shape)
    if method == "elbo":
        value, error = np.mean(weights), np.std(weights, ddof=1) / num_samples**0.5
        return Evidence(float(value) + reference, float(error), LOWER_BOUND, khat)
    if method == "importance":
        value = float(smoothed.log_evidence)
        return Evidence(value + reference, error, ESTIMATE, khat)
    if draws is None:
        posterior, second = _drawn_log_weights(fit, second_key, num_samples)
        share = np.exp(importance_weights.psis(posterior).log_weights)
        places = (np.arange(num_samples) + 0.5) / num_samples
        chosen = np.searchsorted(np.cumsum(share) / np.sum(share), places)
        posterior = posterior[np.minimum(chosen, num_samples - 1)] + second - reference
        value, least = bridge(posterior, weights)
        return Evidence(value + reference, max(least, error), ESTIMATE, khat)
    positions = _positions(fit, draws)
    posterior, second = _log_weights(fit, positions)
    value, error = bridge(posterior + second - reference, weights)
    return Evidence(value + reference, error, ESTIMATE, khat)


def bridge(posterior: np.ndarray, proposal: np.ndarray) -> tuple[float, float]:
    r"""Return the bridge estimate of log p(x) and its standard error.

    Args:
        posterior: log p(z) − log q(z) at draws of the posterior, in their order.
        proposal: the same at draws of q.

    Example:
        >>> flat = np.full(100, 2.0)  # p = e² q everywhere
        >>> bridge(flat, flat)
        (2.0, 0.0)
    """
    posterior, proposal = (np.asarray(x, float) for x in (posterior, proposal))
    shift = np.median(posterior)
    w_post, w_q = np.exp(posterior - shift), np.exp(proposal - shift)
    total = len(w_post) + len(w_q)
    s1, s2 = len(w_post) / total, len(w_q) / total
    ratio = 1.0
    for _ in range(MAX_ITERATIONS):
        top = np.mean(w_q / (s1 * w_q + s2 * ratio))
        new = top / np.mean(1 / (s1 * w_post + s2 * ratio))
        done = abs(new - ratio) <= 1e-12 * new
        ratio = new
        if done:
            break
    f_q = w_q / (s1 * w_q + s2 * ratio)
    f_post = 1 / (s1 * w_post + s2 * ratio)
    parts = 0.0
    for values, number in ((f_q, len(w_q)), (f_post, _effective(f_post))):
        parts += np.var(values) / np.mean(values) ** 2 / number
    return float(np.log(ratio) + shift), float(np.sqrt(parts))


def bayes_factor(
    first: Evidence | Fit, second: Evidence | Fit, *, allow_bounds: bool = False
) -> BayesFactor:
    r"""Return the log Bayes factor of two models of the same data.

    A Fit counts with its importance-weighted evidence where that may be used
    (`fit.correctable`), else with its ELBO, a lower bound. With draws of the posterior
    from elsewhere, give `evidence(fit, "bridge", draws=mcmc.get_samples())` instead.

    Args:
        first: a Fit or an Evidence.
        second: the same, of another model of the same data.
        allow_bounds: take lower bounds, too.

    Returns:
        The BayesFactor, log K of the first over the second.

    Raises:
        ValueError: where either is a lower bound, unless `allow_bounds`; the statement
            then says what is not known.

    Example:
        >>> from vijax import vi
        >>> first = vi.Evidence(-2.5, 0.03, "estimate", 0.1)
        >>> second = vi.Evidence(-3.0, 0.04, "estimate", 0.2)
        >>> found = vi.bayes_factor(first, second)
        >>> found.log_bayes_factor, round(found.standard_error, 3)
        (0.5, 0.05)
    """
    first, second = (_evidence_of(x) for x in (first, second))
    value = first.log_evidence - second.log_evidence
    error = float(np.hypot(first.standard_error, second.standard_error))
    bounds = [e.side == LOWER_BOUND for e in (first, second)]
    if not any(bounds):
        return BayesFactor(value, error, "estimate; the error is one standard error")
    if not allow_bounds:
        raise ValueError(
            "a Bayes factor of lower bounds is not valid: it is off by the KL of q to "
            'the posterior; use evidence(fit, "bridge", draws=...), a better family, '
            "or allow_bounds=True"
        )
    if all(bounds):
        statement = (
            "difference of two lower bounds: biased by the difference of two unknown "
            "KLs, on an unknown side; the error does not cover it"
        )
    elif bounds[0]:
        statement = "lower bound: the first evidence is one"
    else:
        statement = "upper bound: the second evidence is a lower bound"
    return BayesFactor(value, error, statement)


def _evidence_of(given: Evidence | Fit) -> Evidence:
    if not isinstance(given, Fit):
        return given
    khat = float(given.khat)
    if given.correctable:
        value, error = given.log_evidence, given.log_evidence_se
        return Evidence(float(value), float(error), ESTIMATE, khat)
    return Evidence(float(given.elbo), float(given.elbo_se), LOWER_BOUND, khat)


def _effective(values: np.ndarray) -> float:
    """Return the effective number of a chain's values."""
    if np.ptp(values) == 0:
        return float(len(values))
    from numpyro.diagnostics import effective_sample_size  # loads SciPy's statistics

    return float(np.clip(effective_sample_size(values[None]), 1, len(values)))


def _drawn_log_weights(
    fit: Fit, key: Key, num_samples: int
) -> tuple[np.ndarray, float]:
    """Return log p(z) − log q(z) at draws of q less a reference, and the reference."""
    return _log_weights(fit, _draw(fit, key, num_samples=num_samples))


@partial(jax.jit, static_argnames="num_samples")
def _draw(fit: Fit, key: Key, *, num_samples: int) -> Array:
    return base.sample(fit.q, key, num_samples, fit.target.init)


def _log_weights(fit: Fit, z: Array) -> tuple[np.ndarray, float]:
    """Return log p(z) − log q(z) less a reference, and the reference, in float64."""
    log_p, reference, log_q = _log_densities(fit, z)
    weights = np.asarray(log_p, float) - np.asarray(log_q, float)
    return np.where(np.isnan(weights), -np.inf, weights), float(reference)


@density_jit
def _log_densities(fit: Fit, z: Array) -> tuple[Array, Array, Array]:
    return *log_densities(fit.target, z), fit.q.log_prob(z)


def _positions(fit: Fit, draws: dict[str, Any]) -> Array:
    """Return the draws in unconstrained space, (draws, dim)."""
    names = [site.name for site in fit.target.static.sites]
    missing = [name for name in names if name not in draws]
    if missing:
        raise ValueError(f"draws is not valid: it lacks {missing}; give all of {names}")
    given = {name: jnp.asarray(draws[name]) for name in names}
    return _unconstrain(fit, given)


@density_jit
def _unconstrain(fit: Fit, draws: dict[str, Array]) -> Array:
    return jax.vmap(fit.target.unconstrain)(draws)
