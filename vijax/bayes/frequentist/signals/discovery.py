"""What an experiment would find: chances of a discovery, and its median significance.

    n ~ Poisson(s + b),  b known, or measured with the same experiment

A background is a number b where it is known. A plan to measure it is what the
measurement is expected to find: `Sideband(τ b, τ)`, or `Measured(b, error)`. All are
exact sums; `asimov_significance` is the closed formula.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.frequentist.signals import critical_counts, median, nuisances
from vijax.bayes.frequentist.signals.nuisances import Measured, Pair, Sideband
from vijax.bayes.numerics import roots
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import is_traced, where_valid

_MOST_GROWTHS = 60


def critical_count(
    background: Numbers | Measured | Sideband,
    sigmas: Numbers = 5.0,
    *,
    test: str | None = None,
) -> Float[Array, "..."]:
    r"""Return the smallest count n that is significant enough: p(n) <= P(Z > sigmas).

    Args:
        background: mean count b >= 0 without a signal, or what was measured of it,
            `Sideband(counts, ratio)` or `Measured(estimate, error)`; any shape, element
            by element.
        sigmas: one-sided significance that is asked for, broadcast against it.
        test: "exact", the Poisson or the binomial test (`poisson_log_p_value`,
            `on_off_log_p_value`), or "profile", sqrt(-2 log profile likelihood ratio)
            (`li_ma_significance`). None takes the exact one where there is one: a
            known background has only that, `Measured` only the other.

    Returns:
        A whole number, at least 1.

    Raises:
        ValueError: a negative background, sigmas that are negative, an error or a ratio
            that is not positive, off counts that are not whole, a test that there is
            not, shapes that do not fit.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 2;
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480.

    Example:
        >>> critical_count([0.5, 9.0]).tolist()
        [8.0, 29.0]
        >>> critical_count(Sideband(18, 2.0)).item()  # 9 too, but measured
        37.0
    """
    kind, numbers, valid = nuisances.background(background)
    test = critical_counts.checked_test(kind, test)
    sigmas, sigmas_valid = value_checks.nonnegative("sigmas", sigmas)
    sigmas, numbers = _broadcast(numbers, sigmas=sigmas)
    count = critical_counts.critical(kind, test, numbers, sigmas)
    return where_valid(valid & sigmas_valid, count)


def discovery_probability(
    signal: Numbers,
    background: Numbers | Measured | Sideband,
    sigmas: Numbers = 5.0,
    *,
    test: str | None = None,
    max_terms: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the probability of a count that is significant enough.

    P(N >= n_c | s + b), n_c the critical count; where the background is measured, its
    mean over the measurements, Σ_y P(y | τ b) P(N >= n_c(y) | s + b). Without a signal
    it is the true p-value of the claim.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b >= 0, known, or a plan to measure it:
            `Sideband(τ b, τ)`, of expected off counts, whole or not, or
            `Measured(b, error)`, where an estimate below 0 will count as 0.
        sigmas: one-sided significance that makes a discovery; all broadcast.
        test: as in `critical_count`.
        max_terms: how many outcomes of the measurement are summed over; needed in a
            trace with a plan. Too few give NaN.

    Returns:
        Probabilities; without a signal at most P(Z > sigmas) if the test is exact.

    Raises:
        ValueError: as in `critical_count`, and for a negative signal, or a traced plan
            without `max_terms`.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 2;
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480, section 6.

    Example:
        >>> print(f"{discovery_probability(20.0, 9.0):.4f}")
        0.5247
        >>> print(f"{discovery_probability(20.0, 9.0, sigmas=3.0):.4f}")
        0.9674
        >>> plan = Sideband(18.0, 2.0)
        >>> print(f"{discovery_probability(20.0, plan, sigmas=3.0):.4f}")
        0.7888
    """
    signal, valid = value_checks.nonnegative("signal", signal)
    kind, test, numbers, (signal, sigmas), others = _plan(
        background, test, signal=signal, sigmas=sigmas
    )
    size = _size(kind, test, numbers, sigmas, max_terms)
    terms = critical_counts.distribution(kind, test, numbers, sigmas, size)
    mean = critical_counts.mean_background(kind, numbers)
    return where_valid(valid & others, _power(signal, mean, *terms))


def discoverable_signal(
    background: Numbers | Measured | Sideband,
    power: Numbers = 0.5,
    sigmas: Numbers = 5.0,
    *,
    test: str | None = None,
    max_terms: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the smallest signal that is discovered with a given probability.

    s with `discovery_probability(s, background, sigmas)` = power.

    Args:
        background: known, or a plan, as in `discovery_probability`.
        power: the probability of a discovery, in (0, 1); 1/2 for a signal that is just
            within reach.
        sigmas: one-sided significance that makes a discovery; all broadcast.
        test: as in `critical_count`.
        max_terms: as in `discovery_probability`.

    Returns:
        Signal counts; 0 where no signal is needed.

    Raises:
        ValueError: as in `discovery_probability`, and for a power outside (0, 1).

    References:
        G. Punzi (2003), Sensitivity of searches for new signals and its optimization,
        physics/0308063.

    Example:
        >>> print(f"{discoverable_signal(9.0):.3f}")
        19.667
        >>> print(f"{discoverable_signal(Sideband(18.0, 2.0), 0.9, 3.0):.3f}")
        23.278
    """
    power, valid = value_checks.fraction("power", power)
    kind, test, numbers, (power, sigmas), others = _plan(
        background, test, power=power, sigmas=sigmas
    )
    size = _size(kind, test, numbers, sigmas, max_terms)
    weights, counts = critical_counts.distribution(kind, test, numbers, sigmas, size)
    mean = critical_counts.mean_background(kind, numbers)
    return where_valid(valid & others, _smallest(power, mean, weights, counts))


def median_significance(
    signal: Numbers,
    background: Numbers | Measured | Sideband,
    *,
    test: str | None = None,
    max_terms: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the median of the significance, exactly.

    The largest z with P(Z >= z) >= ½. With a known background it is the significance of
    the median count. It jumps with s as counts do; `asimov_significance` is smooth.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b > 0, known, or a plan, as in
            `discovery_probability`; both broadcast.
        test: as in `critical_count`.
        max_terms: counts, and off counts, that are looked at; needed in a trace with a
            plan. Too few give NaN.

    Returns:
        One-sided Gaussian sigmas; at least 0 where the test is "profile".

    Raises:
        ValueError: a negative signal, a background that is not positive, shapes that do
            not fit, and as in `discovery_probability`.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 5.1.

    Example:
        >>> print(f"{median_significance(10.0, 9.0):.4f}")  # Asimov: 2.8973
        2.8166
        >>> z = median_significance(10.0, Sideband(9.0, 1.0))
        >>> print(f"{z:.3f}")  # Asimov, 9 ± 3: 1.911
        1.711
    """
    signal, valid = value_checks.nonnegative("signal", signal)
    kind, test, numbers, (signal, _), others = _plan(background, test, signal=signal)
    name = {"known": "background", "sideband": "background.counts"}.get(
        kind, "background.estimate"
    )
    some = value_checks.positive(name, numbers[0])[1]
    mean = critical_counts.mean_background(kind, numbers)
    if max_terms is None and kind != "known":
        _needs_terms(signal, numbers)
        max_terms = median.num_terms(kind, signal + mean, numbers)
    size = _whole(1 if max_terms is None else max_terms)
    z = median.of_plan(kind, test, signal, numbers, size)
    return where_valid(valid & others & some, z)


def _plan(
    background: Numbers | Measured | Sideband, test: str | None, **other: Numbers
) -> tuple[str, str, Pair, tuple[Array, Array], Array]:
    """Return kind, test and numbers, two other arguments, and where all are valid."""
    kind, numbers, valid = critical_counts.plan(background)
    test = critical_counts.checked_test(kind, test)
    sigmas, sigmas_valid = value_checks.nonnegative("sigmas", other.pop("sigmas", 1.0))
    first, sigmas, numbers = _broadcast(numbers, **other, sigmas=sigmas)
    return kind, test, numbers, (first, sigmas), valid & sigmas_valid


def _broadcast(numbers: Pair, **other: Array) -> tuple:
    *others, first, second = shape_checks.broadcast(
        **other, background=numbers[0], of_background=numbers[1]
    )
    return *others, (first, second)


def _size(
    kind: str, test: str, numbers: Pair, sigmas: Array, max_terms: int | None
) -> int:
    if max_terms is not None:
        return _whole(max_terms)
    if kind != "known":
        _needs_terms(sigmas, numbers)
    return critical_counts.num_terms(kind, test, numbers, sigmas)


def _whole(max_terms: int) -> int:
    return value_checks.whole("max_terms", max_terms, 1)


def _needs_terms(other: Array, numbers: Pair) -> None:
    if is_traced(other, numbers):
        remedy = "give one, some 30 standard errors of what is measured"
        raise ValueError(f"max_terms is needed in a trace: {remedy}")


@jax.jit
def _power(signal: Array, mean: Array, weights: Array, counts: Array) -> Array:
    """Return P(N >= n_c | s + b), n_c of a distribution on the last axis."""
    counts = jax.lax.stop_gradient(counts)
    tails = special.log_poisson_tails(counts, (signal + mean)[..., None]).at_least
    return jnp.sum(weights * jnp.exp(tails), axis=-1)


@jax.jit
def _smallest(power: Array, mean: Array, weights: Array, counts: Array) -> Array:
    def excess(signal: Array) -> Array:
        return _power(signal, mean, weights, counts) - power

    def solve(excess: roots.Residual, none: Array) -> Array:
        def is_inside(state: tuple[Array, Array]) -> Array:
            return ((excess(state[0]) < 0) & (state[1] < _MOST_GROWTHS)).any()

        def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
            far, count = state
            return jnp.where(excess(far) < 0, 2 * far, far), count + 1

        start = jnp.sqrt(mean) + 4.0, jnp.zeros((), int)
        far, _ = jax.lax.while_loop(is_inside, grow, start)
        return roots.bracketed(excess, none, far)

    none = jnp.zeros_like(power)
    signal = roots.implicit_root(excess, none, solve)
    enough = excess(none) >= 0
    missing = jnp.isnan(jnp.sum(weights, axis=-1))
    return jnp.where(missing, jnp.nan, jnp.where(enough, 0.0, signal))
