"""A signal where background and efficiency are uncertain, exact with Gamma priors.

    n ~ Poisson(e s + b),  b ~ Gamma (or known),  e ~ Gamma,  p(s) ∝ s^(a - 1)

Given e, the signal that is seen is e s; so e s and e become independent Gamma numbers,
and s, their ratio, a mixture of beta primes. The frequentist counterpart is
`frequentist.uncertain_signal_interval`.
"""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array

from vijax.bayes.conjugate.distributions.beta_prime import BetaPrime, BetaPrimes
from vijax.bayes.conjugate.support import components
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import is_traced, where_valid


def posterior(
    counts: Numbers,
    background: Numbers | dist.Gamma,
    efficiency: dist.Gamma,
    *,
    concentration: Numbers = 1.0,
    max_count: int | None = None,
) -> BetaPrimes:
    r"""Return the posterior of the signal s, a mixture of beta primes.

    p(s | n) = Σ_k w_k BetaPrime(s; a + k, c - a, scale r), over k = 0 … n counts of
    signal, with w_k ∝ P(n - k of background) Γ(a + k) / k! and e ~ Gamma(c, r).

    Args:
        counts: n, one number.
        background: mean count b >= 0 without a signal, one number, or Gamma: of a
            sideband with y counts, τ times as large, Gamma(y + 1/2, τ).
        efficiency: Gamma(c, r), c > a: mean c / r, relative error 1 / √c.
        concentration: a of the improper prior s^(a - 1): 1 is flat, 1/2 Jeffreys' of a
            count.
        max_count: the number of components less one; needed where n is traced.

    Returns:
        A mixture for `intervals.quantile` and `intervals.credible_interval`.

    Raises:
        ValueError: an impossible count or background, arrays of any argument; an
            efficiency that is no Gamma distribution, or so uncertain that the
            posterior is improper, c <= a. In a trace such input gives NaN.

    References:
        L. Demortier (2004), A fully Bayesian computation of upper limits for Poisson
        processes, CDF note 5928, has this model with Gamma priors.

    Example:
        >>> from vijax.bayes import intervals
        >>> about_one = dist.Gamma(100.0, 100.0)  # an efficiency of 1 ± 10 %
        >>> signal = posterior(3, 2.0, about_one)
        >>> print(f"{intervals.quantile(signal, 0.95):.4f}")  # 5.9835 if it were known
        6.1590
    """
    max_count = components.max_count_of(counts, max_count, "counts")
    shape_checks.one_number(counts=counts, concentration=concentration)
    counts, valid = value_checks.counts("counts", counts)
    valid &= components.is_enough(counts, max_count)
    shape_checks.one_prior("efficiency", efficiency, dist.Gamma)
    a, a_valid = value_checks.positive("concentration", concentration)
    c = value_checks.as_float(efficiency.concentration)
    rate = value_checks.as_float(efficiency.rate)
    valid &= a_valid & value_checks.proper(rate=rate)
    remedy = "give a finite one above `concentration`, or the posterior is improper"
    certain = (c > a) & (c < jnp.inf)
    valid &= value_checks.checked(certain, "efficiency.concentration", c, remedy)
    k = jnp.arange(components.padded(max_count), dtype=counts.dtype)
    if isinstance(background, dist.Gamma):
        shape_checks.one_prior("background", background, dist.Gamma)
        b, of_b = (
            value_checks.as_float(x)
            for x in (background.concentration, background.rate)
        )
        valid &= value_checks.proper(concentration=b, rate=of_b)
        log_weights = _by_gamma(a, counts, b, of_b, k)
    else:
        shape_checks.one_number(background=background)
        mean, mean_valid = value_checks.nonnegative("background", background)
        valid &= mean_valid
        log_weights = _by_known(a, counts, mean, k)
    if not is_traced(log_weights):
        k, log_weights = components.crop(k, log_weights)
    log_weights = where_valid(valid, jax.nn.log_softmax(log_weights))
    return BetaPrimes(
        dist.CategoricalLogits(jnp.maximum(log_weights, -1e30)),
        BetaPrime(a + k, c - a, rate),
    )


@jax.jit
def _by_known(a: Array, n: Array, mean: Array, k: Array) -> Array:
    log_pmf = count_pmfs.poisson_log_pmf(jnp.maximum(n - k, 0), mean)
    return _of_signal(a, n, k, log_pmf)


@jax.jit
def _by_gamma(a: Array, n: Array, concentration: Array, rate: Array, k: Array) -> Array:
    rest = jnp.maximum(n - k, 0)
    log_pmf = count_pmfs.gamma_poisson_log_pmf(rest, concentration, rate, 1.0)
    return _of_signal(a, n, k, log_pmf)


def _of_signal(a: Array, n: Array, k: Array, log_pmf: Array) -> Array:
    log_weights = log_pmf + gammaln(a + k) - gammaln(k + 1)
    return jnp.where(k <= n, log_weights, -jnp.inf)
