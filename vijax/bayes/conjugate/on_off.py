"""The Bayesian answer to the on/off counting experiment, exact with Gamma priors.

    s ~ Gamma,  b ~ Gamma,  n_on ~ Poisson(s + α b),  n_off ~ Poisson(b)

Nobody knows how many of the n_on counts are signal. If it were known to be k, the
signal would be Gamma(a + k, rate + 1); so the posterior is a mixture of n_on + 1 Gamma
distributions. The frequentist answers are in `vijax.bayes.frequentist`.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float

from vijax.bayes.conjugate import gamma_poisson
from vijax.bayes.numerics import count_pmfs, log_gamma
from vijax.bayes.validation import Numbers, count_checks, value_checks
from vijax.validate import is_traced, where_valid


def posterior(
    signal_prior: dist.Gamma,
    background_prior: dist.Gamma,
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
    *,
    max_count: int | None = None,
) -> dist.MixtureSameFamily:
    r"""Return the posterior of the signal s, a mixture of Gamma distributions.

    p(s | data) = Σ_k w_k Gamma(s; a + k, rate + 1), k = 0 … n_on, in counts.

    Args:
        signal_prior: Gamma of the signal counts s expected in the on region; with
            rate 0 it may be improper, as Gamma(1, 0), the flat prior, is.
        background_prior: Gamma of the counts b expected in the off region.
        n_on: counts in the on region, one number.
        n_off: counts in the off region, one number.
        alpha: exposure of the on region over that of the off region.
        max_count: the number of components less one, n_on or more; needed where n_on is
            traced, since it fixes the shapes.

    Raises:
        ValueError: a prior of another family, impossible counts or alpha, arrays of
            them; an improper posterior.

    References:
        T. Loredo (1992), in Statistical Challenges in Modern Astronomy, section 5.2.

    Example:
        >>> prior = dist.Gamma(1.0, 0.01)
        >>> signal = posterior(prior, prior, n_on=14, n_off=10, alpha=0.5)
        >>> print(f"{signal.mean:.2f} {jnp.sqrt(signal.variance):.2f}")
        9.44 4.11
    """
    n_on, n_off, alpha, valid = _data(n_on, n_off, alpha)
    signal_counts, enough = _counts(n_on, max_count)
    valid &= enough
    valid &= value_checks.parameters(
        concentration=background_prior.concentration, rate=background_prior.rate
    )
    concentration = signal_prior.concentration + signal_counts
    rate = signal_prior.rate + jnp.ones_like(signal_counts)
    valid &= value_checks.proper_posterior(concentration=concentration).all()
    log_weights = jax.nn.log_softmax(
        _log_terms(
            _log_shape,
            signal_prior,
            background_prior,
            signal_counts,
            n_on,
            n_off,
            alpha,
        )
    )
    return dist.MixtureSameFamily(
        dist.CategoricalLogits(where_valid(valid, log_weights)),
        dist.Gamma(concentration, rate),
    )


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
    n_on, n_off, alpha, valid = _data(n_on, n_off, alpha)
    for prior in (signal_prior, background_prior):
        valid &= value_checks.proper(concentration=prior.concentration, rate=prior.rate)
    signal_counts, enough = _counts(n_on, max_count)
    valid &= enough
    log_terms = _log_terms(
        _log_pmf, signal_prior, background_prior, signal_counts, n_on, n_off, alpha
    )
    return where_valid(valid, logsumexp(log_terms))


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


def _counts(n_on: Array, max_count: int | None) -> tuple[Array, Array]:
    """Return 0 … max_count, the possible numbers of signal counts, and if they do."""
    if max_count is None:
        if is_traced(n_on):
            raise ValueError(
                "max_count is needed where n_on is traced: give one >= n_on"
            )
        max_count = int(n_on)
    enough = n_on <= max_count
    remedy = "give a number >= n_on"
    valid = value_checks.checked(enough, "max_count", max_count, remedy)
    return jnp.arange(max_count + 1, dtype=n_on.dtype), valid


@partial(jax.jit, static_argnums=0)
def _log_terms(
    log_total: Callable[[dist.Gamma, Array, Numbers], Array],
    signal_prior: dist.Gamma,
    background_prior: dist.Gamma,
    signal_counts: Array,
    n_on: Array,
    n_off: Array,
    alpha: Array,
) -> Array:
    """Return log P(k | s) + log P(n_on - k, n_off | b), -inf for k > n_on."""
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
    rising = log_gamma.log_gamma_ratio(prior.concentration, count)
    return rising - gammaln(count + 1) + count * jnp.log(share)


def _data(
    n_on: Numbers, n_off: Numbers, alpha: Numbers
) -> tuple[Array, Array, Array, Array]:
    for name, value in (("n_on", n_on), ("n_off", n_off), ("alpha", alpha)):
        if np.ndim(value):
            remedy = "give one number, and vmap over data sets"
            raise ValueError(f"{name} has shape {np.shape(value)}: {remedy}")
    return count_checks.on_off(n_on, n_off, alpha)
