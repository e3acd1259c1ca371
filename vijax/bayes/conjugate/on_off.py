"""The Bayesian answer to the on/off counting experiment, exact with Gamma priors.

    s ~ Gamma,  b ~ Gamma,  n_on ~ Poisson(s + α b),  n_off ~ Poisson(b)

Nobody knows how many of the n_on counts are signal. If it were known to be k, the
signal would be Gamma(a + k, rate + 1); so the posterior is a mixture of n_on + 1 Gamma
distributions. Its tails are one incomplete gamma function and a sum of Poisson
probabilities, whatever the number of components: see `SignalPosterior`. The frequentist
answers are in `vijax.bayes.frequentist`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float

from vijax.bayes.conjugate import gamma_poisson
from vijax.bayes.conjugate.distributions.signal_posterior import SignalPosterior
from vijax.bayes.conjugate.support import components
from vijax.bayes.numerics import count_pmfs, log_gamma
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks
from vijax.validate import is_traced, where_valid

__all__ = ["SignalPosterior", "background_log_evidence", "log_evidence", "posterior"]


def posterior(
    signal_prior: dist.Gamma,
    background_prior: dist.Gamma,
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
    *,
    max_count: int | None = None,
) -> SignalPosterior:
    r"""Return the posterior of the signal s, a mixture of Gamma distributions.

    p(s | data) = Σ_k w_k Gamma(s; a + k, rate + 1), k = 0 … n_on, in counts.

    Counts are data: other counts compile nothing new, except where the number of
    components, which is padded, must grow fourfold. Components with a weight below
    1e-61 of the largest are left out, where nothing is traced.

    Args:
        signal_prior: Gamma of the signal counts s expected in the on region. It may be
            improper: `improper.gamma(1.0, 0.0)` is flat.
        background_prior: Gamma of the counts b expected in the off region. It may be
            improper: `improper.gamma(0.5, 0.0)` is Jeffreys' prior, and
            `improper.gamma(0.0, 0.0)`, flat in log b, needs an off count.
        n_on: counts in the on region, one number.
        n_off: counts in the off region, one number.
        alpha: exposure of the on region over that of the off region.
        max_count: the number of components less one, n_on or more; needed where n_on is
            traced, since it fixes the shapes.

    Raises:
        ValueError: a prior of another family, impossible counts or alpha, arrays of any
            of these; an improper posterior.

    References:
        T. Loredo (1992), in Statistical Challenges in Modern Astronomy, section 5.2.

    Example:
        >>> prior = dist.Gamma(1.0, 0.01)
        >>> signal = posterior(prior, prior, n_on=14, n_off=10, alpha=0.5)
        >>> print(f"{signal.mean:.2f} {jnp.sqrt(signal.variance):.2f}")
        9.44 4.11
    """
    max_count = components.max_count_of(n_on, max_count)
    n_on, n_off, alpha, valid = _data(n_on, n_off, alpha)
    valid &= components.is_enough(n_on, max_count)
    for name, prior in _named(signal_prior, background_prior):
        shape_checks.one_prior(name, prior, dist.Gamma)
        valid &= value_checks.parameters(
            concentration=prior.concentration, rate=prior.rate
        )
    valid &= value_checks.proper_posterior(concentration=signal_prior.concentration)
    left = value_checks.as_float(background_prior.concentration) + n_off
    valid &= value_checks.proper_posterior(background_concentration=left)
    terms = _Terms(signal_prior, background_prior, n_on, n_off, alpha)
    counts = jnp.arange(components.padded(max_count), dtype=n_on.dtype)
    log_weights = _log_terms(_log_shape, terms, counts)
    if not is_traced(log_weights):
        counts, log_weights = components.crop(counts, log_weights)
    log_weights = jax.nn.log_softmax(log_weights)
    concentration = signal_prior.concentration + counts
    rate = signal_prior.rate + jnp.ones_like(counts)
    return SignalPosterior(where_valid(valid, log_weights), concentration, rate)


def log_evidence(
    signal_prior: dist.Gamma,
    background_prior: dist.Gamma,
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
    *,
    max_count: int | None = None,
) -> Float[Array, ""]:
    r"""Return log p(n_on, n_off) with a signal, in nats.

    log Σ_k P(k | s) P(n_on - k, n_off | b), one number; arguments and source as in
    `posterior`, both priors proper.

    Raises:
        ValueError: as in `posterior`.

    Example:
        >>> signal_prior, background_prior = dist.Gamma(1.0, 0.1), dist.Gamma(1.0, 0.01)
        >>> with_signal = log_evidence(signal_prior, background_prior, 14, 10, 0.5)
        >>> without = background_log_evidence(background_prior, 14, 10, 0.5)
        >>> print(f"{with_signal - without:.4f}")  # log Bayes factor for the signal
        2.2205
    """
    max_count = components.max_count_of(n_on, max_count)
    n_on, n_off, alpha, valid = _data(n_on, n_off, alpha)
    valid &= components.is_enough(n_on, max_count)
    for name, prior in _named(signal_prior, background_prior):
        shape_checks.one_prior(name, prior, dist.Gamma)
        valid &= value_checks.proper(concentration=prior.concentration, rate=prior.rate)
    terms = _Terms(signal_prior, background_prior, n_on, n_off, alpha)
    counts = jnp.arange(components.padded(max_count), dtype=n_on.dtype)
    return where_valid(valid, logsumexp(_log_terms(_log_pmf, terms, counts)))


def background_log_evidence(
    background_prior: dist.Gamma,
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
) -> Float[Array, ""]:
    """Return log p(n_on, n_off) without a signal, in nats.

    One number; arguments and source as in `posterior`. s = 0 in it: with `log_evidence`
    it gives the Bayes factor of a signal.

    Raises:
        ValueError: as in `posterior`.

    Example:
        >>> value = background_log_evidence(dist.Gamma(1.0, 0.01), 14, 10, 0.5)
        >>> print(f"{value:.4f}")
        -10.1229
    """
    n_on, n_off, alpha, valid = _data(n_on, n_off, alpha)
    exposure = jnp.stack([alpha, jnp.ones_like(alpha)])
    value = gamma_poisson.log_evidence(
        background_prior, jnp.stack([n_on, n_off]), exposure
    )
    return where_valid(valid, value)


class _Terms(NamedTuple):
    """What the weights of the components depend on."""

    signal_prior: dist.Gamma
    background_prior: dist.Gamma
    n_on: Array
    n_off: Array
    alpha: Array


def _named(signal_prior: Any, background_prior: Any) -> list[tuple[str, Any]]:
    return [("signal_prior", signal_prior), ("background_prior", background_prior)]


@partial(jax.jit, static_argnums=0)
def _log_terms(
    log_total: Callable[[dist.Gamma, Array, Numbers], Array],
    terms: _Terms,
    signal_counts: Array,
) -> Array:
    """Return log P(k | s) + log P(n_on - k, n_off | b), -inf for k > n_on."""
    signal_prior, background_prior, n_on, n_off, alpha = terms
    in_on = n_on - signal_counts
    possible = in_on >= 0
    in_on = jnp.where(possible, in_on, 0)
    counts = jnp.stack([in_on, jnp.broadcast_to(n_off, in_on.shape)], axis=-1)
    shares = jnp.stack([alpha, jnp.ones_like(alpha)]) / (1 + alpha)
    log_split = count_pmfs.multinomial_log_pmf(counts, shares)
    log_joint = log_total(background_prior, in_on + n_off, 1 + alpha) + log_split
    from_signal = log_total(signal_prior, signal_counts, 1.0)
    return from_signal + jnp.where(possible, log_joint, -jnp.inf)


def _log_pmf(prior: dist.Gamma, count: Array, exposure: Numbers) -> Array:
    return count_pmfs.gamma_poisson_log_pmf(
        count, prior.concentration, prior.rate, exposure
    )


def _log_shape(prior: dist.Gamma, count: Array, exposure: Numbers) -> Array:
    """Return the same up to a constant, finite also for the improper rate 0."""
    share = exposure / (prior.rate + exposure)
    # Γ(a + n) / Γ(a), and of a = 0 the factor that all counts share is left out.
    concentration = value_checks.as_float(prior.concentration)
    none = concentration == 0
    rising = log_gamma.log_gamma_ratio(
        jnp.where(none, 1.0, concentration), jnp.where(none, count - 1, count)
    )
    return rising - gammaln(count + 1) + count * jnp.log(share)


def _data(
    n_on: Numbers, n_off: Numbers, alpha: Numbers
) -> tuple[Array, Array, Array, Array]:
    shape_checks.one_number(n_on=n_on, n_off=n_off, alpha=alpha)
    return count_checks.on_off(n_on, n_off, alpha)
