"""The lecture's rows L1-L25 and the numbers that each is held against.

Four kinds of row, by what there is to compare with:

    printed   the lecture prints the number: equal in its digits, and exact to 1e-6
    exact     the value is known: equal within a tolerance, or within SIGMAS
              standard errors where the number was sampled
    bounded   theory or a baseline gives a limit, stated as such
    image     the lecture's statement is a picture; a number measures what it shows
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
    only_dataset: str | None = None


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
    relative: float = 1e-6,
    show: str = "{:.6f}",
) -> Row:
    """Hold a number against a known value, sampled or not."""

    def agrees(computed: float, standard_error: float | None) -> bool:
        if standard_error is None:
            return abs(computed - value) <= relative * max(abs(value), 1.0)
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
    lecture: str = "–",
    show: str = "{:.3g}",
    only_dataset: str | None = None,
) -> Row:
    """Hold a number against a limit."""

    def agrees(computed: float, standard_error: float | None) -> bool:
        return at_least <= computed <= at_most

    experiment, metric = path.split("/")
    return Row(
        row, quantity, experiment, metric, lecture, text, agrees, show, only_dataset
    )


ROWS: tuple[Row, ...] = (
    exact(
        "L3",
        "P(unfair | tail)",
        "bayes_theorem/p_unfair_given_tail",
        2 / 11,
        lecture="2/11",
        text="2/11 = 0.1818182",
    ),
    exact(
        "L3",
        "the same, simulated",
        "bayes_theorem/p_unfair_given_tail_simulated",
        2 / 11,
        lecture="2/11",
        text="2/11 = 0.1818182",
    ),
    printed("L4", "estimate of p", "coin_flip/estimate", "0.71", 10 / 14),
    printed(
        "L4", "its standard deviation", "coin_flip/standard_error", "0.12", 0.1207363
    ),
    printed("L5", "p-value of p = 0.5", "coin_flip/p_value", "9", 0.0897827, 100),
    printed("L6", "significance / σ", "coin_flip/significance", "1.3", 1.34209428),
    printed(
        "L7",
        "95 % interval, uniform prior: lower",
        "coin_flip/uniform_prior_interval.0",
        "0.45",
        0.4489968,
    ),
    printed("L7", "upper", "coin_flip/uniform_prior_interval.1", "0.88", 0.8817589),
    printed(
        "L8",
        "95 % interval, Beta(10, 10) prior: lower",
        "coin_flip/peaked_prior_interval.0",
        "0.42",
        0.4213937,
    ),
    printed("L8", "upper", "coin_flip/peaked_prior_interval.1", "0.75", 0.7452382),
    printed("L9", "Bayes factor K", "coin_flip/bayes_factor", "1.2", 1.2099938),
)


def check_rows(records: dict[str, dict[str, Any]]) -> list[Checked]:
    """Hold every number of the experiments that were run against the lecture."""
    checked = []
    for row in ROWS:
        record = records.get(row.experiment)
        if record is None or row.only_dataset not in (None, record["dataset"]):
            continue
        value = _look_up(record, row.metric)
        error = _look_up(record, f"{row.metric}_standard_error", None)
        computed = row.show.format(value)
        if error is not None:
            computed += " ± " + row.show.format(error)
        checked.append(
            Checked(
                row.row,
                row.quantity,
                row.lecture,
                row.exact,
                computed,
                bool(row.agrees(value, error)),
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
