"""What a file of images costs: by a VAE, and by gzip, bz2, xz and PNG.

    cost = measure_image_file(model, params, key, x)      a real file, decoded again
    cost.bits_per_pixel, cost.bound_bits_per_pixel, cost.others["PNG"]

The rate of a VAE's file is its model's ELBO, to within the header and the first image,
which has no bits back. The receiver needs the model's weights too: `break_even_images`
says how many images it takes until these have paid for themselves.
"""

import io
import time
from collections.abc import Sequence
from functools import partial
from math import gcd, isqrt, prod
from typing import Any, NamedTuple

import numpy as np

from vijax.extras import require
from vijax.types import Key
from vijax.vae.compression import baselines, file_format, lossy
from vijax.vae.evaluation import elbo, log_evidence
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check, is_whole

BATCH_SIZE = 100


class ImageFileCost(NamedTuple):
    """A file of images, its bound, and what else there is; rates in bits per pixel."""

    bits_per_pixel: float
    file_bytes: int
    bound_bits_per_pixel: float  # −ELBO, or the bound of more draws, in bits
    bound_bits_per_pixel_standard_error: float
    elbo: float  # nats per image
    elbo_standard_error: float
    weights_bytes: int  # of encoder and decoder: bits back needs both at both ends
    bits_per_pixel_with_weights: float
    others: dict[str, float]  # code -> bits per pixel
    best_other: str
    break_even_images: float | None  # None: the best other code is as good
    encoded_images_per_second: float
    decoded_images_per_second: float


def measure_image_file(
    model: VAE,
    params: ModelParams,
    key: Key,
    x: Any,
    *,
    num_levels: int = 2,
    num_samples: int = 1,
    batch_size: int = BATCH_SIZE,
) -> ImageFileCost:
    """Code images into a file, decode it, and hold its size against its bound.

    Everything is compiled before the clock starts.

    Args:
        model: a VAE of binary pixels or of grey levels.
        params: its parameters.
        key: for the draws of the bound.
        x: (n, height, width), multiples of 1 / (num_levels - 1) in [0, 1]; two images
            or more.
        num_levels: grey levels of a pixel, 256 at the most.
        num_samples: draws of z for each image, as for `file_format.encode_images`.
        batch_size: images that the networks see at once, n at the most; for speed.

    Returns:
        `ImageFileCost`.

    Raises:
        ValueError: as `file_format.encode_images`, `elbo.held_out_elbo` and
            `other_image_rates`.
        RuntimeError: if the file does not give back every pixel.

    Example:
        >>> import jax
        >>> from vijax.vae.models import autoencoders
        >>> model = autoencoders.vae((4, 4), latent=1, hidden=())
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> x = np.stack([np.eye(4, dtype=np.float32)] * 2)
        >>> cost = measure_image_file(model, params, jax.random.key(1), x)
        >>> cost.weights_bytes  # 16 · 2 + 2 in the encoder, 16 + 16 in the decoder
        264
        >>> cost.bits_per_pixel == 8 * cost.file_bytes / 32
        True
    """
    x = np.asarray(x, np.float32)
    encode = partial(
        file_format.encode_images,
        model,
        params,
        num_levels=num_levels,
        num_samples=num_samples,
        batch_size=min(batch_size, max(len(x), 1)),
    )
    file_format.decode_images(model, params, encode(x[: 2 * num_samples + 2]))
    start = time.perf_counter()
    data = encode(x)
    encoded = time.perf_counter()
    back = file_format.decode_images(model, params, data)
    decoded = time.perf_counter()
    if not np.array_equal(back, x):
        raise RuntimeError("the file does not decode to what went in")
    pixels, found = prod(model.shape), elbo.held_out_elbo(model, params, key, x)
    bound, error = found.elbo, found.elbo_standard_error
    if num_samples > 1:
        draws = log_evidence.importance_log_evidence(
            model,
            params,
            key,
            x,
            num_samples=num_samples,
            chunk_size=gcd(num_samples, 64),
        )
        mean = log_evidence.mean_log_evidence(draws)
        bound, error = mean.log_evidence, mean.standard_error
    weights = lossy.parameter_bits(params)
    rate = 8 * len(data) / x.size
    others = other_image_rates(x, num_levels=num_levels)
    name, best = min(others.items(), key=lambda item: item[1])
    saved = pixels * (best - rate)  # bits an image
    return ImageFileCost(
        bits_per_pixel=rate,
        file_bytes=len(data),
        bound_bits_per_pixel=float(lossy.bits_per_pixel(-bound, pixels)),
        bound_bits_per_pixel_standard_error=float(lossy.bits_per_pixel(error, pixels)),
        elbo=float(found.elbo),
        elbo_standard_error=float(found.elbo_standard_error),
        weights_bytes=weights // 8,
        bits_per_pixel_with_weights=rate + weights / x.size,
        others=others,
        best_other=name,
        break_even_images=weights / saved if saved > 0 else None,
        encoded_images_per_second=len(x) / (encoded - start),
        decoded_images_per_second=len(x) / (decoded - encoded),
    )


def rates_of_first_images(
    model: VAE,
    params: ModelParams,
    x: Any,
    numbers: Sequence[int],
    *,
    batch_size: int = BATCH_SIZE,
) -> dict[str, list[float]]:
    """Return the rates of files of the first images alone.

    A short file is dear: its first image has no bits back. The others need their
    dictionaries, too.

    Args:
        model: a VAE of binary pixels.
        params: its parameters.
        x: (n, height, width), 0 or 1.
        numbers: of images in a file, each 1 to n.
        batch_size: images that the networks see at once, n at the most; for speed.

    Returns:
        "bits_per_pixel" of the VAE's files and "best_other" of the best other code.

    Raises:
        ValueError: if a number is not among 1 to n; as `file_format.encode_images`.

    Example:
        >>> import jax
        >>> from vijax.vae.models import autoencoders
        >>> model = autoencoders.vae((4, 4), latent=1, hidden=())
        >>> params = autoencoders.init(model, jax.random.key(0))
        >>> x = np.stack([np.eye(4, dtype=np.float32)] * 9)
        >>> found = rates_of_first_images(model, params, x, (1, 9))
        >>> one, nine = found["bits_per_pixel"]
        >>> one > nine
        True
    """
    x = np.asarray(x, np.float32)
    inside = np.array([1 <= number <= len(x) for number in numbers])
    check(inside, "numbers", list(numbers), f"give 1 to the number of images, {len(x)}")
    rates, best = [], []
    for number in numbers:
        some = x[:number]
        size = min(batch_size, len(x))
        data = file_format.encode_images(model, params, some, batch_size=size)
        rates.append(8 * len(data) / some.size)
        best.append(min(other_image_rates(some).values()))
    return {"bits_per_pixel": rates, "best_other": best}


def other_image_rates(x: Any, *, num_levels: int = 2) -> dict[str, float]:
    """Return bits per pixel under gzip, bz2 and xz, and of one PNG of all images.

    Args:
        x: (n, height, width), multiples of 1 / (num_levels - 1) in [0, 1].
        num_levels: grey levels of a pixel, 256 at the most; two are packed first.

    Raises:
        ValueError: if x has another shape or other numbers.

    Example:
        >>> sorted(other_image_rates(np.zeros((9, 8, 8))))
        ['PNG', 'bz2', 'gzip', 'xz']
    """
    png = png_of_images(x, num_levels=num_levels)
    return packed_image_rates(x, num_levels=num_levels) | {
        "PNG": 8 * len(png) / np.size(x)
    }


def packed_image_rates(x: Any, *, num_levels: int = 2) -> dict[str, float]:
    """Return bits per pixel under gzip, bz2 and xz, of a byte for each pixel.

    Args:
        x: as for `other_image_rates`.
        num_levels: as there; of two levels, eight pixels are a byte.

    Raises:
        ValueError: if x has another shape or other numbers.

    Example:
        >>> sorted(packed_image_rates(np.zeros((9, 8, 8))))
        ['bz2', 'gzip', 'xz']
    """
    levels = _levels(x, num_levels)
    packed = (np.packbits(levels) if num_levels == 2 else levels).tobytes()
    sizes = baselines.general_purpose_bits(packed)
    return {name: bits / np.size(x) for name, bits in sizes.items()}


def png_of_images(x: Any, *, num_levels: int = 2) -> bytes:
    """Return one PNG that holds all images side by side.

    Args:
        x: as for `other_image_rates`.
        num_levels: as there; of two levels a pixel is a bit, of more a byte.

    Raises:
        ValueError: if x has another shape or other numbers.
        ImportError: if Pillow is not installed, which the extra `data` brings.

    Example:
        >>> from PIL import Image
        >>> Image.open(io.BytesIO(png_of_images(np.ones((5, 4, 2))))).size
        (6, 8)
    """
    levels = _levels(x, num_levels)
    image_file = require("PIL.Image", extra="data", purpose="the size of a PNG")
    stream = io.BytesIO()
    sheet = sheet_of_images(levels)
    image = image_file.fromarray(sheet.astype(bool) if num_levels == 2 else sheet)
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def sheet_of_images(images: np.ndarray) -> np.ndarray:
    """Return one picture, as square as can be, of images side by side, row by row.

    Example:
        >>> sheet_of_images(np.ones((5, 4, 2))).shape  # the sixth is empty
        (8, 6)
    """
    n, height, width = images.shape
    columns = isqrt(n - 1) + 1
    rows = -(-n // columns)
    sheet = np.zeros((rows * columns, height, width), images.dtype)
    sheet[:n] = images
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width)


def _levels(x: Any, num_levels: int) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 3 or not x.size:
        raise ValueError(f"x has shape {x.shape}: give (n, height, width), none empty")
    valid = is_whole(num_levels) and 2 <= num_levels <= 256
    check(valid, "num_levels", num_levels, "give 2 to 256")
    if num_levels == 2:
        check((x == 0) | (x == 1), "x", x, "give binary images: binarise them")
        return x.astype(np.uint8)
    levels = np.rint(x * (num_levels - 1))
    near = np.abs(levels / (num_levels - 1) - x) < 1e-6
    on_a_level = near & (levels >= 0) & (levels < num_levels)
    check(on_a_level, "x", x, f"give multiples of 1/{num_levels - 1} in [0, 1]")
    return levels.astype(np.uint8)
