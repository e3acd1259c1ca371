"""Power-scaling against closed forms of a normal mean; hierarchies; refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax import vi
from vijax.vi.after.sensitivity import POWER, cumulative_distance


def one_mean(y, prior_sd):
    mean = numpyro.sample("mean", dist.Normal(0.0, prior_sd))
    numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def moments(y, prior_sd, of_prior=1.0, of_data=1.0):
    precision = of_prior / prior_sd**2 + of_data * len(y)
    return of_data * y.sum() / precision, precision**-0.5


def exact_distance(y, prior_sd, **power):
    """Integrate the distance of two normals over the range that draws have."""
    mean, sd = moments(y, prior_sd)
    x = np.linspace(mean - 3.6 * sd, mean + 3.6 * sd, 20_001)
    total = 0.0
    for alpha in (POWER, 1 / POWER):
        scaled = moments(y, prior_sd, **dict.fromkeys(power, alpha))
        parts = []
        for sign in (1, -1):
            grid = np.sort(sign * x)
            p = stats.norm(sign * mean, sd).cdf(grid)
            q = stats.norm(sign * scaled[0], scaled[1]).cdf(grid)
            middle, width = (p + q) / 2, grid[1] - grid[0]
            both = p * np.log2(p / middle) + q * np.log2(q / middle)
            parts.append(np.sqrt(np.sum(both) * width / (np.sum(p + q) * width)))
        total += max(parts)
    return total / (2 * np.log2(POWER))


@pytest.mark.parametrize(("shift", "prior_sd"), [(0.0, 1.0), (3.0, 1.0), (1.0, 30.0)])
def test_distances_and_shifts_are_those_of_normals(shift, prior_sd):
    y = shift + np.linspace(-1.0, 1.0, 6)
    fit = vi.fit(vi.from_numpyro(one_mean, y, prior_sd), jax.random.key(0))
    found = vi.power_scaling(fit, jax.random.key(1))
    assert found.trusted
    columns = found["mean"]
    mean, sd = moments(y, prior_sd)
    for name, power in (("prior", "of_prior"), ("likelihood", "of_data")):
        exact = exact_distance(y, prior_sd, **{power: 1.0})
        assert abs(columns[name] - exact) < 4 * columns[f"{name}_se"] + 0.05 * exact
        step = 1e-4
        moved = moments(y, prior_sd, **{power: 1 + step})[0]
        per_doubling = np.log(2) * (moved - mean) / step / sd
        np.testing.assert_allclose(columns[f"{name}_shift"], per_doubling, atol=0.06)


def test_diagnoses_are_told_apart(key):
    wide = vi.fit(vi.from_numpyro(one_mean, np.linspace(-1, 1, 6), 30.0), key)
    found = vi.power_scaling(wide, key)
    assert found["mean"]["diagnosis"] == ""
    assert "No unknown is sensitive to the priors of mean" in str(found)
    against = vi.fit(vi.from_numpyro(one_mean, np.full(4, 6.0), 1.0), key)
    found = vi.power_scaling(against, key)
    assert found["mean"]["diagnosis"] == "prior and data disagree"
    assert "look whether the prior was meant so" in str(found)

    def unseen(y):
        one_mean(y, 1.0)
        numpyro.sample("other", dist.Normal(0.0, 1.0))

    found = vi.power_scaling(vi.fit(vi.from_numpyro(unseen, np.ones(4)), key), key)
    assert found["other"]["diagnosis"] == "the prior decides, the data say little"
    assert found["other"]["likelihood"] < 0.05 < found["other"]["prior"]


@pytest.mark.slow
def test_only_the_top_of_a_hierarchy_is_scaled(key):
    def model(y):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        spread = numpyro.sample("spread", dist.HalfNormal(1.0))
        with numpyro.plate("groups", 4):
            level = numpyro.sample("level", dist.Normal(mean, spread))
            numpyro.sample("y", dist.Normal(level, 0.5), obs=y)

    y = np.array([-1.0, 0.5, 1.0, 2.0])
    fit = vi.fit(vi.from_numpyro(model, y), key, family="full_rank")
    found = vi.power_scaling(fit, key)
    assert found.scaled == ("mean", "spread")
    assert found.source == "importance"
    assert found["level"]["prior"].shape == (4,)
    all_of_it = vi.power_scaling(fit, key, prior=("mean", "spread", "level"))
    assert np.all(all_of_it["level"]["prior"] > found["level"]["prior"])
    with pytest.raises(ValueError, match="'sd' is no unknown site"):
        vi.power_scaling(fit, key, prior=("sd",))
    with pytest.raises(ValueError, match="num_samples = 10"):
        vi.power_scaling(fit, key, num_samples=10)


def test_distance_of_two_steps():
    # P jumps at 0, Q at 1: all of P counts on [0, 1], bounded by it.
    x = np.array([0.0, 1.0])
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert cumulative_distance(x, first, second) == pytest.approx(1.0)
    assert cumulative_distance(x, first, first) == 0.0
    assert cumulative_distance(x, second, first) == pytest.approx(1.0)
    assert jnp.ndim(cumulative_distance(x, first, second)) == 0
