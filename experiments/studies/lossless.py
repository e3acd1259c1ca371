"""Binary images into one file and back: its size, its speed, what else there is."""

import io
import tempfile
import time
from math import isqrt, prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from vijax.vae.compression import file_format, lossy
from vijax.vae.evaluation import elbo
from vijax.vae.models.autoencoders import VAE, ModelParams

BATCH_SIZE = 100


def code(
    model: VAE, params: ModelParams, x: np.ndarray, key: jax.Array
) -> dict[str, Any]:
    """Write a file of images, read it back, and hold it against its bound.

    Args:
        model: a VAE of binary pixels.
        params: its parameters.
        x: (n, height, width), 0 or 1, float32.
        key: for the bound's draws.

    Raises:
        RuntimeError: if the file does not give back every pixel.
    """
    options = {"batch_size": min(BATCH_SIZE, len(x))}
    # Compiles everything, so that the clock sees none of it.
    file_format.decode_images(
        model, params, file_format.encode_images(model, params, x, **options)
    )
    start = time.perf_counter()
    data = file_format.encode_images(model, params, x, **options)
    encoded = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.vjx"
        path.write_bytes(data)
        size, data = path.stat().st_size, path.read_bytes()
    read = time.perf_counter()
    if not np.array_equal(file_format.decode_images(model, params, data), x):
        raise RuntimeError("the file does not decode to what went in")
    decoded = time.perf_counter()
    bound = elbo.held_out_elbo(model, params, key, x)
    pixels = prod(model.shape)
    weights = lossy.parameter_bits(params)
    rate = 8 * size / x.size
    others = general_purpose(x)
    name, best = min(others.items(), key=lambda item: item[1])
    saved = pixels * (best - rate)  # bits an image
    return {
        "bits_per_pixel": rate,
        "file_bytes": size,
        "bound_bits_per_pixel": float(lossy.bits_per_pixel(-bound.elbo, pixels)),
        "bound_bits_per_pixel_standard_error": float(
            lossy.bits_per_pixel(bound.elbo_standard_error, pixels)
        ),
        "elbo": float(bound.elbo),
        "elbo_standard_error": float(bound.elbo_standard_error),
        "weights_bytes": weights // 8,
        "bits_per_pixel_with_weights": rate + weights / x.size,
        "others": others,
        "best_other": name,
        "break_even_images": weights / saved if saved > 0 else None,
        "encoded_images_per_second": len(x) / (encoded - start),
        "decoded_images_per_second": len(x) / (decoded - read),
    }


def growth(
    model: VAE, params: ModelParams, x: np.ndarray
) -> dict[str, list[float] | list[int]]:
    """Return the rate of the first images alone: the first of all has no bits back."""
    numbers = [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000) if n < len(x)]
    numbers.append(len(x))
    batch_size = min(BATCH_SIZE, len(x))
    rates, best = [], []
    for n in numbers:
        data = file_format.encode_images(model, params, x[:n], batch_size=batch_size)
        rates.append(8 * len(data) / x[:n].size)
        best.append(min(general_purpose(x[:n]).values()))
    return {"images": numbers, "bits_per_pixel": rates, "best_other": best}


def general_purpose(x: np.ndarray) -> dict[str, float]:
    """Return bits per pixel of packed bits under gzip, bz2, xz, and of one PNG."""
    packed = np.packbits(x.astype(np.uint8)).tobytes()
    sizes = lossy.general_purpose_bits(packed) | {"PNG": 8 * len(png(x))}
    return {name: bits / x.size for name, bits in sizes.items()}


def png(x: np.ndarray) -> bytes:
    """Return one PNG of one bit a pixel that holds all images side by side.

    Example:
        >>> from PIL import Image
        >>> Image.open(io.BytesIO(png(np.ones((5, 4, 2))))).size
        (6, 8)
    """
    n, height, width = x.shape
    columns = isqrt(n - 1) + 1
    rows = -(-n // columns)
    sheet = np.zeros((rows * columns, height, width), bool)
    sheet[:n] = x
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2)
    stream = io.BytesIO()
    image = Image.fromarray(sheet.reshape(rows * height, columns * width))
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
