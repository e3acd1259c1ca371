"""What follows a second fit compiles nothing: other data and draws, the same shapes."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan

from vijax import vi

Y = np.random.default_rng(0).normal(size=(2, 12))


def walk(y):
    def step(z, y):
        z = numpyro.sample("z", dist.Normal(0.8 * z, 1.0))
        numpyro.sample("y", dist.Normal(z, 0.5), obs=y)
        return z, None

    scan(step, 0.0, y, length=12)


def by_rows(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 12, subsample_size=4) as index:
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y[index])


def levels(group, y):
    with numpyro.plate("levels", 3):
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(level[group // 4], 1.0), obs=y)


def after_each(look, model, *args, **options):
    for number, y in enumerate(Y):
        target = vi.from_numpyro(model, *args, y)
        key = jax.random.key(number)
        look(vi.fit(target, key, **options), key)
        yield number


@pytest.mark.slow
def test_a_scan_is_compiled_once(request):
    def look(fit, key):
        vi.loo(fit, key, num_samples=100)
        vi.power_scaling(fit, key, num_samples=1000)
        vi.posterior_predictive_check(fit, key, num_samples=100)

    looked = after_each(look, walk, family="mean_field")
    next(looked)
    programs = request.getfixturevalue("compiled")
    next(looked)
    assert programs == []


@pytest.mark.slow
def test_batches_of_all_rows_are_compiled_once(request):
    def look(fit, key):
        vi.loo(fit, key, num_samples=100)

    method = vi.Stochastic(num_steps=100)
    looked = after_each(look, by_rows, method=method)
    next(looked)
    programs = request.getfixturevalue("compiled")
    next(looked)
    assert programs == []


@pytest.mark.thorough
def test_indices_beyond_those_of_the_fit_are_checked_by_one_program(request):
    def look(fit, key):
        # 11 is beyond what the fit has seen, and no index beyond the three levels.
        vi.predict(fit, key, np.array([0, 11]), None, num_samples=100)

    looked = after_each(look, levels, np.minimum(np.arange(12), 10))
    next(looked)
    programs = request.getfixturevalue("compiled")
    next(looked)
    assert programs == []
