"""How a number of the report is compared with the lecture, and when it passes.

There are three kinds of rows, by what there is to compare with:

    printed   the lecture prints the number: equal in its digits, and exact to 1e-6
    exact     the value is known: equal within a tolerance, or within SIGMAS
              standard errors where the number was sampled
    bounded   theory gives a limit, or a baseline measured beside it (below)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

SIGMAS = 4.0  # one false alarm in 16,000 sampled numbers


class Row(NamedTuple):
    """One number of the report."""

    row: str
    quantity: str
    experiment: str
    metric: str  # dotted path into the experiment's metrics
    lecture: str
    exact: str
    agrees: Callable[[float, float | None], bool]  # (computed, standard error)
    show: str = "{:.6f}"
    dataset: str | None = None  # the only data set that the row is about
    baseline: str | None = None  # the metric that must not be exceeded


class Checked(NamedTuple):
    """A row with what was computed, as text."""

    row: str
    quantity: str
    lecture: str
    exact: str
    computed: str
    agrees: bool


def printed(
    row: str, quantity: str, path: str, lecture: str, exact: float, scale: float = 1.0
) -> Row:
    """Hold a number against the digits that the lecture prints."""
    decimals = len(lecture.partition(".")[2])
    value = float(lecture)

    def agrees(computed: float, standard_error: float | None) -> bool:
        in_its_digits = round(scale * computed, decimals) == value
        return in_its_digits and abs(computed - exact) <= 1e-6

    unit = " %" if scale == 100 else ""
    experiment, metric = path.split("/")
    text = f"{exact:.7g}"
    return Row(row, quantity, experiment, metric, lecture + unit, text, agrees)


def exact(
    row: str,
    quantity: str,
    path: str,
    value: float,
    *,
    text: str | None = None,
    lecture: str = "–",
    tolerance: float = 1e-6,
    show: str = "{:.6f}",
) -> Row:
    """Hold a number against a known value, sampled or not."""

    def agrees(computed: float, standard_error: float | None) -> bool:
        if standard_error is None:
            return abs(computed - value) <= tolerance
        return abs(computed - value) <= SIGMAS * standard_error

    text = text or f"{value:.7g}"
    experiment, metric = path.split("/")
    return Row(row, quantity, experiment, metric, lecture, text, agrees, show)


def bounded(
    row: str,
    quantity: str,
    path: str,
    *,
    at_most: float = float("inf"),
    at_least: float = float("-inf"),
    text: str,
    show: str = "{:.3g}",
    dataset: str | None = None,
) -> Row:
    """Hold a number against a limit."""

    def agrees(computed: float, standard_error: float | None) -> bool:
        return at_least <= computed <= at_most

    experiment, metric = path.split("/")
    return Row(row, quantity, experiment, metric, "–", text, agrees, show, dataset)


def below(row: str, quantity: str, path: str, baseline: str, *, text: str) -> Row:
    """Hold a number against another metric of the same experiment."""
    experiment, metric = path.split("/")
    show = "{:.3g}"
    text = f"< {text}, {show}"
    return Row(
        row,
        quantity,
        experiment,
        metric,
        "–",
        text,
        lambda computed, limit: limit is not None and computed < limit,
        show,
        baseline=baseline,
    )


def check_rows(
    records: dict[str, dict[str, Any]], rows: tuple[Row, ...]
) -> list[Checked]:
    """Hold every number of the experiments that were run against the lecture."""
    checked = []
    for row in rows:
        record = records.get(row.experiment)
        if record is None or row.dataset not in (None, record["dataset"]):
            continue
        value = _look_up(record, row.metric)
        name, dot, index = row.metric.partition(".")
        error = _look_up(record, f"{name}_standard_error{dot}{index}", None)
        computed = row.show.format(value)
        if error is not None:
            computed += " ± " + row.show.format(error)
        against, limit = row.exact, error
        if row.baseline is not None:
            limit = _look_up(record, row.baseline)
            against = row.exact.format(limit)
        checked.append(
            Checked(
                row.row,
                row.quantity,
                row.lecture,
                against,
                computed,
                bool(row.agrees(value, limit)),
            )
        )
    return checked


_REQUIRED = object()


def _look_up(record: dict[str, Any], path: str, default: Any = _REQUIRED) -> Any:
    value = record["metrics"]
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value.get(key)
        if value is None:
            if default is not _REQUIRED:
                return default
            name = record["experiment"]
            raise ValueError(
                f"metric {path} of {name} is missing or not finite: "
                f"run make {name.replace('_', '-')} again"
            )
    return value
