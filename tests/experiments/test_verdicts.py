"""Rows of the verdict's benchmark: what counts as an answer, and what as none."""

import jax
import numpy as np
import pytest

from experiments.benchmarks import posteriors, verdicts
from experiments.benchmarks.posteriors.moments import Moments
from experiments.studies.verdicts import (
    OUTCOMES,
    by_history,
    outcome,
    shares,
    totals,
)

TRUTH = {"x": Moments(np.array(0.0), np.array(1.0), np.array(0.0), np.array(0.0))}


def entry(raised):
    def model():
        raise raised

    return posteriors.Entry("name", "kind", model, (), TRUTH)


def test_a_model_that_is_turned_down_is_refused_and_says_why():
    row = verdicts.run_one(entry(ValueError("no prior")), "mean_field", 0)
    assert (row["used"], row["verdict"]) == ("refused", "refused")
    assert "no prior" in row["advice"]
    assert outcome(row) == "no answer"


@pytest.mark.parametrize("kind", [TypeError, RuntimeError, NotImplementedError])
def test_a_fault_of_our_own_ends_the_run(monkeypatch, kind):
    def fit(*args, **kwargs):
        raise kind("a fault")

    monkeypatch.setattr(verdicts.vi, "fit", fit)
    sound = posteriors.load()[0]
    with pytest.raises(kind, match="a fault"):
        verdicts.run_one(sound, "mean_field", 0)


@pytest.mark.thorough
def test_a_peer_that_raises_has_failed(monkeypatch):
    def system(model, arguments, seed, steps):
        raise TypeError("not supported")

    monkeypatch.setitem(verdicts.PEERS, "peer", (system, 0))
    row = verdicts.run_one(entry(ValueError()), "peer", 0)
    assert (row["used"], row["verdict"]) == ("failed", "gives none")
    assert row["advice"] == "TypeError: not supported"
    assert outcome(row) == "no answer"


def test_a_peers_draws_are_held_against_the_truth(monkeypatch):
    """Means off by 0.05 sd and sds by 2 % are right, 0.2 sd is wrong."""
    draws = np.array([-1.02, 1.02])
    for shift, wrong in ((0.05, False), (0.2, True)):
        answer = {"x": draws + shift}
        monkeypatch.setitem(verdicts.PEERS, "peer", (lambda *_, a=answer: a, 0))
        row = verdicts.run_one(entry(ValueError()), "peer", 0)
        assert row["mean_error"] == pytest.approx(shift, abs=1e-4)
        assert row["sd_error"] == pytest.approx(0.02, abs=1e-4)
        assert row["wrong"] is wrong
        assert outcome(row) == ("wrong and used" if wrong else "right and used")


def refused(own, corrected, could_be_used):
    errors = {"own": own, "corrected": corrected}
    return {"used": "none", "errors": errors, "could_be_used": could_be_used}


def test_an_answer_that_is_refused_was_right_or_wrong():
    right = refused([0.5, 0.5], [0.01, 0.02], ["corrected"])
    assert outcome(right) == "right but refused"
    assert outcome(refused([0.5, 0.5], [0.2, 0.2], [])) == "wrong and refused"
    # An answer that says of no number that it is known has no error, and is none.
    unknown = refused([0.5, 0.5], [0.0, 0.0], ["corrected"])
    assert outcome(unknown) == "wrong and refused"


def test_shares_count_each_fit_once():
    answered = [{"used": "own", "wrong": wrong} for wrong in (False, False, True)]
    rows = [
        *answered,
        refused([0.01, 0.01], [0.2, 0.2], ["own"]),
        {"used": "failed"},
    ]
    found = shares(rows)
    assert [found[name] for name in OUTCOMES] == [2, 1, 1, 0, 1]
    assert found["wrong_and_used_share"] == pytest.approx(1 / 5)
    assert found["right_but_refused_share"] == pytest.approx(1 / 3)
    se = found["right_but_refused_share_standard_error"]
    assert se == pytest.approx((2 / 9 / 3) ** 0.5)
    timed = [row | {"family": "peer", "cpu_seconds": 2.0} for row in rows]
    assert totals(timed, "peer")["median_cpu_seconds"] == 2.0


def test_models_that_the_rules_were_made_on_are_counted_apart():
    rows = [
        {"model": "late", "used": "own", "wrong": True, "history": "new"},
        {"model": "old", "used": "own", "wrong": False},
        {"model": "old", "used": "own", "wrong": True, "history": "tuned"},
    ]
    found = by_history(rows)
    assert list(found) == ["tuned", "new"]
    counts = [(row["models"], row["fits"]) for row in found.values()]
    assert counts == [(1, 2), (1, 1)]
    wrong = [row["wrong_and_used_share"] for row in found.values()]
    assert wrong == [0.5, 1.0]


def test_a_row_says_what_the_rules_owe_to_its_model():
    late = entry(ValueError("no prior"))._replace(history="new")
    assert verdicts.run_one(late, "mean_field", 0)["history"] == "new"


@pytest.mark.slow
def test_hardly_an_answer_that_is_used_is_wrong(monkeypatch):
    """Mean field on all models: the published shares, with room for other machines.

    They are of the first list. Of the models written to mislead the verdict, the one
    that docs/explained/verdict.md names may do so.
    """
    monkeypatch.setattr(verdicts, "SHORT", 0.0)
    rows = []
    for entry in posteriors.load():
        if entry.reference is None:
            continue
        rows.append(verdicts.run_one(entry, "mean_field", 0))
        if len(rows) % 20 == 0:  # a process has room for some thousand programs
            jax.clear_caches()
    late = [row for row in rows if row["history"] != "tuned"]
    misled = {row["model"] for row in late if outcome(row) == "wrong and used"}
    assert misled <= {"needle"}
    found = shares([row for row in rows if row["history"] == "tuned"])
    assert found["fits"] >= 90
    assert found["wrong and used"] <= 1
    assert found["right_but_refused_share"] <= 0.2
    assert found["right_and_used_share"] >= 0.6
