"""The lecture's compression: rate-distortion curves beside PCA, files beside gzip."""

from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.data import Dataset
from vijax.plot.vae import use_cases as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.compression import image_files, lossy, rate_curves
from vijax.vae.compression.lossy import RateDistortion
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import Autoencoder, ModelParams

AUTOENCODER, PCA = "autoencoder", "PCA"


class Squeezers(NamedTuple):
    """Autoencoders of several numbers of latents, masked inside one architecture."""

    model: Autoencoder
    params: ModelParams  # (runs, ...)
    latents: tuple[int, ...]  # of each run
    hidden: tuple[int, ...]


def fit(
    dataset: Dataset,
    key: Key,
    *,
    latents: tuple[int, ...],
    hidden: tuple[int, ...],
    steps: int,
    **options: Any,
) -> Squeezers:
    """Train an autoencoder for each number of latents, all in one vmap."""
    n, latent = len(dataset.train), max(latents)
    model = training.masked(
        autoencoders.autoencoder(dataset.train.shape[1:], latent=latent, hidden=hidden)
    )
    trained = training.fit_ensemble(
        model,
        key,
        dataset.train,
        np.tile(np.arange(n), (len(latents), 1)),
        masks=training.masks(latents),
        epochs=training.num_epochs(n, steps, options["batch_size"]),
        description="autoencoders",
        **options,
    )
    return Squeezers(model, trained.params, latents, hidden)


def study(
    squeezers: Squeezers,
    coder_params: ModelParams,
    coded: np.ndarray,
    dataset: Dataset,
    binary: Array,
    *,
    levels: tuple[int, ...],
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Code the test images with loss and without.

    Args:
        squeezers: the autoencoders.
        coder_params: of the VAE whose bound is a lossless code's length.
        coded: that length of each test image, in nats.
        dataset: grey images.
        binary: its test images, binarised once.
        levels: quantiser levels on a latent's axis.
    """
    curves = {
        AUTOENCODER: rate_curves.autoencoder_curves(
            squeezers.model,
            squeezers.params,
            dataset.train,
            dataset.test,
            levels=levels,
        ),
        PCA: rate_curves.pca_curves(
            dataset.train, dataset.test, latents=squeezers.latents, levels=levels
        ),
    }
    table = [
        row
        for method, curve in curves.items()
        for row in _rows(method, curve, squeezers, levels, dataset.test.shape)
    ]
    points = {
        method: (
            [row["bits_per_pixel"] for row in table if row["method"] == method],
            [row["psnr"] for row in table if row["method"] == method],
        )
        for method in curves
    }
    lossless, lossless_metrics = _lossless(coder_params, coded, binary)
    metrics: dict[str, Any] = {
        "compression": table,
        "pixels": prod(squeezers.model.shape),
        "test_images": len(dataset.test),
        "matched": _matched(table, points, squeezers),
    }
    figure = plot.lossy_and_lossless(
        points,
        lossless,
        bound="VAE (bound)",
        bound_error=lossless_metrics["vae_bits_per_pixel_standard_error"],
    )
    return metrics | lossless_metrics, {"compression": figure}


def _rows(
    method: str,
    curve: RateDistortion,
    squeezers: Squeezers,
    levels: tuple[int, ...],
    shape: tuple[int, ...],
) -> list[dict[str, Any]]:
    """Return the table's rows for one method."""
    curve = jax.tree.map(np.asarray, curve)
    rows = []
    for i, latent in enumerate(squeezers.latents):
        weights = _decoder_bits(method, latent, squeezers)
        for j, num_levels in enumerate(levels):
            rows.append(
                {
                    "method": method,
                    "latents": latent,
                    "levels": num_levels,
                    "bits_per_pixel": curve.bits[i, j] / prod(shape),
                    "with_decoder": (curve.bits[i, j] + weights) / prod(shape),
                    "mse": curve.mse[i, j],
                    "mse_standard_error": curve.mse_standard_error[i, j],
                    "psnr": lossy.peak_signal_to_noise(curve.mse[i, j]),
                }
            )
    return rows


def _matched(
    table: list[dict[str, Any]],
    points: dict[str, tuple[list[Any], list[Any]]],
    squeezers: Squeezers,
) -> dict[str, float] | None:
    """Return the rates where the autoencoder saves most over PCA of its distortion."""
    best = rate_curves.best_saving(*points[AUTOENCODER], *points[PCA])
    if best is None:
        return None
    row = [row for row in table if row["method"] == AUTOENCODER][best.point]
    weights = _decoder_bits(AUTOENCODER, row["latents"], squeezers)
    saved = prod(squeezers.model.shape) * (best.other_rate - row["bits_per_pixel"])
    return {
        "psnr": row["psnr"],
        "latents": row["latents"],
        "levels": row["levels"],
        "autoencoder_bits_per_pixel": row["bits_per_pixel"],
        "pca_bits_per_pixel": best.other_rate,
        "ratio": best.ratio,
        "break_even_images": weights / saved if saved > 0 else np.inf,
    }


def _decoder_bits(method: str, latent: int, squeezers: Squeezers) -> int:
    """Return what the receiver needs before the first image, in float32."""
    shape = squeezers.model.shape
    if method == PCA:
        return rate_curves.pca_bits(shape, latent=latent)
    return rate_curves.decoder_bits(shape, latent=latent, hidden=squeezers.hidden)


def _lossless(
    params: ModelParams, coded: np.ndarray, binary: Array
) -> tuple[dict[str, float], dict[str, float]]:
    """Return bits per pixel of the binarised images: for the figure, and metrics."""
    nats, error = coded.mean(), coded.std(ddof=1) / np.sqrt(len(coded))
    one_nat = 1 / (binary[0].size * np.log(2))  # in bits per pixel
    per_pixel = image_files.packed_image_rates(binary)
    metrics = {f"{name}_bits_per_pixel": value for name, value in per_pixel.items()} | {
        "vae_bits_per_pixel": nats * one_nat,
        "vae_bits_per_pixel_standard_error": error * one_nat,
        "vae_elbo": -nats,
        "vae_elbo_standard_error": error,
        # Bits back needs the encoder at both ends too.
        "vae_weights_bits_per_pixel": lossy.parameter_bits(params) / binary.size,
    }
    return {"raw bits": 1.0} | per_pixel | {"VAE (bound)": nats * one_nat}, metrics
