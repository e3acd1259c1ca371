"""The commands: each reads files, writes files, and returns what it has to say."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from vijax.vae import anomaly, generation, models, store, training
from vijax.vae.anomaly.detector import p_value_of_score
from vijax.vae.command_line import explanations
from vijax.vae.command_line import report as html
from vijax.vae.command_line.files import (
    ALL,
    Choice,
    as_drawn,
    as_images,
    of_images,
    prepared,
    read_examples,
    read_raw,
    restored,
    write_examples,
    write_table,
)
from vijax.vae.compression import file_format
from vijax.vae.models.autoencoders import VAE, ModelParams

STEPS = 3000  # of a training, at least: a small table wants more epochs


def train(
    data: Path,
    model: Path,
    *,
    choice: Choice = ALL,
    epochs: int | None = None,
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
        choice: what is read of the data.
        epochs: passes over the data; by default 30, or as many as 3,000 steps take.
        latent: latent dimensions.
        hidden: widths of the encoder's hidden layers.
        channels: of convolutions before them, for images.
        checkpoint: folder to save the run in, and to resume it from.
        seed: of all random numbers.
    """
    x, extra, likelihood = prepared(read_examples(data, choice, default_part="train"))
    vae = models.vae(
        x.shape[1:],
        latent=latent,
        hidden=hidden,
        channels=channels,
        likelihood=likelihood,
    )
    batch_size = min(128, len(x))
    if epochs is None:
        epochs = max(30, training.num_epochs(len(x), STEPS, batch_size))
    trained = training.fit(
        vae,
        jax.random.key(seed),
        x,
        epochs=epochs,
        batch_size=batch_size,
        checkpoint=checkpoint,
    )
    store.save(model, vae, trained.params, extra=extra)
    return str(trained)


def sample(model: Path, output: Path, *, number: int = 16, seed: int = 0) -> str:
    """Write new examples, drawn from the prior, to a file or a folder of images.

    Args:
        model: file of a trained model.
        output: file to write; without a suffix a folder of PNGs.
        number: of examples.
        seed: of all random numbers.
    """
    vae, params, extra = _load_vae(model)
    key = jax.random.key(seed)
    x = generation.draw_from_prior(key, vae, params, num_samples=number).x
    return write_examples(output, as_drawn(np.asarray(x), extra), extra)


def compress(
    model: Path,
    data: Path,
    output: Path,
    *,
    choice: Choice = ALL,
    bound: float = 0.01,
    num_samples: int = 1,
    latent_step: float = file_format.LATENT_STEP,
) -> str:
    """Compress data: images without loss, a table within a bound.

    Args:
        model: file of a trained model.
        data: of the kind that it was trained on.
        output: file to write.
        choice: what is read of the data.
        bound: greatest error of a table's numbers, in its units.
        num_samples: draws of z for each example; more make a smaller file, slowly.
        latent_step: of the grid of z, below q's scales; the first example, which has no
            bits back, costs less with a wider one: 0.06 for thousands of latents.
    """
    options: dict[str, Any] = {"num_samples": num_samples, "latent_step": latent_step}
    vae, params, extra = _load_vae(model)
    array = read_examples(data, choice, names=_names(extra)).x
    if extra["scale"] is not None:
        scale = extra["scale"]
        content = file_format.encode_table(vae, params, array, scale, bound, **options)
    else:
        levels = extra["num_levels"]
        x = as_images(array)
        content = file_format.encode_images(
            vae, params, x, num_levels=levels, **options
        )
    output.write_bytes(content)
    return (
        f"{len(content)} bytes for the {array.nbytes} of the numbers in memory: "
        f"ratio {array.nbytes / len(content):.2f}"
    )


def decompress(model: Path, data: Path, output: Path) -> str:
    """Write what was compressed to a file or a folder of images.

    Args:
        model: the file that it was compressed with.
        data: the compressed file.
        output: file to write; without a suffix a folder of PNGs.
    """
    vae, params, extra = _load_vae(model)
    if extra["scale"] is None:
        x = restored(file_format.decode_images(vae, params, data.read_bytes()), extra)
    else:
        x = file_format.decode_table(vae, params, data.read_bytes())
    return write_examples(output, x, extra)


def detect(
    data: Path,
    detector: Path,
    *,
    choice: Choice = ALL,
    categories: tuple[str, ...] = (),
    seed: int = 0,
) -> str:
    """Fit a detector of anomalies to background, and write it to a file.

    Args:
        data: table or images, background or mostly so.
        detector: file to write.
        choice: what is read of the data.
        categories: columns of a table that are codes, though they look like numbers.
        seed: of all random numbers.
    """
    raw = read_raw(data, choice)
    found = anomaly.fit_detector(jax.random.key(seed), raw, categories=categories)
    anomaly.save(detector, found)
    return str(found)


def score(
    detector: Path,
    data: Path,
    output: Path,
    *,
    choice: Choice = ALL,
    explain: float = 0.01,
) -> str:
    """Write score, p-value and the oddest column of each example to a table's file.

    Args:
        detector: file of a detector.
        data: table or images as it was fitted to.
        output: file to write, such as scores.csv or scores.parquet.
        choice: what is read of the data.
        explain: p-value up to which it is said which column of a table is odd; 0 for
            none. A .root file holds no text, and its columns' shares of the score
            instead.
    """
    found = anomaly.load(detector)
    raw = read_raw(data, choice, found.columns)
    scores = anomaly.score(found, raw)
    p_values = p_value_of_score(found, scores)
    odd = np.mean(p_values <= 0.01)
    says = [f"{len(scores)} scores in {output}, {odd:.2%} with p <= 1 %"]
    table = {"score": scores, "p_value": p_values}
    if found.columns is not None:
        why = explanations.of_odd_rows(found, raw, scores, p_values, explain)
        table |= why.columns(output.suffix.lower() != ".root")
        says += why.lines
    write_table(output, table)
    return "\n".join(says)


def report(
    model: Path,
    data: Path,
    output: Path,
    *,
    choice: Choice = ALL,
    detector: Path | None = None,
    anomalous: str | None = None,
    seed: int = 0,
) -> str:
    """Write one page of HTML about a model and data, better not those of its training.

    Args:
        model: file of a trained model.
        data: of the kind that it was trained on; with labels, ROC curves are drawn.
        output: file to write.
        choice: what is read of the data.
        detector: file of a detector whose ROC curve is drawn too.
        anomalous: the class that is anomalous; by default 1 of the labels 0 and 1,
            else each class in turn.
        seed: of all random numbers.
    """
    vae, params, extra = _load_vae(model)
    examples = read_examples(data, choice, default_part="test", names=_names(extra))
    others: dict[str, np.ndarray] = {}
    if detector is not None:
        found = anomaly.load(detector)
        known = found.columns
        raw = examples.x if known is None else read_raw(data, choice, known)
        others["detector"] = anomaly.score(found, raw)
    page = html.page(
        html.Subject(vae, params, extra, str(model), str(data)),
        examples,
        jax.random.key(seed),
        others=others,
        anomalous=anomalous,
    )
    html.write(output, page)
    return f"report of {len(examples.x)} examples in {output}"


COMMANDS = {
    command.__name__: command
    for command in (train, sample, compress, decompress, detect, score, report)
}


def _names(extra: dict[str, Any]) -> tuple[str, ...] | None:
    return None if extra.get("columns") is None else tuple(extra["columns"])


def _load_vae(path: Path) -> tuple[VAE, ModelParams, dict[str, Any]]:
    model, params, extra = store.load(path)
    if extra is None and isinstance(model, VAE):
        extra = of_images(model)
    if (
        not isinstance(model, VAE)
        or not isinstance(extra, dict)
        or "scale" not in extra
    ):
        raise ValueError(
            f"{path} was not written by `train`: give a model that was, or a VAE of "
            "images by `vae.save`, of Bernoulli pixels or of 256 grey levels"
        )
    return model, params, extra
