"""Moments of one or two unknowns by quadrature of the model's own joint density."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.util import log_density

from experiments.benchmarks.posteriors.moments import Moments
from experiments.benchmarks.posteriors.registry import Axes, Problem


def spread(centre: float, width: float, reach: float, points: int) -> np.ndarray:
    """Return points that are dense about the centre and reach far: sinh of a grid.

    Example:
        >>> spread(0.0, 1.0, 100.0, 5).round(2)
        array([-100.  ,   -7.04,    0.  ,    7.04,  100.  ])
    """
    end = np.arcsinh(reach / width)
    return centre + width * np.sinh(np.linspace(-end, end, points))


def logarithmic(low: float, high: float, points: int) -> np.ndarray:
    """Return points of equal ratios, for a scale.

    Example:
        >>> logarithmic(1.0, 100.0, 3)
        array([  1.,  10., 100.])
    """
    return np.exp(np.linspace(np.log(low), np.log(high), points))


def normal_given_scale(
    grid: np.ndarray, at: Callable[[float], tuple[float, np.ndarray, np.ndarray]]
) -> tuple[Any, ...]:
    """Return moments where all unknowns but one are normal, given that one.

    Args:
        grid: points of the one that is not.
        at: gives at such a point the log density of it, up to a constant, and the mean
            and the covariance of the others.

    Returns:
        mean and sd of the one, means and sds of the others.
    """
    log_masses, means, covariances = zip(*map(at, grid), strict=True)
    steps = np.diff(grid) / 2
    weights = np.exp(np.array(log_masses) - np.max(log_masses))
    weights *= np.r_[steps, 0] + np.r_[0, steps]
    weights /= weights.sum()
    one, mean = weights @ grid, weights @ np.array(means)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    sd = np.sqrt(weights @ (variances + (np.array(means) - mean) ** 2))
    return one, np.sqrt(weights @ (grid - one) ** 2), mean, sd


def grid_moments(problem: Problem, axes: Axes) -> dict[str, Moments]:
    """Return moments by the trapezoid rule; errors from every second point alone.

    The points need not be equally far apart; the joint density is of the constrained
    unknowns, so that they are points of their support.
    """
    model, arguments = problem
    names = list(axes)

    def log_joint(point: Any) -> Any:
        values = dict(zip(names, point, strict=True))
        return log_density(model, arguments, {}, values)[0]

    mesh = np.stack([m.ravel() for m in np.meshgrid(*axes.values(), indexing="ij")], -1)
    joint = np.asarray(jax.lax.map(log_joint, jnp.asarray(mesh), batch_size=10_000))
    joint = joint.reshape([len(points) for points in axes.values()])
    fine = _moments(list(axes.values()), joint)
    every_second = tuple(slice(None, None, 2) for _ in names)
    coarse = _moments([points[::2] for points in axes.values()], joint[every_second])
    return {
        name: Moments(*map(np.asarray, (*fine[i], *np.abs(fine[i] - coarse[i]))))
        for i, name in enumerate(names)
    }


def _moments(axes: list[np.ndarray], joint: np.ndarray) -> np.ndarray:
    """Return mean and sd of each unknown, (unknowns, 2)."""
    weights = np.exp(joint - joint.max())
    for axis, points in enumerate(axes):
        shape = [-1 if i == axis else 1 for i in range(len(axes))]
        steps = np.diff(points) / 2
        weights = weights * (np.r_[steps, 0] + np.r_[0, steps]).reshape(shape)
    found = []
    for axis, points in enumerate(axes):
        others = tuple(i for i in range(len(axes)) if i != axis)
        margin = weights.sum(axis=others)
        margin /= margin.sum()
        mean = margin @ points
        found.append([mean, np.sqrt(margin @ (points - mean) ** 2)])
    return np.array(found)
