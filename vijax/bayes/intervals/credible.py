"""Credible intervals: the middle of a posterior, or its densest part.

One function for distributions, for draws, and for a density on a grid.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

from vijax.bayes.conjugate.marginals import Joint, marginals
from vijax.bayes.grid.landscape import Landscape
from vijax.bayes.grid.regions import intervals_of
from vijax.bayes.intervals import grid_quantiles
from vijax.bayes.intervals.highest_density import highest_density
from vijax.bayes.intervals.quantiles import central, quantile, upper_quantile
from vijax.bayes.numerics.interval import Interval
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

__all__ = ["credible_interval", "quantile", "upper_quantile"]

_ABOUT = {  # how an interval prints
    "equal_tailed": "of the posterior, equal-tailed",
    "highest_density": "of the posterior, highest density",
}


def credible_interval(
    posterior: Joint | Landscape | Numbers,
    mass: Numbers = 0.95,
    *,
    kind: str = "equal_tailed",
) -> Interval:
    r"""Return (lower, upper) that hold `mass` of the posterior.

    Args:
        posterior: a distribution of one real variable with one mode, or a mixture of
            such, any batch shape; or one of several, as every family here has: an
            interval for each number, see `vijax.bayes.marginals`; or draws, shape
            (draws, ...); or a `Landscape` with one axis.
        mass: probability inside, between 0 and 1, broadcast against the batch.
        kind: "equal_tailed" leaves (1 - mass) / 2 on each side and follows any monotone
            change of variable; "highest_density" is the narrowest interval: its ends
            have the same density, or lie at an end of the support.

    Returns:
        The ends, in the variable's unit, of the batch's shape; of a location and a
        variance two dicts of them. The highest-density region of a landscape or of a
        mixture may be several intervals: its ends have one more axis, with as many
        elements as there are intervals (under jit 8, the unused ones NaN, and all of
        them where there are more).

        Error of the ends of distributions: below 1e-10 relative in x64, 1e-5 in
        float32; for n draws that of order statistics, 1/sqrt(n); for a grid that of
        linear interpolation, the square of its spacing.

    Raises:
        ValueError: a mass outside (0, 1), fewer than 2 draws, an unknown kind. In a
            trace such a mass gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.3.

    Example:
        >>> lower, upper = credible_interval(dist.Beta(11.0, 5.0))
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4490 0.8818
        >>> beta = dist.Beta(11.0, 5.0)
        >>> lower, upper = credible_interval(beta, kind="highest_density")
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4671 0.8952
        >>> shares = dist.Dirichlet(jnp.array([11.0, 5.0]))
        >>> print(", ".join(f"{lower:.4f}" for lower in credible_interval(shares)[0]))
        0.4490, 0.1182
    """
    if kind not in _ABOUT:
        raise ValueError(
            f"kind = {kind!r} is not valid: give 'equal_tailed' or 'highest_density'"
        )
    mass, valid = value_checks.fraction("mass", mass)
    mass = jnp.where(valid, mass, 0.5)
    if isinstance(posterior, Joint):
        found = _of_marginals(marginals(posterior), mass, kind)
    elif isinstance(posterior, Landscape):
        found = _of_landscape(posterior, mass, kind)
    else:
        draws, draws_valid = value_checks.finite("posterior", posterior)
        valid &= draws_valid.all()
        found = Interval.of(_of_draws(draws, mass, kind), mass, _ABOUT[kind])
    return where_valid(valid, found)


def _of_marginals(
    posterior: dist.Distribution | dict[str, dist.Distribution], mass: Array, kind: str
) -> Interval:
    if isinstance(posterior, dict):
        found = {k: _of_marginals(v, mass, kind) for k, v in posterior.items()}
        lower, upper = ({k: one[i] for k, one in found.items()} for i in (0, 1))
        levels = {k: one.level for k, one in found.items()}
        return Interval(lower, upper, levels, _ABOUT[kind])
    _fits(mass, posterior.batch_shape)
    if kind == "highest_density":
        if posterior.is_discrete:
            name = type(posterior).__name__
            raise ValueError(
                f"kind = {kind!r} is not valid for a {name}: of whole numbers give "
                "'equal_tailed'"
            )
        ends = highest_density(posterior, mass)
    else:
        ends = central(posterior, 0.5 * (1 - mass))
    own = jnp.broadcast_shapes(mass.shape, posterior.batch_shape)
    # The pieces of a region have an axis of their own.
    level = jnp.expand_dims(mass, -1) if ends[0].ndim > len(own) else mass
    return Interval.of(ends, level, _ABOUT[kind])


def _fits(mass: Array, batch: tuple[int, ...]) -> None:
    try:
        jnp.broadcast_shapes(mass.shape, batch)
    except ValueError:
        raise ValueError(
            f"mass has shape {mass.shape} and the posterior's batch {batch}: give one "
            "number, or a shape that broadcasts against the batch"
        ) from None


@partial(jax.jit, static_argnames="kind")
def _of_draws(draws: Array, mass: Array, kind: str) -> tuple[Array, Array]:
    if draws.ndim == 0 or draws.shape[0] < 2:
        raise ValueError(
            f"posterior has shape {draws.shape}: give a distribution, or two draws or "
            "more along the first axis"
        )
    if mass.ndim:
        raise ValueError(f"mass has shape {mass.shape}: for draws give one number")
    num_draws = draws.shape[0]
    ordered = jnp.sort(draws, axis=0)
    if kind == "equal_tailed":
        tail = 0.5 * (1 - mass)
        ends = jnp.quantile(ordered, jnp.stack([tail, 1 - tail]), axis=0)
        return ends[0], ends[1]
    # The narrowest of all intervals between draws number i and i + inside.
    inside = jnp.clip(jnp.ceil(mass * num_draws).astype(int) - 1, 1, num_draws - 1)
    index = jnp.arange(num_draws)
    last = jnp.minimum(index + inside, num_draws - 1)
    shape = (-1, *[1] * (draws.ndim - 1))
    complete = jnp.reshape(index + inside < num_draws, shape)
    widths = jnp.where(complete, ordered[last] - ordered, jnp.inf)
    narrowest = jnp.argmin(widths, axis=0, keepdims=True)
    lower = jnp.take_along_axis(ordered, narrowest, axis=0)[0]
    return lower, jnp.take_along_axis(ordered, narrowest + inside, axis=0)[0]


def _of_landscape(landscape: Landscape, mass: Array, kind: str) -> Interval:
    if len(landscape.axes) != 1:
        raise ValueError(
            f"posterior has {len(landscape.axes)} axes: give one of its marginals"
        )
    if mass.ndim:
        raise ValueError(f"mass has shape {mass.shape}: for a grid give one number")
    if kind == "highest_density":
        lower, upper = intervals_of(landscape, mass)
        if not is_traced(lower):
            found = ~jnp.isnan(lower)
            lower, upper = lower[found], upper[found]
    else:
        tail = 0.5 * (1 - mass)
        lower, upper = (
            grid_quantiles.of_landscape(landscape, q) for q in (tail, 1 - tail)
        )
    return Interval.of((lower, upper), mass, _ABOUT[kind])
