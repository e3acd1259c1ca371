"""Sufficient statistics that add: a stream of batches, or shards on several devices.

Every family's `sufficient_statistics(data)` is a NamedTuple of arrays, and `s + t` is
the statistic of both data sets together. `total` adds along a leading axis, which is
how `vmap` over shards returns them. Counts add exactly. Means and scatters add by the
formula of Chan, Golub & LeVeque (1979), which loses no digits as sums of squares would.
"""

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

T = TypeVar("T")


def add(first: T, second: Any) -> T:
    """Add leaf by leaf; this is `+` for statistics of counts.

    Both of one type and shape.

    Example:
        >>> add(Moments(1.0, 2.0, 3.0), Moments(1.0, 1.0, 1.0)).scatter.item()
        4.0
    """
    return jax.tree.map(jnp.add, first, second)


def total(stacked: T) -> T:
    """Add statistics that are stacked along a leading axis.

    Args:
        stacked: a family's statistics, every leaf with a leading axis of shards.

    Example:
        >>> shards = Moments(jnp.ones(3), jnp.array([1.0, 2.0, 6.0]), jnp.zeros(3))
        >>> total(shards).mean.item()
        3.0
    """
    first = jax.tree.map(lambda leaf: leaf[0], stacked)
    rest = jax.tree.map(lambda leaf: leaf[1:], stacked)
    return jax.lax.scan(lambda sum_, one: (sum_ + one, None), first, rest)[0]


class Moments(NamedTuple):
    """Weight, mean and scatter Σ w (x - mean)² of numbers or of vectors.

    Example:
        >>> one = Moments(jnp.ones(()), jnp.asarray(1.0), jnp.zeros(()))
        >>> both = one + one._replace(mean=jnp.asarray(3.0))
        >>> both.mean.item(), both.scatter.item()
        (2.0, 2.0)
    """

    weight: Float[Array, "..."]  # Σ w; the number of data where they weigh the same
    mean: Float[Array, "..."]  # () or (dim,)
    scatter: Float[Array, "..."]  # () or (dim, dim)

    def __add__(self, other: "Moments") -> "Moments":  # type: ignore[override]
        """Return the moments of both data sets together."""
        weight = self.weight + other.weight
        share = other.weight / jnp.where(weight > 0, weight, 1.0)
        shift = other.mean - self.mean
        between = self.weight * share * _square(shift)
        return Moments(
            weight, self.mean + share * shift, self.scatter + other.scatter + between
        )


def moments(
    values: Float[Array, "data ..."], weights: Float[Array, " data"]
) -> Moments:
    """Return the weighted moments of the rows of `values`, in two passes.

    Σ w, Σ w x / Σ w and Σ w (x - mean)(x - mean)ᵀ of shapes (), (dims,) and (dims,
    dims), or of single numbers; in units of w, x and w x².

    References:
        Chan, Golub & LeVeque (1983), Am. Statistician 37, 242.

    Example:
        >>> moments(jnp.array([1.0, 3.0]), jnp.ones(2)).scatter.item()
        2.0
    """
    weight = weights.sum()
    mean = jnp.tensordot(weights, values, 1) / weight
    deviations = values - mean
    # The mean's own rounding error is a shift of all deviations: take it back.
    shift = jnp.tensordot(weights, deviations, 1) / weight
    deviations = deviations - shift
    scatter = jnp.tensordot(weights, jax.vmap(_square)(deviations), 1)
    return Moments(weight, mean + shift, scatter)


def _square(vector: Float[Array, "..."]) -> Float[Array, "..."]:
    return vector**2 if jnp.ndim(vector) == 0 else jnp.outer(vector, vector)
