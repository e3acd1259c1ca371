"""Credible intervals: the middle of a posterior, or its narrowest part."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy import special as jsp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes import inputs
from vijax.validate import check, where_valid

Kind = Literal["equal_tailed", "highest_density"]
_BISECTIONS = 60


def credible_interval(
    distribution: dist.Distribution,
    mass: ArrayLike = 0.95,
    *,
    kind: Kind = "equal_tailed",
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""Return (lower, upper) that hold `mass` of the distribution.

    Args:
        distribution: of one real variable and one mode, any batch shape.
        mass: probability inside, between 0 and 1.
        kind: "equal_tailed" leaves (1 - mass) / 2 on each side and follows any monotone
            change of variable; "highest_density" is the narrowest interval, whose ends
            have equal density or lie at the edge of the support.

    Raises:
        ValueError: a mass outside (0, 1), or an unknown kind.

    Example:
        >>> lower, upper = credible_interval(dist.Beta(11.0, 5.0))
        >>> round(lower.item(), 4), round(upper.item(), 4)
        (0.449, 0.8818)
        >>> beta = dist.Beta(11.0, 5.0)
        >>> lower, upper = credible_interval(beta, kind="highest_density")
        >>> round(lower.item(), 4), round(upper.item(), 4)
        (0.4671, 0.8952)
    """
    mass = inputs.as_float(mass)
    valid = check(
        (mass > 0) & (mass < 1), "mass", mass, "give a number between 0 and 1"
    )
    if kind == "equal_tailed":
        tail = 0.5 * (1 - mass)
        ends = quantile(distribution, tail), quantile(distribution, 1 - tail)
    elif kind == "highest_density":
        tail = _narrowest(distribution, mass)
        ends = quantile(distribution, tail), quantile(distribution, tail + mass)
    else:
        raise ValueError(
            f"kind = {kind!r} is not valid: give 'equal_tailed' or 'highest_density'"
        )
    return where_valid(valid, ends)


def quantile(distribution: dist.Distribution, q: ArrayLike) -> Float[Array, "..."]:
    """Return the q-quantile; NumPyro's own `icdf` fails for Beta, Gamma and kin.

    Example:
        >>> print(f"{quantile(dist.Beta(1.0, 1.0), 0.25):.4f}")
        0.2500
    """
    if isinstance(distribution, dist.Beta):
        c1, c0 = distribution.concentration1, distribution.concentration0
        return special.betaincinv(c1, c0, q)
    if isinstance(distribution, dist.Gamma):
        return special.gammaincinv(distribution.concentration, q) / distribution.rate
    if isinstance(distribution, dist.InverseGamma):
        gamma = distribution.base_dist
        return gamma.rate / special.gammaincinv(gamma.concentration, 1 - q)
    if isinstance(distribution, dist.StudentT):
        # t² = df (1 - x) / x with x ~ Beta(df / 2, 1 / 2), and the sign by symmetry.
        q = inputs.as_float(q)
        tail = 2 * jnp.minimum(q, 1 - q)
        x = special.betaincinv(0.5 * distribution.df, 0.5, tail)
        t = jnp.sign(q - 0.5) * jnp.sqrt(distribution.df * (1 - x) / x)
        return distribution.loc + distribution.scale * t
    if isinstance(distribution, dist.Normal):
        return distribution.loc + distribution.scale * jsp.ndtri(q)
    return distribution.icdf(q)


def _narrowest(distribution, mass):
    """Return the lower tail of the narrowest interval: where both ends are as dense."""
    shape = jnp.broadcast_shapes(mass.shape, distribution.batch_shape)
    low = jnp.zeros(shape, mass.dtype)

    def halve(_, bounds):
        low, high = bounds
        tail = 0.5 * (low + high)
        lower, upper = quantile(distribution, tail), quantile(distribution, tail + mass)
        rising = distribution.log_prob(lower) < distribution.log_prob(upper)
        return jnp.where(rising, tail, low), jnp.where(rising, high, tail)

    high = jnp.broadcast_to(1 - mass, shape)
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return 0.5 * (low + high)
