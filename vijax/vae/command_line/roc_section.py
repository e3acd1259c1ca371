"""The part of a report that says how well scores find classes, and what a part is."""

import base64
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vijax import metrics, plot
from vijax.vae.command_line.files import Examples

PANEL = 5  # ROC curves in one panel
PANELS = 2  # beyond which the areas stand in the table alone


class Section(NamedTuple):
    """A part of the page: a picture with its caption, or a text; and a table."""

    title: str
    text: str
    picture: str = ""  # PNG in base64
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def picture_of(figure: Any) -> str:
    """Return a figure as PNG in base64."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=160)
    return base64.b64encode(stream.getvalue()).decode()


def class_names(examples: Examples) -> np.ndarray | None:
    """Return the labels as text: their names, or numbers."""
    if examples.labels is None:
        return None
    if examples.label_names is None:
        return examples.labels.astype(str)
    return np.asarray(examples.label_names)[examples.labels]


def roc_section(
    scores: dict[str, np.ndarray], examples: Examples, anomalous: str | None
) -> Section:
    """Return curves and areas of scores, for one class or for each in turn.

    Args:
        scores: of the examples, by name, "-ELBO" among them; higher is odder.
        examples: with labels.
        anomalous: as for `report.page`.

    Raises:
        ValueError: one class alone, a class that is not there.
    """
    targets = dict(_targets(examples, anomalous))
    rows = []
    for target, mask in targets.items():
        for name, values in scores.items():
            area = metrics.auc_with_error(values, mask)
            rows.append(
                (
                    f"{target}, by {name}",
                    f"{area.value:.3f}",
                    f"{area.standard_error:.3f}",
                )
            )
    panels: dict[str, Any] = {}
    if len(targets) == 1:
        ((target, mask),) = targets.items()
        panels[f"class {target} against the others"] = {
            name: _curve(values, mask) for name, values in scores.items()
        }
    elif len(targets) <= PANEL * PANELS:
        names = list(targets)
        for start in range(0, len(names), PANEL):
            chosen = names[start : start + PANEL]
            panels[f"-ELBO, {chosen[0]} to {chosen[-1]}"] = {
                f"class {n}": _curve(scores["-ELBO"], targets[n]) for n in chosen
            }
    text = (
        "How well each score tells a class from the others: the share of it that is "
        "found, against the share of the others called anomalous. An area of ½ is "
        "chance. If the model was trained on the class too, it need not find it odd."
    )
    if not targets:
        text = "A class of fewer than two examples has no area with an error."
    picture = picture_of(plot.roc_by_background(panels)) if panels else ""
    header = ("class against the others", "area", "standard error")
    return Section("ROC curves", text, picture, header, tuple(rows))


def _targets(
    examples: Examples, anomalous: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the classes to be found, each with its mask."""
    text = np.asarray(class_names(examples))
    _, first = np.unique(np.asarray(examples.labels), return_index=True)
    classes = text[first].tolist()  # in the order of their numbers
    if len(classes) < 2:
        raise ValueError(
            f"labels: expected two classes or more, found {classes[0]} alone: choose "
            "another column by --label"
        )
    if anomalous is not None and anomalous not in classes:
        raise ValueError(
            f"anomalous = {anomalous!r} is no class: give one of {', '.join(classes)}"
        )
    if anomalous is None and classes == ["0", "1"]:
        anomalous = "1"
    for name in classes if anomalous is None else [anomalous]:
        mask = text == name
        if 2 <= mask.sum() <= len(mask) - 2:  # else an area has no error
            yield name, mask


def _curve(values: np.ndarray, mask: np.ndarray) -> tuple[Any, Any, float]:
    curve, area = metrics.roc_curve(values, mask), metrics.auc(values, mask)
    return curve.false_positive_rate, curve.true_positive_rate, float(area)
