"""Which of two unknown numbers is the larger one, from their posteriors."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.intervals import quantiles, tails

_STEP, _REACH = 0.08, 6.0
_NODES = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)


def probability_greater(
    second: dist.Distribution, first: dist.Distribution
) -> Float[Array, "..."]:
    r"""Return P(second > first) of two independent numbers.

    ∫_0^1 P(second > F⁻¹(u)) du, F the first one's cdf, by the tanh-sinh rule; the roles
    are exchanged where the second is the narrower one. Two proportions are two Beta
    posteriors, two rates two Gamma ones, two means two of Student's t.

    Args:
        second: the distribution of one real number, any batch shape.
        first: another one, of any family; the batches broadcast.

    Returns:
        Probabilities, relative error below 1e-9 down to 1e-15 in x64.

    Raises:
        ValueError: a distribution of several numbers, or one without quantiles; batches
            that do not fit.

    References:
        H. Takahasi, M. Mori (1974), Publ. RIMS Kyoto 9, 721.

    Example:
        >>> value = probability_greater(dist.Beta(2.0, 1.0), dist.Beta(1.0, 1.0))
        >>> print(f"{value:.4f}")
        0.6667
    """
    for name, one in (("second", second), ("first", first)):
        if one.event_shape:
            raise ValueError(
                f"{name} is a {type(one).__name__} of shape {one.event_shape}: give "
                "the distribution of one number"
            )
    try:
        shape = jnp.broadcast_shapes(second.batch_shape, first.batch_shape)
    except ValueError:
        raise ValueError(
            f"second has the batch shape {second.batch_shape} and first "
            f"{first.batch_shape}: give shapes that broadcast"
        ) from None
    quarter = jnp.full(shape, 0.25)
    widths = [
        quantiles.tail_quantile(one, quarter, upper=True)
        - quantiles.tail_quantile(one, quarter, upper=False)
        for one in (second, first)
    ]
    return jnp.where(
        widths[1] <= widths[0],
        _average(first, second, above=True),
        _average(second, first, above=False),
    )


def _average(inner: Any, outer: Any, *, above: bool) -> Array:
    """Return the mean over `inner` of the probability of `outer` above or below it."""
    ndim = max(len(inner.batch_shape), len(outer.batch_shape))
    t = jnp.asarray(_NODES).reshape(-1, *[1] * ndim)
    # u = 1 / (1 + exp(-π sinh t)), of which the smaller of u and 1 - u keeps its digits
    half = jnp.pi * jnp.sinh(jnp.abs(t))
    small = jnp.exp(-half) / (1 + jnp.exp(-half))
    lower = quantiles.tail_quantile(inner, small, upper=False)
    upper = quantiles.tail_quantile(inner, small, upper=True)
    x = jnp.where(t < 0, lower, upper)
    weights = _STEP * jnp.pi * jnp.cosh(t) * small * (1 - small)
    log_tail = tails.log_tails(outer, x)[1 if above else 0]
    return jnp.sum(weights * jnp.exp(log_tail), axis=0)
