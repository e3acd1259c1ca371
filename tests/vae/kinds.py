"""Small VAEs of every prior and posterior, and two that can be solved on paper."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from vijax.vae.models import (
    autoencoders,
    autoregressive,
    layers,
    likelihoods,
    posteriors,
    priors,
)
from vijax.vae.models.autoencoders import VAE, ModelParams

SCALE = 0.5  # of the noise
GAUSSIAN, PLAIN = likelihoods.gaussian(SCALE), likelihoods.gaussian(1.0)
FEATURES = 3

flows = autoregressive.inverse_autoregressive(num_layers=2, hidden=6, context=2)
PARTS = {
    "mixture": {"prior": priors.mixture(3)},
    "vamp": {"prior": priors.vamp(3)},
    "flow": {"prior": priors.flow(num_couplings=2, hidden=4)},
    "full": {"posterior": posteriors.full_covariance()},
    "autoregressive": {"posterior": flows},
    "mixture, full": {
        "prior": priors.mixture(3),
        "posterior": posteriors.full_covariance(),
    },
    "vamp, autoregressive": {"prior": priors.vamp(3), "posterior": flows},
}
TOPS = {"layered, mixture": priors.mixture(3), "ladder, vamp": priors.vamp(3)}
KINDS = (*PARTS, "layered", "ladder", *TOPS)
pairs_are_slow = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if "," in kind else kind
        for kind in KINDS
    ],
)


class Solved(NamedTuple):
    """A model, data, and the exact log p(x)."""

    model: VAE
    params: ModelParams
    x: jax.Array
    log_evidence: np.ndarray


@cache
def make(kind: str, likelihood=PLAIN) -> tuple[VAE, ModelParams]:
    """Return a VAE of two latents and parameters at random, none of them zero."""
    if kind.startswith(("layered", "ladder")):
        model = layers.layered_vae(
            (FEATURES,),
            latents=(1, 1),
            hidden=((), (3,)),
            ladder=kind.startswith("ladder"),
            top=TOPS.get(kind),
            likelihood=likelihood,
        )
    else:
        model = autoencoders.vae(
            (FEATURES,), latent=2, hidden=(), likelihood=likelihood, **PARTS[kind]
        )
    params = autoencoders.init(model, jax.random.key(3))
    leaves, structure = jax.tree.flatten(params)
    rng = np.random.default_rng(5)
    moved = [leaf + 0.3 * rng.normal(size=leaf.shape) for leaf in leaves]
    params = _float32(jax.tree.unflatten(structure, moved))
    # Scales of the first latents below 1: bounds that a quadrature can follow.
    output = params.encoder["output"]
    scales = slice(1, 2) if kind.startswith("layered") else slice(2, 4)
    output = output | {"bias": output["bias"].at[scales].add(-1.0)}
    return model, params._replace(encoder={"output": output})


def data(number: int = 4) -> jax.Array:
    """Return rows of a table."""
    rng = np.random.default_rng(7)
    return jnp.asarray(rng.normal(size=(number, FEATURES)), jnp.float32)


def _linear(rng, inputs: int, outputs: int) -> dict[str, np.ndarray]:
    return {
        "kernel": rng.normal(size=(inputs, outputs)),
        "bias": rng.normal(size=outputs),
    }


@cache
def mixture_of_two(kind: str) -> Solved:
    """x = W z + b + noise under a mixture: log p(x) is a mixture's, too.

    Args:
        kind: "mixture", or "vamp" of an encoder that is linear with constant scales.
    """
    rng = np.random.default_rng(11)
    encoder = _linear(rng, FEATURES, 4)
    encoder["kernel"][:, 2:] = 0  # the log scales do not depend on x
    encoder["bias"][2:] = [-0.4, 0.1]
    # A decoder that undoes the encoder, so that q is near the posterior.
    inverse = np.linalg.pinv(encoder["kernel"][:, :2])
    decoder = {"kernel": inverse, "bias": -encoder["bias"][:2] @ inverse}
    prior = priors.mixture(3) if kind == "mixture" else priors.vamp(3)
    model = autoencoders.vae(
        (FEATURES,), latent=2, hidden=(), likelihood=GAUSSIAN, prior=prior
    )
    if kind == "mixture":
        logits = np.array([0.0, 1.0, -0.5])
        loc, log_scale = (
            rng.normal(size=(2, 3, 2)) * np.array([2.0, 0.3])[:, None, None]
        )
        own = {"logits": logits, "loc": loc, "log_scale": log_scale}
    else:
        inputs = rng.normal(size=(3, FEATURES))
        code = inputs @ encoder["kernel"] + encoder["bias"]
        logits, loc, log_scale = np.zeros(3), code[:, :2], code[:, 2:]
        own = {"inputs": inputs}
    chosen = rng.integers(3, size=20)
    z = loc[chosen] + np.exp(log_scale[chosen]) * rng.normal(size=(20, 2))
    x = z @ decoder["kernel"] + decoder["bias"]
    x = (x + SCALE * rng.normal(size=x.shape)).astype(np.float32)
    parts = [
        multivariate_normal(
            m @ decoder["kernel"] + decoder["bias"],
            decoder["kernel"].T @ np.diag(np.exp(2 * s)) @ decoder["kernel"]
            + SCALE**2 * np.eye(FEATURES),
        ).logpdf(x)
        for m, s in zip(loc, log_scale, strict=True)
    ]
    log_weights = logits - logsumexp(logits)
    exact = logsumexp(log_weights[:, None] + np.stack(parts), axis=0)
    params = ModelParams({"output": encoder}, {"output": decoder}, own)
    return Solved(model, _float32(params), jnp.asarray(x), exact)


@cache
def two_linear_layers() -> Solved:
    """z_2 ~ N(0, 1), z_1 = a z_2 + c + s ε, x = w z_1 + b + noise: x is normal."""
    rng = np.random.default_rng(13)
    model = layers.layered_vae(
        (FEATURES,), latents=(1, 1), hidden=((), ()), likelihood=GAUSSIAN
    )
    encoder, decoder = _linear(rng, FEATURES, 2), _linear(rng, 1, FEATURES)
    encoder["kernel"][:, 1] = 0
    downwards = {"kernel": np.array([[0.8, 0.0]]), "bias": np.array([0.3, -0.6])}
    upwards = {"kernel": np.array([[0.6, 0.0]]), "bias": np.array([-0.1, -0.3])}
    params = ModelParams(
        {"output": encoder},
        {"output": decoder},
        ({"output": downwards},),
        ({"output": upwards},),
    )
    x = np.asarray(data(20))
    w = decoder["kernel"][0]
    variance = 0.8**2 + np.exp(-1.2)
    exact = multivariate_normal(
        0.3 * w + decoder["bias"],
        variance * np.outer(w, w) + SCALE**2 * np.eye(FEATURES),
    ).logpdf(x)
    return Solved(model, _float32(params), jnp.asarray(x), exact)


def _float32(params: ModelParams) -> ModelParams:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
