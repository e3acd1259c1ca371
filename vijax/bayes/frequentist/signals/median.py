"""The median of a significance, exact: over counts and what is measured beside them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.bayes.frequentist.signals import critical_counts
from vijax.bayes.frequentist.signals.nuisances import Pair
from vijax.bayes.numerics import count_quantiles, roots, significances

_STEPS = 60


def num_terms(kind: str, total: Array, numbers: Pair) -> int:
    """Return how many counts, and off counts, are to be looked at."""
    most = float(np.max(np.asarray(total)))
    if kind == "sideband":
        most = max(most, float(np.max(np.asarray(numbers[0]))))
    return 1 << int(2 * (6 * most**0.5 + 12)).bit_length()


@partial(jax.jit, static_argnums=(0, 1, 4))
def of_plan(kind: str, test: str, signal: Array, numbers: Pair, size: int) -> Array:
    """Return the largest z with P(Z >= z) >= 1/2; NaN where terms are too few."""
    mean = critical_counts.mean_background(kind, numbers)
    if kind == "known":
        half = jnp.log(jnp.full_like(signal, 0.5))
        count = count_quantiles.poisson_count(signal + mean, half)
        return _significance(kind, test, count, numbers)
    total = (signal + mean)[..., None]
    counts, weights = critical_counts.off_counts(total, size)
    if kind == "sideband":
        z, enough = _of_sideband(test, counts, weights, numbers, size)
    else:
        z, enough = _of_estimates(counts, weights, numbers)
    return jnp.where(enough, z, jnp.nan)


def _significance(kind: str, test: str, counts: Array, numbers: Pair) -> Array:
    if test == "profile":
        return critical_counts.profile_root(kind, counts, numbers)
    log_p = critical_counts.log_p_value(kind, test, counts, numbers)
    return significances.significance_from_log(jnp.minimum(log_p, 0.0))


def _of_sideband(
    test: str, counts: Array, weights: Array, numbers: Pair, size: int
) -> tuple[Array, Array]:
    """Sort all pairs of counts by their significance; half of the weight is above."""
    off, off_weights = critical_counts.off_counts(numbers[0][..., None], size)
    n, y = counts[..., :, None], off[..., None, :]
    pairs = n, (y, numbers[1][..., None, None])
    flat = (*counts.shape[:-1], -1)
    z = _significance("sideband", test, jnp.broadcast_to(n, (n + y).shape), pairs[1])
    z = z.reshape(flat)
    of_pairs = (weights[..., :, None] * off_weights[..., None, :]).reshape(flat)
    order = jnp.argsort(-jax.lax.stop_gradient(z), axis=-1)
    above = jnp.cumsum(jnp.take_along_axis(of_pairs, order, axis=-1), axis=-1)
    place = jnp.argmax(above >= 0.5, axis=-1, keepdims=True)
    chosen = jnp.take_along_axis(order, place, axis=-1)
    return jnp.take_along_axis(z, chosen, axis=-1)[..., 0], critical_counts.is_all(
        above[..., -1]
    )


def _of_estimates(counts: Array, weights: Array, numbers: Pair) -> tuple[Array, Array]:
    """Solve P(Z >= z) = 1/2; estimates that count as 0 make it jump, too."""
    mean, error = (x[..., None] for x in numbers)

    def probability(z: Array) -> Array:
        tail = critical_counts.estimate_tail(counts, mean, error, z[..., None])
        return jnp.sum(weights * tail, axis=-1)

    def lack(z: Array) -> Array:
        return 0.5 - probability(z)

    at_zero = critical_counts.profile_root(
        "measured", counts, (jnp.zeros_like(counts), error)
    )

    def solve(lack: roots.Residual, none: Array) -> Array:
        high = jnp.max(at_zero, axis=-1) + 1
        return roots.bisect(lambda z: lack(z) <= 0, none, high, num_steps=_STEPS)[0]

    z = roots.implicit_root(lack, jnp.zeros_like(numbers[0]), solve)
    # At a jump z moves as the significance of its count does.
    gap = jnp.abs(at_zero - z[..., None])
    place = jnp.argmin(gap, axis=-1, keepdims=True)
    jump = jnp.take_along_axis(at_zero, place, axis=-1)[..., 0]
    near = jnp.abs(jump - z) < 1e-5 * (1 + z)
    jumps = near & (probability(z * (1 - 1e-5)) - probability(z * (1 + 1e-5)) > 1e-3)
    z = jnp.where(jumps, jump, z)
    some = probability(jnp.zeros_like(z)) >= 0.5
    return jnp.where(some, z, 0.0), critical_counts.is_all(jnp.sum(weights, axis=-1))
