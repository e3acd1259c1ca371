"""A background b ± σ: as an off region would measure it, with b² / σ² counts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.numerics.log_gamma import signed_root
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid


def asimov_significance(
    signal: Numbers, background: Numbers, background_error: Numbers = 0.0
) -> Float[Array, "..."]:
    r"""Return the median significance that a signal would have.

    Z = sqrt(2 [(s + b) ln(1 + s / b) - s]) for a known background, and with an error σ
    that of an off region with b² / σ² counts.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b > 0.
        background_error: standard error σ >= 0 of b.

    Returns:
        One-sided Gaussian sigmas.

    Raises:
        ValueError: a negative signal or error, a background that is not positive,
            shapes that do not fit.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, eq. 97;
        G. Cowan (2012), Discovery sensitivity for a counting experiment, eq. 20.

    Example:
        >>> print(f"{asimov_significance(10.0, 9.0):.4f}")
        2.8973
        >>> print(f"{asimov_significance(10.0, 9.0, 3.0):.4f}")
        1.9109
    """
    signal, valid = value_checks.nonnegative("signal", signal)
    background, background_valid = value_checks.positive("background", background)
    error, error_valid = value_checks.nonnegative("background_error", background_error)
    signal, background, error = shape_checks.broadcast(
        signal=signal, background=background, background_error=error
    )
    valid &= background_valid & error_valid
    return where_valid(valid, _asimov(signal, background, error))


def uncertain_background_log_p_value(
    counts: Numbers, background: Numbers, background_error: Numbers
) -> Float[Array, "..."]:
    r"""Return log P(N >= n) where the background is b ± σ, as of an off region.

    I_x(n, τ b + 1) with τ = b / σ² and x = 1 / (1 + τ): the exact test of n_on = n
    against n_off = τ b, which need not be whole. `significance_from_log` makes it Z_Bi.

    Args:
        counts: n, any shape, element by element.
        background: b > 0.
        background_error: σ > 0, its standard error; all broadcast.

    Returns:
        Nats.

    Raises:
        ValueError: a negative or fractional count, a background or an error that is not
            positive, shapes that do not fit.

    References:
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480, section 4.

    Example:
        >>> from vijax.bayes.frequentist import significance_from_log
        >>> value = uncertain_background_log_p_value(140, 83.33, 8.333)
        >>> print(f"{significance_from_log(value):.2f}")
        3.93
    """
    counts, valid = value_checks.counts("counts", counts)
    background, background_valid = value_checks.positive("background", background)
    error, error_valid = value_checks.positive("background_error", background_error)
    counts, background, error = shape_checks.broadcast(
        counts=counts, background=background, background_error=error
    )
    ratio = background / error**2
    some = jnp.maximum(counts, 1)
    tail = special.log_betainc(some, ratio * background + 1, 1 / (1 + ratio))
    log_p_value = jnp.where(counts > 0, tail, 0.0)
    return where_valid(valid & background_valid & error_valid, log_p_value)


@jax.jit
def _asimov(signal: Array, background: Array, error: Array) -> Array:
    total = signal + background
    known = error == 0
    alpha = jnp.where(known, 1.0, error) ** 2 / background
    off = background / alpha
    mean = (total + off) / (1 + alpha)
    # Both less their means differ by s / (1 + α), which the sums round.
    gap = signal / (1 + alpha)
    measured = signed_root(total, alpha * mean, off, mean, (gap, -gap))
    # Twice one deviance is that of two halves.
    twice = signed_root(total, background, total, background, (signal, signal))
    plain = twice / jnp.sqrt(2.0)
    return jnp.where(known, plain, measured)
