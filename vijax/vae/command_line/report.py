"""One page of HTML about a model and data: everything is inside, pictures too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vijax import plot
from vijax.data.files.whole_files import replaced
from vijax.extras import require
from vijax.types import Key
from vijax.vae import anomaly, evaluation, models
from vijax.vae.command_line.files import Examples, as_seen, restored
from vijax.vae.command_line.roc_section import (
    Section,
    class_names,
    picture_of,
    roc_section,
)
from vijax.vae.models import likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

TEMPLATE = Path(__file__).with_name("report.html")
POINTS = 4000  # of a scatter plot
COLUMNS = 12  # of a table that are drawn
STEPS = 9  # of a traversal


class Subject(NamedTuple):
    """What a page is about."""

    model: VAE
    params: ModelParams
    extra: dict[str, Any]  # how the data become what the model sees
    model_name: str
    data_name: str


def page(
    subject: Subject,
    examples: Examples,
    key: Key,
    *,
    others: Mapping[str, np.ndarray],
    anomalous: str | None = None,
) -> str:
    """Return the page.

    Args:
        subject: the model, and the names of the files.
        examples: of the data, two or more.
        key: of the draws of z.
        others: further scores of the examples, by name; higher is odder.
        anomalous: name or number of the class that is anomalous; by default 1 of the
            labels 0 and 1, else each class in turn.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: examples that the model does not take, a class that is not there.
    """
    jinja2 = require("jinja2", extra="experiments", purpose="the report")
    model, params, extra = subject.model, subject.params, subject.extra
    keys = jax.random.split(key, 3)
    x = jnp.asarray(as_seen(examples, extra), jnp.float32)
    notes = [
        "The numbers are of the examples in this file. If the model was trained on "
        "them, they are better than those of new ones."
    ]
    if extra["num_levels"] == 2 and not bool(jnp.all((x == 0) | (x == 1))):
        x = likelihoods.binarize(keys[2], x)
        notes.append("Grey pixels were drawn as 0 or 1, as the model has it.")
    usage = evaluation.active_units(model, params, x)
    order = np.argsort(-np.asarray(usage.kl), kind="stable")
    facts = [
        ("model", subject.model_name),
        ("data", f"{subject.data_name}, {len(x)} examples of shape {model.shape}"),
        ("latents", str(usage)),
        ("parameters", f"{models.num_params(params):,}"),
        ("quality", str(evaluation.held_out_elbo(model, params, keys[0], x))),
    ]
    sections = [
        _latent_map(subject, examples, x, order),
        _reconstructions(subject, examples, x),
        _traversals(subject, examples, x, order),
    ]
    if examples.labels is not None:
        found = anomaly.anomaly_scores(model, params, keys[1], x)
        scores = {
            "-ELBO": found.negative_elbo,
            "reconstruction": found.reconstruction,
            "KL": found.kl,
            **others,
        }
        by_name = {name: np.asarray(values) for name, values in scores.items()}
        sections.append(roc_section(by_name, examples, anomalous))
    elif anomalous is not None:
        raise ValueError(
            f"anomalous = {anomalous!r} needs labels: name their column by --label"
        )
    environment = jinja2.Environment(autoescape=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    title = f"{Path(subject.model_name).name} on {Path(subject.data_name).name}"
    return str(
        template.render(title=title, facts=facts, notes=notes, sections=sections)
    )


def write(path: Path, text: str) -> None:
    """Write a page; the file that is there stays whole until the new one is.

    Raises:
        OSError: the file cannot be written.
    """
    with replaced(path) as new:
        new.write_text(text, encoding="utf-8")


def _evenly(count: int, most: int) -> np.ndarray:
    """Return at most so many of the indices below a count, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _latent_map(
    subject: Subject, examples: Examples, x: jax.Array, order: np.ndarray
) -> Section:
    title = "Latent map"
    if subject.model.latent < 2:
        return Section(title, "The model has one latent, so there is no map.")
    rows = _evenly(len(x), POINTS)
    z = evaluation.latent_means(subject.model, subject.params, x[rows])
    first, second = order[:2]
    labels = class_names(examples)
    name = f"z₁: latent {first + 1}, z₂: latent {second + 1}"
    figure = plot.latent_scatter(
        {name: np.asarray(z)[:, [first, second]]},
        None if labels is None else labels[rows],
        circles=[name],
    )
    text = (
        "The means of q(z | x) in the two latents that carry most. Circles: 1, 2 and 3 "
        "standard deviations of the prior."
    )
    return Section(title, text, picture_of(figure))


def _reconstructions(subject: Subject, examples: Examples, x: jax.Array) -> Section:
    title = "Reconstructions"
    is_table = subject.extra["scale"] is not None
    rows = _evenly(len(x), POINTS if is_table else 10)
    found = models.reconstruct(subject.model, subject.params, x[rows])
    if not is_table:
        images = {"data": _drawn(x[rows]), "model": _drawn(found)}
        text = "Examples, and the mean of p(x | z) at the mean of q(z | x)."
        return Section(title, text, picture_of(plot.image_rows(images)))
    back = restored(np.asarray(found), subject.extra)
    names = _names(examples)[:COLUMNS]
    columns = {name: (examples.x[rows, i], back[:, i]) for i, name in enumerate(names)}
    text = (
        "The mean of p(x | z) at the mean of q(z | x), against the value; on the "
        "dotted line they agree. Of a column that no latent carries, the mean of all "
        f"is drawn.{_left_out(examples)}"
    )
    return Section(title, text, picture_of(plot.reconstructed_columns(columns)))


def _traversals(
    subject: Subject, examples: Examples, x: jax.Array, order: np.ndarray
) -> Section:
    title = "Traversals"
    is_table = subject.extra["scale"] is not None
    latents = order[: 4 if is_table else 8]
    codes = evaluation.latent_means(subject.model, subject.params, x)
    # Around a code that is one of the data's: where many latents are 0, none may be.
    middle = jnp.argmin(jnp.sum((codes - codes.mean(axis=0)) ** 2, axis=1))
    low, high = np.quantile(np.asarray(codes), [0.01, 0.99], axis=0)
    at = np.linspace(low, high, STEPS).T[latents].astype(np.float32)
    z = jnp.stack(
        [
            evaluation.latent_traversal(codes[middle], int(j), jnp.asarray(values))
            for j, values in zip(latents, at, strict=True)
        ]
    )
    decoded = evaluation.decoded_means(subject.model, subject.params, z)
    how = (
        "goes over the middle 98 % of the examples' codes, the others stay where the "
        f"example nearest to their mean, row {int(middle)} of those read, has them."
    )
    if not is_table:
        numbers = ", ".join(str(j + 1) for j in latents)
        text = f"From the top latents {numbers}, those that carry most. Each {how}"
        return Section(title, text, picture_of(plot.image_grid(_drawn(decoded))))
    flat = np.asarray(decoded).reshape(-1, decoded.shape[-1])
    back = restored(flat, subject.extra).reshape(decoded.shape)
    names = _names(examples)[:COLUMNS]
    columns = {name: back[:, :, i] for i, name in enumerate(names)}
    figure = plot.column_traversals(at, columns, [f"latent {j + 1}" for j in latents])
    text = f"Each column as one latent {how}{_left_out(examples)}"
    return Section(title, text, picture_of(figure))


def _names(examples: Examples) -> list[str]:
    width = examples.x.shape[1]
    return list(examples.names or [f"column {i}" for i in range(1, width + 1)])


def _left_out(examples: Examples) -> str:
    more = examples.x.shape[1] - COLUMNS
    return f" The first {COLUMNS} columns; {more} more are left out." * (more > 0)


def _drawn(images: Any) -> np.ndarray:
    """Return images that can be drawn: in [0, 1], grey ones without a channel."""
    array = np.clip(np.asarray(images), 0, 1)
    return array[..., 0] if array.shape[-1] == 1 and array.ndim > 3 else array
