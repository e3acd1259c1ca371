"""The history of a run as a CSV file."""

import csv

from vijax.vae.models.autoencoders import ModelParams
from vijax.vae.training import log

PARAMS = ModelParams({}, {})


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_epoch_and_a_run_taken_up_again(tmp_path):
    path = tmp_path / "new" / "run.csv"
    first = log.csv_file(path)
    for epoch in (1, 2, 3):
        assert not first(epoch, PARAMS, {"loss": 10.0 - epoch, "kl": 0.5})
    rows = read(path)
    assert [(row["epoch"], row["loss"], row["kl"]) for row in rows] == [
        ("1", "9.0", "0.5"),
        ("2", "8.0", "0.5"),
        ("3", "7.0", "0.5"),
    ]
    # The checkpoint stood at epoch 2: epoch 3 is run again, and its row replaced.
    seen = []
    again = log.csv_file(path, lambda epoch, params, terms: seen.append(epoch) or True)
    assert again(3, PARAMS, {"loss": 6.5, "kl": 0.25})
    assert [row["loss"] for row in read(path)] == ["9.0", "8.0", "6.5"]
    seconds = [float(row["cpu_seconds"]) for row in read(path)]
    assert seconds == sorted(seconds)
    assert seconds[2] >= float(rows[1]["cpu_seconds"])
    assert seen == [3]
