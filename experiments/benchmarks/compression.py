"""Bits a pixel and bits a number: vijax's files beside those of its peers.

    python -m experiments.benchmarks.compression --folder data --runs runs

Peers are in `requirements.txt`. The folder holds data sets as `vijax.data` finds
them; `--runs` keeps trained models, so that a second call only codes. Every file is
decoded again and compared.

Images without loss: static binarised MNIST, MNIST and Fashion-MNIST, their test images.
Peers see all images in one picture ("sheet"), each image as a file of its own ("each";
the mean of the first ones), or the pixels as one stream (a bit a pixel where they are
binary, else a byte). vijax's file holds all images and no model, whose size stands
beside it.

Tables within a bound: the test half of CMS multijets and MAGIC. All codes keep the same
bound on every number: relative for the kinematic columns of CMS, whose logarithm SZ3
and zfp are given, 0.49 for its counts, which so stay exact, and a share of a column's
standard deviation for MAGIC. SZ3 and zfp code column by column, and once the whole
table in units of its bounds; the better is shown. They need no training. vijax is
trained on the other half.

A peer whose package is missing has a line that says so.
"""

import bz2
import gzip
import importlib.util
import io
import lzma
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from experiments.studies import cms_multijet
from vijax import data
from vijax.data import Dataset
from vijax.types import Key
from vijax.vae import training
from vijax.vae.compression import image_files, lossy, table_files
from vijax.vae.compression.table_files import TableCoderSettings
from vijax.vae.models import autoencoders, likelihoods, priors
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.vae.store import load, save

BINARY = "binarized_mnist"
# Bits per pixel of all 10,000 test images, as stated by their authors: Townsend, Bird &
# Barber (2019), arXiv:1901.04866, table 2; Kingma, Abbeel & Ho (2019),
# arXiv:1905.06845, table 1.
PUBLISHED = {
    BINARY: {"bits back (BB-ANS), published": 0.19},
    "mnist": {"bits back (BB-ANS), published": 1.41, "Bit-Swap, published": 1.29},
    "fashion_mnist": {},
}
IN_EACH = 500  # images that are files of their own


@dataclass(frozen=True)
class Config:
    """Settings."""

    folder: Path  # of the data sets
    runs: Path | None = None  # folder of trained models, made once
    images: tuple[str, ...] = (BINARY, "mnist", "fashion_mnist")
    tables: tuple[str, ...] = ("cms_multijet", "magic")
    max_images: int | None = None  # test images in a file; None: all
    epochs: int = 12  # passes over grey images
    binary_epochs: int = 60  # passes over binary ones
    num_components: int = 3  # logistics of a grey pixel
    num_samples: int = 1  # draws of z for each grey image
    binary_samples: int = 1  # draws of z for each binary one
    bounds: tuple[float, ...] = (0.1, 0.01, 0.001)
    table_epochs: int = 15  # passes over the rows of a table
    peers_only: bool = False  # leave vijax out
    seed: int = 0  # of every random number


Code = tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]
Row = tuple[str, float, str]  # code, rate, remarks


def missing(package: str) -> bool:
    """Say whether a package is not installed."""
    return importlib.util.find_spec(package) is None


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


def sz3(scaled: np.ndarray) -> tuple[int, np.ndarray]:
    """Code float64 numbers to within 1; return the bytes and what comes back."""
    from pysz import sz, szConfig, szErrorBoundMode

    config = szConfig()
    config.errorBoundMode = szErrorBoundMode.ABS
    config.absErrorBound = 1.0
    coded, _ = sz.compress(scaled, config)
    return coded.nbytes, sz.decompress(coded, np.float64, scaled.shape)[0]


def zfp(scaled: np.ndarray) -> tuple[int, np.ndarray]:
    """Code float64 numbers to within 1; return the bytes and what comes back."""
    import zfpy

    coded = zfpy.compress_numpy(scaled, tolerance=1.0)
    return len(coded), zfpy.decompress_numpy(coded)


def peers_of_table(
    table: np.ndarray, logarithm: np.ndarray, bound: np.ndarray
) -> Iterator[Row]:
    """Code by SZ3 and zfp, columns alone and the table in units of its bounds."""
    u = np.where(logarithm, np.log(np.where(logarithm, table, 1.0)), table)
    # A hair less than the bound, for the rounding of floats on the way back.
    width = np.where(logarithm, np.log1p(bound), bound) * (1 - 1e-6)
    scaled = np.ascontiguousarray((u / width).T)
    for name, package, code in (("SZ3", "pysz", sz3), ("zfp", "zfpy", zfp)):
        if missing(package):
            yield name, np.nan, f"needs {package}"
            continue
        found: list[Row] = []
        for form in ("by column", "table"):
            start = time.process_time()
            parts = [code(c) for c in (scaled if form == "by column" else [scaled])]
            seconds = time.process_time() - start
            back = np.concatenate([p.reshape(-1, len(table)) for _, p in parts]).T
            back = np.where(logarithm, np.exp(back * width), back * width)
            # Whole numbers within 0.49 are those that they are nearest to.
            exact = (bound < 0.5) & np.all(table == np.rint(table), axis=0)
            back = np.where(exact & ~logarithm, np.rint(back), back)
            used = share_of_bound(table, back, logarithm, bound)
            rate = 8 * sum(size for size, _ in parts) / table.size
            found.append(
                (f"{name}, {form}", rate, f"{used:.3f} of the bound, {seconds:.2f} s")
            )
        yield min(found, key=lambda row: row[1])


def share_of_bound(
    table: np.ndarray, back: np.ndarray, logarithm: np.ndarray, bound: np.ndarray
) -> float:
    """Return the largest error that was really made, in units of its bound."""
    error = np.abs(back - table) / np.where(logarithm, np.abs(table), 1.0)
    return float(np.max(error / bound))


def rates_of_table(config: Config, name: str) -> Iterator[tuple[float, list[Row]]]:
    """Code the test rows by everything, for each bound."""
    dataset = data.load(name, data_dir=config.folder)
    train, table = (np.asarray(x, float) for x in (dataset.train, dataset.test))
    spread, is_cms = train.std(axis=0), name == "cms_multijet"
    logarithm = cms_multijet.LOGARITHM if is_cms else np.zeros(len(spread), bool)

    def bound_of(share: float) -> np.ndarray:
        return cms_multijet.bounds(share) if is_cms else share * spread

    finest = bound_of(min(config.bounds))
    if is_cms:
        finest = cms_multijet.bounds(min(config.bounds), counts=0.5)
    coder = None
    if not config.peers_only:
        start = time.process_time()
        coder = table_files.fit_table_coder(
            jax.random.key(config.seed),
            train,
            bound=finest,
            logarithm=logarithm,
            settings=TableCoderSettings(epochs=config.table_epochs),
        )
        minutes = (time.process_time() - start) / 60
        weights = lossy.parameter_bits(coder.params) / table.size
    for share in config.bounds:
        bound = np.broadcast_to(bound_of(share), table.shape[1:])
        rows: list[Row] = []
        if coder is not None:
            cost = table_files.measure_table_file(coder, train, table, bound=bound)
            used = share_of_bound(table, cost.decoded, logarithm, bound)
            seconds = len(table) / cost.encoded_events_per_second
            remark = (
                f"{used:.3f} of the bound, {seconds:.2f} s; trained for {minutes:.1f} "
                f"processor minutes, the model is {weights:.2f} bits a number"
            )
            rows.append(("vijax, file", cost.bits_per_number, remark))
            best = min(cost.others, key=lambda other: cost.others[other])
            rows += [
                (
                    f"same bins, {best}",
                    cost.others[best],
                    "column by column, one stream",
                ),
                ("same bins, adaptive", cost.columns_bits_per_number, "columns alone"),
            ]
        rows += peers_of_table(table, logarithm, bound)
        yield share, rows


def show(title: str, rows: Any) -> None:
    """Print a table as it comes."""
    print(f"\n{title}", flush=True)
    for name, rate, remark in rows:
        shown = "      –" if np.isnan(rate) else f"{rate:7.4f}"
        print(f"  {name:30}{shown}  {remark}", flush=True)


def main(config: Config) -> None:
    """Print all tables."""
    for name in config.images:
        show(f"{name}: bits a pixel", rates_of_images(config, name))
    for name in config.tables:
        for share, rows in rates_of_table(config, name):
            show(f"{name}, bound {share}: bits a number", rows)


if __name__ == "__main__":
    main(tyro.cli(Config))
