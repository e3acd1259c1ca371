"""The benchmark on posteriordb: what counts as arrived, and what a file keeps."""

import json

import jax
import numpy as np
import pytest

from experiments.benchmarks import posteriordb as benchmark
from experiments.benchmarks.posteriordb_systems import System
from experiments.studies import posteriordb as database

NAMES = ("a-one", "a-two", "a-three")


@pytest.fixture(autouse=True)
def keep_what_other_tests_compiled(monkeypatch):
    monkeypatch.setattr(jax, "clear_caches", lambda: None)


def posterior(name):
    exact = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    parameters = ("beta[1]", "beta[2]")
    draws = np.zeros((1, 2))
    return database.Posterior(name, print, (), parameters, *exact, True, draws)


def system(mean_off=0.0, sd_off=0.0, needs=0, calls=None, grows=True):
    """Return a system whose answer is off by so much until it has enough steps."""

    def run(posterior, seed, steps):
        if calls is not None:
            calls.append(steps)
        far = 9.0 if steps < needs else 1.0
        mean = posterior.mean + far * mean_off * posterior.sd
        return mean, posterior.sd * (1 + far * sd_off)

    return System(run, 0.05, grows)


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (system(0.09, 0.04, needs=10_000), 10_000),
        (system(0.09, 0.04, grows=False), 10_000),
        (system(0.11, 0.0), None),
        (system(0.0, -0.06), None),
        (system(np.nan, 0.0), None),
        (System(lambda posterior, seed, steps: None, 0.05, False), None),
        (System(lambda posterior, seed, steps: int("x"), 0.05, False), None),
    ],
)
def test_an_answer_arrives_where_both_moments_are_right(monkeypatch, made, steps):
    monkeypatch.setattr(benchmark, "SYSTEMS", {"it": made})
    row = benchmark.measure(posterior("a-one"), "it", benchmark.STEPS, 0)
    assert (row["seconds"] is not None) == (steps is not None)
    if steps is not None:
        assert row["steps"] == steps
        assert row["seconds"] > 0


def test_results_are_kept_and_failures_are_infinitely_slow(monkeypatch, tmp_path):
    calls = []
    systems = {"right": system(calls=calls), "wrong": system(1.0)}
    monkeypatch.setattr(benchmark, "SYSTEMS", systems)
    monkeypatch.setattr(database, "find_folder", lambda folder: tmp_path)
    monkeypatch.setattr(database, "load", lambda folder, name: posterior(name))
    file = tmp_path / "new" / "rows.jsonl"
    config = benchmark.Config(posteriors=NAMES, systems=tuple(systems), file=file)
    found = benchmark.run(config)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 6
    assert [row["seconds"] is None for row in rows] == [False, True] * 3
    assert (found["right"].arrived, found["wrong"].arrived) == (3, 0)
    seconds = [row["seconds"] for row in rows if row["system"] == "right"]
    assert found["right"].median_seconds == sorted(seconds)[1]
    calls.clear()
    assert benchmark.run(config) == found  # everything is known
    assert calls == []
    benchmark.run(benchmark.Config(**vars(config) | {"again": True}))
    assert len(calls) == 1 + 3  # the warm-up, and what had arrived
    assert len(file.read_text().splitlines()) == 9


def test_totals_compare_medians_and_pairs():
    seconds = {"ours": (1.0, 2.0, 4.0), "fast": (0.5, 4.0, None), "none": (None,) * 3}
    rows = {
        (name, system): {"seconds": value}
        for system, values in seconds.items()
        for name, value in zip(NAMES, values, strict=True)
    }
    found = benchmark.totals(rows, NAMES, tuple(seconds))
    assert found["ours"] == benchmark.Totals(3, 3, 2.0, 1.0, 1.0, 3)
    assert found["fast"] == benchmark.Totals(2, 3, 4.0, 2.0, 1.25, 2)
    none = found["none"]
    assert (none.arrived, none.median_ratio, none.both_arrived) == (0, np.inf, 0)
    assert np.isnan(none.ratio_where_both)
    # What has not been run is not there, and so is a failure too.
    del rows["a-one", "ours"]
    assert benchmark.totals(rows, NAMES, ("ours",))["ours"].median_seconds == 4.0
