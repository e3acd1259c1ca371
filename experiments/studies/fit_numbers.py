"""What a fit, its predictions and its checks say, as plain numbers for a report."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax import vi

MASSES = (0.5, 0.95)


class Fitting(NamedTuple):
    """How the fits and predictions of a study are made."""

    family: str
    num_samples: int  # draws of each prediction
    chains: bool  # draw NUTS beside the fits


def about(fit: vi.Fit) -> dict[str, Any]:
    """Return the verdict, and what it is made of."""
    # The evidence is by q's weights, whatever the chains say.
    known = fit._replace(chains=None).correctable
    evidence = {"log_evidence": float(fit.log_evidence)} if known else {}
    return {
        "q": "NUTS" if fit.chains is not None else type(fit.q).__name__,
        "unknowns": fit.target.dim,
        "elbo": float(fit.elbo),
        "elbo_se": float(fit.elbo_se),
        "khat": float(fit.khat),
        "trusted": bool(fit.trusted),
        "usable": bool(fit.trusted or fit.correctable),
        "advice": fit.advice,
    } | evidence


def coverage(draws: np.ndarray, observed: np.ndarray) -> dict[str, Any]:
    """Return shares of rows inside their intervals, with binomial errors."""
    found = {}
    for mass in MASSES:
        low, high = np.quantile(draws, ((1 - mass) / 2, (1 + mass) / 2), axis=0)
        inside = np.mean((observed >= low) & (observed <= high))
        found[f"coverage_{round(100 * mass)}"] = float(inside)
        found[f"coverage_{round(100 * mass)}_se"] = float(
            (mass * (1 - mass) / len(observed)) ** 0.5
        )
        found[f"width_{round(100 * mass)}"] = float(np.mean(high - low))
    return found


def compared(
    fits: Mapping[str, vi.Fit], key: Any
) -> tuple[dict[str, Any], dict[str, vi.Loo]]:
    """Return models by loo with what can be told, and the Loo of each."""
    of_each = {
        name: vi.loo(fit, jax.random.fold_in(key, number))
        for number, (name, fit) in enumerate(fits.items())
    }
    table = vi.compare(of_each)
    rows = {
        name: row._asdict()
        | {
            "worst_khat": float(np.max(of_each[name].khat)),
            "unreliable": len(of_each[name].unreliable),
        }
        for name, row in table.items()
    }
    best = next(iter(table))
    found = {"rows": rows, "statement": table.statement, "best": best}
    trusted = {name: one for name, one in of_each.items() if one.trusted}
    if 2 <= len(trusted) < len(of_each):
        found["statement_of_trusted"] = vi.compare(trusted).statement
    return found, of_each


def checks(found: vi.PredictiveCheck) -> dict[str, Any]:
    """Return each statistic, its replications' 90 % interval, and p."""
    rows = {
        name: {
            "observed": one.observed,
            "low": float(np.quantile(one.replicated, 0.05)),
            "high": float(np.quantile(one.replicated, 0.95)),
            "p": one.p_value,
            "p_se": one.p_value_se,
        }
        for name, one in found.items()
    }
    return {"rows": rows, "advice": found.advice}


def sensitivity(
    fit: vi.Fit,
    key: Any,
    *,
    prior: tuple[str, ...] | None = None,
    names: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return how far unknowns hang on the prior, weights called by their inputs."""
    found = vi.power_scaling(fit, key, prior=prior)
    advice = found.advice
    for number, name in enumerate(names):
        advice = advice.replace(f"weights[{number}]", f"weight of {name}")
    rows = {
        name: {
            "prior": float(np.max(columns["prior"])),
            "likelihood": float(np.max(columns["likelihood"])),
        }
        for name, columns in found.items()
    }
    return {"rows": rows, "advice": advice, "scaled": list(found.scaled)}


def moments(x: np.ndarray) -> dict[str, float]:
    """Return mean and sd."""
    return {"mean": float(x.mean()), "sd": float(x.std())}


def rms(x: np.ndarray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(x**2)))
