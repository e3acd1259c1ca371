"""Arrays beside a model's arguments, where a fit changes its precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers

from vijax import vi
from vijax.vi.engine.precision import in_float64, lost_digits, precision_of
from vijax.vi.targets.arguments.fresh_arrays import fresh_arrays

ROWS = np.arange(6) % 3
TABLE = {"width": np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])}


class Scales:
    def __init__(self):
        self.prior = np.array([1.0, 2.0, 3.0])

    def __call__(self):
        x = numpyro.sample("x", dist.Normal(0.0, self.prior).to_event(1))
        numpyro.sample("y", dist.Normal(jnp.sum(x), 1.0), obs=0.5)


def by_row(x):
    return x[ROWS] * TABLE["width"]


def with_globals():
    x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(by_row(x), 1.0), obs=np.zeros(6))


def with_closure():
    chosen, y = np.array([0, 2]), np.array([0.1, 0.3])

    def model():
        x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal(x[chosen], 1.0), obs=y)

    return model


def with_defaults(y=np.array([0.1, 0.7]), *, rows=np.array([0, 2])):  # noqa: B008
    x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(x[rows], 1.0), obs=y)


def free():
    x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(jnp.sum(x), 1.0).expand([2]).to_event(1))


MODELS = {
    "globals, and those of a function that it calls": with_globals,
    "a closure": with_closure(),
    "a closure under a partial": partial(with_closure()),
    "defaults": with_defaults,
    "attributes": Scales(),
    "a handler's data": handlers.condition(free, {"y": np.array([0.1, 0.7])}),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_model_is_evaluated_in_both_precisions(model):
    target = vi.from_numpyro(model)
    position = np.array([0.3, -0.2, 0.1])
    single = jax.jit(target.log_density)(jnp.asarray(position))
    wide = in_float64(target)
    with precision_of(wide):
        double = jax.jit(wide.log_density)(jnp.asarray(position))
        assert double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-5)
    assert lost_digits(target, position[None], np.ones(3)) < 1e-4


def test_all_arrays_are_put_back_after_an_error():
    before = ROWS, TABLE["width"], TABLE

    def fail():
        with fresh_arrays(with_globals):
            assert ROWS is not before[0]
            assert np.shares_memory(ROWS, before[0])
            assert TABLE["width"] is not before[1]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    after = ROWS, TABLE["width"], TABLE
    assert all(x is y for x, y in zip(after, before, strict=True))
