"""The collection of models: each is read as it is meant, and has a sound reference."""

import doctest
from collections import Counter
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from experiments.benchmarks import posteriors
from experiments.benchmarks.posteriors import collection, moments, quadrature, registry
from experiments.benchmarks.posteriors.quadrature import (
    grid_moments,
    logarithmic,
    spread,
)
from experiments.benchmarks.posteriors.reference import moments_of, sites_of
from experiments.studies.verdicts import HISTORIES
from vijax import vi

ENTRIES = posteriors.load()
WITH_REFERENCE = [entry for entry in ENTRIES if entry.reference is not None]
READ = [entry for entry in ENTRIES if entry.kind != "param"]
IN_FLOAT64 = "pulse_in_unix_time"  # float32 would blur its data


def _name(entry):
    return entry.name


def _name_of(module):
    return module.__name__.rpartition(".")[2]


@cache
def _sites(name):
    """Return the unknowns of a model: traced once, for two tests."""
    entry = collection.get(name)
    return sites_of((entry.model, entry.args))


def test_what_would_be_learned_beside_q_is_refused():
    entry = collection.get("learned_rate")
    with pytest.raises(ValueError, match=r"'b' is a numpyro\.param"):
        vi.from_numpyro(entry.model, *entry.args)


def test_data_that_float32_would_blur_are_refused():
    entry = collection.get(IN_FLOAT64)
    with (
        jax.enable_x64(False),
        pytest.raises(ValueError, match=r"numbers like 1599999985.*subtract an offset"),
    ):
        vi.from_numpyro(entry.model, *entry.args)


@pytest.mark.thorough
@pytest.mark.parametrize("entry", READ, ids=_name)
def test_unknowns_are_those_of_the_model(entry):
    """By names, constrained shapes, and their number in unconstrained space."""
    wide = jax.config.jax_enable_x64 or entry.name == IN_FLOAT64
    with jax.enable_x64(wide):
        _check_unknowns(entry)


def _check_unknowns(entry):
    sites = _sites(entry.name)
    target = vi.from_numpyro(entry.model, *entry.args)
    position = jax.ShapeDtypeStruct(target.init.shape, target.init.dtype)
    values = jax.eval_shape(target.constrain, position)
    names = [site.name for site in target.static.sites]
    assert {name: values[name].shape for name in names} == {
        name: site.shape for name, site in sites.items()
    }
    assert target.dim == sum(site.unknowns for site in sites.values())


@pytest.mark.thorough
@pytest.mark.parametrize("entry", WITH_REFERENCE, ids=_name)
def test_reference_is_of_these_data_and_converged(entry):
    record = moments.read(entry.kind)[entry.name]
    assert record["data"] == moments.fingerprint(entry.args)
    if "rhat" in record:
        assert record["rhat"] < 1.01
        assert record["ess"] >= 2000
        assert record["chains"] * record["draws"] >= 20_000
        assert record["divergences"] <= record["draws"] * record["chains"] / 500
    sites = _sites(entry.name)
    assert {name: truth.mean.shape for name, truth in entry.reference.items()} == {
        name: site.shape for name, site in sites.items()
    }
    for truth in entry.reference.values():
        varies = moments.varies(truth.mean, truth.sd)
        for error in (truth.mean_se, truth.sd_se):
            assert np.all(error[varies] < 0.03 * truth.sd[varies])


def test_every_model_has_a_reference_or_says_why_not():
    without = {entry.name for entry in ENTRIES if entry.reference is None}
    said = {name for name, spec in registry.SPECIFICATIONS.items() if spec.undecided}
    assert without == said


def test_models_say_what_the_verdict_owes_to_them():
    """A rule that is changed for a new model makes it one that is tuned on."""
    count = Counter(entry.history for entry in ENTRIES)
    assert count == {"tuned": 94, "mended": 11, "new": 43}
    assert set(count) == set(HISTORIES)


def test_references_are_of_models_that_exist():
    kinds = {path.stem for path in moments.FOLDER.glob("*.json")}
    stored = {(kind, name) for kind in kinds for name in moments.read(kind)}
    assert stored == {(entry.kind, entry.name) for entry in WITH_REFERENCE}


def _moments(mean, sd):
    mean, sd = np.array(mean), np.array(sd)
    return moments.Moments(mean, sd, np.zeros_like(mean), np.zeros_like(sd))


def test_errors_are_the_worst_over_moments_that_exist():
    reference = {
        "x": _moments([1.0, 2.0], [0.5, 4.0]),
        "tail": _moments(3.0, np.nan),  # no variance: no unit for the mean
        "constant": _moments(1.0, 0.0),
        "small": _moments(1e-10, 1e-12),
    }
    entry = posteriors.Entry("name", "kind", lambda: None, (), reference)
    means = {"x": [1.1, 2.4], "tail": 99.0, "constant": 1.0, "small": 1.001e-10}
    sds = {"x": [0.55, 3.0], "tail": np.inf, "constant": 0.0, "small": 1e-12}
    assert posteriors.errors(entry, means, sds) == (0.2, 0.25)
    assert posteriors.errors(entry, means | {"small": 1.03e-10}, sds).mean == 3.0
    unknown = sds | {"x": [np.nan, 4.0]}
    assert posteriors.errors(entry, means, unknown) == (0.2, np.inf)


def test_errors_refuse_what_is_no_answer():
    entry = posteriors.Entry("m", "kind", lambda: None, (), {"x": _moments(0.0, 1.0)})
    with pytest.raises(ValueError, match="lacks site 'x'"):
        posteriors.errors(entry, {}, {})
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        posteriors.errors(entry, {"x": np.zeros(2)}, {"x": np.ones(2)})
    with pytest.raises(ValueError, match="m has no reference"):
        posteriors.errors(entry._replace(reference=None), {}, {})
    with pytest.raises(ValueError, match="'no such' is not one of"):
        posteriors.get("no such")


def test_moments_survive_json(tmp_path, monkeypatch):
    monkeypatch.setattr(moments, "FOLDER", tmp_path)
    truth = _moments([1.5, np.nan], [0.25, np.nan])
    moments.write(
        "kind", {"name": {"data": "0", "sites": {"x": moments.to_json(truth)}}}
    )
    record = moments.read("kind")["name"]
    assert record["data"] == "0"
    for there, back in zip(truth, moments.from_json(record["sites"]["x"]), strict=True):
        np.testing.assert_array_equal(there, back)
    assert moments.read("another") == {}


def test_a_mean_far_from_zero_keeps_the_digits_of_its_sd():
    truth = _moments([1.6e9 + 0.25, 3.0], [0.125, 1e-9])
    back = moments.from_json(moments.to_json(truth))
    assert np.all(np.abs(back.mean - truth.mean) <= 1e-6 * truth.sd)
    assert moments.varies(back.mean, back.sd).all()


def test_models_are_made_once_and_alike():
    entry = ENTRIES[0]
    assert posteriors.get(entry.name) is entry
    model, args = registry.SPECIFICATIONS[entry.name].problem()
    assert model is not entry.model
    assert moments.fingerprint(args) == moments.fingerprint(entry.args)
    changed = (args[0] + 1e-3, *args[1:])
    assert moments.fingerprint(changed) != moments.fingerprint(args)


def test_moments_of_mirrored_draws():
    draws = 2.0 + np.asarray(jax.random.normal(jax.random.key(0), (4, 5000)))
    truth, size = moments_of([draws, -draws])
    assert float(truth.mean) == 0.0
    assert float(truth.mean_se) == 0.0
    # E x² = 4 + 1, by both images; its error from Var(x²) = 2 + 4·4.
    expected = np.sqrt(18 / 20_000) / (2 * np.sqrt(5))
    np.testing.assert_allclose(truth.sd_se, expected, rtol=0.05)
    assert abs(truth.sd - jnp.sqrt(5.0)) < 4 * truth.sd_se
    assert size > 10_000


@pytest.mark.parametrize("module", [collection, moments, quadrature], ids=_name_of)
def test_examples_in_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_quadrature_of_a_closed_form():
    """Normal mean and inverse-gamma variance: Student-t and inverse-gamma margins."""

    def model(y):
        variance = numpyro.sample("variance", dist.InverseGamma(4.0, 3.0))
        mu = numpyro.sample("mu", dist.Normal(1.0, jnp.sqrt(variance)))
        numpyro.sample("y", dist.Normal(mu, jnp.sqrt(variance)), obs=y)

    y = np.array([0.5, 2.0, 2.5])
    axes = {
        "variance": logarithmic(0.01, 1e4, 250),  # 40,000 points: four whole batches
        "mu": spread(1.5, 0.5, 1e3, 160),
    }
    found = grid_moments((model, (y,)), axes)
    shape, loc = 4 + 3 / 2, (1 + y.sum()) / 4
    scale = 3 + 0.5 * (((y - loc) ** 2).sum() + (1 - loc) ** 2)
    mean = scale / (shape - 1)
    assert float(found["mu"].mean) == pytest.approx(loc, rel=1e-4)
    assert float(found["mu"].sd) == pytest.approx(np.sqrt(mean / 4), rel=1e-4)
    assert float(found["variance"].mean) == pytest.approx(mean, rel=1e-4)
    sd = mean / np.sqrt(shape - 2)
    assert float(found["variance"].sd) == pytest.approx(sd, rel=1e-4)
    for value in found.values():
        assert value.mean_se < 1e-3
