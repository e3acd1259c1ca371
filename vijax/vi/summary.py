"""What a fit says about the unknowns: constrained draws, moments and their errors."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check
from vijax.vi import diagnostics
from vijax.vi.result import Fit
from vijax.vi.target import Target, over_draws

COLUMNS = ("mean", "mean_se", "sd", "sd_se", "corrected_mean", "corrected_sd")


class Summary(dict[str, dict[str, Any]]):
    """Moments by name; prints as a table, one row an entry, and the verdict below."""

    verdict: str = ""

    def __str__(self) -> str:
        rows: list[tuple[Any, ...]] = [
            (label, *(float(np.asarray(columns[c])[index]) for c in COLUMNS))
            for name, columns in self.items()
            for label, index in _labels(name, np.shape(columns["mean"]))
        ]
        width = max([8, *(len(label) for label, *_ in rows)])
        head = " ".join([" " * width, *(f"{c:>14}" for c in COLUMNS)])
        lines = [
            " ".join([f"{label:<{width}}", *(f"{x:14.5g}" for x in numbers)])
            for label, *numbers in rows
        ]
        return "\n".join([head, *lines, self.verdict])

    __repr__ = __str__


def sample(fit: Fit, key: Key, num_samples: int) -> dict[str, Array]:
    """Draw from q and return the constrained unknowns by name, draws first.

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> sample(fit, jax.random.key(1), 5)["x"].shape
        (5,)
    """
    check(num_samples >= 1, "num_samples", num_samples, "give at least 1")
    return _sample(fit.q, fit.target, key, num_samples)[1]


def summary(fit: Fit, *, key: Key | None = None, num_samples: int = 10_000) -> Summary:
    r"""Return mean and sd of every unknown, with standard errors, by name.

    Each name holds arrays of the unknown's shape:

        mean, sd                      of q, in the model's own (constrained) units
        mean_se, sd_se                what the draws, here and in the fit, leave open
        corrected_mean, corrected_sd  of the posterior, by importance weighting
        corrected_mean_se, corrected_sd_se   good where k̂ < 0.7

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> table = summary(vi.fit(target, jax.random.key(0)))
        >>> bool(abs(table["x"]["sd"] - 1.0) < 3 * table["x"]["sd_se"])
        True
    """
    check(num_samples >= 25, "num_samples", num_samples, "give at least 25")
    key = jax.random.key(0) if key is None else key
    table = Summary(jax.tree.map(np.asarray, _moments(fit, key, num_samples)))
    if np.ndim(fit.status) == 0:
        table.verdict = (
            f"{fit.verdict} after {int(fit.num_steps)} steps; "
            f"ELBO {float(fit.elbo):.3f} ± {float(fit.elbo_se):.3f} nats, "
            f"log evidence {float(fit.log_evidence):.3f} "
            f"± {float(fit.log_evidence_se):.3f}. {fit.advice}"
        )
    return table


@partial(jax.jit, static_argnums=3)
def _sample(
    q: Any, target: Target, key: Key, num_samples: int
) -> tuple[Array, dict[str, Array]]:
    z = q.sample(key, num_samples)
    return z, jax.vmap(target.constrain)(z)


@partial(jax.jit, static_argnums=2)
def _moments(fit: Fit, key: Key, num_samples: int) -> dict[str, dict[str, Array]]:
    z, draws = _sample(fit.q, fit.target, key, num_samples)
    log_weights = over_draws(fit.target, fit.target.log_density, z) - fit.q.log_prob(z)
    weights = jnp.exp(diagnostics.psis(log_weights).log_weights)
    equal = jnp.full_like(weights, 1 / num_samples)
    # The fit's own error, the largest over coordinates: constraints may mix them.
    loc_error, scale_error = jnp.max(fit.loc_error), jnp.max(fit.scale_error)
    table = {}
    for name, x in draws.items():
        x = x.astype(log_weights.dtype)
        mean, sd, mean_se, sd_se = weighted_moments(x, equal)
        better = weighted_moments(x, weights)
        table[name] = {
            "mean": mean,
            "sd": sd,
            "mean_se": jnp.hypot(mean_se, loc_error * sd),
            "sd_se": jnp.hypot(sd_se, scale_error * sd),
            "corrected_mean": better[0],
            "corrected_sd": better[1],
            "corrected_mean_se": better[2],
            "corrected_sd_se": better[3],
        }
    return table


def weighted_moments(x: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
    """Return mean, sd and their delta-method standard errors; weights sum to 1."""
    w = weights.reshape((-1,) + (1,) * (x.ndim - 1))
    mean = jnp.sum(w * x, axis=0)
    square = (x - mean) ** 2
    variance = jnp.sum(w * square, axis=0)
    sd = jnp.sqrt(variance)
    mean_se = jnp.sqrt(jnp.sum(w**2 * square, axis=0))
    variance_se = jnp.sqrt(jnp.sum(w**2 * (square - variance) ** 2, axis=0))
    safe = jnp.where(sd > 0, sd, 1.0)
    return mean, sd, mean_se, 0.5 * variance_se / safe


def _labels(name: str, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    if not shape:
        return [(name, ())]
    return [(f"{name}[{', '.join(map(str, i))}]", i) for i in np.ndindex(*shape)]
