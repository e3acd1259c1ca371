"""The estimators behind the VAE experiment: gradients, and L draws of z (L21, L22).

Both are held against exact values: for a two-dimensional z Gauss-Hermite quadrature
gives the trained model's own gradient and ELBO; a quadratic log p(x | z) has them in
closed form.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vijax.plot import vae as plot
from vijax.vae import gradients, losses, models
from vijax.vae.gradients import Integrand
from vijax.vae.models import VAE, Images, ModelParams, Posterior

NUMBERS = (1, 10, 100)  # L
COMPONENTS = ("∂/∂μ₁", "∂/∂μ₂", "∂/∂log σ₁", "∂/∂log σ₂")
# A Gaussian likelihood behind a linear decoder: log p(x | z) = b·z - z·A z / 2 + const.
CURVATURE, SLOPE = ((3.0, 1.0), (1.0, 2.0)), (1.0, -2.0)


def study(
    model: VAE, params: ModelParams, x: Images, key: jax.Array, num_draws: int
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Study both on one image; quadrature asks for a two-dimensional latent space."""
    if model.latent != 2:
        return {}, {}
    keys = jax.random.split(key)
    metrics, gradients = study_gradients(model, params, x, keys[0], num_draws)
    more, draws = study_draws(model, params, x, keys[1], repeats=2000)
    return metrics | more, {"gradients": gradients, "draws": draws}


def study_gradients(
    model: VAE, params: ModelParams, x: Images, key: jax.Array, num_draws: int
) -> tuple[dict[str, Any], Figure]:
    """Hold the gradient estimators against the exact gradient of E_q[log p(x | z)]."""
    keys = jax.random.split(key)
    q = models.encode(model, params, x)

    def trained(z: jax.Array) -> jax.Array:
        return losses.log_likelihood(model, params, x, z)

    estimates, exact = estimate(trained, q, keys[0], num_draws)
    quadratic_q = Posterior(jnp.array([0.3, -0.7]), jnp.log(jnp.array([0.5, 0.8])))
    quadratic_estimates, _ = estimate(quadratic, quadratic_q, keys[1], num_draws)
    metrics = compare(estimates, exact) | {
        f"quadratic_{name}": value
        for name, value in compare(
            quadratic_estimates, exact_quadratic(quadratic_q)
        ).items()
    }
    draws = np.unique(np.geomspace(10, num_draws, 60).astype(int))
    running = {}
    for name, values in estimates.items():
        first = values[:, 0]
        running[name] = (
            np.array([first[:n].mean() for n in draws]),
            np.array([first[:n].std(ddof=1) / np.sqrt(n) for n in draws]),
        )
    spreads = {name: values.std(axis=0, ddof=1) for name, values in estimates.items()}
    figure = plot.gradient_estimators(running, draws, exact[0], spreads, COMPONENTS)
    return metrics, figure


def estimate(
    f: Integrand, q: Posterior, key: jax.Array, num_draws: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return draws of each estimator (num_draws, 4) and the exact gradient (4,)."""
    keys = jax.random.split(key, 3)
    score = gradients.score_function
    found = {
        "reparametrised": gradients.reparametrised(
            f, q, keys[0], num_samples=num_draws
        ),
        "score function": score(f, q, keys[1], num_samples=num_draws),
        "score function with baseline": score(
            f, q, keys[2], num_samples=num_draws, baseline=True
        ),
    }
    stacked = {name: np.concatenate(g, axis=-1) for name, g in found.items()}
    return stacked, np.concatenate(gradients.exact(f, q))


def compare(estimates: dict[str, np.ndarray], exact: np.ndarray) -> dict[str, Any]:
    """Return means, errors and variances of the estimators, beside the exact values."""
    metrics: dict[str, Any] = {"gradient_exact": exact}
    for name, values in estimates.items():
        label = name.replace(" ", "_")
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        metrics |= {
            f"gradient_{label}": values.mean(axis=0),
            f"gradient_{label}_standard_error": error,
            f"gradient_{label}_max_deviation": float(
                np.max(np.abs(values.mean(axis=0) - exact) / error)
            ),
            f"gradient_{label}_variance": float(values.var(axis=0, ddof=1).sum()),
        }
    variance = metrics["gradient_reparametrised_variance"]
    for label in ("score_function", "score_function_with_baseline"):
        ratio = metrics[f"gradient_{label}_variance"] / variance
        metrics[f"variance_ratio_{label}"] = ratio
    return metrics


def quadratic(z: jax.Array) -> jax.Array:
    """Return the log likelihood of a linear decoder, up to a constant."""
    return jnp.array(SLOPE) @ z - 0.5 * z @ jnp.array(CURVATURE) @ z


def exact_quadratic(q: Posterior) -> np.ndarray:
    """Return the gradient of E_q[quadratic]: b - A μ, and -A_jj σ_j²."""
    curvature = np.array(CURVATURE)
    loc = np.array(SLOPE) - curvature @ np.asarray(q.loc)
    log_scale = -np.diag(curvature) * np.exp(2 * np.asarray(q.log_scale))
    return np.concatenate([loc, log_scale])


def study_draws(
    model: VAE, params: ModelParams, x: Images, key: jax.Array, *, repeats: int
) -> tuple[dict[str, Any], Figure]:
    """Repeat the estimate of one image's ELBO with L = 1, 10 and 100 draws of z."""
    q = models.encode(model, params, x)

    def value(z: jax.Array) -> jax.Array:
        return losses.log_likelihood(model, params, x, z)

    exact = float(gradients.expectation(value, q) - losses.kl_to_prior(q))
    draws = losses.draw(key, q, num_samples=repeats * sum(NUMBERS))
    values = np.asarray(gradients.map_draws(value, draws) - losses.kl_to_prior(q))
    estimates, start = {}, 0
    for number in NUMBERS:
        part = values[start : start + repeats * number]
        estimates[number] = part.reshape(repeats, number).mean(axis=1)
        start += repeats * number
    spread = {number: values.std(ddof=1) for number, values in estimates.items()}
    metrics = {
        "one_image_elbo": exact,
        "draws": list(NUMBERS),
        "draws_mean": [values.mean() for values in estimates.values()],
        "draws_mean_standard_error": [s / np.sqrt(repeats) for s in spread.values()],
        "draws_standard_deviation": list(spread.values()),
    }
    return metrics, plot.draws_of_z(estimates, exact)
