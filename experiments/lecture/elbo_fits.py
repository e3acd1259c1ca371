"""The parts of the `elbo` experiment that fit a q: ADVI, its Table 2, and evidence.

The fits are vijax's; densities and KL divergences that judge them are SciPy's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from scipy import special, stats

from vijax import vi

GAMMAS = ((1.0, 2.0), (2.5, 4.2), (10.0, 10.0))


class Map(NamedTuple):
    """A map from the real line, its inverse and the log of its slope."""

    forward: Callable[[np.ndarray], np.ndarray]
    log_slope: Callable[[np.ndarray], np.ndarray]


LOGIT = Map(
    special.expit, lambda u: special.log_expit(u) + special.log_expit(-u)
)  # probabilities
LOG = Map(np.exp, lambda u: u)
SOFTPLUS = Map(lambda u: np.logaddexp(0, u), special.log_expit)


class Problem(NamedTuple):
    """A model with one unknown, and what is known of it exactly."""

    name: str
    unit: str  # the unknown's name and unit, for an axis
    model: Callable[..., None]
    arguments: tuple[Any, ...]  # of the model: prior and data
    transform: Map
    prior: Any  # frozen SciPy distributions
    posterior: Any
    log_evidence: float


def advi(problems: list[Problem], key: Array) -> dict[str, dict[str, Any]]:
    """Fit each problem by stochastic gradients, from the origin."""
    results = {}
    for number, problem in enumerate(problems):
        target = vi.from_numpyro(problem.model, *problem.arguments)
        key = jax.random.fold_in(key, number)
        fit = vi.fit(target, key, method=vi.Stochastic(start="init"))
        results[problem.name] = {
            "fit": fit,
            "problem": problem,
            "losses": np.asarray(fit.losses),
            "log_evidence": problem.log_evidence,
            **compare(fit, problem.transform, problem.posterior),
        }
        x = results[problem.name]["x"]
        results[problem.name]["prior"] = problem.prior.pdf(x)
        results[problem.name]["unit"] = problem.unit
    return results


def compare(fit: vi.Fit, transform: Map, exact: Any) -> dict[str, Any]:
    """Hold a normal q against the exact posterior of the one unknown.

    kl is KL[q ‖ posterior] in nats by the trapezoidal rule, which for a normal q is
    exact to rounding; the others are densities in the unknown's own units.
    """
    loc, scale = float(fit.q.loc[0]), float(fit.q.scale()[0])
    u = loc + scale * np.linspace(-8, 8, 801)
    x, slope = transform.forward(u), transform.log_slope(u)
    log_q = stats.norm.logpdf(u, loc, scale)
    difference = log_q - exact.logpdf(x) - slope
    return {
        "kl": float(np.trapezoid(np.exp(log_q) * difference, u)),
        "x": x,
        "q": np.exp(log_q - slope),
        "exact": exact.pdf(x),
    }


def gamma_model(concentration: Any, rate: Any) -> None:
    """Declare one Gamma variable and no data: the posterior is that Gamma."""
    numpyro.sample("x", dist.Gamma(concentration, rate))


def gamma_table(key: Array) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """KL at the best normal q of three Gammas, for both maps of the positive line."""
    table: dict[str, Any] = {"gammas": [list(pair) for pair in GAMMAS]}
    curves: list[dict[str, Any]] = [{"name": f"Gamma({a:g}, {b:g})"} for a, b in GAMMAS]
    for positive, name, transform in (
        ("exp", "log", LOG),
        ("softplus", "softplus", SOFTPLUS),
    ):
        table[name] = []
        for number, (a, b) in enumerate(GAMMAS):
            target = vi.from_numpyro(gamma_model, a, b)
            # Tighter than the default: the KL is wanted to a part in a thousand.
            fit = vi.fit(
                target,
                jax.random.fold_in(key, number),
                method=vi.FixedDraws(num_draws=2048),
                positive=positive,
                tolerance=0.005,
            )
            found = compare(fit, transform, stats.gamma(a, scale=1 / b))
            table[name].append(found["kl"])
            curves[number][name] = (found["x"], found["q"], found["kl"])
            curves[number] |= {"x": found["x"], "exact": found["exact"]}
    return table, curves


def bayes_factor(
    uniform: dict[str, Any],
    peaked: dict[str, Any],
    rng: np.random.Generator,
    num_samples: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bayes factor of the coin, peaked over uniform prior: exact, ELBO and between.

    log K from two ELBOs is off by KL_uniform − KL_peaked, in nats: the bound is looser
    for the model whose posterior the family fits worse.
    """
    sizes = [2**i for i in range(9)]
    curves: dict[str, Any] = {"num_samples": sizes, "models": {}}
    elbos, weighted = [], []
    for name, case in (("uniform prior", uniform), ("peaked prior", peaked)):
        log_weights = _log_weights(case, rng, num_samples)
        found = [_bound(log_weights, size) for size in sizes]
        curves["models"][name] = {
            "log_evidence": case["log_evidence"],
            "bound": np.array([mean for mean, _ in found]),
            "error": np.array([error for _, error in found]),
        }
        elbos.append(found[0])
        weighted.append(_bound(log_weights, num_samples))
    log_exact = peaked["log_evidence"] - uniform["log_evidence"]
    bias = uniform["kl"] - peaked["kl"]
    metrics = {
        "exact_bayes_factor": float(np.exp(log_exact)),
        "elbo_log_bayes_factor_bias": bias,
        "elbo_bayes_factor_without_noise": float(np.exp(log_exact + bias)),
    }
    for name, ((low, low_error), (high, high_error)) in (
        ("elbo", elbos),
        ("importance", weighted),
    ):
        factor = float(np.exp(high - low))
        metrics[f"{name}_bayes_factor"] = factor
        spread = float(np.hypot(low_error, high_error))
        metrics[f"{name}_bayes_factor_standard_error"] = factor * spread
    return metrics, curves


def _log_weights(
    case: dict[str, Any], rng: np.random.Generator, num_samples: int
) -> np.ndarray:
    """Return log p(data, u) − log q(u) at draws u of q."""
    problem, q = case["problem"], case["fit"].q
    loc, scale = float(q.loc[0]), float(q.scale()[0])
    u = rng.normal(loc, scale, num_samples)
    x, slope = problem.transform.forward(u), problem.transform.log_slope(u)
    # The joint density is the posterior times the evidence.
    log_joint = problem.log_evidence + problem.posterior.logpdf(x) + slope
    return log_joint - stats.norm.logpdf(u, loc, scale)


def _bound(log_weights: np.ndarray, size: int) -> tuple[float, float]:
    """Mean and standard error of the importance-weighted bound of `size` draws."""
    groups = len(log_weights) // size
    weights = np.exp(log_weights[: groups * size].reshape(groups, size))
    values = np.log(weights.mean(axis=1))
    if groups == 1:  # the delta method's
        return float(values[0]), float(weights.std(ddof=1) / weights.mean() / size**0.5)
    return float(values.mean()), float(values.std(ddof=1) / groups**0.5)
