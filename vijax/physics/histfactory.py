r"""Expected counts and log likelihood of a HistFactory model, in pure jnp.

A bin's expected count is a sum over samples, each its nominal template, moved by shape
systematics and multiplied by factors,

    λ_b(θ) = Σ_s ∏_k κ_ksb(θ) · (ν_sb + Σ_h δ_hsb(θ)),

and the likelihood is that of the counts and of the auxiliary measurements a that
constrain the nuisance parameters,

    L(θ) = ∏_b Pois(n_b | λ_b(θ)) · ∏_i N(a_i | θ_i, σ_i) · ∏_j Pois(a_j | τ_j θ_j).

Bins of all channels stand side by side. Samples stand in slots: slot 0 holds the first
sample of each channel, and so on, so that hardly any cell is empty. Every array is
data: what is compiled for one model serves all models of the same sizes.

References:
    Cranmer, Lewis, Moneta, Shibata & Verkerke (2012), CERN-OPEN-2012-016.
    Heinrich, Feickert, Stark & Cranmer (2021), J. Open Source Softw. 6(58), 2823.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import gammaln

from vijax.types import Scalar

SHAPE_CODES = ("code0", "code2", "code4p")
SCALE_CODES = ("code1", "code4")
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "nominal",
        "shape_of",
        "shape_linear",
        "shape_bend",
        "scale_of",
        "scale_logs",
        "scale_powers",
        "row_factors",
        "cell_factors",
        "channel_of",
        "floors",
        "normal_of",
        "poisson_of",
        "sigma",
        "tau",
    ],
    meta_fields=["shape_code", "scale_code"],
)
@dataclass(frozen=True)
class Template:
    """The arrays that a HistFactory model is made of; shapes in parentheses."""

    nominal: Any  # ν, in counts (slots, bins)
    shape_of: Any  # parameter of each histosys (shapes,)
    shape_linear: Any  # (up − down)/2 (shapes, cells)
    shape_bend: Any  # (up + down)/2 − ν (shapes, cells)
    scale_of: Any  # parameter of each normsys, one for each row (scales,)
    scale_logs: Any  # log up, log down (2, scales)
    scale_powers: Any  # polynomial of code 4 within |α| < 1 (6, scales)
    # What multiplies a row, a sample in a channel: an index into all normsys, all
    # parameters and the number 1 (slots, channels, most factors of a row).
    row_factors: Any
    cell_factors: Any  # and a cell: into parameters and 1 (slots, bins, most factors)
    channel_of: Any  # each bin (bins,)
    floors: Any  # of a cell and of a bin; −inf: none (2,)
    normal_of: Any  # parameters with a Gaussian constraint (normal,)
    poisson_of: Any  # and with a Poisson one (poisson,)
    sigma: Any  # (normal,)
    tau: Any  # (poisson,)
    shape_code: str = "code4p"  # interpolation of histosys, one of SHAPE_CODES
    scale_code: str = "code4"  # and of normsys, one of SCALE_CODES


class Observed(NamedTuple):
    """What was measured: counts, auxiliary data, and what only they make of log L."""

    main: Any  # (bins,)
    normal: Any  # (normal,)
    poisson: Any  # (poisson,)
    constant: Any  # log L where every λ is its count and every θ its datum


def observe(template: Template, main: Any, normal: Any, poisson: Any) -> Observed:
    """Return the data with their constant part of the log likelihood, by NumPy."""
    counts = np.concatenate([np.asarray(main, float), np.asarray(poisson, float)])
    safe = np.where(counts > 0, counts, 1.0)
    saturated = np.where(counts > 0, counts * np.log(safe) - counts, 0.0)
    constant = np.sum(saturated - gammaln(counts + 1))
    constant -= np.sum(np.log(np.asarray(template.sigma)) + HALF_LOG_2PI)
    return Observed(main, normal, poisson, np.asarray(constant))


def auxiliary(
    template: Template, observed: Observed, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the auxiliary data say of each entry, and its error; else NaN."""
    centre, width = np.full((2, size), np.nan)
    normal, poisson = np.asarray(template.normal_of), np.asarray(template.poisson_of)
    centre[normal], width[normal] = observed.normal, template.sigma
    counts, tau = np.asarray(observed.poisson, float), np.asarray(template.tau, float)
    centre[poisson] = counts / tau
    width[poisson] = np.sqrt(np.where(counts > 0, counts, 1)) / tau  # of 0: as of 1
    return centre, width


def constants(main: Array, poisson: Array, sigma: Array) -> Scalar:
    """Return the constant part of log L, in a trace; see `observe`."""
    counts = jnp.concatenate([main, poisson])
    safe = jnp.where(counts > 0, counts, 1.0)
    saturated = jnp.where(counts > 0, counts * jnp.log(safe) - counts, 0.0)
    of_counts = jnp.sum(saturated - jax.scipy.special.gammaln(counts + 1))
    return of_counts - jnp.sum(jnp.log(sigma) + HALF_LOG_2PI)


def expected_by_sample(
    template: Template, theta: Float[Array, " parameters"]
) -> Float[Array, "slots bins"]:
    """Return the expected counts of each sample, in the slots of its channel."""
    cells = jnp.asarray(template.nominal)
    if template.shape_of.shape[0]:
        alpha = theta[template.shape_of]
        linear, bend = _shape_weights(alpha, template.shape_code)
        moved = linear @ template.shape_linear + bend @ template.shape_bend
        cells = cells + moved.reshape(cells.shape)
    one = jnp.ones(1, theta.dtype)
    if template.row_factors.shape[-1]:
        known = jnp.concatenate([_scales(template, theta), theta, one])
        rows = _product(known[template.row_factors])
        cells = cells * rows[:, template.channel_of]
    if template.cell_factors.shape[-1]:
        known = jnp.concatenate([theta, one])
        cells = cells * _product(known[template.cell_factors])
    return jnp.maximum(cells, template.floors[0])


def expected(
    template: Template, theta: Float[Array, " parameters"]
) -> Float[Array, " bins"]:
    """Return the expected counts of all bins, channel after channel."""
    total = jnp.sum(expected_by_sample(template, theta), axis=0)
    return jnp.maximum(total, template.floors[1])


def log_likelihood(
    template: Template, observed: Observed, theta: Float[Array, " parameters"]
) -> Scalar:
    """Return log L in nats: counts and constraint terms, normalised over the data."""
    main = jnp.sum(poisson_gain(observed.main, expected(template, theta)))
    return main + log_constraints(template, observed, theta) + observed.constant


def log_constraints(
    template: Template, observed: Observed, theta: Float[Array, " parameters"]
) -> Scalar:
    """Return the constraint terms of log L, 0 where every θ is at its datum."""
    pulls = (observed.normal - theta[template.normal_of]) / template.sigma
    rates = template.tau * theta[template.poisson_of]
    return jnp.sum(poisson_gain(observed.poisson, rates)) - 0.5 * jnp.sum(pulls**2)


def poisson_gain(count: Array, rate: Array) -> Array:
    r"""Return log Pois(n | λ) − log Pois(n | n), n log(λ/n) − (λ − n), at most 0.

    Near λ = n it is found from (λ − n)/n, whose digits float32 keeps. A count of 0 at a
    rate of 0 has density 1; a negative rate gives NaN, as its density does not exist.

    Example:
        >>> poisson_gain(jnp.array([0.0, 2.0]), jnp.array([3.0, 2.0])).tolist()
        [-3.0, 0.0]
    """
    some = count > 0
    n = jnp.where(some, count, 1.0)
    off = (jnp.where(some, rate, 1.0) - n) / n
    near = jnp.abs(off) < 0.5
    # Each branch is kept where it is finite: a gradient of NaN times 0 is NaN.
    close = jnp.log1p(jnp.where(near, off, 0.0))
    far = jnp.log(jnp.where(near | ~some, n, rate) / n)
    ratio = jnp.where(near, close, far)
    nothing = jnp.where(rate >= 0, -rate, jnp.nan)
    return jnp.where(some, n * ratio - n * off, nothing)


def _product(factors: Array) -> Array:
    """Multiply along the last axis, of few entries: plain products differentiate."""
    result = factors[..., 0]
    for number in range(1, factors.shape[-1]):
        result = result * factors[..., number]
    return result


def _shape_weights(alpha: Array, code: str) -> tuple[Array, Array]:
    """Return what (up − down)/2 and (up + down)/2 − ν are multiplied by at α."""
    size = jnp.abs(alpha)
    if code == "code0":  # piecewise linear
        return alpha, size
    if code == "code2":
        # A parabola; beyond it lines that do not meet it, with α itself below −1: what
        # pyhf 0.7 computes, though its documentation has α + 1 there.
        above, below = alpha > 1, alpha < -1
        linear = jnp.where(above, alpha - 1, alpha)
        beyond = jnp.where(above, 2 * (alpha - 1), -2 * alpha)
        return linear, jnp.where(above | below, beyond, alpha**2)
    # Code 4p: a polynomial of degree 6 that meets the lines of code 0 at |α| = 1.
    square = alpha**2
    inside = square * (15 + square * (3 * square - 10)) / 8
    return alpha, jnp.where(size > 1, size, inside)


def _scales(template: Template, theta: Array) -> Array:
    """Return the factor of every normsys: exponential, within |α| < 1 a polynomial."""
    alpha = theta[template.scale_of]
    logs = template.scale_logs
    size = jnp.abs(alpha)
    outside = jnp.exp(size * jnp.where(alpha > 0, logs[0], logs[1]))
    if template.scale_code == "code1":
        return outside
    inside = jnp.zeros_like(alpha)
    for power in reversed(template.scale_powers):
        inside = (inside + power) * alpha
    return jnp.where(size >= 1, outside, 1 + inside)
