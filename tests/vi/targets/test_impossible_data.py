"""What makes a density finite nowhere is said, site by site."""

import re

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers

from vijax import vi
from vijax.vi.targets.models.impossible_data import explain


def of(distribution, subsample=None, mask=True):
    def model(y):
        p = numpyro.sample("p", dist.Beta(2.0, 2.0))
        with (
            numpyro.plate("rows", len(y), subsample_size=subsample) as rows,
            handlers.mask(mask=mask),
        ):
            numpyro.sample("y", distribution(p), obs=y[rows])

    return model


COUNTS = np.array([0, 3, 7, 2])
CASES = {
    "labels": (
        of(dist.Bernoulli),
        np.array([0, 1, 2, 2]),
        "'y' .* such as 2 at index 2",
    ),
    "NaN": (
        of(lambda p: dist.Normal(p, 1.0)),
        np.array([1.0, np.nan]),
        "nan at index 1",
    ),
    "counts": (of(lambda p: dist.Binomial(5, p)), COUNTS, "such as 7 at index 2$"),
    "rows": (of(lambda p: dist.Binomial(5, p), 2), COUNTS, "such as 7 at index 2$"),
}


@pytest.mark.parametrize(("model", "y", "words"), CASES.values(), ids=CASES)
def test_impossible_data_are_shown(model, y, words):
    assert re.search(words, explain(vi.from_numpyro(model, y)))


def test_data_under_a_mask_are_not_blamed():
    model = of(lambda p: dist.Binomial(5, p), mask=COUNTS != 7)
    assert explain(vi.from_numpyro(model, COUNTS)) == ""


def test_a_factor_is_named():
    def model():
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.factor("cut", jnp.where(x > 9.0, 0.0, -jnp.inf))

    found = explain(vi.from_numpyro(model))
    assert found == "site 'cut' has log density -inf there"


def test_a_plain_density_has_no_sites():
    assert explain(vi.from_log_density(lambda x: x * jnp.nan, 0.0)) == ""


def test_a_fit_says_it(key):
    target = vi.from_numpyro(of(dist.Bernoulli), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"starts \(the data of site 'y' are"):
        vi.fit(target, key)
