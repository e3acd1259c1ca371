r"""Proposals that are fitted to weighted draws: a mixture of t distributions.

Where q misses part of the posterior, draws of it have uneven weights; but weighed, they
say where the posterior is. A mixture

    r(z) = Σ_k π_k t_ν(z; m_k, L_k L_kᵀ),

fitted to them by expectation maximisation, is a better q to draw from, and its draws
say more. Nothing is believed for it: it is a proposal, and its draws are weighed.

References:
    Cappé, Douc, Guillin, Marin & Robert (2008), Stat. Comput. 18, arXiv:0710.4242;
    Hesterberg (1995), Technometrics 37(2) (why the first q stays among the parts).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from vijax.types import Key
from vijax.vi.engine import noise
from vijax.vi.engine.threefry import fold_in

MAX_COMPONENTS = 8
DRAWS_PER_NUMBER = 10  # effective ones, that a centre's coordinate is fitted to
MAX_FITTED = 3000  # draws that a mixture is fitted to
MAX_DIM = 200  # above, covariances want more draws than there are
STEPS = 12
LEAST_FREEDOM, MOST_FREEDOM = 3, 8  # longer tails than the draws have shown


class TMixture(NamedTuple):
    """A mixture of t distributions of one number of degrees of freedom."""

    shares: Float[np.ndarray, " components"]  # sum to 1
    loc: Float[np.ndarray, "components dim"]
    root: Float[np.ndarray, "components dim dim"]  # lower triangular
    freedom: int

    def sample(self, key: Key, num_samples: int) -> Float[np.ndarray, "samples dim"]:
        """Draw, from each component its share of the draws, to the nearest number."""
        ends = np.round(np.cumsum(self.shares) * num_samples).astype(int)
        component = np.searchsorted(ends, np.arange(num_samples), side="right")
        component = np.minimum(component, len(self.shares) - 1)
        dim = self.loc.shape[1]
        eps_key, spread_key = (fold_in(key, i) for i in range(2))
        eps = np.array(noise.normal(eps_key, (num_samples, dim), np.float32), float)
        squares = noise.normal(spread_key, (num_samples, self.freedom), np.float32) ** 2
        eps *= np.mean(np.asarray(squares, float), axis=1, keepdims=True) ** -0.5
        z = np.empty_like(eps)
        for number, (loc, root) in enumerate(zip(self.loc, self.root, strict=True)):
            own = component == number
            z[own] = loc + eps[own] @ root.T
        return z

    def log_prob(
        self, z: Float[np.ndarray, "samples dim"]
    ) -> Float[np.ndarray, " samples"]:
        """Return log r(z)."""
        dim, freedom = z.shape[1], self.freedom
        squares, log_det = _distances(z, self.loc, self.root)
        constant = math.lgamma((freedom + dim) / 2) - math.lgamma(freedom / 2)
        constant -= 0.5 * dim * math.log(freedom * math.pi)
        parts = -0.5 * (freedom + dim) * np.log1p(squares / freedom) - log_det
        with np.errstate(divide="ignore"):
            parts += constant + np.log(self.shares)[:, None]
        found: np.ndarray = np.logaddexp.reduce(parts, axis=0)
        return found


def fit_mixture(
    key: Key,
    positions: Float[np.ndarray, "samples dim"],
    log_weights: Float[np.ndarray, " samples"],
) -> TMixture | None:
    """Fit a mixture to weighted draws; None where there are too few to say anything.

    Its covariances are drawn to half of that of all draws together, with the weight of
    dim + 2 draws, and are 1 + 1/dim times wider than the fit, for tails are what the
    draws at hand have seen least of.

    Args:
        key: random key, of the first centres.
        positions: the draws.
        log_weights: normalised, their exponentials sum to 1.
    """
    dim = positions.shape[1]
    weights = np.exp(log_weights)
    effective = 1 / np.sum(weights**2)
    if dim > MAX_DIM or effective < 4 * (dim + 2):
        return None
    number = int(min(MAX_COMPONENTS, max(1, effective // (DRAWS_PER_NUMBER * dim))))
    mean = weights @ positions
    centred = positions - mean
    pooled = (centred * weights[:, None]).T @ centred
    try:
        whole = np.linalg.cholesky(pooled)
    except np.linalg.LinAlgError:
        return None
    # Equally weighted draws, in the coordinates in which all of them have covariance I.
    size = min(MAX_FITTED, len(weights))
    ends = np.cumsum(weights)
    chosen = np.searchsorted(ends, ends[-1] * (np.arange(size) + 0.5) / size)
    x = np.linalg.solve(whole, centred[chosen].T).T.astype(np.float32)
    order = np.argsort(np.asarray(noise.normal(key, (size,), np.float32)))
    loc = x[order[:number]]
    loc, cov, shares = _maximised(x, loc, min(float(effective), float(size)))
    root = np.linalg.cholesky((1 + 1 / dim) * cov.astype(float))
    shares = shares.astype(float) / np.sum(shares, dtype=float)
    freedom = max(LEAST_FREEDOM, min(dim, MOST_FREEDOM))
    return TMixture(shares, mean + loc @ whole.T, whole @ root, freedom)


def _maximised(x: Any, loc: Any, effective: float) -> tuple[Any, Any, Any]:
    """Return centres, covariances and shares, by expectation maximisation."""
    number, dim = loc.shape
    identity = np.eye(dim, dtype=x.dtype)
    cov = np.broadcast_to(identity, (number, dim, dim))
    shares = np.full(number, 1 / number, x.dtype)
    prior = dim + 2
    for _ in range(STEPS if number > 1 else 1):
        squares, log_det = _distances(x, loc, np.linalg.cholesky(cov))
        parts = np.log(shares)[:, None] - 0.5 * squares - log_det
        parts -= np.max(parts, axis=0)
        mine = np.exp(parts)
        mine /= np.sum(mine, axis=0)
        mine *= x.dtype.type(effective / len(x))
        counts = np.maximum(np.sum(mine, axis=1), 1e-3)
        loc = mine @ x / counts[:, None]
        second = np.stack([(x * part[:, None]).T @ x for part in mine])
        spread = second - counts[:, None, None] * loc[:, :, None] * loc[:, None]
        weight = counts[:, None, None] + prior
        cov = (spread + 0.5 * prior * identity) / weight
        shares = counts / np.sum(counts)
    return loc, cov, shares


def _distances(z: Any, loc: Any, root: Any) -> tuple[Any, Any]:
    """Return ‖L_k⁻¹ (z − m_k)‖² of every component and draw, and log |L_k|."""
    squares = np.stack(
        [
            np.sum((np.linalg.inv(tril) @ (z - place).T) ** 2, axis=0)
            for place, tril in zip(loc, root, strict=True)
        ]
    )
    diagonal = np.diagonal(root, axis1=1, axis2=2)
    return squares, np.sum(np.log(np.abs(diagonal)), axis=1)[:, None]
