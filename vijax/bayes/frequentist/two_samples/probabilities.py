"""Two probabilities: by how much is the second the larger one?

Every function works element by element over arrays, each element a pair of samples. The
tests are in `fisher` and `barnard`, the Bayesian answers in `vijax.bayes.intervals`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax.bayes.frequentist.confidence_intervals import binomial_interval
from vijax.bayes.frequentist.two_samples import pairs
from vijax.bayes.frequentist.two_samples.score_intervals import score_end
from vijax.bayes.numerics import roots, significances
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid

_DIFFERENCES = ("newcombe", "miettinen_nurminen")
_RATIOS = ("koopman", "miettinen_nurminen", "katz")
_ABOUT = {  # how an interval prints
    "newcombe": "confidence, Newcombe",
    "miettinen_nurminen": "confidence, Miettinen–Nurminen",
    "koopman": "confidence, Koopman",
    "katz": "confidence, Katz",
}
_FAR = 60.0  # of the log of a ratio of probabilities: counts end at 10^12
_NEWTON_STEPS = 4


def probability_difference_interval(
    first: pairs.Pair,
    second: pairs.Pair,
    level: Numbers = 0.95,
    *,
    method: str = "newcombe",
) -> Interval:
    r"""Return an interval of p_2 - p_1.

    newcombe: with Wilson's intervals (l, u) of both and d = p̂_2 - p̂_1,
    d - sqrt((p̂_2 - l_2)² + (u_1 - p̂_1)²), d + sqrt((u_2 - p̂_2)² + (p̂_1 - l_1)²)

    miettinen_nurminen: all δ with (d - δ)² <= z² V(δ), where V is the variance of d at
    the most likely probabilities that differ by δ, times N / (N - 1), N = n_1 + n_2.

    Args:
        first: successes and trials (>= 1) of the first sample, any shape.
        second: the same of the second sample.
        level: of confidence, in (0, 1); all broadcast.
        method: "newcombe" or "miettinen_nurminen"; both cover about the level.

    Raises:
        ValueError: impossible counts, a level outside (0, 1), shapes that do not fit,
            an unknown method.

    References:
        R. G. Newcombe (1998), Stat. Med. 17, 873, methods 10 and 6; O. Miettinen,
        M. Nurminen (1985), Stat. Med. 4, 213.

    Example:
        >>> lower, upper = probability_difference_interval((48, 80), (56, 70))
        >>> print(f"{lower:.4f} {upper:.4f}")  # Newcombe's table II, example (a)
        0.0524 0.3339
        >>> score = probability_difference_interval(
        ...     (48, 80), (56, 70), method="miettinen_nurminen"
        ... )
        >>> print(f"{score[0]:.4f} {score[1]:.4f}")
        0.0528 0.3382
    """
    value_checks.one_of("method", method, _DIFFERENCES)
    (k1, n1), (k2, n2), level, valid = _data(first, second, level)
    if method == "newcombe":
        one = binomial_interval(k1, n1, level, method="wilson")
        two = binomial_interval(k2, n2, level, method="wilson")
        p1, p2 = k1 / n1, k2 / n2
        below = jnp.hypot(p2 - two[0], one[1] - p1)
        above = jnp.hypot(two[1] - p2, p1 - one[0])
        ends = p2 - p1 - below, p2 - p1 + above
    else:
        ends = _difference_ends(k1, n1, k2, n2, level)
    return where_valid(valid, Interval.of(ends, level, _ABOUT[method]))


def probability_ratio_interval(
    first: pairs.Pair,
    second: pairs.Pair,
    level: Numbers = 0.95,
    *,
    method: str = "koopman",
) -> Interval:
    r"""Return an interval of p_2 / p_1.

    koopman: all ρ with (p̂_2 - ρ p̂_1)² <= z² V(ρ), where V is the variance of p̂_2 -
    ρ p̂_1 at the most likely probabilities with this ratio (the score test).
    miettinen_nurminen: the same with V times N / (N - 1), N = n_1 + n_2.
    katz: exp(ln p̂_2 / p̂_1 ± z sqrt(1/k_1 - 1/n_1 + 1/k_2 - 1/n_2)).

    Args:
        first: successes and trials (>= 1) of the first sample, any shape.
        second: the same of the second sample.
        level: of confidence, in (0, 1); all broadcast.
        method: "koopman", "miettinen_nurminen" or "katz", which knows nothing, 0 to
            infinity, where a count is 0.

    Returns:
        The lower end is 0 where k_2 is, the upper one infinite where k_1 is 0.

    Raises:
        ValueError: as in `probability_difference_interval`.

    References:
        P. A. R. Koopman (1984), Biometrics 40, 513; D. Katz et al. (1978), Biometrics
        34, 469; O. Miettinen, M. Nurminen (1985), Stat. Med. 4, 213.

    Example:
        >>> lower, upper = probability_ratio_interval((24, 100), (29, 95))
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.8048 2.0181
        >>> katz = probability_ratio_interval((24, 100), (29, 95), method="katz")
        >>> print(f"{katz[0]:.4f} {katz[1]:.4f}")
        0.8011 2.0194
    """
    value_checks.one_of("method", method, _RATIOS)
    (k1, n1), (k2, n2), level, valid = _data(first, second, level)
    if method == "katz":
        ends = _katz(k1, n1, k2, n2, level)
    else:
        corrected = method == "miettinen_nurminen"
        ends = _ratio_ends(k1, n1, k2, n2, level, corrected)
    return where_valid(valid, Interval.of(ends, level, _ABOUT[method]))


def _data(
    first: pairs.Pair, second: pairs.Pair, level: Numbers
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array, Array]:
    (k1, n1), (k2, n2), valid = pairs.proportions(first, second, min_trials=1)
    level, level_valid = value_checks.fraction("level", level)
    k1, n1, k2, n2, level = shape_checks.broadcast(
        first=k1, trials=n1, second=k2, others=n2, level=level
    )
    return (k1, n1), (k2, n2), level, valid & level_valid


@jax.jit
def _katz(k1: Array, n1: Array, k2: Array, n2: Array, level: Array) -> Ends:
    some = (k1 > 0) & (k2 > 0)
    safe1, safe2 = jnp.where(some, k1, 1.0), jnp.where(some, k2, 1.0)
    variance = (n1 - safe1) / (n1 * safe1) + (n2 - safe2) / (n2 * safe2)
    half = significances.significance(1 - level, sides=2) * jnp.sqrt(variance)
    ratio = (safe2 / n2) / (safe1 / n1)
    lower, upper = ratio * jnp.exp(-half), ratio * jnp.exp(half)
    return jnp.where(some, lower, 0.0), jnp.where(some, upper, jnp.inf)


@jax.jit
def _difference_ends(k1: Array, n1: Array, k2: Array, n2: Array, level: Array) -> Ends:
    total = n1 + n2
    z_square = significances.significance(1 - level, sides=2) ** 2 * total / (total - 1)
    best = k2 / n2 - k1 / n1

    def misfit(difference: Array) -> tuple[Array, Array]:
        p1 = _restricted(difference, k1, n1, k2, n2)
        q1 = 1 - p1
        p2, q2 = p1 + difference, q1 - difference  # a tiny difference stays in both
        variance = jnp.maximum(p1 * q1, 0) / n1 + jnp.maximum(p2 * q2, 0) / n2
        return best - difference, z_square * variance

    one = jnp.ones_like(best)
    return score_end(misfit, best, -one), score_end(misfit, best, one)


def _restricted(difference: Array, k1: Array, n1: Array, k2: Array, n2: Array) -> Array:
    """Return the most likely p_1 where p_2 = p_1 + difference.

    A root of a cubic polynomial, in trigonometric form (Miettinen and Nurminen 1985,
    appendix I), refined by Newton's method.
    """
    d, n, k = difference, n1 + n2, k1 + k2
    # p³ + b p² + c p + e = 0
    b = (d * (2 * n1 + n2) - n - k) / n
    c = (n1 * d**2 - d * (2 * k1 + n) + k) / n
    e = k1 / n * d * (1 - d)

    def cubic(p: Array) -> Array:
        return ((p + b) * p + c) * p + e

    def solve(cubic: roots.Residual, _: Array) -> Array:
        v = b**3 / 27 - b * c / 6 + 0.5 * e
        u = jnp.sqrt(jnp.maximum(b**2 / 9 - c / 3, 0.0)) * jnp.where(v < 0, -1.0, 1.0)
        cosine = v / jnp.where(u == 0, 1.0, u) ** 3
        angle = (jnp.pi + jnp.arccos(jnp.clip(cosine, -1.0, 1.0))) / 3
        p = 2 * u * jnp.cos(angle) - b / 3

        def newton(_: Array, p: Array) -> Array:
            slope = (3 * p + 2 * b) * p + c
            step = cubic(p) / jnp.where(slope == 0, 1.0, slope)
            return p - jnp.where(slope == 0, 0.0, jnp.clip(step, -1e-3, 1e-3))

        p = jax.lax.fori_loop(0, _NEWTON_STEPS, newton, p)
        return jnp.clip(p, jnp.maximum(0.0, -d), jnp.minimum(1.0, 1.0 - d))

    start = jax.lax.stop_gradient(k / n)
    return roots.implicit_root(
        cubic, start, lambda f, p: jax.lax.stop_gradient(solve(f, p))
    )


@partial(jax.jit, static_argnums=5)
def _ratio_ends(
    k1: Array, n1: Array, k2: Array, n2: Array, level: Array, corrected: bool
) -> Ends:
    total = n1 + n2
    z_square = significances.significance(1 - level, sides=2) ** 2
    if corrected:
        z_square = z_square * total / (total - 1)

    def misfit(log_ratio: Array) -> tuple[Array, Array]:
        # All over 1 + ratio: nothing overflows, nor vanishes, at any ratio.
        second, first = jax.nn.sigmoid(log_ratio), jax.nn.sigmoid(-log_ratio)
        # The smaller root of a quadratic equation, without a difference.
        linear = first * (n1 + k2) + second * (n2 + k1)
        constant = 4 * first * second * total * (k1 + k2)
        root = jnp.sqrt(jnp.maximum(linear**2 - constant, 0.0))
        scale = 2 * (k1 + k2) / (linear + root)
        p1, p2 = jnp.minimum(first * scale, 1.0), jnp.minimum(second * scale, 1.0)
        variance = first**2 * p2 * (1 - p2) / n2 + second**2 * p1 * (1 - p1) / n1
        return first * k2 / n2 - second * k1 / n1, z_square * variance

    none, all_ = k2 == 0, k1 == 0
    safe = jnp.maximum(k2, 1) / n2 / (jnp.maximum(k1, 1) / n1)
    best = jnp.where(none, -_FAR, jnp.where(all_, _FAR, jnp.log(safe)))
    far = jnp.full_like(best, _FAR)
    lower = jnp.exp(score_end(misfit, best, -far))
    upper = jnp.exp(score_end(misfit, best, far))
    return jnp.where(none, 0.0, lower), jnp.where(all_, jnp.inf, upper)
