"""Early stopping on given held-out values and in real trainings; the log as CSV."""

import csv

import numpy as np
import pytest

from vijax import data
from vijax.vae import models, training
from vijax.vae.evaluation import elbo
from vijax.vae.models import ModelParams, likelihoods
from vijax.vae.training import EarlyStopping, callbacks

PARAMS = ModelParams({}, {})


def run(values, **settings):
    """Feed held-out values, (epochs,) or (epochs, runs), until patience is over."""
    values = np.array(values, np.float32)
    runs = values.shape[1] if values.ndim == 2 else None
    shown = []
    stopping = EarlyStopping(lambda params: values[params.encoder["a"] - 1], **settings)
    best = callbacks.no_best(ModelParams({"a": np.array(0)}, {}), None)
    if runs:
        stopping = EarlyStopping(lambda params: params.encoder["value"], **settings)
        best = callbacks.no_best(ModelParams({"value": np.zeros(runs)}, {}), runs)
    for epoch, value in enumerate(values, 1):
        params = ModelParams({"value": value} if runs else {"a": np.array(epoch)}, {})
        if epoch % stopping.every == 0:
            shown.append(callbacks.evaluate(stopping, params, best))
            best = callbacks.better(best, epoch, shown[-1], params)
        if callbacks.is_over(stopping, best, epoch):
            return epoch, best
    return None, best


def test_stops_when_patience_is_over_and_keeps_the_best():
    epoch, best = run([1.0, 3.0, 2.0, 3.0, 2.5, 9.0], patience=3)
    assert (epoch, int(best.epoch), float(best.value)) == (5, 2, 3.0)
    assert best.params.encoder["a"] == 2


def test_a_value_that_is_nan_is_no_improvement():
    epoch, best = run([1.0, np.nan, np.nan, 2.0], patience=2)
    assert (epoch, int(best.epoch)) == (3, 1)
    assert run([np.nan, np.nan, np.nan], patience=1)[0] is None


def test_evaluates_every_few_epochs():
    values = [1.0, 2.0, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    epoch, best = run(values, patience=4, every=2)
    assert (epoch, int(best.epoch)) == (6, 2)


def test_an_ensemble_waits_for_its_last_run():
    values = [[1.0, 1.0], [3.0, 2.0], [2.0, 5.0], [1.0, 4.0], [1.0, 4.0], [9.0, 9.0]]
    epoch, best = run(values, patience=2)
    assert epoch == 5
    assert best.epoch.tolist() == [2, 3]
    assert best.params.encoder["value"].tolist() == [3.0, 5.0]


@pytest.mark.slow
def test_a_network_that_overfits_is_stopped(key):
    images = data.load("digits")
    few = likelihoods.binarize(key, images.train[:40])
    x = likelihoods.binarize(key, images.test)
    bernoulli = likelihoods.bernoulli(binary=True)
    model = models.vae((8, 8), hidden=(32,), likelihood=bernoulli)

    def held_out(params):
        return elbo.held_out_elbo(model, params, key, x, num_samples=4).elbo

    trained = training.fit(
        model,
        key,
        few,
        epochs=2000,
        batch_size=40,
        optimizer=training.Adam(1e-2, final_fraction=1.0),
        stopping=EarlyStopping(held_out, patience=40, every=20),
    )
    assert trained.best.epoch < len(trained.loss) < 2000
    assert trained.stopped
    value = held_out(trained.best.params)
    np.testing.assert_allclose(value, trained.best.value, rtol=1e-5)
    assert held_out(trained.params) < trained.best.value
    assert np.nanmax(trained.held_out) == trained.best.value


def test_held_out_values_that_are_never_numbers_are_refused():
    stopping, params = EarlyStopping(lambda params: np.nan, patience=3), ({}, {})
    best = callbacks.no_best(ModelParams(*params), None)
    callbacks.check_held_out(stopping, best, 2)
    with pytest.raises(ValueError, match=r"held_out = nan .* in all of 3 epochs"):
        callbacks.check_held_out(stopping, best, 3)
    one_of_two = best._replace(epoch=np.array([1, 0]), value=np.array([2.0, -np.inf]))
    with pytest.raises(ValueError, match=r"held_out = nan \(at index 1\)"):
        callbacks.check_held_out(stopping, one_of_two, 3)
    callbacks.check_held_out(stopping, best._replace(epoch=np.array(1)), 9)


@pytest.mark.thorough
def test_a_training_asks_for_held_out_numbers(key):
    model = models.autoencoder((3,), latent=1, hidden=(), output="identity")
    stopping = EarlyStopping(lambda params: np.nan, patience=2)
    with pytest.raises(ValueError, match=r"held_out = nan .* in all of 2 epochs"):
        training.fit(
            model, key, np.ones((8, 3)), epochs=9, batch_size=4, stopping=stopping
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"patience": 0}, "patience = 0"), ({"patience": 1, "every": 0}, "every = 0")],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(lambda params: 0.0, **settings)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_epoch_and_a_resumed_run(tmp_path):
    path = tmp_path / "new" / "run.csv"
    first = training.csv_log(path)
    for epoch in (1, 2, 3):
        assert not first(epoch, PARAMS, {"loss": 10.0 - epoch, "kl": 0.5})
    rows = read(path)
    assert [(row["epoch"], row["loss"], row["kl"]) for row in rows] == [
        ("1", "9.0", "0.5"),
        ("2", "8.0", "0.5"),
        ("3", "7.0", "0.5"),
    ]
    # The checkpoint stood at epoch 2: epoch 3 is run again, and its row replaced.
    again = training.csv_log(path)
    again(3, PARAMS, {"loss": 6.5, "kl": 0.25})
    assert [row["loss"] for row in read(path)] == ["9.0", "8.0", "6.5"]
    seconds = [float(row["cpu_seconds"]) for row in read(path)]
    assert seconds == sorted(seconds)
    assert seconds[2] >= float(rows[1]["cpu_seconds"])


def test_every_run_of_an_ensemble_has_its_column(tmp_path):
    path = tmp_path / "run.csv"
    training.csv_log(path)(1, PARAMS, {"loss": np.array([1.5, 2.5])})
    assert path.read_text().splitlines()[0] == "epoch,loss[0],loss[1],cpu_seconds"
    assert (read(path)[0]["loss[0]"], read(path)[0]["loss[1]"]) == ("1.5", "2.5")


def test_every_callback_is_called_and_one_can_end_the_run():
    seen = []
    calls = (
        lambda epoch, params, terms: seen.append(("a", epoch)) or True,
        lambda epoch, params, terms: seen.append(("b", epoch)),
    )
    assert callbacks.call_all(calls, 3, PARAMS, {})
    assert seen == [("a", 3), ("b", 3)]
    assert not callbacks.call_all(calls[1:], 4, PARAMS, {})
