"""The report: rows held against the lecture, one page, clear errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.report import checks, lecture_numbers, page


def record(name: str, **metrics: Any) -> dict[str, Any]:
    return {"experiment": name, "dataset": None, "metrics": metrics}


def check(row: checks.Row, **metrics: Any) -> bool:
    value, error = metrics["x"], metrics.get("x_standard_error")
    return row.agrees(value, error)


@pytest.mark.parametrize(
    ("value", "agrees"),
    [(10 / 14, True), (10 / 14 + 2e-6, False), (0.7051, False), (0.72, False)],
)
def test_printed_number_needs_its_digits_and_the_exact_value(
    value: float, agrees: bool
) -> None:
    row = checks.printed("L4", "estimate", "coin_flip/x", "0.71", 10 / 14)
    assert check(row, x=value) is agrees


def test_printed_percentage_is_scaled() -> None:
    row = checks.printed("L5", "p-value", "coin_flip/x", "9", 0.0897827, 100)
    assert row.lecture == "9 %"
    assert check(row, x=0.08978271)
    assert not check(row, x=0.095)


def test_sampled_number_agrees_within_its_standard_errors() -> None:
    row = checks.exact("L3", "simulated", "bayes_theorem/x", 2 / 11)
    assert check(row, x=2 / 11 + 0.039, x_standard_error=0.01)
    assert not check(row, x=2 / 11 + 0.041, x_standard_error=0.01)
    assert not check(row, x=2 / 11 + 0.039)


def test_number_is_held_against_its_baseline_and_shows_it() -> None:
    row = checks.below("L17", "error", "autoencoder/x", "y", text="PCA")
    records = {"autoencoder": record("autoencoder", x=0.25, y=0.5)}
    (checked,) = checks.check_rows(records, (row,))
    assert checked.agrees
    assert checked.exact == "< PCA, 0.5"
    records["autoencoder"]["metrics"]["x"] = 0.5
    assert not checks.check_rows(records, (row,))[0].agrees


def test_row_of_another_data_set_is_left_out() -> None:
    row = checks.bounded("L20", "q", "vae/x", at_most=1.0, text="", dataset="mnist")
    records = {"vae": record("vae", x=2.0)}
    assert checks.check_rows(records, (row,)) == []
    records["vae"]["dataset"] = "mnist"
    assert not checks.check_rows(records, (row,))[0].agrees


def test_every_row_of_the_lecture_is_there_and_has_an_experiment() -> None:
    names = {section.experiment for section in page.SECTIONS}
    covered: set[str] = set()
    for row in lecture_numbers.ROWS:
        assert row.experiment in names
        first, _, last = row.row.replace("L", "").partition("–")
        covered |= {f"L{n}" for n in range(int(first), int(last or first) + 1)}
    assert covered == {f"L{number}" for number in range(1, 26)}


def test_missing_metric_names_the_experiment_to_run_again() -> None:
    with pytest.raises(ValueError, match="run make coin-flip again"):
        checks.check_rows(
            {"coin_flip": record("coin_flip", estimate=None)}, lecture_numbers.ROWS
        )


def test_no_results_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run make lecture first"):
        page.write(tmp_path)


def test_corrupt_results_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "coin_flip" / "metrics.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"metrics": 1})[:-1])
    with pytest.raises(ValueError, match=r"metrics\.json is not valid JSON"):
        page.write(tmp_path)


def test_environments_are_told_apart_by_their_versions() -> None:
    def made(jax: str, started: str) -> dict[str, Any]:
        about = {"versions": {"jax": jax}, "started": started}
        return {"environment": about | {"seconds": len(started)}}

    found = page.environments(
        {"a": made("1", "2026-02"), "b": made("2", "2026"), "c": made("1", "2026-01")}
    )
    assert [one.experiments for one in found] == [["a", "c"], ["b"]]
    assert [one.last_started for one in found] == ["2026-02", "2026"]
    assert found[1].about["versions"] == {"jax": "2"}
