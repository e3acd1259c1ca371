"""The estimators behind the VAE experiment: gradients, and L draws of z (L21, L22).

Both are held against exact values: for a two-dimensional z Gauss-Hermite quadrature
gives the trained model's own gradient and ELBO; a quadratic log p(x | z) has them in
closed form.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.plot import vae_training as plot
from vijax.vae.models import autoencoders, gradient_estimators, losses
from vijax.vae.models.autoencoders import (
    VAE,
    Images,
    ModelParams,
    Posterior,
)
from vijax.vae.models.gradient_estimators import Draws

NUMBERS = (1, 10, 100)  # L
REPEATS = 2000  # estimates for each L
COMPONENTS = ("∂/∂μ₁", "∂/∂μ₂", "∂/∂log σ₁", "∂/∂log σ₂")
# A Gaussian likelihood behind a linear decoder: log p(x | z) = b·z - z·A z / 2 + const.
CURVATURE, SLOPE = ((3.0, 1.0), (1.0, 2.0)), (1.0, -2.0)


class Gradients(NamedTuple):
    """Gradients of E_q[f(z)] with respect to (μ, log σ)."""

    draws: dict[str, Array]  # estimator -> (num_draws, 4)
    exact: Array  # (4,)


def study(
    model: VAE, params: ModelParams, x: Images, key: jax.Array, num_draws: int
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Study both on one image; quadrature asks for a two-dimensional latent space."""
    if model.latent != 2:
        return {}, {}
    keys = jax.random.split(key, 3)
    trained = _trained_gradients(model, num_draws, params, x, keys[0])
    values, exact = _draws_of_elbo(model, REPEATS * sum(NUMBERS), params, x, keys[2])
    estimates = split_draws(np.asarray(values))
    metrics = (
        compare(trained)
        | {
            f"quadratic_{name}": value
            for name, value in compare(_quadratic_gradients(num_draws, keys[1])).items()
        }
        | draws_metrics(estimates, float(exact))
    )
    figures = {
        "gradients": draw_gradients(trained),
        "draws": plot.elbo_draws(estimates, float(exact)),
    }
    return metrics, figures


@partial(jax.jit, static_argnums=(0, 1))
def _trained_gradients(
    model: VAE, num_draws: int, params: ModelParams, x: Images, key: jax.Array
) -> Gradients:
    f = partial(losses.log_likelihood, model, params, x)
    q = autoencoders.encode(model, params, x)
    nodes, weights = gradient_estimators.nodes(q)
    noise = gradient_estimators.draw_noise(q, key, 3 * num_draws)
    # One network program for all estimators, and for the quadrature.
    draws = gradient_estimators.evaluate(f, q, jnp.concatenate([noise, nodes]))
    exact = jax.tree.map(lambda leaf: leaf[3 * num_draws :], draws)
    mean = gradient_estimators.mean_of(
        gradient_estimators.from_slopes(q, exact), weights
    )
    return Gradients(estimate(q, draws, num_draws), jnp.concatenate(mean))


@partial(jax.jit, static_argnums=0)
def _quadratic_gradients(num_draws: int, key: jax.Array) -> Gradients:
    q = Posterior(jnp.array([0.3, -0.7]), jnp.log(jnp.array([0.5, 0.8])))
    noise = gradient_estimators.draw_noise(q, key, 3 * num_draws)
    # log p(x | z) = b·z - z·A z / 2 + const., and its slope b - A z
    z = q.loc + jnp.exp(q.log_scale) * noise
    slopes = jnp.array(SLOPE) - z @ jnp.array(CURVATURE)
    values = 0.5 * jnp.sum(z * (slopes + jnp.array(SLOPE)), axis=1)
    draws = Draws(noise, values, slopes)
    return Gradients(estimate(q, draws, num_draws), exact_quadratic(q))


def estimate(q: Posterior, draws: Draws, num_draws: int) -> dict[str, Array]:
    """Return the gradients of each estimator, each from draws of its own."""
    cut = [slice(i * num_draws, (i + 1) * num_draws) for i in range(3)]
    first, second, third = (Draws(*(leaf[part] for leaf in draws)) for part in cut)
    score = gradient_estimators.from_values
    found = {
        "reparametrised": gradient_estimators.from_slopes(q, first),
        "score function": score(q, second.noise, second.values),
        "score function with baseline": score(
            q, third.noise, third.values, baseline=True
        ),
    }
    return {name: jnp.concatenate(g, axis=-1) for name, g in found.items()}


def exact_quadratic(q: Posterior) -> Array:
    """Return the gradient of E_q[quadratic]: b - A μ, and -A_jj σ_j²."""
    curvature = jnp.array(CURVATURE)
    loc = jnp.array(SLOPE) - curvature @ q.loc
    return jnp.concatenate([loc, -jnp.diag(curvature) * jnp.exp(2 * q.log_scale)])


def compare(found: Gradients) -> dict[str, Any]:
    """Return means, errors and variances of the estimators, beside the exact values."""
    exact = np.asarray(found.exact)
    metrics: dict[str, Any] = {"gradient_exact": exact}
    for name, draws in found.draws.items():
        values, label = np.asarray(draws), name.replace(" ", "_")
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        deviation = np.max(np.abs(values.mean(axis=0) - exact) / error)
        metrics |= {
            f"gradient_{label}": values.mean(axis=0),
            f"gradient_{label}_standard_error": error,
            f"gradient_{label}_max_deviation": float(deviation),
            f"gradient_{label}_variance": float(values.var(axis=0, ddof=1).sum()),
        }
    variance = metrics["gradient_reparametrised_variance"]
    for label in ("score_function", "score_function_with_baseline"):
        ratio = metrics[f"gradient_{label}_variance"] / variance
        metrics[f"variance_ratio_{label}"] = ratio
    return metrics


def draw_gradients(found: Gradients) -> Figure:
    """Draw the estimators' convergence and the spread of a draw."""
    values = {name: np.asarray(draws) for name, draws in found.draws.items()}
    number = len(values["reparametrised"])
    counts = np.unique(np.geomspace(10, number, 60).astype(int))
    running = {}
    for name, draws in values.items():
        parts = [draws[:count, 0] for count in counts]
        mean = [part.mean() for part in parts]
        running[name] = mean, [part.std(ddof=1) / np.sqrt(len(part)) for part in parts]
    spreads = {name: draws.std(axis=0, ddof=1) for name, draws in values.items()}
    first = float(found.exact[0])
    return plot.gradient_noise(running, counts, first, spreads, COMPONENTS)


@partial(jax.jit, static_argnums=(0, 1))
def _draws_of_elbo(
    model: VAE, number: int, params: ModelParams, x: Images, key: jax.Array
) -> tuple[Array, Array]:
    """Return one-draw estimates of one image's ELBO, and its value by quadrature."""
    q = autoencoders.encode(model, params, x)
    f = partial(losses.log_likelihood, model, params, x)
    kl = losses.kl_to_prior(q)
    nodes, weights = gradient_estimators.nodes(q)
    noise = jnp.concatenate([gradient_estimators.draw_noise(q, key, number), nodes])
    values = gradient_estimators.map_draws(f, q.loc + jnp.exp(q.log_scale) * noise) - kl
    return values[:number], weights @ values[number:]


def split_draws(values: np.ndarray) -> dict[int, np.ndarray]:
    """Return L -> repeated estimates from L draws each, all draws used once."""
    ends = np.cumsum([REPEATS * number for number in NUMBERS])[:-1]
    parts = zip(NUMBERS, np.split(values, ends), strict=True)
    return {number: part.reshape(-1, number).mean(axis=1) for number, part in parts}


def draws_metrics(estimates: dict[int, np.ndarray], exact: float) -> dict[str, Any]:
    """Return mean and spread of the estimates for each L, beside the exact value."""
    spread = [values.std(ddof=1) for values in estimates.values()]
    return {
        "one_image_elbo": exact,
        "draws": list(NUMBERS),
        "draws_mean": [values.mean() for values in estimates.values()],
        "draws_mean_standard_error": [s / np.sqrt(REPEATS) for s in spread],
        "draws_standard_deviation": spread,
    }
