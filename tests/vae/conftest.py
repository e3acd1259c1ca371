"""A VAE that can be solved on paper: probabilistic principal component analysis."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

SCALE = 0.5


class LinearVAE(NamedTuple):
    """x = W z + b + noise of sd SCALE; q(z | x) is the exact posterior."""

    model: VAE
    params: ModelParams
    x: jax.Array  # (50, 6), drawn from the model
    log_evidence: np.ndarray  # (50,), exact log p(x)


@pytest.fixture(scope="session")
def linear_vae() -> LinearVAE:
    """Tipping & Bishop (1999): W with orthogonal columns has a diagonal posterior."""
    random = np.random.default_rng(0)
    columns, _ = np.linalg.qr(random.normal(size=(6, 2)))
    weights = columns * np.array([2.0, 0.7])  # (6, 2)
    bias = random.normal(size=6)
    z = random.normal(size=(50, 2))
    x = z @ weights.T + bias + SCALE * random.normal(size=(50, 6))

    # Posterior precision WᵀW / s² + I, mean (x - b) W / s² / precision.
    precision = np.diag(weights.T @ weights) / SCALE**2 + 1
    to_loc = weights / SCALE**2 / precision
    model = autoencoders.vae((6,), hidden=(), likelihood=likelihoods.gaussian(SCALE))
    encoder = {
        "kernel": np.concatenate([to_loc, np.zeros((6, 2))], axis=1),
        "bias": np.concatenate([-bias @ to_loc, -0.5 * np.log(precision)]),
    }
    decoder = {"kernel": weights.T, "bias": bias}
    params = ModelParams({"output": encoder}, {"output": decoder})
    evidence = multivariate_normal(bias, weights @ weights.T + SCALE**2 * np.eye(6))
    return LinearVAE(
        model,
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params),
        jnp.asarray(x, jnp.float32),
        evidence.logpdf(x),
    )
