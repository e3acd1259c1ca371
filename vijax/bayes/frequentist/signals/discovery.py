"""What an experiment would find: chances of a discovery, and its median significance.

    n ~ Poisson(s + b),  b known

Exact sums of Poisson probabilities; `asimov_significance` is the closed formula.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.numerics import count_quantiles, significances
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid


def critical_count(background: Numbers, sigmas: Numbers = 5.0) -> Float[Array, "..."]:
    r"""Return the smallest count n with P(N >= n | b) <= P(Z > sigmas).

    Args:
        background: mean count b >= 0 without a signal, any shape, element by element.
        sigmas: one-sided significance that is asked for, broadcast against it.

    Returns:
        A whole number, at least 1.

    Raises:
        ValueError: a negative background, sigmas that are negative, shapes that do not
            fit.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 2.

    Example:
        >>> critical_count([0.5, 9.0]).tolist()
        [8.0, 29.0]
    """
    background, sigmas, valid = _data(background, sigmas)
    return where_valid(valid, _critical(background, sigmas))


def discovery_probability(
    signal: Numbers, background: Numbers, sigmas: Numbers = 5.0
) -> Float[Array, "..."]:
    r"""Return P(N >= n_c | s + b), n_c the count that is significant enough.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b >= 0, known.
        sigmas: one-sided significance that makes a discovery; all broadcast.

    Returns:
        Probabilities; without a signal at most P(Z > sigmas).

    Raises:
        ValueError: as in `critical_count`, and for a negative signal.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 2.

    Example:
        >>> print(f"{discovery_probability(20.0, 9.0):.4f}")
        0.5247
        >>> print(f"{discovery_probability(20.0, 9.0, sigmas=3.0):.4f}")
        0.9674
    """
    signal, signal_valid = value_checks.nonnegative("signal", signal)
    background, sigmas, valid = _data(background, sigmas)
    signal, background, sigmas = shape_checks.broadcast(
        signal=signal, background=background, sigmas=sigmas
    )
    count = jax.lax.stop_gradient(_critical(background, sigmas))
    log_power = special.log_poisson_tails(count, signal + background).at_least
    return where_valid(valid & signal_valid, jnp.exp(log_power))


def median_significance(signal: Numbers, background: Numbers) -> Float[Array, "..."]:
    r"""Return the significance of the median count, exactly.

    z with P(Z > z) = P(N >= n | b), n the smallest count with P(N <= n | s + b) >= ½.
    It jumps with s as counts do; `asimov_significance` is smooth.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b > 0, known; both broadcast.

    Returns:
        One-sided Gaussian sigmas.

    Raises:
        ValueError: a negative signal, a background that is not positive, shapes that do
            not fit.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 5.1.

    Example:
        >>> print(f"{median_significance(10.0, 9.0):.4f}")  # Asimov: 2.8973
        2.8166
    """
    signal, valid = value_checks.nonnegative("signal", signal)
    background, background_valid = value_checks.positive("background", background)
    signal, background = shape_checks.broadcast(signal=signal, background=background)
    count = count_quantiles.poisson_count(
        signal + background, jnp.log(jnp.full_like(signal, 0.5))
    )
    log_p_value = special.log_poisson_tails(count, background).at_least
    z = significances.significance_from_log(jnp.minimum(log_p_value, 0.0))
    return where_valid(valid & background_valid, z)


def _data(background: Numbers, sigmas: Numbers) -> tuple[Array, Array, Array]:
    background, valid = value_checks.nonnegative("background", background)
    sigmas, sigmas_valid = value_checks.nonnegative("sigmas", sigmas)
    background, sigmas = shape_checks.broadcast(background=background, sigmas=sigmas)
    return background, sigmas, valid & sigmas_valid


@jax.jit
def _critical(mean: Array, sigmas: Array) -> Array:
    log_p = significances.log_p_value(sigmas)

    def is_likely(n: Array) -> Array:
        return special.log_poisson_tails(n, mean).at_least > log_p

    # Chernoff: P(N >= m + x) <= exp(-x² / (2 (m + x / 3)))
    reach = jnp.sqrt(-2 * mean * log_p) - 2 * log_p + 2
    return count_quantiles.smallest_count(is_likely, jnp.ceil(mean + reach))
