"""What a fit says about the unknowns: constrained draws, moments and their errors."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.types import Key
from vijax.validate import check, is_traced
from vijax.vi import diagnostics, noise
from vijax.vi.draws import log_densities, over_draws
from vijax.vi.families import FullRank
from vijax.vi.quick import quick_jit, work
from vijax.vi.result import Fit
from vijax.vi.target import Target

COLUMNS = ("mean", "mean_se", "sd", "sd_se", "corrected_mean", "corrected_sd")
RESPONSE = "response_sd"


class Summary(dict[str, dict[str, Any]]):
    """Moments by name; prints as a table, one row an entry, and the verdict below."""

    verdict: str = ""

    def __str__(self) -> str:
        known = all(RESPONSE in columns for columns in self.values())
        shown = (*COLUMNS, RESPONSE) if known else COLUMNS
        rows: list[tuple[Any, ...]] = [
            (label, *(float(np.asarray(columns[c])[index]) for c in shown))
            for name, columns in self.items()
            for label, index in _labels(name, np.shape(columns["mean"]))
        ]
        width = max([8, *(len(label) for label, *_ in rows)])
        head = " ".join([" " * width, *(f"{c:>14}" for c in shown)])
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
    return _sample(fit.q, fit.target, key, num_samples)


def summary(
    fit: Fit, *, key: Key | None = None, num_samples: int | None = None
) -> Summary:
    r"""Return mean and sd of every unknown, with standard errors, by name.

    Each name holds arrays of the unknown's shape:

        mean, sd                      of q, in the model's own (constrained) units
        mean_se, sd_se                what the draws, here and in the fit, leave open
        corrected_mean, corrected_sd  of the posterior, by importance weights of draws
                                      of q and, where known, of the normal law that
                                      linear response finds, half each
        corrected_mean_se, corrected_sd_se   good where `fit.correctable`
        response_sd                   of the posterior, by linear response; by the
                                      method "fixed_draws" only

    The draws' noise has mean 0 and covariance I exactly, so that unknowns which live
    on the whole line have q's moments without error.

    Example:
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> table = summary(vi.fit(target, jax.random.key(0)))
        >>> abs(table["x"]["sd"].item() - 1.0) < 1e-3
        True
    """
    if num_samples is None:  # each is a pass over all rows where the model subsamples
        num_samples = 500 if fit.target.subsampled else 10_000
    check(num_samples >= 25, "num_samples", num_samples, "give at least 25")
    key = jax.random.key(0) if key is None else key
    dim, dtype = fit.target.dim, fit.target.init.dtype
    eps = noise.whitened(key, num_samples, dim, dtype)
    drawn = _draw(fit, eps, work=work(fit.target.data, num_samples))
    if is_traced(drawn):
        return Summary(_moments(fit, eps, drawn, jnp))
    with np.errstate(all="ignore"):
        table = Summary(_moments(fit, eps, jax.tree.map(_double, drawn), np))
    if np.ndim(fit.status) == 0:
        evidence = (
            f"log evidence {float(fit.log_evidence):.3f} "
            f"± {float(fit.log_evidence_se):.3f} nats by importance weights"
            if fit.correctable
            else "log evidence not known but for this lower bound"
        )
        table.verdict = (
            f"{fit.verdict} after {int(fit.num_steps)} steps; "
            f"ELBO {float(fit.elbo):.3f} ± {float(fit.elbo_se):.3f} nats, {evidence}. "
            f"{fit.advice}"
        )
    return table


def _double(x: Array) -> np.ndarray:
    return np.asarray(x, float)


@quick_jit
def _draw(fit: Fit, eps: Array) -> tuple[Array, list[dict[str, Array]]]:
    """Return log weights and constrained draws: of q, then of r, where there is one.

    r = N(mean of q, covariance by linear response). With it the weights are those of
    p / (½ q + ½ r), at all draws: never more than twice p / q, and far below where q is
    too narrow.
    """
    target, z = fit.target, fit.q.transform(eps)
    if fit.covariance is None:
        log_q, parts = fit.q.log_prob(z), [z]
    else:
        r = FullRank.from_tril(fit.q.mean(), jnp.linalg.cholesky(fit.covariance))
        parts = [z, r.transform(eps)]
        z = jnp.concatenate(parts)
        log_q = jnp.logaddexp(fit.q.log_prob(z), r.log_prob(z)) - math.log(2)
    log_weights = log_densities(target, z)[0] - log_q
    # Where r reaches and the density is not a number, p has no weight.
    log_weights = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    draws = over_draws(target, target.constrain, z)
    split = jax.tree.map(lambda x: jnp.split(x, len(parts)), draws)
    return log_weights, [
        {name: x[i] for name, x in split.items()} for i in range(len(parts))
    ]


@partial(jax.jit, static_argnums=3)
def _sample(q: Any, target: Target, key: Key, num_samples: int) -> dict[str, Array]:
    return over_draws(target, target.constrain, q.sample(key, num_samples))


def _moments(
    fit: Fit, eps: Any, drawn: tuple[Any, list[dict[str, Any]]], xp: Any
) -> dict[str, dict[str, Any]]:
    log_weights, parts = drawn
    weights = len(log_weights) * xp.exp(diagnostics.psis(log_weights).log_weights)
    # The fit's own error, the largest over coordinates: constraints may mix them.
    loc_error, scale_error = (
        xp.max(xp.asarray(error)) for error in (fit.loc_error, fit.scale_error)
    )
    table = {}
    for name, first in parts[0].items():
        shape = first.shape[1:]
        x = xp.stack([xp.reshape(part[name], (len(eps), -1)) for part in parts])
        mean, sd, mean_se, sd_se = moments(x[:1], eps, xp.ones(len(eps)), xp)
        columns = {
            "mean": mean,
            "sd": sd,
            "mean_se": xp.hypot(mean_se, loc_error * sd),
            "sd_se": xp.hypot(sd_se, scale_error * sd),
        }
        better = moments(x, eps, weights, xp)
        names = ("mean", "sd", "mean_se", "sd_se")
        columns |= {f"corrected_{c}": v for c, v in zip(names, better, strict=True)}
        if len(parts) > 1:
            columns["response_sd"] = xp.std(x[1], axis=0)
        table[name] = {c: xp.reshape(v, shape) for c, v in columns.items()}
    return table


def moments(x: Any, eps: Any, weights: Any, xp: Any = np) -> tuple[Any, Any, Any, Any]:
    r"""Return weighted means, sds and their delta-method standard errors.

    The noise has mean 0 and covariance I exactly, so what is linear in ε costs no
    accuracy in a mean, nor its square in an sd: both are taken out of the errors.

    Args:
        x: draws, (parts, samples, entries), each part made from the same noise.
        eps: the whitened noise they were made from, (samples, dim).
        weights: of mean 1, (parts · samples,).
        xp: NumPy or jax.numpy.
    """
    w = xp.reshape(weights, (len(x), -1, 1))
    mean = xp.mean(xp.where(w > 0, w * x, 0.0), axis=(0, 1))
    centred = xp.where(w > 0, x - mean, 0.0)  # x may be infinite where p is not
    square = centred**2
    variance = xp.mean(w * square, axis=(0, 1))
    sd = xp.sqrt(variance)
    # Draws of the same noise are one draw: what each adds is averaged first.
    linear = eps @ (eps.T @ xp.mean(centred, axis=0) / len(eps))
    mean_se = _error(xp.mean(w * centred, axis=0), eps, linear, xp)
    variance_parts = xp.mean(w * (square - variance), axis=0)
    variance_se = _error(variance_parts, eps, linear**2, xp)
    return mean, sd, mean_se, 0.5 * variance_se / xp.where(sd > 0, sd, 1.0)


def _error(parts: Any, eps: Any, control: Any, xp: Any) -> Any:
    """Return the standard error of the mean of what ε and the control leave over."""
    number, dim = eps.shape
    free = number - dim - 2
    if free > 0:
        control = control - xp.mean(control, axis=0)
        size = xp.sum(control**2, axis=0)
        share = xp.sum(parts * control, axis=0) / xp.where(size > 0, size, 1.0)
        parts = parts - share * control
        parts = parts - eps @ (eps.T @ parts / number)
    rest = parts - xp.mean(parts, axis=0)
    spread = xp.sum(rest**2, axis=0) / (free if free > 0 else number - 1)
    return xp.sqrt(spread / number)


def _labels(name: str, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    if not shape:
        return [(name, ())]
    return [(f"{name}[{', '.join(map(str, i))}]", i) for i in np.ndindex(*shape)]
