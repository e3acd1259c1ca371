"""The posterior on a grid of one, two or three parameters, normalised in logs.

For any log likelihood, with data taken one by one or all at once:

    flat = prior(lambda theta: 0.0, (axis(0.0, 5.0), axis(0.0, 5.0)))
    after = update(flat, log_likelihood, data)        log_likelihood(theta, datum)

`theta` is an array (dims,), so a likelihood is written for one point and one datum.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PyTree

from vijax import printing
from vijax.bayes.grid.axes import (
    Axis,
    axis,
    masses_of,
    on_grid,
    points_of,
    sum_on_grid,
    weights_of,
)
from vijax.bayes.grid.interpolation import interpolated, window
from vijax.bayes.grid.resolution import is_resolved
from vijax.bayes.validation import value_checks
from vijax.types import Scalar
from vijax.validate import is_traced, seen

__all__ = [
    "Axis",
    "Landscape",
    "axis",
    "marginal",
    "mean_and_covariance",
    "prior",
    "probabilities",
    "sequence",
    "update",
]

_MAX_REFINEMENTS = 12
_SAME = 1e-4  # nats by which two interpolations of a prior may differ


class Landscape(NamedTuple):
    """A density on a grid.

    `resolved` says whether the nodes are as dense as the density's width asks for: on
    every axis a peak has a standard deviation of a spacing or more. Where it is false,
    evidence and moments are NaN, for the sums behind them miss the peak.
    """

    axes: tuple[Axis, ...]  # one, two or three
    log_density: Float[Array, "..."]  # normalised, one dimension for each axis
    log_evidence: Scalar  # log p(data so far), in nats
    edge_mass: Float[Array, "dims 2"]  # probability in the outermost low and high cell
    resolved: Bool[ArrayLike, ""] = np.True_  # are the nodes dense enough?

    def __str__(self) -> str:
        spans = ((axis.points[0], axis.points[-1]) for axis in self.axes)
        values = {
            **{f"θ[{i}]": printing.between(*span) for i, span in enumerate(spans)},
            "log evidence": self.log_evidence,
            "mass at the edges": self.edge_mass.sum(),
            "resolved": self.resolved,
        }
        nodes = " × ".join(str(n) for n in self.log_density.shape)
        return printing.described(f"Density on a grid of {nodes} nodes", values)

    def __repr__(self) -> str:
        return str(self)


def prior(log_prior: Callable[[Array], ArrayLike], axes: tuple[Axis, ...]) -> Landscape:
    """Return the landscape before any data; the prior is normalised on the grid.

    Args:
        log_prior: log density of one point (dims,), up to a constant: -inf where
            impossible.
        axes: one, two or three.

    Raises:
        ValueError: another number of axes, a log density that is NaN or inf, or nowhere
            possible.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 5.0), axis(0.0, 5.0)))
        >>> print(f"{jnp.exp(flat.log_density[0, 0]):.4f}")  # 1 / 25
        0.0400
    """
    if not all(isinstance(one, Axis) for one in axes):
        raise ValueError("axes is not a tuple of Axis: give (axis(low, high), ...)")
    if not 1 <= len(axes) <= 3:
        raise ValueError(f"axes: {len(axes)} given; give one, two or three")
    log_density = on_grid("log_prior", log_prior, axes)
    landscape = _normalise(axes, log_density, jnp.zeros(()), "log_prior")
    return landscape._replace(log_evidence=jnp.zeros((), log_density.dtype))


def update(
    landscape: Landscape,
    log_likelihood: Callable[[Array, Any], ArrayLike],
    data: PyTree,
) -> Landscape:
    """Return the landscape after the data, all rows at once.

    p(θ | data) ∝ p(θ) Π_i p(datum_i | θ); `log_evidence` grows by log p(data), in nats.

    Where the data make a peak that is narrower than the spacing, a grid of as many
    nodes is laid around it, as often as needed; the density before the data is
    interpolated on it. In a trace no axis can move: there `resolved` is false.
    Outside of one every call compiles the likelihood again, once.

    Args:
        landscape: before the data.
        log_likelihood: log p(datum | theta) of one row of the data.
        data: a pytree whose leaves have one row for each datum.

    Raises:
        ValueError: a likelihood that is NaN, inf, nowhere possible, or no number.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 20.0),))
        >>> poisson = lambda theta, n: n * jnp.log(theta[0]) - theta[0]
        >>> after = update(flat, poisson, jnp.array([3, 4, 2]))
        >>> print(f"{mean_and_covariance(after)[0][0]:.4f}")  # Gamma(10, 3)
        3.3333
    """
    # One program for the first grid and for all that are finer.
    compiled = jax.jit(partial(sum_on_grid, log_likelihood))

    def total(axes: tuple[Axis, ...]) -> Array:
        return compiled(data, axes)

    after = _add(landscape, total(landscape.axes))
    if is_traced(after) or after.resolved:
        return after
    return _refined(landscape, after, total)


def _refined(
    before: Landscape,
    after: Landscape,
    total: Callable[[tuple[Axis, ...]], Array],
) -> Landscape:
    """Lay finer grids around the peak until it is resolved, or nothing gets finer."""
    for _ in range(_MAX_REFINEMENTS):
        axes = window(after.axes, after.log_density)
        if axes is None:
            break
        old = before.axes, before.log_density
        smooth, rough = (interpolated(*old, axes, num_nodes) for num_nodes in (6, 4))
        gain = total(axes)
        finer = _normalise(axes, smooth + gain, before.log_evidence, "log_likelihood")
        some = finer.log_density > finer.log_density.max() - 10
        gap = jnp.where(some & jnp.isfinite(smooth + rough), smooth - rough, 0.0)
        if jnp.abs(gap).max() > _SAME:
            break  # the density before the data is not resolved itself
        after = finer
        if after.resolved:
            break
    return after


def sequence(
    landscape: Landscape,
    log_likelihood: Callable[[Array, Any], ArrayLike],
    data: PyTree,
) -> Landscape:
    """Return the landscapes after the first datum, the first two, …, stacked.

    Arguments as in `update`; every leaf gains a leading axis, one entry a datum. All
    landscapes share the axes: where these are too coarse, `resolved` is false.

    Raises:
        ValueError: as in `update`.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 20.0),))
        >>> poisson = lambda theta, n: n * jnp.log(theta[0]) - theta[0]
        >>> sequence(flat, poisson, jnp.array([3, 4, 2])).log_density.shape
        (3, 201)
    """

    def add(state: Landscape, datum: Any) -> tuple[Landscape, Landscape]:
        values = on_grid(
            "log_likelihood", lambda t: log_likelihood(t, datum), state.axes
        )
        state = _add(state, values)
        return state, state

    return jax.lax.scan(add, landscape, data)[1]


def probabilities(landscape: Landscape) -> Float[Array, "..."]:
    """Return the probability of each node's cell; they sum to 1.

    w_i p(θ_i), the shape of the grid.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 5.0, 16),))
        >>> print(f"{probabilities(flat).sum():.4f}")
        1.0000
    """
    return masses_of(landscape.log_density, landscape.axes)


def mean_and_covariance(
    landscape: Landscape,
) -> tuple[Float[Array, " dims"], Float[Array, "dims dims"]]:
    """Return mean and covariance of the parameters.

    E[θ], shape (dims,), and E[(θ - E θ)(θ - E θ)ᵀ], (dims, dims), in the parameters'
    units; NaN where the landscape is not resolved.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 6.0),))
        >>> mean, covariance = mean_and_covariance(flat)
        >>> print(f"{mean[0]:.4f} {covariance[0, 0]:.4f}")  # 3 and 6² / 12
        3.0000 3.0000
    """
    return _mean_and_covariance(landscape)


@jax.jit
def _mean_and_covariance(landscape: Landscape) -> tuple[Array, Array]:
    probability = probabilities(landscape).ravel()
    points = points_of(landscape.axes).reshape(-1, len(landscape.axes))
    mean = probability @ points
    deviations = points - mean
    covariance = jnp.einsum("n,ni,nj->ij", probability, deviations, deviations)
    known = jnp.where(landscape.resolved, 1.0, jnp.nan)
    return known * mean, known * covariance


def marginal(landscape: Landscape, *dims: int) -> Landscape:
    """Return the density of the chosen parameters, integrated over the others.

    Args:
        landscape: with more axes than are kept.
        *dims: numbers of the axes to keep, ascending.

    Raises:
        ValueError: axes that are not there, or not in ascending order.

    Example:
        >>> flat = prior(lambda theta: 0.0, (axis(0.0, 5.0), axis(0.0, 2.0)))
        >>> print(f"{marginal(flat, 1).log_density[0]:.4f}")  # -ln 2
        -0.6931
    """
    others = tuple(i for i in range(len(landscape.axes)) if i not in dims)
    if not dims or list(dims) != sorted(set(dims) & set(range(len(landscape.axes)))):
        raise ValueError(f"dims = {dims} is not valid: give ascending axis numbers")
    return _marginal(landscape, dims, others)


@partial(jax.jit, static_argnums=(1, 2))
def _marginal(
    landscape: Landscape, dims: tuple[int, ...], others: tuple[int, ...]
) -> Landscape:
    weights = weights_of(tuple(landscape.axes[i] for i in others))
    shape = [n if i in others else 1 for i, n in enumerate(landscape.log_density.shape)]
    log_density = logsumexp(
        landscape.log_density, axis=others, b=jnp.reshape(weights, shape)
    )
    axes = tuple(landscape.axes[i] for i in dims)
    edges = landscape.edge_mass[jnp.asarray(dims)]
    return Landscape(
        axes, log_density, landscape.log_evidence, edges, landscape.resolved
    )


def _add(landscape: Landscape, log_likelihoods: Array) -> Landscape:
    joint = landscape.log_density + log_likelihoods
    evidence = landscape.log_evidence
    return _normalise(landscape.axes, joint, evidence, "log_likelihood")


def _normalise(
    axes: tuple[Axis, ...], log_joint: Array, log_evidence: Scalar, name: str
) -> Landscape:
    values = seen(log_joint)
    remedy = "on the whole grid give a finite number, or -inf where impossible"
    value_checks.checked(values < np.inf, name, log_joint, remedy)
    top = values.max()
    remedy = "give a grid with some point that is possible"
    value_checks.checked(top > -np.inf, name, top, remedy)
    return _normalised(axes, log_joint, log_evidence)


@jax.jit
def _normalised(
    axes: tuple[Axis, ...], log_joint: Array, log_evidence: Scalar
) -> Landscape:
    # With end corrections the weights are positive, so no logarithm of a negative sum.
    gain = logsumexp(log_joint, b=weights_of(axes))
    log_density = log_joint - gain
    mass = masses_of(log_density, axes)
    edges, resolved = [], jnp.asarray(True)
    for dim in range(len(axes)):
        along = mass.sum(axis=tuple(i for i in range(mass.ndim) if i != dim))
        edges.append(along[jnp.array([0, -1])])
        resolved &= is_resolved(log_density, along, dim)
    log_evidence = jnp.where(resolved, log_evidence + gain, jnp.nan)
    return Landscape(axes, log_density, log_evidence, jnp.stack(edges), resolved)
