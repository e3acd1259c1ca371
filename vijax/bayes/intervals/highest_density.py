"""The narrowest interval that holds a given mass: both ends have the same density.

Beta, Gamma and InverseGamma are solved by the level of their density, see `level`,
all others by bisection.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.intervals import quantiles
from vijax.bayes.numerics import log_densities
from vijax.bayes.numerics.density_level import Profile, solve_level
from vijax.special.elementary import expm1_excess
from vijax.special.elementwise import elementwise

Interval = tuple[Float[Array, "..."], Float[Array, "..."]]
Params = tuple[Array, ...]

_BISECTIONS = 60


def highest_density(distribution: dist.Distribution, mass: Array) -> Interval:
    """Return the highest-density interval of a distribution with one mode.

    Without an inner maximum the interval begins at the end of the support where the
    density is larger; for the uniform distribution it is the central one.

    Example:
        >>> lower, upper = highest_density(dist.Beta(11.0, 5.0), jnp.asarray(0.95))
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4671 0.8952
    """
    if isinstance(distribution, dist.Beta):
        c1, c0 = distribution.concentration1, distribution.concentration0
        return _beta(*jnp.broadcast_arrays(c1, c0, mass))
    if isinstance(distribution, dist.Gamma):
        concentration, mass = jnp.broadcast_arrays(distribution.concentration, mass)
        lower, upper = _gamma(concentration, mass)
        return lower / distribution.rate, upper / distribution.rate
    if isinstance(distribution, dist.InverseGamma):
        concentration, mass = jnp.broadcast_arrays(distribution.concentration, mass)
        lower, upper = _inverse_gamma(concentration, mass)
        return lower * distribution.rate, upper * distribution.rate
    if isinstance(distribution, dist.Normal | dist.StudentT):
        return quantiles.central(distribution, 0.5 * (1 - mass))
    return _by_bisection(distribution, mass)


class _Family(NamedTuple):
    """What the derivatives of an interval's ends are made of."""

    quantile: Callable[[Params, Array], Array]
    upper_quantile: Callable[[Params, Array], Array]
    lower_tail: Callable[[Params, Array], Array]
    log_density: Callable[[Params, Array], Array]
    high: float  # where the support ends; it begins at 0


def _implicit(family: _Family) -> Callable[[Callable], Callable]:
    """Give an interval the derivatives that its two defining equations have."""

    def decorate(interval: Callable[..., Interval]) -> Callable[..., Interval]:
        function = jax.custom_jvp(elementwise(interval))

        @function.defjvp
        def jvp(primals: Any, tangents: Any) -> tuple[Interval, Interval]:
            *params, mass = primals
            *params_dot, mass_dot = tangents
            params, params_dot = tuple(params), tuple(params_dot)
            lower, upper = function(*primals)
            at_low, at_high = lower <= 0, upper >= family.high
            # Keep what is evaluated, and not used, away from the ends.
            below = jnp.where(at_low, 0.25, family.lower_tail(params, lower))
            above = jnp.where(at_high, 0.25, 1 - mass - jnp.where(at_low, 0, below))
            x, x_dot = jax.jvp(
                lambda p: family.quantile(p, below), (params,), (params_dot,)
            )
            y, y_dot = jax.jvp(
                lambda p: family.upper_quantile(p, above), (params,), (params_dot,)
            )
            x_rate = jnp.exp(-family.log_density(params, x))
            y_rate = jnp.exp(-family.log_density(params, y))
            # x moves with its tail's mass t, y with t + mass; log f(x) = log f(y).
            ones = jnp.ones_like(x)
            x_slope = jax.jvp(lambda v: family.log_density(params, v), (x,), (ones,))[1]
            y_slope = jax.jvp(lambda v: family.log_density(params, v), (y,), (ones,))[1]
            drift = jax.jvp(
                lambda p: family.log_density(p, y) - family.log_density(p, x),
                (params,),
                (params_dot,),
            )[1]
            drift += y_slope * (y_dot + y_rate * mass_dot) - x_slope * x_dot
            stiffness = y_slope * y_rate - x_slope * x_rate
            flat = stiffness == 0
            t_dot = jnp.where(
                flat, -0.5 * mass_dot, -drift / jnp.where(flat, 1.0, stiffness)
            )
            t_dot = jnp.where(at_low, 0.0, jnp.where(at_high, -mass_dot, t_dot))
            lower_dot = jnp.where(at_low, 0.0, x_dot + x_rate * t_dot)
            upper_dot = jnp.where(at_high, 0.0, y_dot + y_rate * (t_dot + mass_dot))
            return (lower, upper), (lower_dot, upper_dot)

        return function

    return decorate


@_implicit(
    _Family(
        quantile=lambda p, q: special.betaincinv(p[0], p[1], q),
        upper_quantile=lambda p, q: special.betainccinv(p[0], p[1], q),
        lower_tail=lambda p, x: jnp.exp(special.log_betainc(p[0], p[1], x)),
        log_density=lambda p, x: log_densities.beta_log_density(p[0], p[1], x),
        high=1.0,
    )
)
def _beta(a: Array, b: Array, mass: Array) -> Interval:
    inner = (a > 1) & (b > 1)
    a_, b_ = jnp.where(inner, a, 2.0), jnp.where(inner, b, 2.0)
    strength = a_ + b_ - 2
    mode, rest = (a_ - 1) / strength, (b_ - 1) / strength
    spread = mode * rest
    top = jnp.exp(log_densities.beta_log_density(a_, b_, mode)) * spread
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
        own, other = jnp.stack([a_, b_]), jnp.stack([b_, a_])
        below, above = special.tails.log_beta_tails(
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


@_implicit(
    _Family(
        quantile=lambda p, q: special.gammaincinv(p[0], q),
        upper_quantile=lambda p, q: special.gammainccinv(p[0], q),
        lower_tail=lambda p, x: jnp.exp(special.log_gammainc(p[0], x)),
        log_density=lambda p, x: log_densities.gamma_log_density(p[0], x),
        high=jnp.inf,
    )
)
def _gamma(a: Array, mass: Array) -> Interval:
    inner = a > 1
    safe = jnp.where(inner, a, 2.0)
    lower, upper = _gamma_level(safe, safe - 1, mass)
    end = jax.lax.cond(
        jnp.all(inner),
        lambda: mass,
        lambda: special.gammaincinv(jnp.where(inner, 1.0, a), mass),
    )
    return jnp.where(inner, lower, 0.0), jnp.where(inner, upper, end)


@_implicit(
    _Family(
        quantile=lambda p, q: 1 / special.gammainccinv(p[0], q),
        upper_quantile=lambda p, q: 1 / special.gammaincinv(p[0], q),
        lower_tail=lambda p, x: jnp.exp(special.log_gammaincc(p[0], 1 / x)),
        log_density=lambda p, x: (
            log_densities.gamma_log_density(p[0], 1 / x) - 2 * jnp.log(x)
        ),
        high=jnp.inf,
    )
)
def _inverse_gamma(a: Array, mass: Array) -> Interval:
    low, high = _gamma_level(a, a + 1, mass)
    return 1 / high, 1 / low


def _gamma_level(a: Array, mode: Array, mass: Array) -> Interval:
    """Return g and G with mass between under Gamma(a), where g^mode e^-g is equal."""
    top = jnp.exp(log_densities.gamma_log_density(a, mode)) * mode

    # d is the logarithm of g over the mode.
    def profile(d: Array) -> Profile:
        misfit = mode * expm1_excess(d)
        density = top * jnp.exp((a - mode) * d - misfit)
        return Profile(misfit, mode * jnp.expm1(d), density)

    def outside(ends: Array) -> Array:
        a_and_a = jnp.stack([a, a])  # both tails in one call: half as much to compile
        tails = special.tails.log_gamma_tails(a_and_a, mode * jnp.exp(ends))
        return jnp.exp(tails[0][0]) + jnp.exp(tails[1][1])

    def start(level: Array) -> Array:
        # Bounds of the roots: Newton's method for a convex function stays beyond them.
        k = level / mode
        root = jnp.sqrt(2 * k)
        return jnp.stack([-jnp.minimum(k + 1, k + root), jnp.log1p(k + root)])

    lower, upper = mode * jnp.exp(solve_level(profile, outside, start, mode, mass))
    return lower, upper


@jax.jit
def _by_bisection(distribution: dist.Distribution, mass: Array) -> Interval:
    """Move the mass below the interval until both ends are as dense, or to an end."""
    shape = jnp.broadcast_shapes(mass.shape, distribution.batch_shape)
    mass = jnp.broadcast_to(mass, shape)

    def ends(below: Array, distribution: dist.Distribution) -> Interval:
        lower = quantiles.quantile(distribution, below)
        above = jnp.maximum(1 - mass - below, 0.0)
        return lower, quantiles.upper_quantile(distribution, above)

    def rise(below: Array, distribution: dist.Distribution) -> Array:
        lower, upper = ends(below, distribution)
        log_density = log_densities.log_density
        return log_density(distribution, upper) - log_density(distribution, lower)

    frozen = jax.lax.stop_gradient(distribution)

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        rising = rise(middle, frozen) > 0
        return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

    room = jax.lax.stop_gradient(1 - mass)
    start = jnp.zeros_like(mass), room
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, start)
    below = 0.5 * (low + high)
    # Snap to the ends of the support, else the mass outside is of rounding only.
    below = jnp.where(low == 0, 0.0, jnp.where(high == room, room, below))
    return ends(below, distribution)
