"""What a model reads beside its arguments is part of what it is."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers

from tests.vi.targets import looked_up_constants as constants
from vijax import vi
from vijax.vi.targets.arguments.looked_up import looked_up, settled

WIDTH = 1.0
TABLE = np.array([1.0, 2.0])
OPTIONS = {"widths": (1.0, 2.0)}


def half(x):
    return x * WIDTH / 2


class Curve:
    def __init__(self, slope):
        self.slope = slope

    def __call__(self, x):
        return self.slope * x


CURVE = Curve(1.0)


def model(y=None):
    mean = numpyro.sample("mean", dist.Normal(0.0, OPTIONS["widths"][0]))
    sd = half(jnp.sum(TABLE)) * constants.FACTOR * CURVE(1.0)
    numpyro.sample("y", dist.Normal(mean, sd), obs=y)


@pytest.mark.parametrize(
    "around",
    [
        lambda: model,
        lambda: partial(model, y=None),
        lambda: jax.jit(model),
        lambda: handlers.scale(model, 2.0),
    ],
)
@pytest.mark.parametrize(
    ("holder", "attribute", "value", "name"),
    [
        ("module", "WIDTH", 2.0, "WIDTH"),
        ("module", "TABLE", np.array([1.0, 3.0]), "TABLE"),
        ("module", "OPTIONS", {"widths": (1.0, 3.0)}, "OPTIONS"),
        ("module", "half", lambda x: x / 3, "half|code"),
        (constants, "FACTOR", 2.0, "constants.FACTOR"),
        (CURVE, "slope", 2.0, "slope"),
    ],
)
def test_a_change_is_named(monkeypatch, around, holder, attribute, value, name):
    function = around()
    before = looked_up(function)
    assert before == looked_up(function)
    assert hash(before) == hash(looked_up(function))
    if holder == "module":
        monkeypatch.setitem(globals(), attribute, value)
    else:
        monkeypatch.setattr(holder, attribute, value)
    found = before.first_difference(looked_up(function))
    assert found is not None
    assert any(part in found for part in name.split("|"))
    monkeypatch.undo()
    assert before == looked_up(function)


def test_a_large_array_that_is_written_into_is_another():
    table = np.zeros(3_000_000)

    def reads():
        return table

    before = looked_up(reads)
    assert before == looked_up(reads)
    table[:] = 1.0
    assert before.first_difference(looked_up(reads)) == "table"


def test_what_a_model_changes_itself_does_not_count(monkeypatch):
    calls = []

    def counted(x):
        calls.append(len(calls))
        return x * WIDTH

    before = looked_up(counted)
    counted(1.0)
    assert before != looked_up(counted)
    found = settled(before, counted)
    counted(1.0)
    assert found == looked_up(counted) == settled(before, counted)
    monkeypatch.setitem(globals(), "WIDTH", 2.0)
    assert found.first_difference(looked_up(counted)) == "WIDTH"


@pytest.mark.thorough
def test_programs_compiled_for_the_old_value_are_not_used_again(key, monkeypatch):
    y = np.array([0.5, 1.5])
    density = jax.jit(lambda target, position: target.log_density(position))
    at = np.zeros(1, np.float32)

    def look():
        prior = vi.prior_predict(model, key, None, num_samples=4000)
        return density(vi.from_numpyro(model, y), at), np.std(prior["y"])

    for width in (1.0, 4.0):
        monkeypatch.setitem(globals(), "WIDTH", width)
        found, spread = look()
        sd = 1.5 * width
        exact = sum(dist.Normal(0.0, sd).log_prob(y)) + dist.Normal().log_prob(0.0)
        np.testing.assert_allclose(found, exact, rtol=1e-5)
        np.testing.assert_allclose(spread, (1 + sd**2) ** 0.5, rtol=0.05)


def test_a_plain_density_is_read_too(monkeypatch):
    def log_density(p):
        return -0.5 * (p["x"] / WIDTH) ** 2

    density = jax.jit(lambda target, position: target.log_density(position))
    for width in (1.0, 3.0):
        monkeypatch.setitem(globals(), "WIDTH", width)
        target = vi.from_log_density(log_density, {"x": 0.0})
        found = density(target, np.ones(1, np.float32))
        np.testing.assert_allclose(found, -0.5 / width**2, rtol=1e-6)


@pytest.mark.slow
def test_a_fit_after_a_change_is_of_the_changed_model(key, monkeypatch):
    y = np.array([0.5, 1.5, -0.2, 0.9])
    for width in (1.0, 4.0):
        monkeypatch.setitem(globals(), "WIDTH", width)
        fit = vi.fit(vi.from_numpyro(model, y), key)
        exact = (1 + 4 / (1.5 * width) ** 2) ** -0.5
        np.testing.assert_allclose(fit.sds, exact, rtol=0.05)
