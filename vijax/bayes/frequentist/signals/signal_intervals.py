"""Two-sided intervals of a signal above a background whose mean is known.

n ~ Poisson(s + b),  s >= 0 unknown, b known
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax import special
from vijax.bayes.frequentist.signals.signal_limits import mean_above, signal_data
from vijax.bayes.numerics import count_pmfs, roots
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.numerics.log_gamma import deviance
from vijax.bayes.numerics.repeats import once_each
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

# A belt's ends are looked for within so many standard deviations of a count; there are
# none (1e-10 of them) so many below a mean.
_SDS, _NONE_BELOW = 16, 6.4
_BATCH = 2**17  # numbers at a time, of experiments times counts
_NEWTON_STEPS = 6
_METHODS = {  # and how an interval prints
    "feldman_cousins": "confidence, Feldman–Cousins",
    "kraft_burrows_nousek": "of the posterior, Kraft–Burrows–Nousek",
}


def signal_interval(
    counts: Numbers,
    background: Numbers,
    level: Numbers = 0.95,
    *,
    method: str = "feldman_cousins",
    max_count: int | None = None,
) -> Interval:
    r"""Return an interval of the signal s >= 0.

    Args:
        counts: n, any shape, element by element.
        background: mean count b >= 0 without a signal.
        level: of confidence, in (0, 1); all broadcast.
        method: "feldman_cousins", the unified interval: all s whose acceptance region
            holds n, where counts are taken in the order of P(n | s + b) over
            P(n | ŝ + b), ŝ = max(0, n - b), of the belt as it is: the published tables
            raise a few upper ends, such that none grows with the background;
            "kraft_burrows_nousek", the narrowest
            Bayesian interval under a flat prior.
        max_count: of the belt of Feldman and Cousins; needed where counts or the
            background are traced, far above both.

    Returns:
        Signal counts; the lower end is 0 where no signal is needed. In a trace an end
        that `max_count` is too small for is NaN.

    Raises:
        ValueError: as in `signal_limit`; traced data without `max_count`, or one that
            is too small.

    References:
        G. Feldman, R. Cousins (1998), Phys. Rev. D 57, 3873; R. Kraft, D. Burrows,
        J. Nousek (1991), Astrophys. J. 374, 344.

    Example:
        >>> lower, upper = signal_interval(5, 0.0, 0.9)  # table IV: 1.84, 9.99
        >>> print(f"{lower:.2f} {upper:.2f}")
        1.84 9.99
        >>> lower, upper = signal_interval(5, 2.5, method="kraft_burrows_nousek")
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.0000 8.0867
    """
    value_checks.one_of("method", method, tuple(_METHODS))
    counts, background, level, valid = signal_data(counts, background, level)
    if method == "kraft_burrows_nousek":
        ends = once_each(_narrowest, counts, background, level)
        return where_valid(valid, Interval.of(ends, level, _METHODS[method]))
    if max_count is None:
        if is_traced(counts, background, level):
            raise ValueError("max_count is needed in a trace: give one, far above b")
        safe = jnp.where(valid, level, 0.5)
        highest = special.gammainccinv(counts + 1, 0.25 * (1 - safe)) + background
        highest = np.asarray(highest).max()
        max_count = 1 << int(highest + 8 * highest**0.5 + 20).bit_length()
    max_count = value_checks.whole("max_count", max_count, 1)
    unified = partial(_unified, max_count=max_count)
    ends = once_each(unified, counts, background, level)
    if not is_traced(ends):
        unknown = np.isnan(np.asarray(ends)).any(axis=0) & np.asarray(valid)
        if unknown.any():
            raise ValueError(
                f"max_count = {max_count} is not valid: give one far above the counts "
                "and the background, or leave it out outside of a trace"
            )
    return where_valid(valid, Interval.of(ends, level, _METHODS[method]))


@jax.jit
def _narrowest(counts: Array, background: Array, level: Array) -> Ends:
    """Return the densest part of Gamma(n + 1) cut at b, in which s + b lies."""
    log_rest = jnp.log1p(-level)
    log_above_cut = special.log_gammaincc(counts + 1, background)

    def log_outside(x: Array) -> Array:
        """Return the log mass outside of x and its mirror, relative to Q(b)."""
        low, high = (
            special.log_gammaincc(counts + 1, end) - log_above_cut
            for end in (x, _mirror(x, counts))
        )
        return jnp.log(jnp.exp(high) - jnp.expm1(low))

    def excess(x: Array) -> Array:
        return log_outside(x) - log_rest

    def solve(excess: roots.Residual, start: Array) -> Array:
        mode = jax.lax.stop_gradient(jnp.maximum(counts, background))
        return roots.bracketed(excess, start, mode)

    start = jax.lax.stop_gradient(background)
    touches = (background >= counts) | (excess(start) >= 0)
    inside = roots.implicit_root(excess, start, solve)
    lower = jnp.where(touches, background, inside)
    reach = special.gammainccinv(counts + 1, 1 - level)
    whole = mean_above(counts, background, background, log_rest, reach)
    upper = jnp.where(touches, whole, _mirror(inside, counts))
    return lower - background, upper - background


def _mirror(x: Array, counts: Array) -> Array:
    """Return y >= n with yⁿ e⁻ʸ = xⁿ e⁻ˣ, for x <= n."""
    counts = jnp.maximum(counts, 1.0)  # without any there is no mode to mirror at
    return _above(
        counts, deviance(counts, jnp.clip(x, jnp.finfo(x.dtype).tiny, counts))
    )


def _above(counts: Array, depth: Array) -> Array:
    """Return the mean y >= n with deviance(n, y) = depth."""
    none, counts = counts == 0, jnp.maximum(counts, 1.0)

    def gap(y: Array) -> Array:
        return deviance(counts, y) - depth

    def solve(gap: roots.Residual, start: Array) -> Array:
        def step(_: Array, y: Array) -> Array:
            # Newton's in the root of the deviance, which is nearly straight at n.
            height = jnp.maximum(deviance(counts, y), 0.0)
            move = 2 * jnp.sqrt(height) * (jnp.sqrt(depth) - jnp.sqrt(height))
            slope = jnp.maximum(y - counts, jnp.finfo(y.dtype).eps * counts) / y
            return jnp.maximum(y + move / slope, counts)

        return jax.lax.fori_loop(0, _NEWTON_STEPS, step, start)

    start = counts + jnp.sqrt(2 * counts * depth) + depth  # y is a little below
    y = roots.implicit_root(gap, jax.lax.stop_gradient(start), solve)
    return jnp.where(none, depth, y)


@partial(jax.jit, static_argnames="max_count")
def _unified(counts: Array, background: Array, level: Array, *, max_count: int) -> Ends:
    """Return the smallest and the largest signal that accept the count."""
    one = partial(_ends_of_belt, max_count=max_count)
    data = tuple(jnp.ravel(x) for x in (counts, background, level))
    size = max(1, _BATCH // (max_count + 1))
    if data[0].size <= size:
        ends = jax.vmap(one)(*data)
    else:
        ends = jax.lax.map(lambda each: one(*each), data, batch_size=size)
    lower, upper = (jnp.reshape(end, counts.shape) for end in ends)
    return lower, upper


def _ends_of_belt(n: Array, background: Array, level: Array, *, max_count: int) -> Ends:
    r"""Return the ends of the belt at one count, from the means at which it changes.

    R(j | μ), the ratio that orders the counts, is R(n | μ) at one mean t_j only, which
    grows with j: with m_j = max(j, b) and c any constant

        log t_j = log c + (D(j, c) - D(j, m_j) - D(n, c) + D(n, m_n)) / (j - n),

    D the deviance of `deviance`. A count j > n comes before n where μ > t_j, and one
    below where μ < t_j. So what comes before is a range of counts, the same between two
    neighbouring t; there its probability has one maximum, and no minimum inside. The
    ends are therefore a t_j, or the only root between two.
    """
    others = jnp.arange(max_count + 1, dtype=n.dtype)
    constant = jnp.maximum(jnp.maximum(n, background), 1.0)

    def height(j: Array) -> Array:
        return deviance(j, constant) - deviance(j, jnp.maximum(j, background))

    steps = jnp.where(others == n, 1.0, others - n)
    ties = constant * jnp.exp((height(others) - height(n)) / steps)
    ties = jnp.where(others == n, jnp.maximum(n, background), ties)

    def tie(j: Array) -> Array:
        return ties[jnp.clip(j, 0, max_count).astype(int)]

    def end(counts: Array, side: int, beyond: Array) -> Array:
        """Return the mean farthest from n that accepts it; `counts` begin out there."""
        next_to_n = n + side
        rows = jnp.maximum(counts, n + 1) if side > 0 else jnp.minimum(counts, n - 1)

        def before(j: Array, mean: Array) -> Array:
            """Return the probability of what comes before n, j the farthest of it."""
            first, last = (next_to_n, j) if side > 0 else (j, next_to_n)
            return _mass(mean, counts, (first <= counts) & (counts <= last))

        accepted = jax.lax.map(lambda j: before(j - side, tie(j)) < level, rows)
        # The belt ends at `max_count`: what lies beyond it is not known.
        is_cut = (n > max_count) | (accepted[0] & (tie(rows[0]) < beyond) & (side > 0))
        place = jnp.argmax(accepted)
        j = rows[place]
        far = jax.lax.stop_gradient(jnp.where(place == 0, beyond, tie(j + side)))

        def solve(excess: roots.Residual, start: Array) -> Array:
            steps = jnp.finfo(n.dtype).nmant + 3
            return roots.bisect(lambda x: excess(x) < 0, start, far, num_steps=steps)[0]

        start = jax.lax.stop_gradient(tie(j))
        root = roots.implicit_root(lambda x: before(j, x) - level, start, solve)
        found = jnp.where(before(j, tie(j)) < level, root, tie(j))
        return jnp.where(jnp.any(accepted) & ~is_cut, found, jnp.nan)

    low, high = _search_range(n, background, 1 - level)
    size = min(max_count, 64 + int(_SDS * max_count**0.5))
    window = jnp.arange(size, dtype=n.dtype)
    highest = jnp.minimum(jnp.searchsorted(ties, high), max_count).astype(n.dtype)
    upper = end(highest - window, 1, high)
    # Far below all means in question there are no counts.
    lowest = jnp.searchsorted(ties, low).astype(n.dtype)
    lowest = jnp.maximum(lowest, jnp.floor(low - _NONE_BELOW * jnp.sqrt(low)))
    lower = end(lowest + window, -1, low)
    # At b all counts below n come before it, if it is above b, and none if it is not.
    at_zero = _mass(background, others, others < n) < level
    at_zero |= n <= background
    return jnp.where(at_zero, 0.0, lower - background), upper - background


def _mass(mean: Array, counts: Array, chosen: Array) -> Array:
    """Return the probability of the chosen counts, none of which is negative."""
    log_pmf = count_pmfs.poisson_log_pmf(jnp.maximum(counts, 0.0), mean)
    return jnp.sum(jnp.exp(log_pmf) * chosen)


def _search_range(n: Array, background: Array, alpha: Array) -> tuple[Array, Array]:
    """Return means below and above all that accept n.

    What does not come before n is two tails, n in one of them. By Chernoff's bound each
    is at most exp R(n): means at which 2 exp R(n) is below alpha do not accept.
    """
    depth = jnp.log(2 / alpha)
    share = 2 * depth / 3  # Bernstein's bound of the deviance, for means below n
    low = jnp.maximum(n + share - jnp.sqrt(share**2 + 2 * depth * n), background)
    mode = jnp.maximum(n, background)
    return low, jnp.maximum(_above(n, deviance(n, mode) + depth), mode)
