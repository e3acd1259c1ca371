"""What a training returns, and how it reads in a terminal and in a notebook."""

import html
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax.vae.models.autoencoders import ModelParams, num_params
from vijax.vae.training.callbacks import Best
from vijax.vae.training.verdict import Verdict


class Trained(NamedTuple):
    """A trained model, or an ensemble of them: then most leaves have an axis of runs.

    `print(trained)` shows the networks, the last losses and what happened on the way.
    """

    params: ModelParams  # after the last epoch; an ensemble's leaves (runs, ...)
    loss: np.ndarray  # (epochs,) or (epochs, runs), mean over each epoch
    terms: dict[str, np.ndarray]  # the loss function's terms by name, as `loss`
    num_rejected: Any  # steps rolled back because they were not finite; or (runs,)
    stopped: bool = False  # whether early stopping or a callback ended it
    held_out: np.ndarray | None = None  # of early stopping, as `loss`; NaN between
    best: Best | None = None  # of early stopping: epoch, value and parameters
    verdict: Verdict | None = None  # whether it did its work, and what to do next

    def __str__(self) -> str:
        rows = summary_rows(self)
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in summary_rows(self)
        )
        return f"<table>{''.join(cells)}</table>"


def summary_rows(trained: Trained) -> list[tuple[str, str]]:
    """Return what is worth knowing of a training as (name, text).

    Example:
        >>> params = ModelParams({"kernel": np.zeros((4, 2))}, {"bias": np.zeros(4)})
        >>> summary_rows(Trained(params, np.array([3.0, 2.5]), {}, 0))[:2]
        [('encoder', '4×2, 8 parameters'), ('decoder', '4 parameters')]
    """
    runs = trained.loss.shape[1] if trained.loss.ndim == 2 else None
    epochs = len(trained.loss)
    rows = [
        ("encoder", _network(trained.params.encoder, runs)),
        ("decoder", _network(trained.params.decoder, runs)),
        *(
            (name, _network(part, runs))
            for name, part in zip(
                ("prior", "posterior"), trained.params[2:], strict=True
            )
            if jax.tree.leaves(part)
        ),
        ("epochs", f"{epochs}{', ended early' if trained.stopped else ''}"),
        (
            "loss",
            f"{_number(trained.loss[-1])} (first epoch {_number(trained.loss[0])})",
        ),
    ]
    if runs is not None:
        rows.insert(0, ("runs", str(runs)))
    rows += [
        (f"  {name}", _number(values[-1])) for name, values in trained.terms.items()
    ]
    if trained.best is not None:
        at = np.atleast_1d(trained.best.epoch)
        epoch = str(at[0]) if at.min() == at.max() else f"{at.min()} to {at.max()}"
        best = f"{_number(trained.best.value)} at epoch {epoch}"
        rows.append(("held out", best if at.max() else "not evaluated"))
    rejected = int(np.sum(trained.num_rejected))
    what = "each rolled back, the step size halved" if rejected else "all finite"
    rows.append(("steps", f"{rejected} rejected: {what}"))
    if trained.verdict is not None:
        word, advice, words = trained.verdict
        of = f" ({words.count(word)} of {len(words)} runs)" if runs is not None else ""
        rows.append(("verdict", f"{word}{of}: {advice}"))
    return rows


def _network(params: Any, runs: int | None) -> str:
    """Return the sizes of the weights, inputs first, and how many numbers there are."""
    shapes = [np.shape(leaf)[runs is not None :] for leaf in jax.tree.leaves(params)]
    sizes = ["×".join(map(str, shape)) for shape in shapes if len(shape) >= 2]
    total = f"{num_params(params) // (runs or 1):,} parameters"
    return ", ".join([*sizes, total if runs is None else f"{total} a run"])


def _number(value: Any) -> str:
    """Return a number, or of many runs their mean and the range."""
    value = np.asarray(value)
    if not value.ndim:
        return f"{value:.4g}"
    return f"{value.mean():.4g} ({value.min():.4g} to {value.max():.4g})"
