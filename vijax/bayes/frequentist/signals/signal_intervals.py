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
from vijax.bayes.numerics import roots
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.numerics.log_gamma import deviance, excess
from vijax.bayes.numerics.repeats import once_each
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

_GRID = 512  # signals at which a belt is looked at, before its ends are refined
_REFINEMENTS = 50
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
        ends = once_each(_narrowest, counts, background, level)
        return where_valid(valid, Interval.of(ends, level, _METHODS[method]))
    if max_count is None:
        if is_traced(counts, background, level):
            raise ValueError("max_count is needed in a trace: give one, far above b")
        safe = jnp.where(valid, level, 0.5)
        highest = special.gammainccinv(counts + 1, 0.25 * (1 - safe)) + background
        highest = np.asarray(highest).max()
        max_count = 1 << int(highest + 8 * highest**0.5 + 20).bit_length()
    unified = partial(_unified, max_count=int(max_count))
    ends = once_each(unified, counts, background, level)
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
    depth = deviance(counts, jnp.clip(x, jnp.finfo(x.dtype).tiny, counts))

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
    return roots.implicit_root(gap, jax.lax.stop_gradient(start), solve)


@partial(jax.jit, static_argnames="max_count")
def _unified(counts: Array, background: Array, level: Array, *, max_count: int) -> Ends:
    """Return the smallest and the largest signal that accept the count."""
    others = jnp.arange(max_count + 1, dtype=counts.dtype)
    at_once = excess(others)
    misfit = deviance(others, jnp.maximum(others, background[..., None]))
    own_misfit = deviance(counts, jnp.maximum(counts, background))

    def accepts(signal: Array) -> Array:
        """Σ of P(n | s + b) over all counts that come before this one < level."""
        mean = signal + background
        spread = deviance(others, mean[..., None])
        own = deviance(counts, mean) - own_misfit
        before = spread - misfit < own[..., None] - 1e-9
        weights = jnp.exp(-spread - at_once)
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
