r"""Whether the rows of a stream change along it.

    print(vi.drift(fit))

A fit to a stream does not depend on the order of the rows, but what it says of rows to
come does depend on whether they are like those before. At the fit's mean θ̂ the score of
a piece of the stream, s = Σ_rows ∇ log p(row | θ̂), has the same mean for all pieces of
equal length, if the rows are exchangeable. For K parts of m pieces each,

    T = m Σ_k (s̄_k − s̄)ᵀ S⁻¹ (s̄_k − s̄) ~ χ² with (K − 1) dim degrees of freedom,

S the covariance of pieces within parts, so that the model need not be right. One Newton
step tells where a part alone would put the mean: θ̂ + K C Σ_part s, C q's covariance.

References:
    Andrews (1993), Econometrica 61(4) (tests for a change of parameters by scores).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.validate import check
from vijax.vi.engine.compilation import density_jit
from vijax.vi.engine.precision import precision_of
from vijax.vi.families import base
from vijax.vi.result import Fit
from vijax.vi.targets.streams.streamed_model import of_rows, score_of_rows
from vijax.vi.targets.target import Target, labels

PIECES_OF_PART = 20
MAX_P_VALUE = 0.01


class Drift(NamedTuple):
    """Where the parts of a stream, one after the other, would put the unknowns."""

    names: list[str]  # of the unknowns, in unconstrained space
    shifts: np.ndarray  # (parts, unknowns), in standard errors of the part alone
    statistic: float  # T
    degrees_of_freedom: int
    p_value: float  # of exchangeable rows

    @property
    def advice(self) -> str:
        """A sentence: whether the rows change along the stream."""
        if self.p_value > MAX_P_VALUE:
            return f"No drift is seen: p = {self.p_value:.2g}."
        part, name = np.unravel_index(np.argmax(np.abs(self.shifts)), self.shifts.shape)
        return (
            f"The rows change along the stream (p = {self.p_value:.2g}), most in part "
            f"{part + 1} of {len(self.shifts)}, whose {self.names[name]} is "
            f"{abs(self.shifts[part, name]):.1f} standard errors off. The fit does not "
            "depend on their order; but if they are not sorted on purpose, rows to "
            "come may be unlike these: model the change, or fit the parts apart."
        )

    def __str__(self) -> str:
        head = "    ".join(["part", *(f"{name:>8}" for name in self.names[:8])])
        rows = [
            "    ".join([f"{number + 1:>4}", *(f"{x:>8.2f}" for x in shifts[:8])])
            for number, shifts in enumerate(self.shifts)
        ]
        return "\n".join([head, *rows, self.advice])


def drift(fit: Fit, *, num_parts: int = 10) -> Drift:
    """Compare the parts of a stream by their scores at a fit; one pass.

    Args:
        fit: to a target of `vi.from_stream`, of a normal family.
        num_parts: of equal length, one after the other.

    Returns:
        The parts' shifts, the test and its advice; print it.

    Raises:
        ValueError: the fit is not to a stream, or its rows are too few for so many
            parts, 20 pieces each.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> from vijax import vi
        >>> def model(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 10.0))
        ...     with numpyro.plate("rows", len(y)):
        ...         numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> y = np.random.default_rng(0).normal(size=1000)
        >>> sorted_rows = vi.Stream({"y": np.sort(y)}, block_size=500)
        >>> fit = vi.fit(vi.from_stream(model, sorted_rows), jax.random.key(0))
        >>> found = drift(fit)
        >>> found.p_value < 1e-6, abs(np.asarray(fit.q.loc)[0] - y.mean()) < 1e-4
        (True, np.True_)
    """
    target = fit.target
    if not target.streamed:
        raise ValueError("fit is not to a stream: make its target by vi.from_stream")
    check(num_parts >= 2, "num_parts", num_parts, "give at least 2")
    rows = target.static.stream.stream.num_rows
    number = num_parts * PIECES_OF_PART
    remedy = f"give fewer, for there are {rows} rows, and a part wants 20 pieces of 2"
    check(rows >= 2 * number, "num_parts", num_parts, remedy)
    with precision_of(target):
        mean = jnp.asarray(base.mean(fit.q, target.init))
        scores = _scores(target, mean, rows // number)[:number]
        covariance = _covariance(fit)
    parts = scores.reshape(num_parts, PIECES_OF_PART, -1)
    means = parts.mean(axis=1)
    centred = (parts - means[:, None]).reshape(number, -1)
    within = centred.T @ centred / (number - num_parts)
    away = means - means.mean(axis=0)
    inverse = np.linalg.pinv(within)
    statistic = PIECES_OF_PART * float(np.einsum("ki,ij,kj->", away, inverse, away))
    freedom = (num_parts - 1) * int(np.linalg.matrix_rank(within))
    # In standard errors of one part: a Newton step over what such a step varies by.
    step = away @ covariance
    error = np.sqrt(np.diag(covariance @ within @ covariance) / PIECES_OF_PART)
    return Drift(
        labels(target),
        step / np.where(error > 0, error, 1.0),
        statistic,
        freedom,
        float(jax.scipy.special.gammaincc(freedom / 2, statistic / 2)),
    )


def _covariance(fit: Fit) -> np.ndarray:
    """Return the covariance of q, of its draws where there is no formula."""
    if hasattr(fit.q, "coordinates"):
        scale = np.asarray(fit.q.coordinates()[1], float)
        root = np.diag(scale) if scale.ndim == 1 else scale
        return root @ root.T
    draws = base.fixed_draws(fit.q, fit.target.init)
    return np.atleast_2d(np.cov(np.asarray(draws, float).T))


def _scores(target: Target, position: Array, rows: int) -> np.ndarray:
    """Return the score of each piece of the stream, in order."""
    stream = target.static.stream.stream.regrouped(rows)
    found = []
    for index in range(stream.num_rows // rows):
        piece = of_rows(target, stream.read(index))
        found.append(_score(piece, position))
    return np.asarray(jax.device_get(found), float)


@density_jit
def _score(target: Target, position: Array) -> Array:
    return score_of_rows(target, position)
