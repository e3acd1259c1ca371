"""Images without loss: vijax's files beside picture formats and general codes.

Peers see all images in one picture ("sheet"), each image as a file of its own ("each";
the mean of the first ones), or the pixels as one stream (a bit a pixel where they are
binary, else a byte). vijax's file holds all images and no model, whose size stands
beside it.
"""

import bz2
import gzip
import io
import lzma
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.compression_settings import BINARY, Config, Row, missing
from vijax import data
from vijax.data import Dataset
from vijax.types import Key
from vijax.vae import training
from vijax.vae.compression import image_files
from vijax.vae.models import autoencoders, likelihoods, priors
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.store import load, save

# Bits per pixel of all 10,000 test images, as stated by their authors: Townsend, Bird &
# Barber (2019), arXiv:1901.04866, table 2; Kingma, Abbeel & Ho (2019),
# arXiv:1905.06845, table 1.
PUBLISHED = {
    BINARY: {"bits back (BB-ANS), published": 0.19},
    "mnist": {"bits back (BB-ANS), published": 1.41, "Bit-Swap, published": 1.29},
    "fashion_mnist": {},
}
IN_EACH = 500  # images that are files of their own
Code = tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]


def pillow(kind: str, **options: Any) -> Code:
    """Return a picture format of Pillow, of bytes 0 … 255 or of bits."""
    from PIL import Image

    if kind == "JXL":
        import pillow_jxl  # noqa: F401

    def encode(picture: np.ndarray) -> bytes:
        stream = io.BytesIO()
        image = Image.fromarray(picture)
        (image.convert("RGB") if kind == "WEBP" else image).save(
            stream, format=kind, **options
        )
        return stream.getvalue()

    def decode(file: bytes) -> np.ndarray:
        found = np.asarray(Image.open(io.BytesIO(file)))
        return found[..., 0] if found.ndim == 3 else found

    return encode, decode


def picture_codes(*, binary: bool) -> dict[str, Code | str]:
    """Return the formats for pictures; a text says why one is missing."""
    without_jxl = "needs pillow-jxl-plugin"
    jxl = (
        without_jxl if missing("pillow_jxl") else pillow("JXL", lossless=True, effort=9)
    )
    return {
        f"PNG, {1 if binary else 8} bit": pillow("PNG", optimize=True),
        "WebP lossless": pillow("WEBP", lossless=True, quality=100, method=6),
        "JPEG XL lossless": jxl,
    }


STREAM_CODES: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (lambda b: gzip.compress(b, 9, mtime=0), gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lambda b: lzma.compress(b, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
}


def peers_of_images(levels: np.ndarray, *, binary: bool) -> Iterator[Row]:
    """Code whole numbers of (n, height, width) by everything else, and decode."""
    for name, code in picture_codes(binary=binary).items():
        if isinstance(code, str):
            yield name, np.nan, code
            continue
        bits = binary and name.startswith("PNG")
        # A binary picture is black and white.
        pictures = levels.astype(bool) if bits else levels * (255 if binary else 1)
        encode, decode = code
        for form, files in (
            ("sheet", [image_files.sheet_of_images(pictures)]),
            ("each", list(pictures[:IN_EACH])),
        ):
            start, coded = time.process_time(), [encode(file) for file in files]
            seconds = time.process_time() - start
            for file, picture in zip(coded, files, strict=True):
                if not np.array_equal(decode(file), picture):
                    raise RuntimeError(f"{name} does not decode to what went in")
            pixels = levels.size if form == "sheet" else sum(f.size for f in files)
            rate = 8 * sum(map(len, coded)) / pixels
            yield f"{name}, {form}", rate, f"{seconds:.1f} s"
    stream = (np.packbits(levels) if binary else levels).tobytes()
    for name, (compress, decompress) in STREAM_CODES.items():
        start, file = time.process_time(), compress(stream)
        seconds = time.process_time() - start
        if decompress(file) != stream:
            raise RuntimeError(f"{name} does not decode to what went in")
        yield f"{name}, stream", 8 * len(file) / levels.size, f"{seconds:.1f} s"


def model_of_images(config: Config, name: str) -> tuple[VAE, ModelParams, float]:
    """Return a trained model and the processor minutes that its training took."""
    folder = None if config.runs is None else config.runs / name
    if folder is not None and (folder / "model.npz").exists():
        found = load(folder / "model.npz")
        assert isinstance(found.model, VAE)
        return found.model, found.params, float(found.extra["minutes"])
    start = time.process_time()
    dataset = data.load(name, data_dir=config.folder)
    fit = fit_binary if name == BINARY else fit_grey
    model, params = fit(config, dataset, folder)
    minutes = (time.process_time() - start) / 60
    if folder is not None:
        save(folder / "model.npz", model, params, extra={"minutes": np.array(minutes)})
    return model, params, minutes


def fit_binary(
    config: Config, dataset: Dataset, folder: Path | None
) -> tuple[VAE, ModelParams]:
    """Train 784-300-300-40 and its mirror with a VampPrior of 500 pseudo-inputs."""
    model = autoencoders.vae(
        dataset.train.shape[1:],
        latent=40,
        hidden=(300, 300),
        activation="silu",
        prior=priors.vamp(500),
    )
    key = jax.random.key(config.seed)
    params = autoencoders.init_at_mean(model, jax.random.fold_in(key, 2), dataset.train)
    params = priors.with_pseudo_inputs(model, params, dataset.train[:500])
    options: dict[str, Any] = {"epochs": config.binary_epochs, "kl_warm_up": 10}
    return model, _trained(model, key, dataset, params, folder, options)


def fit_grey(
    config: Config, dataset: Dataset, folder: Path | None
) -> tuple[VAE, ModelParams]:
    """Train 784-300-300-40 and its mirror, a mixture of logistics for each pixel."""
    number = config.num_components
    model = autoencoders.vae(
        dataset.train.shape[1:],
        latent=40,
        hidden=(300, 300),
        activation="silu",
        likelihood=likelihoods.discretised_logistic(num_components=number),
    )
    key = jax.random.key(config.seed)
    params = autoencoders.init(model, jax.random.fold_in(key, 2))
    # Narrow to begin with: softplus(-4) is five grey levels.
    output = params.decoder["output"]
    bias = output["bias"].reshape(-1, model.likelihood.num_outputs)
    output = output | {"bias": bias.at[:, -number:].set(-4.0).ravel()}
    params = params._replace(decoder=params.decoder | {"output": output})
    options: dict[str, Any] = {"epochs": config.epochs}
    return model, _trained(model, key, dataset, params, folder, options)


def _trained(
    model: VAE,
    key: Key,
    dataset: Dataset,
    params: ModelParams,
    folder: Path | None,
    options: dict[str, Any],
) -> ModelParams:
    """Return the parameters after training, which takes up what is in the folder."""
    found = training.fit(
        model,
        jax.random.fold_in(key, 1),
        dataset.train,
        batch_size=500,
        optimizer=training.Muon(0.05),
        params=params,
        on_epoch=training.csv_log(folder / "epochs.csv") if folder else (),
        checkpoint=training.Checkpoint(folder / "run", 30.0) if folder else None,
        description=dataset.name,
        **options,
    )
    return found.params


def rates_of_images(config: Config, name: str) -> Iterator[Row]:
    """Code the test images by everything."""
    x = data.load(name, data_dir=config.folder).test[: config.max_images]
    binary = name == BINARY
    levels = np.rint(x * (1 if binary else 255)).astype(np.uint8)
    if not config.peers_only:
        model, params, minutes = model_of_images(config, name)
        number = config.binary_samples if binary else config.num_samples
        cost = image_files.measure_image_file(
            model,
            params,
            jax.random.fold_in(jax.random.key(config.seed), 3),
            x,
            num_levels=2 if binary else 256,
            num_samples=number,
        )
        seconds = len(x) / cost.encoded_images_per_second
        remark = (
            f"bound of {number} draws {cost.bound_bits_per_pixel:.4f} ± "
            f"{cost.bound_bits_per_pixel_standard_error:.4f}, ELBO {cost.elbo:.2f} ± "
            f"{cost.elbo_standard_error:.2f}, decoded; {seconds:.0f} s, trained for "
            f"{minutes:.1f} processor minutes, {cost.weights_bytes / 1e6:.1f} MB of "
            "weights"
        )
        yield "vijax, file", cost.bits_per_pixel, remark
    yield from peers_of_images(levels, binary=binary)
    for source, rate in PUBLISHED[name].items():
        yield source, rate, "all 10,000 test images"
