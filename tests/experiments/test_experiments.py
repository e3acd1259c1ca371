"""Every experiment, small: it runs, its numbers agree, the report shows all of it."""

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import common
from experiments.lecture import run_all
from experiments.report import checks, page
from experiments.report.lecture_numbers import ROWS
from experiments.studies import posteriordb
from vijax import data

NETWORK = {"hidden": (32,), "epochs": 2, "grid": 3, "gap_samples": 100}
SMALL: dict[str, dict[str, Any]] = {
    "bayes_theorem": {"sequences": 64, "tosses": 1024, "bags": 10_000},
    "coin_flip": {"num_chains": 2, "num_warmup": 100, "num_samples": 200},
    "poisson_sensors": {"sizes": (0, 1, 100)},  # NaN once came at 100
    "prior_sweep": {"num_priors": 400},
    "elbo": {"num_samples": 2000},
    "vi_vs_mcmc": {"num_data": (1000,), "dims": (5,)},
    "autoencoder": NETWORK,
    "vae": NETWORK | {"gradient_draws": 200},
    "use_cases": {
        "hidden": (16,),
        "steps": 20,
        "latents": (2,),
        "levels": (4, 16),
        "max_images": 100,
    },
    "limit_coverage": {"num_signals": 13, "num_backgrounds": 3, "num_claims": 3},
    "workflow": {
        "regressions": ("all ten", "all ten, on roots"),
        "family": "full_rank",
        "num_samples": 1000,
        "chains": False,
    },
    "template_fit": {"num_points": 5, "num_toys": 0, "chains": False},
    "verdict_benchmark": {},
    "advi_benchmark": {
        "posteriors": ("earnings-logearn_height",),
        "families": ("full_rank",),
        "oracles": ("mean of a normal",),
        "num_seeds": 4,
    },
    "posterior_gallery": {
        "posteriors": ("earnings-logearn_height",),
        "families": ("full_rank",),
    },
    "anomaly_detection": {
        "hidden": (16,),
        "steps": 20,
        "table_steps": 20,
        "trainings": 2,
        "fractions": (0.0, 0.2),
    },
    "compression": {
        "hidden": (16,),
        "epochs": 2,
        "curve_images": 5,
        "curve_steps": 4,
        "table_epochs": 1,
        "bounds": (0.1, 0.01),
    },
    "generation": {
        "hidden": (16,),
        "steps": 20,
        "max_images": 100,
        "table_epochs": 1,
        "events": 50,
        "repetitions": 2,
    },
    "iwae": {
        "dataset": "digits",
        "latent": 2,
        "hidden": (16,),
        "epochs": 2,
        "batch_size": 100,
        "evaluation_samples": 50,
    },
    "learned_priors": {
        "num_components": 5,
        "latent": 2,
        "hidden": (16,),
        "epochs": 1,
        "evaluation_samples": 50,
        "max_images": 40,
        "flow_steps": 20,
    },
}
TABLES = {"magic", "cms_multijet"}
# Of the lecture vi_vs_mcmc is run each time, of what is beyond it iwae.
THOROUGH = {"coin_flip", "elbo", "use_cases", "vae"}
SLOW = {
    *("autoencoder", "bayes_theorem", "poisson_sensors", "prior_sweep"),
    *("learned_priors", "limit_coverage", "template_fit", "workflow"),
    *("advi_benchmark", "posterior_gallery", "verdict_benchmark"),
    *("anomaly_detection", "compression", "generation"),
}
NEED_POSTERIORDB = {"advi_benchmark", "posterior_gallery"}
# Of these metrics null is an answer: "there is none".
MAY_BE_NULL = {
    "metrics.matched",
    "metrics.magic",
    "metrics.collisions",
    "metrics.published_auc",
    "metrics.events",
    "metrics.bits_back_rerun",
    "metrics.break_even_images",
    "metrics.paper_log_evidence",
}
# Held against a baseline that a few steps of training do not reach.
TRAINED = {"autoencoder", "vae", "use_cases", "anomaly_detection"}


def module(name: str) -> Any:
    room = "lecture" if name in (*run_all.TIMED, *run_all.OTHERS) else "beyond"
    return importlib.import_module(f"experiments.{room}.{name}")


def marks(name: str) -> list[pytest.MarkDecorator]:
    found = [pytest.mark.slow] * (name in SLOW)
    return found + [pytest.mark.thorough] * (name in THOROUGH)


def missing(value: Any, path: str = "metrics") -> list[str]:
    """Return where a metric is null, which is how NaN and infinities are written."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in missing(v, f"{path}.{k}")]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in missing(v, f"{path}.{i}")]
    return [path] if value is None else []


@pytest.fixture
def short_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep 800 events of each part of the tables, all alike: programs are shared."""
    load = data.load

    def some(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[:: len(values) // 800][:800]

    def short(name: str) -> data.Dataset:
        found = load(name)
        if name not in TABLES:
            return found
        parts = ("train", "test", "train_labels", "test_labels")
        return found._replace(**{part: some(getattr(found, part)) for part in parts})

    monkeypatch.setattr(data, "load", short)


def test_every_experiment_of_the_report_is_here() -> None:
    assert set(SMALL) == {section.experiment for section in page.SECTIONS}


@pytest.mark.usefixtures("short_tables")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=marks(name)) for name in SMALL],
)
def test_experiment_runs_small(name: str, tmp_path: Path) -> None:
    experiment = module(name)
    if name in NEED_POSTERIORDB and not posteriordb.is_there():
        pytest.skip("posteriordb is not on this machine")
    config = experiment.Config(**SMALL[name])
    record = common.execute(name, config, experiment.run, tmp_path)
    assert record["experiment"] == name
    assert record["config"]["seed"] == 0
    has_dataset = "dataset" in {field.name for field in fields(experiment.Config)}
    assert record["dataset"] == ("digits" if has_dataset else None)
    assert set(missing(record["metrics"])) <= MAY_BE_NULL
    checked = checks.check_rows({name: record}, ROWS)
    if name not in TRAINED:
        assert [row for row in checked if not row.agrees] == []
    figures = list((tmp_path / name).glob("*.png"))
    assert figures
    body = page.render_section(tmp_path, record)
    assert body.count("<figure>") == len(figures)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("coin_flip", {"trials": 14, "successes": 15}, "successes"),
    ("coin_flip", {"trials": 0, "successes": 0}, "trials"),
    ("coin_flip", {"trials": 14, "successes": -1}, "successes"),
    ("coin_flip", {"concentration": 0.0}, "concentration"),
    ("coin_flip", {"concentration": float("nan")}, "concentration"),
    ("bayes_theorem", {"coins": 0}, "coins"),
    ("poisson_sensors", {"rates": (-1.0, 1.0)}, "rates"),
    ("poisson_sensors", {"sizes": (-1,)}, "sizes"),
    ("poisson_sensors", {"sizes": ()}, "sizes"),
    ("prior_sweep", {"num_priors": 0}, "num_priors"),
    ("prior_sweep", {"trials": 14, "successes": 15}, "successes"),
    ("elbo", {"rate": -1.0}, "rate"),
    ("workflow", {"held_out": 1.0}, "held_out"),
    ("workflow", {"regressions": ("all ten",)}, "regressions"),
    ("workflow", {"miss_cost": 0.0}, "miss_cost"),
    ("workflow", {"num_samples": 10}, "num_samples"),
    ("template_fit", {"level": 1.0}, "level"),
    ("template_fit", {"num_points": 1}, "num_points"),
    ("template_fit", {"num_toys": 5}, "num_toys"),
    ("advi_benchmark", {"folder": Path("no/such/folder")}, "git clone"),
    ("advi_benchmark", {"num_seeds": 0}, "num_seeds"),
    ("posterior_gallery", {"posteriors": ()}, "posteriors"),
    ("autoencoder", {"dataset": "mnits"}, "mnits"),
    ("autoencoder", {"dataset": "no/such/file.npy"}, "no/such/file.npy"),
    ("autoencoder", {"epochs": 0}, "epochs"),
    ("autoencoder", {"latent": 0}, "latent"),
    ("vae", {"batch_size": 10_000}, "batch_size"),
    ("vae", {"learning_rate": 0.0}, "learning_rate"),
    ("use_cases", {"dataset": "mnits"}, "mnits"),
    ("use_cases", {"steps": 0}, "steps"),
    ("anomaly_detection", {"latent": 0}, "latent"),
    ("compression", {"bounds": (0.0, 0.01)}, "bounds"),
    ("compression", {"shown_bound": 0.02}, "shown_bound"),
    ("compression", {"latent": 0}, "latent"),
    ("generation", {"repetitions": 1}, "repetitions"),
    ("iwae", {"evaluation_samples": 0}, "evaluation_samples"),
    ("iwae", {"gradient": "reinforce"}, "gradient"),
]


@pytest.mark.parametrize(("name", "options", "says"), BAD)
def test_bad_config_is_named(name: str, options: dict[str, Any], says: str) -> None:
    experiment = module(name)
    with pytest.raises((ValueError, OSError), match=says):
        experiment.run(experiment.Config(**options))
