"""Compression: rate against distortion beside PCA, and an ELBO as a file size."""

from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.data import Dataset
from vijax.plot import use_cases as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.compression import lossy
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
    train, test = jnp.asarray(dataset.train), jnp.asarray(dataset.test)
    pixels = prod(squeezers.model.shape)
    curves = {
        AUTOENCODER: _autoencoder_curves(
            squeezers.model, levels, squeezers.params, train, test
        ),
        PCA: _pca_curves(
            levels,
            training.masks(squeezers.latents),
            train.reshape(-1, pixels),
            test.reshape(-1, pixels),
        ),
    }
    table = [
        row
        for method, curve in curves.items()
        for row in _rows(method, curve, squeezers, levels, test.shape)
    ]
    lossless, lossless_metrics = _lossless(coder_params, coded, binary)
    metrics: dict[str, Any] = {
        "compression": table,
        "pixels": pixels,
        "test_images": len(test),
    }
    points = {
        method: (
            [row["bits_per_pixel"] for row in table if row["method"] == method],
            [row["psnr"] for row in table if row["method"] == method],
        )
        for method in curves
    }
    metrics["matched"] = _matched(table, squeezers)
    figure = plot.lossy_and_lossless(
        points,
        lossless,
        bound="VAE (bound)",
        bound_error=lossless_metrics["vae_bits_per_pixel_standard_error"],
    )
    return metrics | lossless_metrics, {"compression": figure}


@partial(jax.jit, static_argnums=(0, 1))
def _autoencoder_curves(
    model: Autoencoder,
    levels: tuple[int, ...],
    params: ModelParams,
    train: Array,
    test: Array,
) -> RateDistortion:
    def one_run(params: ModelParams) -> RateDistortion:
        return _over_levels(
            autoencoders.latent_mean(model, params, train),
            autoencoders.latent_mean(model, params, test),
            test,
            partial(autoencoders.decoded_mean, model, params),
            levels,
            shared_step=False,
        )

    return jax.lax.map(one_run, params)


@partial(jax.jit, static_argnums=0)
def _pca_curves(
    levels: tuple[int, ...], masks: Array, train: Array, test: Array
) -> RateDistortion:
    pca = lossy.principal_components(train, latent=masks.shape[1])

    def one_run(mask: Array) -> RateDistortion:
        return _over_levels(
            mask * ((train - pca.mean) @ pca.components.T),
            mask * ((test - pca.mean) @ pca.components.T),
            test,
            lambda z: pca.mean + z @ pca.components,
            levels,
            shared_step=True,
        )

    return jax.lax.map(one_run, masks)


def _over_levels(
    train: Array, test: Array, images: Array, decode: Any, levels: Any, **options: Any
) -> RateDistortion:
    def one(num_levels: Array) -> RateDistortion:
        return lossy.rate_distortion(
            train,
            test,
            images,
            decode,
            num_levels,
            max_levels=max(levels) + 1,
            **options,
        )

    return jax.lax.map(one, jnp.array(levels))


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
    table: list[dict[str, Any]], squeezers: Squeezers
) -> dict[str, float] | None:
    """Return the rates where the autoencoder saves most over PCA of its distortion."""
    pca = [row for row in table if row["method"] == PCA]
    rate, psnr = front(
        [row["bits_per_pixel"] for row in pca], [row["psnr"] for row in pca]
    )
    best: dict[str, float] | None = None
    for row in table:
        if row["method"] == PCA or not psnr[0] <= row["psnr"] <= psnr[-1]:
            continue
        pca_rate = float(np.interp(row["psnr"], psnr, rate))
        if best and pca_rate / row["bits_per_pixel"] <= best["ratio"]:
            continue
        weights = _decoder_bits(AUTOENCODER, row["latents"], squeezers)
        saved = prod(squeezers.model.shape) * (pca_rate - row["bits_per_pixel"])
        best = {
            "psnr": row["psnr"],
            "latents": row["latents"],
            "levels": row["levels"],
            "autoencoder_bits_per_pixel": row["bits_per_pixel"],
            "pca_bits_per_pixel": pca_rate,
            "ratio": pca_rate / row["bits_per_pixel"],
            "break_even_images": weights / saved if saved > 0 else np.inf,
        }
    return best


def front(rate: Any, psnr: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that no cheaper one surpasses, by rising rate."""
    order = np.lexsort((-np.asarray(psnr), rate))
    rate, psnr = np.asarray(rate)[order], np.asarray(psnr)[order]
    keep = np.append(True, psnr[1:] > np.maximum.accumulate(psnr)[:-1])
    return rate[keep], psnr[keep]


def _decoder_bits(method: str, latent: int, squeezers: Squeezers) -> int:
    """Return what the receiver needs before the first image, in float32."""
    shape = squeezers.model.shape
    if method == PCA:
        return 32 * (latent + 1) * prod(shape)
    model = autoencoders.autoencoder(shape, latent=latent, hidden=squeezers.hidden)
    params = jax.eval_shape(model.decoder.init, jax.random.key(0))
    return 32 * autoencoders.num_params(params)


def _lossless(
    params: ModelParams, coded: np.ndarray, binary: Array
) -> tuple[dict[str, float], dict[str, float]]:
    """Return bits per pixel of the binarised images: for the figure, and metrics."""
    nats, error = coded.mean(), coded.std(ddof=1) / np.sqrt(len(coded))
    one_nat = 1 / (binary[0].size * np.log(2))  # in bits per pixel
    packed = np.packbits(np.asarray(binary, np.uint8)).tobytes()
    files = lossy.general_purpose_bits(packed)
    per_pixel = {name: bits / binary.size for name, bits in files.items()}
    metrics = {f"{name}_bits_per_pixel": value for name, value in per_pixel.items()} | {
        "vae_bits_per_pixel": nats * one_nat,
        "vae_bits_per_pixel_standard_error": error * one_nat,
        "vae_elbo": -nats,
        "vae_elbo_standard_error": error,
        # Bits back needs the encoder at both ends too.
        "vae_weights_bits_per_pixel": lossy.parameter_bits(params) / binary.size,
    }
    return {"raw bits": 1.0} | per_pixel | {"VAE (bound)": nats * one_nat}, metrics
