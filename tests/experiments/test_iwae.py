"""The IWAE experiment, small: its numbers agree, its page shows them."""

import jax
import numpy as np
import pytest

from experiments import common
from experiments.beyond import iwae
from experiments.report import page
from vijax import data
from vijax.vae.models import autoencoders

SMALL = {
    "dataset": "digits",
    "latent": 2,
    "hidden": (16,),
    "epochs": 2,
    "epochs_before": 1,
    "batch_size": 100,
    "num_samples": 5,
    "evaluation_samples": 500,
}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    config = iwae.Config(**SMALL, runs=folder / "runs")
    return common.execute("iwae", config, iwae.run, folder) | {"folder": folder}


@pytest.mark.slow
def test_bounds_rise_to_log_evidence(record):
    m = record["metrics"]
    assert m["bound_samples"] == [5, 50, 500]
    assert np.all(np.diff(m["bound"]) > 0)
    # log p(x) of all 297 images, and of the same with other draws.
    error = m["log_evidence_draw_standard_error"] + m["bound_standard_error"][-1]
    assert abs(m["log_evidence"] - m["bound"][-1]) < 4 * error + 0.01
    assert m["test_elbo"] < m["bound"][0]
    assert m["paper_log_evidence"] is None  # the paper has no digits


@pytest.mark.slow
def test_a_history_for_each_stage(record):
    runs = record["folder"] / "runs"
    assert len((runs / "k1.csv").read_text().splitlines()) == 2
    assert len((runs / "k5.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_page_shows_it(record):
    body = page.render_section(record["folder"], record)
    assert body.count("<figure>") == 1


def test_decoder_starts_at_the_mean_image():
    images = data.load("digits").train
    model = autoencoders.vae((8, 8), hidden=(16,))
    params = autoencoders.init_at_mean(model, jax.random.key(0), images)
    bias = params.decoder["output"]["bias"].reshape(8, 8)
    mean = np.clip(images.mean(axis=0), 1e-3, 1 - 1e-3)
    np.testing.assert_allclose(jax.nn.sigmoid(bias), mean, rtol=1e-5)
