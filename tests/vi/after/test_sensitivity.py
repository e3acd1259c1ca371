"""Power-scaling against closed forms of a normal mean; hierarchies; refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax import vi
from vijax.vi.after.posterior_draws import unknowns
from vijax.vi.after.reweighting import cumulative_distance
from vijax.vi.after.sensitivity import POWER, _terms
from vijax.vi.after.standardised_effects import (
    questions,
    standardised,
    with_questions,
)
from vijax.vi.engine.batched_density import constrained_sites
from vijax.vi.targets.models.site_densities import independent_sites


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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


def many_effects(y):
    """Effects of all kinds: each but the slopes is known times a scale only."""
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    precision = numpyro.sample("precision", dist.Gamma(2.0, 2.0))
    log_sd = numpyro.sample("log_sd", dist.Normal(0.0, 1.0))
    noise = numpyro.sample("noise", dist.HalfNormal(1.0))
    slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    sds = numpyro.sample("sds", dist.HalfNormal(1.0).expand([2]).to_event(1))
    root = numpyro.sample("root", dist.LKJCholesky(2, 1.0))
    with numpyro.plate("groups", 6):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        by_precision = numpyro.sample("by_precision", dist.Normal(0.0, 1.0))
        by_log = numpyro.sample("by_log", dist.Normal(0.0, 1.0))
        local = numpyro.sample("local", dist.HalfCauchy(1.0))
        sparse = numpyro.sample("sparse", dist.Normal(0.0, 1.0))
        pair = numpyro.sample("pair", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        centred = numpyro.sample("centred", dist.Normal(0.0, tau))
        loose = numpyro.sample("loose", dist.Normal(0.0, 1.0))
    both = pair @ (sds[:, None] * root).T
    mean = (
        1.0
        + slopes[0] * jnp.arange(6.0)
        + jnp.sum(slopes**3)
        + tau * z
        + by_precision / jnp.sqrt(precision)
        + jnp.exp(log_sd) * by_log
        + jnp.sum(both, axis=1)
        + centred
        + noise * (loose + 1.0)  # noise stands elsewhere too: no product alone
    )
    numpyro.sample("y", dist.Normal(mean, noise), obs=y)
    shrunk = numpyro.sample("global", dist.HalfNormal(1.0)) * local * sparse
    numpyro.sample("w", dist.Poisson(jnp.exp(0.3 * shrunk)), obs=np.arange(6))


@pytest.mark.thorough
def test_standardised_effects_are_told_by_their_symmetry(key):
    target = vi.from_numpyro(many_effects, np.linspace(0.0, 2.0, 6))
    positions = 0.5 * jax.random.normal(key, (3, target.dim))
    values = unknowns(target, constrained_sites(target, positions))
    top = independent_sites(target, {name: x[0] for name, x in values.items()})
    asked = questions(target, values, top)
    terms = _terms(target, with_questions(values, asked))
    found = standardised(
        asked, {name: np.asarray(x, float) for name, x in terms.items()}, 3
    )
    # tau is the sd of `centred` too: the product with z is not all that knows it.
    assert found == {
        "by_precision": "precision",
        "by_log": "log_sd",
        "pair": "sds",
        "local": "global",
        "sparse": "global",
    }


@pytest.mark.slow
def test_of_a_hierarchy_without_centres_the_top_is_scaled(key):
    def model(y):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        spread = numpyro.sample("spread", dist.HalfNormal(1.0))
        with numpyro.plate("groups", 4):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
            level = numpyro.deterministic("level", mean + spread * z)
            numpyro.sample("y", dist.Normal(level, 0.5), obs=y)

    y = np.array([-1.0, 0.5, 1.0, 2.0])
    fit = vi.fit(vi.from_numpyro(model, y), key, family="full_rank")
    found = vi.power_scaling(fit, key)
    assert found.scaled == ("mean", "spread")
    assert found.left_out == {"z": "spread"}
    assert "Scaled: the priors of mean, spread; not of z (times spread)." in str(found)
    by_hand = vi.power_scaling(fit, key, prior=("mean", "spread"))
    np.testing.assert_array_equal(by_hand["spread"]["prior"], found["spread"]["prior"])
    assert by_hand.left_out == {}


def test_distance_of_two_steps():
    # P jumps at 0, Q at 1: all of P counts on [0, 1], bounded by it.
    x = np.array([0.0, 1.0])
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert cumulative_distance(x, first, second) == pytest.approx(1.0)
    assert cumulative_distance(x, first, first) == 0.0
    assert cumulative_distance(x, second, first) == pytest.approx(1.0)
    assert jnp.ndim(cumulative_distance(x, first, second)) == 0
