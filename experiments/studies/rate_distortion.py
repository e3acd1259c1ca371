"""Rate against distortion: the best that a decoder allows, and what its VAE does."""

from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vijax.plot.vae import rate_distortion_plane as plot
from vijax.plot.vae.rate_distortion_plane import CodePoints
from vijax.types import Key
from vijax.vae.evaluation import Walk, elbo, log_evidence, rate_distortion
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vi import bounds

BETAS = (0.01, 0.1, 0.3)  # of the rows of the table, beside β = 1 and the VAE


def study(
    model: VAE, params: ModelParams, x: np.ndarray, key: Key, walk: Walk
) -> tuple[dict[str, Any], Figure]:
    """Trace the curve of some images, and put the VAE's own point beside it.

    Args:
        model: a trained VAE.
        params: its parameters.
        x: (n, height, width), 0 or 1; n may be small, for differences are paired.
        key: random key.
        walk: of the annealing that traces the curve.
    """
    keys = jax.random.split(key, 3)
    found = rate_distortion.rate_distortion_per_example(
        model, params, keys[0], x, walk=walk
    )
    terms = elbo.elbo_per_example(model, params, keys[1], x, num_samples=50)
    beta, rate, distortion = map(np.asarray, found)
    least = rate[:, -1:] + distortion[:, -1:]  # -log p(x), estimated from above
    # So is this, by draws of the encoder: the two should agree.
    drawn = log_evidence.importance_log_evidence(
        model, params, keys[2], x, num_samples=2000
    )
    apart = least[:, 0] + drawn.log_evidence
    best = points(rate, distortion, least)
    kl, missed = np.asarray(terms.kl), -np.asarray(terms.log_likelihood)
    vae = points(kl[:, None], missed[:, None], least)
    at = [int(np.argmin(np.abs(beta - b))) for b in BETAS] + [len(beta) - 1]
    table = [{"code": f"β = {beta[i]:.2g}"} | row(best, i) for i in at]
    metrics = {
        "images": len(x),
        "temperatures": walk.num_steps,
        "chains": walk.num_chains,
        "above_importance": apart.mean(),
        "above_importance_standard_error": bounds.standard_error(apart),
        "rows": [*table, {"code": "the VAE"} | row(vae, 0)],
    }
    return metrics, plot.rate_against_distortion(best, beta, CodePoints(**row(vae, 0)))


def points(rate: np.ndarray, distortion: np.ndarray, least: np.ndarray) -> CodePoints:
    """Return means over images, and their standard errors; (images, points) each."""
    columns = rate, distortion, rate + distortion - least
    error = np.sqrt(len(rate))
    return CodePoints(
        *(
            number
            for values in columns
            for number in (values.mean(axis=0), values.std(axis=0, ddof=1) / error)
        )
    )


def row(found: CodePoints, index: int) -> dict[str, float]:
    """Return one point by the names of its fields."""
    return {name: np.asarray(value)[index] for name, value in found._asdict().items()}
