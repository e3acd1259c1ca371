"""A signal above a background whose mean is known, exact with a Gamma prior.

    s ~ Gamma,  n ~ Poisson(s + b),  b known

The posterior is a mixture of Gamma distributions, over how many of the n counts are
signal. The frequentist answers are in `vijax.bayes.frequentist`: with a flat prior the
upper quantile is Helene's limit, and the densest interval Kraft, Burrows and Nousek's.
"""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp, xlogy
from jaxtyping import Array, Float

from vijax.bayes.conjugate.distributions.signal_posterior import SignalPosterior
from vijax.bayes.conjugate.support import components
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import is_traced, where_valid


def posterior(
    signal_prior: dist.Gamma,
    counts: Numbers,
    background: Numbers,
    *,
    max_count: int | None = None,
) -> SignalPosterior:
    r"""Return the posterior of the signal s, a mixture of Gamma distributions.

    p(s | n) = Σ_k w_k Gamma(s; a + k, rate + 1), k = 0 … n, with
    w_k ∝ C(n, k) b^(n - k) Γ(a + k) / (rate + 1)^k.

    Args:
        signal_prior: Gamma(a, rate) of the signal counts; it may be improper:
            `improper.gamma()` is flat.
        counts: n, one number.
        background: mean count b >= 0 without a signal, one number.
        max_count: the number of components less one; needed where n is traced.

    Raises:
        ValueError: a prior of another family, an impossible count or background, arrays
            of any of these; an improper posterior. In a trace such input gives NaN.

    References:
        O. Helene (1983), Nucl. Instrum. Meth. 212, 319.

    Example:
        >>> from vijax.bayes import improper, intervals
        >>> signal = posterior(improper.gamma(), counts=3, background=2.0)
        >>> print(f"{intervals.quantile(signal, 0.95):.4f}")  # Helene's limit
        5.9835
    """
    max_count = components.max_count_of(counts, max_count, "counts")
    counts, background, valid = _data(counts, background)
    valid &= components.is_enough(counts, max_count)
    shape_checks.one_prior("signal_prior", signal_prior, dist.Gamma)
    a = value_checks.as_float(signal_prior.concentration)
    rate = value_checks.as_float(signal_prior.rate)
    valid &= value_checks.parameters(concentration=a, rate=rate)
    valid &= value_checks.proper_posterior(concentration=a)
    k = jnp.arange(components.padded(max_count), dtype=counts.dtype)
    log_weights = _log_weights(a, rate, counts, background, k)
    if not is_traced(log_weights):
        k, log_weights = components.crop(k, log_weights)
    log_weights = jax.nn.log_softmax(log_weights)
    return SignalPosterior(
        where_valid(valid, log_weights), a + k, jnp.broadcast_to(rate + 1, k.shape)
    )


def log_evidence(
    signal_prior: dist.Gamma,
    counts: Numbers,
    background: Numbers,
    *,
    max_count: int | None = None,
) -> Float[Array, ""]:
    r"""Return log p(n) with a signal, in nats.

    log Σ_k P(k | s) Poisson(n - k; b), one number; arguments and source as in
    `posterior`, the prior proper.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Gamma(1.0, 1.0), 1, 1.0)  # ln(3 / 4) - 1
        >>> print(f"{value:.4f}")
        -1.2877
    """
    max_count = components.max_count_of(counts, max_count, "counts")
    counts, background, valid = _data(counts, background)
    valid &= components.is_enough(counts, max_count)
    shape_checks.one_prior("signal_prior", signal_prior, dist.Gamma)
    a = value_checks.as_float(signal_prior.concentration)
    rate = value_checks.as_float(signal_prior.rate)
    valid &= value_checks.proper(concentration=a, rate=rate)
    k = jnp.arange(components.padded(max_count), dtype=counts.dtype)
    return where_valid(valid, _log_evidence(a, rate, counts, background, k))


@jax.jit
def _log_weights(a: Array, rate: Array, n: Array, b: Array, k: Array) -> Array:
    rest = jnp.maximum(n - k, 0)
    log_weights = xlogy(rest, b) - gammaln(rest + 1) - gammaln(k + 1)
    log_weights += gammaln(a + k) - k * jnp.log1p(rate)
    return jnp.where(k <= n, log_weights, -jnp.inf)


@jax.jit
def _log_evidence(a: Array, rate: Array, n: Array, b: Array, k: Array) -> Array:
    rest = jnp.maximum(n - k, 0)
    log_terms = count_pmfs.poisson_log_pmf(rest, b)
    log_terms += count_pmfs.gamma_poisson_log_pmf(k, a, rate, 1.0)
    return logsumexp(jnp.where(k <= n, log_terms, -jnp.inf))


def _data(counts: Numbers, background: Numbers) -> tuple[Array, Array, Array]:
    shape_checks.one_number(counts=counts, background=background)
    counts, valid = value_checks.counts("counts", counts)
    background, background_valid = value_checks.nonnegative("background", background)
    counts, background = shape_checks.broadcast(counts=counts, background=background)
    return counts, background, valid & background_valid
