"""The narrowest interval that holds a given mass: the density is equal at both ends.

Beta, Gamma and InverseGamma are solved by `numerics.density_level`, the Normal,
Student's t and the Uniform by symmetry, mixtures by `mixture_regions`, and every other
distribution by bisection. The derivatives of the ends are those of an implicit
function: see `_ends`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array

from vijax import special
from vijax.bayes.intervals import quantiles, tails
from vijax.bayes.intervals.mixture_regions import region_of_mixture
from vijax.bayes.numerics import log_densities, roots
from vijax.bayes.numerics.density_level import Profile, solve_level
from vijax.bayes.numerics.interval import Ends
from vijax.bayes.validation.value_checks import as_float
from vijax.special import log_tails
from vijax.special.elementary import expm1_excess
from vijax.special.elementwise import elementwise

_BISECTIONS = 60


def highest_density(distribution: dist.Distribution, mass: Array) -> Ends:
    """Return the highest-density interval of a distribution with one mode.

    Without an inner maximum the interval begins at the end of the support where the
    density is larger; for the uniform distribution it is the central one. Of a mixture
    all intervals come back, on a last axis: see `mixture_regions`.

    Example:
        >>> lower, upper = highest_density(dist.Beta(11.0, 5.0), jnp.asarray(0.95))
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4671 0.8952
    """
    if isinstance(distribution, tails.WRAPPERS):
        lower, upper = highest_density(distribution.base_dist, mass)
        shape = jnp.broadcast_shapes(lower.shape, distribution.batch_shape)
        return jnp.broadcast_to(lower, shape), jnp.broadcast_to(upper, shape)
    if isinstance(distribution, dist.Beta):
        c1, c0 = distribution.concentration1, distribution.concentration0
        return _beta(*jnp.broadcast_arrays(as_float(c1), as_float(c0), mass))
    if isinstance(distribution, dist.Gamma):
        concentration = as_float(distribution.concentration)
        lower, upper = _gamma(*jnp.broadcast_arrays(concentration, mass))
        return lower / distribution.rate, upper / distribution.rate
    if isinstance(distribution, dist.InverseGamma):
        concentration = as_float(distribution.concentration)
        concentration, mass = jnp.broadcast_arrays(concentration, mass)
        lower, upper = _inverse_gamma(concentration, mass)
        return lower * distribution.rate, upper * distribution.rate
    if isinstance(distribution, dist.Normal | dist.StudentT | dist.Uniform):
        return quantiles.central(distribution, 0.5 * (1 - mass))
    if isinstance(distribution, tails.MIXTURES) and not hasattr(distribution, "isf"):
        return region_of_mixture(distribution, mass)
    return _by_bisection(distribution, mass)


def _interval_of(
    family: Callable[..., dist.Distribution],
) -> Callable[[Callable[..., Ends]], Callable[..., Ends]]:
    """Compile an interval of (*parameters, mass), and give it its derivatives."""

    def decorate(interval: Callable[..., Ends]) -> Callable[..., Ends]:
        function = jax.custom_jvp(elementwise(interval))

        @function.defjvp
        def jvp(primals: Any, tangents: Any) -> tuple[Ends, Ends]:
            ends = function(*primals)
            share = _share_below(family(*primals[:-1]), ends, primals[-1])

            def at_share(*arguments: Array) -> Ends:
                return _ends(family(*arguments[:-1]), arguments[-1], share)

            return ends, jax.jvp(at_share, primals, tangents)[1]

        return function

    return decorate


def _share_below(distribution: Any, ends: Ends, mass: Array) -> Array:
    """Return how much of the mass outside of an interval lies below it, 0 to 1."""
    lower, upper = ends
    high = 1.0 if isinstance(distribution, dist.Beta) else jnp.inf
    share = quantiles.lower_tail(distribution, lower) / (1 - mass)
    return jnp.where(lower <= 0, 0.0, jnp.where(upper >= high, 1.0, share))


def _at_share(distribution: Any, mass: Array, share: Array) -> Ends:
    """Return the interval with this share of the mass outside below it."""
    below = share * (1 - mass)
    above = jnp.maximum(1 - mass - below, 0.0)
    lower = quantiles.tail_quantile(distribution, below, upper=False)
    return lower, quantiles.tail_quantile(distribution, above, upper=True)


@jax.custom_jvp
def _ends(distribution: Any, mass: Array, share: Array) -> Ends:
    """Return the same at the share that has been solved for, with its derivatives.

    At this share both ends are equally dense. When the distribution or the mass
    changes, the share moves so that they stay so (implicit function theorem). A share
    of 0 or 1 stays: there the interval begins or ends where the support does.
    """
    return _at_share(distribution, mass, share)


@_ends.defjvp
def _ends_jvp(primals: Any, tangents: Any) -> tuple[Ends, Ends]:
    *arguments, share = primals
    *dots, _ = tangents

    def ends_and_rise(
        share: Array, distribution: Any, mass: Array
    ) -> tuple[Ends, Array]:
        lower, upper = _at_share(distribution, mass, share)
        # An end of the support, where the density may be infinite, is out of the way.
        left = jnp.where(share > 0, lower, upper)
        right = jnp.where(share < 1, upper, lower)
        log_density = partial(log_densities.log_density, distribution)
        return (lower, upper), log_density(right) - log_density(left)

    (ends, _), push = jax.linearize(ends_and_rise, share, *arguments)
    _, slope = push(jnp.ones_like(share), *jax.tree.map(jnp.zeros_like, dots))
    _, drift = push(jnp.zeros_like(share), *dots)
    # A flat density has a slope of rounding only: there the interval stays central.
    is_sloped = jnp.abs(slope) > 100 * jnp.finfo(slope.dtype).eps
    moves = (share > 0) & (share < 1) & is_sloped
    share_dot = jnp.where(moves, -drift / jnp.where(moves, slope, 1.0), 0.0)
    return ends, push(share_dot, *dots)[0]


@_interval_of(dist.Beta)
def _beta(a: Array, b: Array, mass: Array) -> Ends:
    inner = (a > 1) & (b > 1)
    a_, b_ = jnp.where(inner, a, 2.0), jnp.where(inner, b, 2.0)
    lower, upper = _beta_level(a_, b_, mass)
    # No inner maximum: the interval begins at 0, or mirrored at 1.
    mirrored = a > b
    end = jax.lax.cond(
        jnp.all(inner),
        lambda: mass,
        lambda: special.betaincinv(a, b, jnp.where(mirrored, 1 - mass, mass)),
    )
    uniform = (a == 1) & (b == 1)
    edge_lower = jnp.where(uniform, 0.5 * (1 - mass), jnp.where(mirrored, end, 0.0))
    edge_upper = jnp.where(uniform, 0.5 * (1 + mass), jnp.where(mirrored, 1.0, end))
    return jnp.where(inner, lower, edge_lower), jnp.where(inner, upper, edge_upper)


def _beta_level(a: Array, b: Array, mass: Array) -> Ends:
    """Return the interval for a, b > 1, where the density has an inner maximum."""
    strength = a + b - 2
    mode, rest = (a - 1) / strength, (b - 1) / strength
    spread = mode * rest
    top = jnp.exp(log_densities.beta_log_density(a, b, mode)) * spread
    few = jnp.finfo(mass.dtype).eps ** 0.2

    # d is the log odds of x over those of the mode. On the mode's lower side
    # x = mode · exp(-|d|) / scale and 1 - x = rest / scale, on its upper side mirrored;
    # scale = rest + mode · exp(-|d|) has no digits to lose.
    def profile(d: Array) -> Profile:
        far, upper = jnp.abs(d), d > 0
        own, other = jnp.where(upper, rest, mode), jnp.where(upper, mode, rest)
        scale, fall = other + own * jnp.exp(-far), jnp.expm1(-far)
        # log scale + own · far, by the smaller share while that keeps more digits
        small, way = jnp.minimum(own, other), jnp.where(own > other, far, -far)
        part = small * jnp.expm1(jnp.minimum(way, 80.0))
        direct = jnp.log(scale) + own * far
        misfit = jnp.where(part < 1, jnp.log1p(part) - small * way, direct)
        # Both terms are nearly the same near the mode: there the cumulants of one
        # Bernoulli outcome, of which they are the generating function.
        skew = other - own
        fourth = (1 - 6 * spread) / 24 - far * skew * (1 - 12 * spread) / 120
        series = spread * far**2 * (0.5 + far * (far * fourth - skew / 6))
        misfit = strength * jnp.where(far < few, series, misfit)
        slope = -jnp.sign(d) * strength * spread * fall / scale
        return Profile(misfit, slope, top * jnp.exp(-misfit - far) / scale**2)

    def shares(ends: Array) -> tuple[Array, Array]:
        """Return x of the lower end and 1 - x of the upper one, and their rests."""
        own, other = jnp.stack([mode, rest]), jnp.stack([rest, mode])
        part = own * jnp.exp(-jnp.abs(ends))
        return part / (other + part), other / (other + part)

    def outside(ends: Array) -> Array:
        # Both tails in one call: half as much to compile. A share near 1 has lost the
        # digits of its rest, whose other tail is asked for instead.
        share, rest_of_it = shares(ends)
        turned = share > 0.5
        own, other = jnp.stack([a, b]), jnp.stack([b, a])
        below, above = log_tails.log_beta_tails(
            jnp.where(turned, other, own),
            jnp.where(turned, own, other),
            jnp.where(turned, rest_of_it, share),
        )
        return jnp.exp(jnp.where(turned, above, below)).sum(axis=0)

    def start(level: Array) -> Array:
        half = jnp.sqrt(2 * level / (strength * spread))
        return jnp.stack([-half, half])

    ends = solve_level(profile, outside, start, strength * spread, mass)
    (lower, _), (_, upper) = shares(ends)
    return lower, upper


@_interval_of(lambda a: dist.Gamma(a, 1.0))
def _gamma(a: Array, mass: Array) -> Ends:
    inner = a > 1
    safe = jnp.where(inner, a, 2.0)
    lower, upper = _gamma_level(safe, safe - 1, mass)
    end = jax.lax.cond(
        jnp.all(inner),
        lambda: mass,
        lambda: special.gammaincinv(jnp.where(inner, 1.0, a), mass),
    )
    return jnp.where(inner, lower, 0.0), jnp.where(inner, upper, end)


@_interval_of(lambda a: dist.InverseGamma(a, 1.0))
def _inverse_gamma(a: Array, mass: Array) -> Ends:
    low, high = _gamma_level(a, a + 1, mass)
    return 1 / high, 1 / low


def _gamma_level(a: Array, mode: Array, mass: Array) -> Ends:
    """Return g and G with mass between under Gamma(a), where g^mode e^-g is equal."""
    top = jnp.exp(log_densities.gamma_log_density(a, mode)) * mode

    # d is the logarithm of g over the mode.
    def profile(d: Array) -> Profile:
        misfit = mode * expm1_excess(d)
        density = top * jnp.exp((a - mode) * d - misfit)
        return Profile(misfit, mode * jnp.expm1(d), density)

    def outside(ends: Array) -> Array:
        a_and_a = jnp.stack([a, a])  # both tails in one call: half as much to compile
        tails = log_tails.log_gamma_tails(a_and_a, mode * jnp.exp(ends))
        return jnp.exp(tails[0][0]) + jnp.exp(tails[1][1])

    def start(level: Array) -> Array:
        # Bounds of the roots: Newton's method for a convex function stays beyond them.
        k = level / mode
        root = jnp.sqrt(2 * k)
        return jnp.stack([-jnp.minimum(k + 1, k + root), jnp.log1p(k + root)])

    lower, upper = mode * jnp.exp(solve_level(profile, outside, start, mode, mass))
    return lower, upper


@jax.jit
def _by_bisection(distribution: dist.Distribution, mass: Array) -> Ends:
    """Move the mass outside from one side to the other until both ends are as dense."""
    mass = jnp.broadcast_to(
        mass, jnp.broadcast_shapes(mass.shape, distribution.batch_shape)
    )
    frozen, room = jax.lax.stop_gradient((distribution, 1 - mass))
    log_density = log_densities.log_density

    def rises(share: Array) -> Array:
        below = share * room
        above = jnp.maximum(room - below, 0.0)
        lower = quantiles.tail_quantile(frozen, below, upper=False)
        upper = quantiles.tail_quantile(frozen, above, upper=True)
        return log_density(frozen, upper) > log_density(frozen, lower)

    zero, one = jnp.zeros_like(mass), jnp.ones_like(mass)
    low, high = roots.bisect(rises, zero, one, num_steps=_BISECTIONS)
    # Snap to the ends of the support, else the mass outside is of rounding only.
    share = jnp.where(low == 0, 0.0, jnp.where(high == 1, 1.0, 0.5 * (low + high)))
    return _ends(distribution, mass, share)
