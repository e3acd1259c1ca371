"""A fit handed to ArviZ; `make test-arviz` runs this where ArviZ is installed."""

import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi

HAS_ARVIZ = importlib.util.find_spec("arviz") is not None


@pytest.fixture
def fitted(key):
    target = vi.from_log_density(
        lambda p: -0.5 * jnp.sum((p["x"] - 3.0) ** 2), {"x": jnp.zeros(2)}
    )
    return vi.fit(target, key)


def test_missing_arviz_is_said(fitted, key, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"vi\.to_arviz needs arviz: .*'\.\[arviz\]'"):
        vi.to_arviz(fitted, key)


@pytest.mark.skipif(not HAS_ARVIZ, reason="make test-arviz runs it")
@pytest.mark.filterwarnings(
    r"ignore:\s*ArviZ is undergoing:FutureWarning"
)  # once a day
def test_draws_and_verdict_arrive(fitted):
    arviz = importlib.import_module("arviz")
    data = vi.to_arviz(fitted, jax.random.key(1), 500)
    x = data.posterior["x"]
    assert x.shape == (1, 500, 2)
    draws = vi.sample(fitted, jax.random.key(1), 500)["x"]
    np.testing.assert_array_equal(x.values[0], draws)
    np.testing.assert_allclose(x.mean(), 3.0, atol=4 / np.sqrt(1000))
    # Draws of q, not copies of one: the sds too are right.
    np.testing.assert_allclose(x.std(), 1.0, atol=4 / np.sqrt(2000))
    found = data.posterior.attrs
    assert found["inference_library"] == "vijax"
    assert found["verdict"] == "converged"
    assert found["advice"] == fitted.advice
    assert found["trusted"] == found["correctable"] == 1
    for name in ("khat", "khat_se", "elbo", "elbo_se", "log_evidence"):
        assert found[name] == float(getattr(fitted, name))
    # ArviZ's own functions work on it.
    table = arviz.summary(data, kind="stats", round_to=6)
    means = np.asarray(table["mean"], float)
    np.testing.assert_allclose(means, draws.mean(axis=0), atol=2e-6)
