r"""The ratios F and U as integrals: for any parameters, and with their derivatives.

    F = 1 + (a + b) o ∫ e^(-(a + 1) s) (1 + o (1 - e^-s))^(b - 1) ds        Beta
    F = 1 + x ∫ e^(-(a + 1) s + x (1 - e^-s)) ds                        Gamma, lower
    U = ∫ e^(a s - x (e^s - 1)) ds                                      Gamma, upper

over s > 0, with o = x / (1 - x): by parts and x' = x e^∓s from DLMF 8.2.1, 8.17.1.
Each integrand starts at 1, falls on one scale, and is smooth on it, so that 32 nodes of
a Gauss rule give all digits.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vijax.special.elementary import Elements, Mask, expm1_excess, log1p_excess
from vijax.special.incomplete import beta_slope

_NODES = 32


class Ratio(NamedTuple):
    """Tail over density, and its derivatives in a and b at fixed x."""

    value: Elements
    d_a: Elements
    d_b: Elements


class _Exponent(NamedTuple):
    """φ(s), and the weights that d/da and d/db put on e^φ."""

    value: Elements
    by_a: Elements
    by_b: Elements


def beta_ratio(a: Elements, b: Elements, x: Elements, y: Elements) -> Ratio:
    """Return F(a, b, x), y = 1 - x."""
    odds, total = x / y, a + b
    fall = (beta_slope(a, b, x, y) + 1) / y  # -φ'(0)

    def exponent(s: Elements) -> _Exponent:
        # Each of the three terms is negative for b > 1: none cancels another.
        grown = -odds * jnp.expm1(-s)
        log_grown = jnp.log1p(grown)
        bent = odds * expm1_excess(-s) + log1p_excess(grown, log_grown)
        return _Exponent(-fall * s - (b - 1) * bent, -s, log_grown)

    def derivative(s: Elements) -> Elements:
        # e^s (1 + o) - o, which cancels to 0 where o has more digits than a float.
        return (b - 1) * odds / (1 + jnp.expm1(s) * (1 + odds)) - (a + 1)

    curvature = jnp.maximum(b - 1, 0.0) * odds * (1 + odds)
    integral, by_a, by_b = _integrate(exponent, derivative, fall, curvature)
    return Ratio(
        1 + total * odds * integral,
        odds * (integral + total * by_a),
        odds * (integral + total * by_b),
    )


def gamma_ratio(a: Elements, x: Elements, lower: Mask) -> Ratio:
    """Return F(a, x) where `lower`, U(a, x) elsewhere."""
    sign, centre = (
        jnp.where(lower, -1.0, 1.0).astype(x.dtype),
        jnp.where(lower, a + 1, a),
    )
    fall = sign * (x - centre)

    def exponent(s: Elements) -> _Exponent:
        value = -fall * s - x * expm1_excess(sign * s)
        return _Exponent(value, sign * s, jnp.zeros_like(s))

    def derivative(s: Elements) -> Elements:
        return sign * (centre - x * jnp.exp(sign * s))

    integral, by_a, zero = _integrate(exponent, derivative, fall, x)
    value = jnp.where(lower, 1 + x * integral, integral)
    return Ratio(value, jnp.where(lower, x, 1.0) * by_a, zero)


def beta_complement(
    a: Elements, b: Elements, x: Elements, weight: Elements
) -> Elements:
    """Return 1 - I_x(a, b) where a is small and the tail near 1."""
    # I = e^g (1 + a M), M = ∫ e^(-a s) [(1 - x e^-s)^(b - 1) - 1] ds, and g = O(a).
    integral = _excess_integral(a, lambda e: jnp.expm1((b - 1) * jnp.log1p(-x * e)))
    small = jnp.minimum(a, b)
    log_front = weight + a * jnp.log(x * ((a + b) / a)) + b * jnp.log1p(a / b)
    log_front = log_front + jnp.log(small / a)
    return -jnp.expm1(log_front) - a * jnp.exp(log_front) * integral


def gamma_complement(a: Elements, x: Elements, weight: Elements) -> Elements:
    """Return 1 - P(a, x) where a is small and the tail near 1."""
    integral = _excess_integral(a, lambda e: jnp.expm1(-x * e))
    log_front = weight + a * jnp.log(x / a) + a
    return -jnp.expm1(log_front) - a * jnp.exp(log_front) * integral


def _integrate(
    exponent: Callable[[Elements], _Exponent],
    derivative: Callable[[Elements], Elements],
    fall: Elements,
    curvature: Elements,
) -> tuple[Elements, Elements, Elements]:
    """Integrate e^φ, and its products with the two weights."""
    depth = _depth(fall)
    end = 2 * depth / (fall + jnp.sqrt(fall * fall + 2 * curvature * depth))

    def newton(_: Any, end: Elements) -> Elements:  # for φ(end) = -depth
        return end - (exponent(end).value + depth) / derivative(end)

    end = jax.lax.stop_gradient(jax.lax.fori_loop(0, 3, newton, end))

    def add(k: Any, sums: tuple[Elements, ...]) -> tuple[Elements, ...]:
        node, weight = _node(k, end.dtype)
        value, by_a, by_b = exponent(end * node)
        term = weight * jnp.exp(value)
        return sums[0] + term, sums[1] + term * by_a, sums[2] + term * by_b

    zero = jnp.zeros_like(end)
    first, second, third = jax.lax.fori_loop(0, _NODES, add, (zero, zero, zero))
    return end * first, end * second, end * third


def _excess_integral(a: Elements, excess: Callable[[Elements], Elements]) -> Elements:
    """Return ∫ e^(-a s) excess(e^-s) ds."""
    end = _depth(a) / (1 + a)

    def add(k: Any, total: Elements) -> Elements:
        node, weight = _node(k, a.dtype)
        s = end * node
        return total + weight * jnp.exp(-a * s) * excess(jnp.exp(-s))

    return end * jax.lax.fori_loop(0, _NODES, add, jnp.zeros_like(a))


def _depth(like: Elements) -> float:
    """How far below its start an exponent stops to matter."""
    return float(1 - np.log(jnp.finfo(like.dtype).eps))


def _node(k: Any, dtype: Any) -> tuple[Elements, Elements]:
    nodes, weights = _rule()
    return jnp.asarray(nodes, dtype)[k], jnp.asarray(weights, dtype)[k]


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre on [0, 1], crowded towards 0 by v → (e^2v - 1) / (e^2 - 1)."""
    v: Any = 0.5 * (
        1 + np.polynomial.legendre.leggauss(_NODES)[0].astype(np.longdouble)
    )
    for _ in range(3):  # Newton in v: in 2 v - 1 the nodes near 0 have lost digits
        p0, p = np.ones_like(v), 1 - 2 * v
        for k in range(1, _NODES):
            p0, p = p, ((2 * k + 1) * (1 - 2 * v) * p - k * p0) / (k + 1)
        slope = _NODES * (p0 - (1 - 2 * v) * p) / (2 * v * (v - 1))
        v = v - p / slope
    weights = 1 / (v * (1 - v) * slope**2)
    nodes, stretch = np.expm1(2 * v) / np.expm1(2), 2 * np.exp(2 * v) / np.expm1(2)
    return nodes.astype(float), (weights * stretch).astype(float)
