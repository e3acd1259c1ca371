"""The command line: `python -m vijax.vae`, on files of your own.

    python -m vijax.vae train images.npy model.npz --epochs 50
    python -m vijax.vae sample model.npz new.npy --number 100
    python -m vijax.vae compress model.npz images.npy images.vx
    python -m vijax.vae decompress model.npz images.vx back.npy
    python -m vijax.vae detect background.csv detector.npz
    python -m vijax.vae score detector.npz events.csv scores.csv

Data are .npy or .csv: a table (rows, columns), or images (n, height, width) or with
colours. Bytes are grey levels 0 to 255 and come back as such; other images are in
[0, 1], and compressed where they are 0 and 1.
"""

import csv
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vijax.data import text_table
from vijax.extras import require
from vijax.vae import anomaly, event_tables, models, store, training
from vijax.vae.anomaly.detector import p_value_of_score
from vijax.vae.compression import file_format
from vijax.vae.models import likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams


def train(
    data: Path,
    model: Path,
    *,
    epochs: int = 30,
    latent: int = 8,
    hidden: tuple[int, ...] = (256,),
    channels: tuple[int, ...] = (),
    checkpoint: Path | None = None,
    seed: int = 0,
) -> str:
    """Train a VAE and write it to a file.

    Args:
        data: table or images.
        model: file to write.
        epochs: passes over the data.
        latent: latent dimensions.
        hidden: widths of the encoder's hidden layers.
        channels: of convolutions before them, for images.
        checkpoint: folder to save the run in, and to resume it from.
        seed: of all random numbers.
    """
    x, extra, likelihood = _prepared(_read(data))
    vae = models.vae(
        x.shape[1:],
        latent=latent,
        hidden=hidden,
        channels=channels,
        likelihood=likelihood,
    )
    trained = training.fit(
        vae,
        jax.random.key(seed),
        x,
        epochs=epochs,
        batch_size=min(128, len(x)),
        checkpoint=checkpoint,
    )
    store.save(model, vae, trained.params, extra=extra)
    return str(trained)


def sample(model: Path, output: Path, *, number: int = 16, seed: int = 0) -> str:
    """Write new examples, drawn from the prior, to a .npy file.

    Args:
        model: file of a trained model.
        output: file to write.
        number: of examples.
        seed: of all random numbers.
    """
    vae, params, extra = _load_vae(model)
    keys = jax.random.split(jax.random.key(seed))
    z = jax.random.normal(keys[0], (number, vae.latent))
    x = vae.likelihood.sample(keys[1], models.decode(vae, params, z))
    np.save(output, _restored(np.asarray(x), extra))
    return f"{number} examples in {output}"


def compress(model: Path, data: Path, output: Path, *, bound: float = 0.01) -> str:
    """Compress data: images without loss, a table within a bound.

    Args:
        model: file of a trained model.
        data: of the kind that it was trained on.
        output: file to write.
        bound: greatest error of a table's numbers, in its units.
    """
    vae, params, extra = _load_vae(model)
    array = _read(data)
    if extra["scale"] is not None:
        content = file_format.encode_table(vae, params, array, extra["scale"], bound)
    else:
        levels = extra["num_levels"]
        x = _as_images(array)
        content = file_format.encode_images(vae, params, x, num_levels=levels)
    output.write_bytes(content)
    return f"{array.nbytes} bytes in {len(content)}: {array.nbytes / len(content):.2f}"


def decompress(model: Path, data: Path, output: Path) -> str:
    """Write what was compressed to a .npy file.

    Args:
        model: the file that it was compressed with.
        data: the compressed file.
        output: file to write.
    """
    vae, params, extra = _load_vae(model)
    decode: Any = (
        file_format.decode_images
        if extra["scale"] is None
        else file_format.decode_table
    )
    x = decode(vae, params, data.read_bytes())
    if extra["scale"] is None:
        x = _restored(x, extra)
    np.save(output, x)
    return f"{len(x)} examples in {output}"


def detect(data: Path, detector: Path, *, seed: int = 0) -> str:
    """Fit a detector of anomalies to background, and write it to a file.

    Args:
        data: table or images, background or mostly so.
        detector: file to write.
        seed: of all random numbers.
    """
    found = anomaly.fit_detector(jax.random.key(seed), _read(data))
    anomaly.save(detector, found)
    return str(found)


def score(detector: Path, data: Path, output: Path) -> str:
    """Write score and p-value of each example to a .csv file.

    Args:
        detector: file of a detector.
        data: table or images as it was fitted to.
        output: file to write.
    """
    found, x = anomaly.load(detector), _read(data)
    scores = anomaly.score(found, x)
    p_values = p_value_of_score(found, scores)
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["score", "p_value"])
        writer.writerows(zip(scores.tolist(), p_values.tolist(), strict=True))
    odd = np.mean(p_values <= 0.01)
    return f"{len(scores)} scores in {output}, {odd:.2%} with p <= 1 %"


COMMANDS = {
    command.__name__: command
    for command in (train, sample, compress, decompress, detect, score)
}


def _load_vae(path: Path) -> tuple[VAE, ModelParams, dict[str, Any]]:
    model, params, extra = store.load(path)
    if (
        not isinstance(model, VAE)
        or not isinstance(extra, dict)
        or "scale" not in extra
    ):
        raise ValueError(f"{path} was not written by `train`: give a model that was")
    return model, params, extra


def _read(path: Path) -> np.ndarray:
    """Return the array of a file, its rows in their order."""
    if path.suffix.lower() == ".csv":
        return text_table.numbers(text_table.read(path))
    if path.suffix.lower() != ".npy":
        raise ValueError(f"{path}: give a .npy or a .csv file")
    return np.load(path, allow_pickle=False)


def _as_images(array: np.ndarray) -> np.ndarray:
    scale = 255 if array.dtype == np.uint8 else 1
    return np.asarray(array / scale, np.float32)


def _prepared(array: np.ndarray) -> tuple[np.ndarray, dict[str, Any], Any]:
    """Return what a model is trained on, how that was made, and its likelihood."""
    if array.ndim == 2:
        scale = event_tables.fit_scale(array)
        extra = {"scale": scale, "num_levels": 0}
        likelihood = likelihoods.gaussian(None, min_scale=0.05)
        return event_tables.to_scaled(array, scale), extra, likelihood
    if array.dtype == np.uint8:
        extra = {"scale": None, "num_levels": 256}
        return _as_images(array), extra, likelihoods.discretised_logistic(256)
    extra = {"scale": None, "num_levels": 2}
    return _as_images(array), extra, likelihoods.bernoulli()


def _restored(x: np.ndarray, extra: dict[str, Any]) -> np.ndarray:
    if extra["scale"] is not None:
        return event_tables.from_scaled(x.astype(float), extra["scale"])
    if extra["num_levels"] == 256:
        return np.rint(255 * x).astype(np.uint8)
    return x


def main() -> None:
    """Run a command; bad input ends with one line."""
    tyro = require("tyro", extra="experiments", purpose="python -m vijax.vae")
    try:
        options = {"prog": "vijax.vae", "config": (tyro.conf.PositionalRequiredArgs,)}
        print(tyro.extras.subcommand_cli_from_dict(COMMANDS, **options))
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped: what was saved is complete") from None


if __name__ == "__main__":
    main()
