"""Barnard's exact test of two equal probabilities: the totals are not given.

Its p-value is the largest over the common probability, which is unknown.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from vijax.bayes.frequentist.binomial_tests import ALTERNATIVES
from vijax.bayes.frequentist.two_samples import pairs
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import value_checks
from vijax.validate import is_traced, seen, where_valid

_GRID, _FINE, _ZOOMS, _PEAKS = 257, 17, 5, 4


def barnard_log_p_value(
    first: pairs.Pair,
    second: pairs.Pair,
    *,
    alternative: str = "greater",
    pooled: bool = True,
    max_trials: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the log of Barnard's exact p-value of two equal probabilities.

    max_p Σ P(i | n_1, p) P(j | n_2, p) over all tables (i, j) with z(i, j) >= z(k_1,
    k_2), z = (p̂_2 - p̂_1) / sqrt(p̂ (1 - p̂) (1 / n_1 + 1 / n_2)), p̂ of both together.
    More powerful than Fisher's test, which fixes the sum of the successes.

    Args:
        first: successes and trials (>= 1) of the first sample, any shape, element by
            element.
        second: the same of the second sample; all broadcast.
        alternative: "greater": the second probability is larger; "less"; "two-sided"
            takes |z|.
        pooled: with False the variance of z is the sum of both samples' own.
        max_trials: the larger of all numbers of trials; needed where they are traced.

    Returns:
        Nats. Each element costs the trials times some 400 values of p.

    Raises:
        ValueError: impossible counts, shapes that do not fit, an unknown alternative,
            traced trials without `max_trials`.

    References:
        G. A. Barnard (1947), Biometrika 34, 123; as scipy.stats.barnard_exact.

    Example:
        >>> value = barnard_log_p_value((7, 15), (12, 15))  # a vaccine: 7 and 12 of 15
        >>> print(f"{jnp.exp(value):.4f}")
        0.0341
    """
    value_checks.one_of("alternative", alternative, ALTERNATIVES)
    (k1, n1), (k2, n2), valid = pairs.proportions(first, second, min_trials=1)
    if max_trials is None:
        if is_traced(n1, n2):
            raise ValueError("max_trials is needed where the trials are traced")
        most = int(np.max(np.asarray(jnp.where(valid, jnp.maximum(n1, n2), 1))))
        max_trials = max(16, 1 << (most - 1).bit_length())
    max_trials = value_checks.whole("max_trials", max_trials, 1)
    rows = jnp.stack([x.ravel() for x in (k1, n1, k2, n2)], axis=-1)
    flat = _barnard(rows, alternative, bool(pooled), max_trials)
    enough = value_checks.checked(
        (seen(n1) <= max_trials) & (seen(n2) <= max_trials),
        "max_trials",
        max_trials,
        "give the larger of all numbers of trials, or more",
    )
    return where_valid(valid & enough, flat.reshape(k1.shape))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _barnard(rows: Array, alternative: str, pooled: bool, size: int) -> Array:
    def of_one(row: Array) -> Array:
        k1, n1, k2, n2 = row
        i, j = (jnp.arange(size + 1, dtype=row.dtype) for _ in range(2))
        z = _score(i[:, None], n1, j, n2, pooled)
        observed = _score(k1, n1, k2, n2, pooled)
        # Tables that are as far as the one that was seen, but for rounding, count.
        slack = 16 * jnp.finfo(row.dtype).eps * (1 + jnp.abs(observed))
        inside = j <= n2
        if alternative == "two-sided":
            above, below = jnp.abs(observed) - slack, -jnp.abs(observed) + slack
        elif alternative == "greater":
            above, below = observed - slack, jnp.full_like(observed, -jnp.inf)
        else:
            above, below = jnp.full_like(observed, jnp.inf), observed + slack
        # z rises with j: of every i the tables are all j from one on, and up to one.
        from_j = jnp.sum((z < above) & inside, axis=1)
        up_to_j = jnp.minimum(jnp.sum((z <= below) & inside, axis=1), from_j)

        def log_sum(angle: Array) -> Array:
            p = jnp.sin(angle) ** 2
            rest = jnp.cos(angle) ** 2
            log_i, log_j = _log_pmf(i, n1, p, rest), _log_pmf(j, n2, p, rest)
            none = jnp.full(1, -jnp.inf, row.dtype)
            head = jnp.concatenate([none, jax.lax.cumlogsumexp(log_j)])
            tail = jnp.concatenate([jax.lax.cumlogsumexp(log_j, reverse=True), none])
            return logsumexp(log_i + jnp.logaddexp(tail[from_j], head[up_to_j]))

        return jnp.minimum(_largest(jax.vmap(log_sum), row.dtype), 0.0)

    return jax.lax.map(of_one, rows)


def _score(k1: Array, n1: Array, k2: Array, n2: Array, pooled: bool) -> Array:
    p1, p2, both = k1 / n1, k2 / n2, (k1 + k2) / (n1 + n2)
    if pooled:
        variance = both * (1 - both) * (1 / n1 + 1 / n2)
    else:
        variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    difference = (k2 * n1 - k1 * n2) / (n1 * n2)
    some = variance > 0
    z = difference / jnp.sqrt(jnp.where(some, variance, 1.0))
    return jnp.where(some, z, jnp.sign(difference) * 1e30)


def _log_pmf(k: Array, n: Array, p: Array, rest: Array) -> Array:
    inside = k <= n
    k = jnp.where(inside, k, 0)
    counts = jnp.stack([k, n - k], axis=-1)
    log_pmf = count_pmfs.multinomial_log_pmf(counts, jnp.stack([p, rest]))
    return jnp.where(inside, log_pmf, -jnp.inf)


def _largest(function: Callable[[Array], Array], dtype: Any) -> Array:
    """Return the largest value on (0, π/2), by grids around the highest peaks."""
    step = 0.5 * jnp.pi / (_GRID + 1)
    angles = step * jnp.arange(1, _GRID + 1, dtype=dtype)
    values = function(angles)
    padded = jnp.pad(values, 1, constant_values=-jnp.inf)
    is_peak = (values >= padded[:-2]) & (values >= padded[2:])
    _, index = jax.lax.top_k(jnp.where(is_peak, values, -jnp.inf), _PEAKS)
    shifts = jnp.linspace(-1.0, 1.0, _FINE, dtype=dtype)

    def zoom(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centres, step, best = state
        fine = jnp.clip(centres[:, None] + step * shifts, 0.0, 0.5 * jnp.pi)
        at = function(fine.ravel()).reshape(fine.shape)
        chosen = jnp.argmax(at, axis=1, keepdims=True)
        centres = jnp.take_along_axis(fine, chosen, axis=1)[:, 0]
        return centres, step * 2 / (_FINE - 1), jnp.maximum(best, at.max())

    start = angles[index], jnp.asarray(step, dtype), values.max()
    return jax.lax.fori_loop(0, _ZOOMS, zoom, start)[2]
