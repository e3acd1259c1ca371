"""The estimators behind the VAE experiment: gradients, and L draws of z (L21, L22).

Both are compared with exact values. With two latents, Gauss-Hermite quadrature gives
the gradient and the ELBO of the trained model; where log p(x | z) is quadratic in z,
both have a closed form.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.plot.vae import vae_training as plot
from vijax.vae.models import (
    autoencoders,
    bound_terms,
    gradient_comparison,
    gradient_estimators,
)
from vijax.vae.models.autoencoders import VAE, Images, ModelParams
from vijax.vae.models.gradient_comparison import GradientDraws
from vijax.vae.models.posteriors import Posterior

NUMBERS = (1, 10, 100)  # L
REPEATS = 2000  # estimates for each L
COMPONENTS = ("∂/∂μ₁", "∂/∂μ₂", "∂/∂log σ₁", "∂/∂log σ₂")
# A Gaussian likelihood behind a linear decoder: log p(x | z) = b·z - z·A z / 2 + const.
CURVATURE, SLOPE = ((3.0, 1.0), (1.0, 2.0)), (1.0, -2.0)


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
        gradient_metrics(trained)
        | {
            f"quadratic_{name}": value
            for name, value in gradient_metrics(
                _quadratic_gradients(num_draws, keys[1])
            ).items()
        }
        | draws_metrics(estimates, float(exact))
    )
    figures = {
        "gradients": gradient_figure(trained),
        "draws": plot.elbo_draws(estimates, float(exact)),
    }
    return metrics, figures


@partial(jax.jit, static_argnums=(0, 1))
def _trained_gradients(
    model: VAE, num_draws: int, params: ModelParams, x: Images, key: jax.Array
) -> GradientDraws:
    f = partial(bound_terms.log_likelihood, model, params, x)
    q = autoencoders.encode(model, params, x)
    return gradient_comparison.draw_gradients(key, f, q, num_samples=num_draws)


@partial(jax.jit, static_argnums=0)
def _quadratic_gradients(num_draws: int, key: jax.Array) -> GradientDraws:
    q = Posterior(jnp.array([0.3, -0.7]), jnp.log(jnp.array([0.5, 0.8])))
    curvature, slope = jnp.array(CURVATURE), jnp.array(SLOPE)

    def f(z: Array) -> Array:
        return slope @ z - 0.5 * z @ curvature @ z

    found = gradient_comparison.draw_gradients(key, f, q, num_samples=num_draws)
    # In closed form: b - A μ, and -A_jj σ_j².
    loc = slope - curvature @ q.loc
    exact = jnp.concatenate([loc, -jnp.diag(curvature) * jnp.exp(2 * q.log_scale)])
    return found._replace(exact=exact)


def gradient_metrics(found: GradientDraws) -> dict[str, Any]:
    """Return means, errors and variances of the estimators, beside the exact values."""
    metrics: dict[str, Any] = {"gradient_exact": found.exact}
    for name, one in gradient_comparison.compare_estimators(found).items():
        label = name.replace(" ", "_")
        metrics |= {
            f"gradient_{label}": one.mean,
            f"gradient_{label}_standard_error": one.standard_error,
            f"gradient_{label}_max_deviation": one.max_deviation,
            f"gradient_{label}_variance": one.variance,
        }
        if name != gradient_comparison.REPARAMETRISED:
            metrics[f"variance_ratio_{label}"] = one.variance_ratio
    return metrics


def gradient_figure(found: GradientDraws) -> Figure:
    """Draw the estimators' convergence and the spread of a draw."""
    values = {name: np.asarray(draws) for name, draws in found.draws.items()}
    number = len(values[gradient_comparison.REPARAMETRISED])
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
    f = partial(bound_terms.log_likelihood, model, params, x)
    kl = bound_terms.kl_to_prior(q)
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
