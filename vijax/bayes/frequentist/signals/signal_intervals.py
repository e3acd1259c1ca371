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
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

_GRID = 512  # signals at which a belt is looked at, before its ends are refined
_REFINEMENTS = 50
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
        Signal counts; the lower end is 0 where no signal is needed.

    Raises:
        ValueError: as in `signal_limit`; traced data without `max_count`.

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
        ends = _narrowest(counts, background, level)
        return where_valid(valid, Interval.of(ends, level, _METHODS[method]))
    if max_count is None:
        if is_traced(counts, background, level):
            raise ValueError("max_count is needed in a trace: give one, far above b")
        safe = jnp.where(valid, level, 0.5)
        highest = special.gammainccinv(counts + 1, 0.25 * (1 - safe)) + background
        highest = np.asarray(highest).max()
        max_count = 1 << int(highest + 8 * highest**0.5 + 20).bit_length()
    ends = _unified(counts, background, level, int(max_count))
    return where_valid(valid, Interval.of(ends, level, _METHODS[method]))


@jax.jit
def _narrowest(counts: Array, background: Array, level: Array) -> Ends:
    """Return the densest part of Gamma(n + 1) cut at b, in which s + b lies."""
    log_rest = jnp.log1p(-level)
    reach = special.gammainccinv(counts + 1, 1 - level)
    log_above_cut = special.log_gammaincc(counts + 1, background)

    def upper_end(x: Array) -> Array:
        # Q(x_2) = Q(x_1) - level Q(b), relative to Q(b)
        share = jnp.exp(special.log_gammaincc(counts + 1, x) - log_above_cut) - level
        log_share = jnp.log(jnp.maximum(share, jnp.finfo(x.dtype).tiny))
        return mean_above(counts, background, x, log_share, reach + x)

    def gap(x: Array) -> Array:
        """Return log density at the upper end over that at the lower one."""
        other = upper_end(x)
        return counts * jnp.log(other / jnp.maximum(x, 1e-30)) - (other - x)

    def solve(gap: roots.Residual, start: Array) -> Array:
        mode = jnp.maximum(counts, background)
        mode = jax.lax.stop_gradient(mode)
        return roots.bisect(lambda x: gap(x) > 0, start, mode, num_steps=50)[0]

    low = roots.implicit_root(gap, jax.lax.stop_gradient(background), solve)
    touches = gap(background) <= 0
    lower = jnp.where(touches, background, low)
    whole = mean_above(counts, background, background, log_rest, reach)
    upper = jnp.where(touches, whole, upper_end(lower))
    return lower - background, upper - background


@partial(jax.jit, static_argnums=3)
def _unified(counts: Array, background: Array, level: Array, max_count: int) -> Ends:
    """Return the smallest and the largest signal that accept the count."""
    others = jnp.arange(max_count + 1, dtype=counts.dtype)

    def log_ratio(n: Array, mean: Array, background: Array) -> Array:
        best = jnp.maximum(n, background)
        return count_pmfs.poisson_log_pmf(n, mean) - count_pmfs.poisson_log_pmf(n, best)

    def accepts(signal: Array) -> Array:
        """Σ of P(n | s + b) over all counts that come before this one < level."""
        mean = (signal + background)[..., None]
        ratio = log_ratio(others, mean, background[..., None])
        own = log_ratio(counts, signal + background, background)[..., None]
        before = ratio > own + 1e-9
        weights = jnp.exp(count_pmfs.poisson_log_pmf(others, mean))
        return jnp.sum(weights * before, axis=-1) < level

    highest = special.gammainccinv(counts + 1, 0.25 * (1 - level))

    def at(share: Array) -> Array:
        return highest * share

    shares = jnp.linspace(0.0, 1.0, _GRID).astype(counts.dtype) ** 2
    inside = jax.lax.map(lambda share: accepts(at(share)), shares)
    first = jnp.argmax(inside, axis=0)
    last = len(shares) - 1 - jnp.argmax(inside[::-1], axis=0)
    lower, _ = roots.bisect(
        accepts,
        at(shares[first]),
        at(shares[jnp.maximum(first - 1, 0)]),
        num_steps=_REFINEMENTS,
    )
    upper, _ = roots.bisect(
        accepts,
        at(shares[last]),
        at(shares[jnp.minimum(last + 1, len(shares) - 1)]),
        num_steps=_REFINEMENTS,
    )
    return jnp.where(first == 0, 0.0, lower), upper
