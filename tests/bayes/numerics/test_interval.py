"""An interval is a pair that knows its level, also after jit, vmap and grad."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax.bayes import frequentist, intervals
from vijax.bayes.conjugate import normal_inverse_gamma
from vijax.bayes.numerics.interval import Interval


@pytest.fixture(scope="module")
def one():
    return frequentist.poisson_interval(3, 0.9)


def test_it_is_a_pair(one):
    lower, upper = one
    assert (lower, upper) == tuple(one) == (one.lower, one.upper)
    assert len(one) == 2
    assert np.shape(jnp.stack(one)) == (2,)


def test_it_prints_with_its_level_and_method(one):
    assert str(one) == repr(one) == "0.81769 to 7.7537 (90 % confidence, Garwood)"


@pytest.mark.thorough
def test_arrays_print_as_a_table():
    both = str(frequentist.binomial_interval([3, 4], 10, method="wilson"))
    assert both.splitlines()[0] == "95 % confidence, Wilson"
    assert both.splitlines()[2].split() == ["[0]", "0.10779", "0.60322"]
    levels = str(frequentist.binomial_interval(3, 10, [0.9, 0.95]))
    assert levels.splitlines()[0] == "Confidence, Clopper–Pearson"
    assert [line.split()[-1] for line in levels.splitlines()[2:]] == ["0.9", "0.95"]


def test_copies_and_trees_keep_the_level(one):
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert isinstance(other, Interval)
        assert str(other) == str(one)
    doubled = jax.tree.map(lambda x: 2 * x, one)
    assert doubled.level == 1.8
    assert "? %" in str(doubled)


@pytest.mark.thorough
def test_transformations_keep_the_level():
    counts = jnp.arange(3.0)
    mapped = jax.vmap(frequentist.poisson_interval, (0, None))(counts, 0.9)
    assert mapped.level.tolist() == pytest.approx([0.9] * 3)
    printed = []

    @jax.jit
    def jitted(n):
        found = frequentist.poisson_interval(n, 0.9)
        printed.append(str(found))
        return found

    np.testing.assert_allclose(jitted(counts), mapped, rtol=1e-6)
    assert str(jitted(counts)) == str(mapped)
    (text,) = printed  # the level is a constant of the trace, and so is not known
    assert text.startswith("traced ")
    assert "(? % confidence, Garwood)" in text
    slopes = jax.jacobian(frequentist.poisson_interval, argnums=1)(3.0, 0.9)
    assert slopes.lower < 0 < slopes.upper


@pytest.mark.usefixtures("nan_is_an_answer")
def test_invalid_input_in_a_trace_has_no_level():
    assert np.isnan(jax.jit(frequentist.poisson_interval)(-1.0).level)


@pytest.mark.thorough
def test_a_region_of_several_intervals_has_a_level_for_each_of_them():
    parts = dist.Normal(jnp.array([-3.0, 3.0]), 1.0)
    weights = dist.Categorical(jnp.array([0.5, 0.5]))
    region = intervals.credible_interval(
        dist.MixtureSameFamily(weights, parts), 0.9, kind="highest_density"
    )
    assert region.lower.shape == region.level.shape == (2,)
    assert str(region).startswith("90 % of the posterior, highest density")


@pytest.mark.thorough
def test_a_joint_posterior_prints_a_line_for_each_number():
    prior = normal_inverse_gamma.NormalInverseGamma(0.0, 1.0, 1.0, 1.0)
    joint = normal_inverse_gamma.posterior(prior, [1.0, 2.0, 3.0])
    assert str(joint).splitlines()[:2] == ["NormalInverseGamma", "  loc            1.5"]
    lines = str(intervals.credible_interval(joint)).splitlines()
    assert lines[0] == "95 % of the posterior, equal-tailed"
    assert lines[2] == "  variance  0.54549 to 8.4214"


@pytest.mark.thorough
def test_results_of_tests_print_in_a_trace_and_mapped():
    printed = []

    def both(x):
        found = frequentist.welch_test(x, x + 1.0), frequentist.combine(x, [1.0, 2.0])
        printed.extend(map(str, found))
        return found

    data = jnp.array([[0.0, 1.0], [0.0, 2.0]])
    welch, _ = jax.jit(jax.vmap(both))(data)
    assert "difference          traced" in printed[0]
    assert "p-value             traced" in printed[1]
    assert str(welch).splitlines()[2].split()[:2] == ["[0]", "1"]
