r"""Stein's identities: do weighted draws have the moments of p's gradient?

Where p falls to zero at the ends of the real line, for every unknown z_j

    E_p[∂_j log p(z)] = 0,    E_p[(z_j − m_j) ∂_j log p(z)] = −1,

whatever p is. Mass that no draw has met leaves a border behind, across which p is cut
off, and the identities miss by the density there. Weights alone cannot show this: those
of draws that end before the neck of a funnel may be as even as one likes.

References:
    Stein (1972), Proc. 6th Berkeley Symp.; Gorham & Mackey (2015), arXiv:1506.03039
    (as a measure of the quality of draws).
"""

from typing import Any

import numpy as np

from vijax.vi.engine.batched_density import slopes_of_many
from vijax.vi.targets.target import Target

NEGLIGIBLE = 0.03  # density of p per sd, at a border that does no harm
MOST_LOST = 1e-3  # of the mass, that may lie where the gradient is not a number


def stein_residual(target: Target, positions: Any, log_weights: Any) -> float:
    """Return by how many standard errors weighted draws miss Stein's identities.

    The largest of 4 · dim numbers: both identities for each unknown, and for each
    principal combination L⁻¹ (z − m) of them, L Lᵀ the draws' covariance. Those that
    fail by less than 0.03 count as 0: many draws know them to more digits than matter.

    Args:
        target: the log density p.
        positions: (draws, dim), unconstrained, outside of a trace.
        log_weights: (draws,), normalised and smoothed.

    Returns:
        the residual; infinite where p has no gradient on more than 0.1 % of its mass,
        and where the weight of the draws is on too few of them to have a covariance.

    Example:
        Draws of N(0, 1) know its identities; without those below −1 they do not.

        >>> import jax, jax.numpy as jnp
        >>> from vijax.vi.targets.target import from_log_density
        >>> target = from_log_density(lambda u: -0.5 * jnp.sum(u**2), jnp.zeros(1))
        >>> z = np.asarray(jax.random.normal(jax.random.key(0), (4096, 1)))
        >>> whole, cut = z, z[z[:, 0] > -1]
        >>> [stein_residual(target, x, np.full(len(x), -np.log(len(x)))) > 4
        ...  for x in (whole, cut)]
        [False, True]
    """
    weights = np.exp(np.asarray(log_weights, float))
    positions = np.asarray(positions, float)
    _, slopes = slopes_of_many(target, positions.astype(target.init.dtype))
    known = np.isfinite(slopes).all(axis=1)
    if weights[~known].sum() > MOST_LOST:
        return np.inf
    weights = weights[known] / weights[known].sum()
    centred, slopes = positions[known], np.asarray(slopes[known], float)
    centred = centred - weights @ centred
    covariance = (weights[:, None] * centred).T @ centred
    sds = np.sqrt(np.diag(covariance))
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:  # nearly all weight is on fewer draws than unknowns
        return np.inf
    combined = np.linalg.solve(root, centred.T).T
    return max(
        _residual(weights, centred / sds, slopes * sds),
        _residual(weights, combined, slopes @ root),
    )


def _residual(weights: np.ndarray, z: np.ndarray, slopes: np.ndarray) -> float:
    """Return the larger of both identities' residuals, z and slopes in units of sds."""
    worst = 0.0
    for terms in (slopes, z * slopes + 1):
        mean = weights @ terms
        error = np.sqrt(weights**2 @ (terms - mean) ** 2)
        large = np.abs(mean) > NEGLIGIBLE
        with np.errstate(divide="ignore"):  # an identity that all draws miss alike
            ratios = np.abs(mean[large]) / error[large]
        worst = max(worst, float(np.max(ratios, initial=0.0)))
    return worst
