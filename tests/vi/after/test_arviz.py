"""A fit handed to ArviZ; `make test-arviz` runs this where ArviZ is installed."""

import importlib
import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from experiments.benchmarks.posteriors import collection
from vijax import vi
from vijax.vi.after.arviz import GROUPS
from vijax.vi.after.pointwise import pointwise
from vijax.vi.result import Chains

HAS_ARVIZ = importlib.util.find_spec("arviz") is not None
with_arviz = pytest.mark.skipif(not HAS_ARVIZ, reason="make test-arviz runs it")
# ArviZ says once a day that it changes; the rest are deprecations inside of it.
quietly = pytest.mark.filterwarnings("ignore")
SAMPLES, GROUP_NAMES = 400, ["a", "b", "c", "d"]


def model(group, x, y):
    slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
    with numpyro.plate("groups", 4):
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    with numpyro.plate("rows", len(y) if y is not None else 24):
        mu = numpyro.deterministic("mu", level[group] + slope * x)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


def make_data():
    rng = np.random.default_rng(0)
    group, x = np.repeat(np.arange(4), 6), rng.normal(size=24)
    return group, x, np.array([-1.0, 0, 1, 2])[group] + x + 0.5 * rng.normal(size=24)


@pytest.fixture(scope="module")
def fit():
    target = vi.from_numpyro(model, *make_data())
    return vi.fit(target, jax.random.key(0), family="full_rank")


@pytest.fixture(scope="module")
def data(fit):
    return vi.to_arviz(fit, jax.random.key(1), SAMPLES, coords={"groups": GROUP_NAMES})


def test_missing_arviz_is_said(fit, key, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match=r"vi\.to_arviz needs arviz: .*'\.\[arviz\]'"):
        vi.to_arviz(fit, key)


@with_arviz
@quietly
def test_every_group_arrives_with_its_axes(fit, data):
    x, y = make_data()[1:]
    axes = {
        "posterior": {
            "slope": (),
            "level": ("groups",),
            "sigma": (),
            "mu": ("rows",),
        },
        "posterior_predictive": {"y": ("rows",)},
        "log_likelihood": {"y": ("rows",)},
        "prior": {"slope": (), "level": ("groups",), "sigma": (), "mu": ("rows",)},
        "prior_predictive": {"y": ("rows",)},
        "sample_stats": {"lp": ()},
        "observed_data": {"y": ("rows",)},
        "constant_data": {"group": ("rows",), "x": ("rows",)},
    }
    assert set(axes) == set(GROUPS)
    for group, sites in axes.items():
        found = getattr(data, group)
        first = () if group.endswith("_data") else ("chain", "draw")
        assert {str(n): a.dims for n, a in found.data_vars.items()} == {
            name: first + dims for name, dims in sites.items()
        }, group
        if first:
            assert dict(found.sizes)["draw"] == SAMPLES
    assert data.posterior["groups"].values.tolist() == GROUP_NAMES
    np.testing.assert_allclose(data.observed_data["y"], y, rtol=1e-6)
    np.testing.assert_allclose(data.constant_data["x"], x, rtol=1e-6)


@with_arviz
@quietly
def test_one_draw_is_in_all_groups(fit, data):
    draws = {n: data.posterior[n].values[0] for n in ("slope", "level", "sigma")}
    # The draws of vi.predict by the same key.
    predicted = vi.predict(fit, jax.random.key(1), num_samples=SAMPLES)
    for name in (*draws, "mu"):
        np.testing.assert_array_equal(data.posterior[name].values[0], predicted[name])
    np.testing.assert_array_equal(
        data.posterior_predictive["y"].values[0], predicted["y"]
    )
    group, x, y = make_data()
    mu = draws["level"][:, group] + draws["slope"][:, None] * x
    np.testing.assert_allclose(data.posterior["mu"].values[0], mu, atol=1e-5)
    sigma = draws["sigma"][:, None]
    expected = -0.5 * ((y - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    found = data.log_likelihood["y"].values[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    # lp is that, the prior and log |dσ/du| = log σ.
    prior = -0.5 * (draws["slope"] / 2) ** 2 - 0.5 * np.sum(
        (draws["level"] / 2) ** 2, 1
    )
    prior += -5 * np.log(2 * np.sqrt(2 * np.pi))
    prior += 0.5 * np.log(2 / np.pi) - 0.5 * draws["sigma"] ** 2
    lp = expected.sum(axis=1) + prior + np.log(draws["sigma"])
    np.testing.assert_allclose(data.sample_stats["lp"].values[0], lp, rtol=1e-4)
    # A replication is a draw around its own mean, and the prior's of its own unknowns.
    residual = (data.posterior_predictive["y"].values[0] - mu) / sigma
    np.testing.assert_allclose(residual.std(), 1.0, atol=4 / np.sqrt(2 * residual.size))
    residual = data.prior_predictive["y"] - data.prior["mu"]
    residual = residual.values[0] / data.prior["sigma"].values[0][:, None]
    np.testing.assert_allclose(residual.std(), 1.0, atol=4 / np.sqrt(2 * residual.size))
    np.testing.assert_allclose(
        data.prior["slope"].values.std(), 2.0, atol=2 * 4 / np.sqrt(2 * SAMPLES)
    )


@with_arviz
@quietly
def test_verdict_arrives(fit, data):
    for group in ("posterior", "sample_stats"):
        found = getattr(data, group).attrs
        assert found["inference_library"] == "vijax"
        assert found["verdict"] == "converged"
        assert found["advice"] == fit.advice
        assert found["trusted"] == int(fit.trusted)
        assert found["correctable"] == 1
        assert found["source"] in ("q", "importance")
        for name in ("khat", "khat_se", "elbo", "elbo_se", "log_evidence"):
            assert found[name] == float(getattr(fit, name))


@with_arviz
@quietly
def test_statistics_of_arviz_work(fit, data):
    arviz = importlib.import_module("arviz")
    table = arviz.summary(data, var_names=["level"], kind="stats", round_to=6)
    means = np.asarray(table["mean"], float)
    level = data.posterior["level"].values[0]
    np.testing.assert_allclose(means, level.mean(axis=0), atol=2e-6)
    # Its PSIS-LOO of the same draws, against the library's own.
    one = arviz.loo(data, pointwise=True)
    elpd = float(getattr(one, "elpd", getattr(one, "elpd_loo", np.nan)))
    own = vi.loo(fit, key=jax.random.key(2))
    assert abs(elpd - own.elpd) < 0.5  # nats: of 400 draws
    draws = {"x": np.random.default_rng(0).normal(size=(1, 500))}
    assert 300 < float(np.ravel(arviz.ess(draws["x"]))[0]) < 800
    for function in (arviz.hdi, arviz.ess, arviz.mcse):
        found = function(data, var_names=["slope", "level"])
        found = getattr(found, "posterior", found)
        assert found["level"].sizes["groups"] == 4
        assert np.isfinite(found["slope"].values).all()


def plots_of(arviz, data):
    """Return calls of plots, each of which draws; of either version of ArviZ."""
    compared = {"one": arviz.loo(data, pointwise=True)}
    compared["two"] = compared["one"]
    names = ["slope", "level"]
    calls = {
        "plot_forest": lambda: arviz.plot_forest(data, var_names=names),
        "plot_pair": lambda: arviz.plot_pair(data, var_names=["slope", "sigma"]),
        "plot_autocorr": lambda: arviz.plot_autocorr(data, var_names=["slope"]),
        "plot_ess": lambda: arviz.plot_ess(data, var_names=["slope"]),
        "plot_mcse": lambda: arviz.plot_mcse(data, var_names=["slope"]),
        "plot_trace": lambda: arviz.plot_trace(data, var_names=["slope"]),
        "plot_khat": lambda: arviz.plot_khat(compared["one"]),
        "plot_loo_pit": lambda: arviz.plot_loo_pit(data, **pit),
    }
    pit = {}
    if arviz.__version__.startswith("0."):
        pit = {"y": "y"}
        calls |= {
            "plot_rank": lambda: arviz.plot_rank(data, var_names=names),
            "plot_posterior": lambda: arviz.plot_posterior(data, var_names=names),
            "plot_ppc": lambda: arviz.plot_ppc(data, num_pp_samples=20),
            "plot_bpv": lambda: arviz.plot_bpv(data),
            "plot_dist_comparison": lambda: arviz.plot_dist_comparison(
                data, var_names=["slope"]
            ),
        }
    else:
        calls |= {
            "plot_dist": lambda: arviz.plot_dist(data, var_names=names),
            "plot_ppc_dist": lambda: arviz.plot_ppc_dist(data, num_samples=20),
            "plot_prior_posterior": lambda: arviz.plot_prior_posterior(
                data, var_names=["slope"]
            ),
            "plot_parallel": lambda: arviz.plot_parallel(data, var_names=names),
            "plot_ppc_pit": lambda: arviz.plot_ppc_pit(data),
        }
    return calls


@with_arviz
@quietly
def test_plots_of_arviz_work_unmodified(data):
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    arviz = importlib.import_module("arviz")
    for name, call in plots_of(arviz, data).items():
        pyplot.close("all")
        call()
        figure = pyplot.gcf()
        figure.canvas.draw()
        drawn = [
            artist
            for axes in figure.axes
            for artist in (*axes.lines, *axes.collections, *axes.patches)
        ]
        assert drawn, name
    pyplot.close("all")


@with_arviz
@quietly
def test_chains_keep_their_shape(fit):
    rng = np.random.default_rng(1)
    shape = (3, 50, fit.target.dim)
    positions = jnp.asarray(rng.normal(size=shape), fit.q.loc.dtype)
    ones = np.ones(fit.target.dim)
    chains = Chains(positions, 1.0, ones, ones, ones, ones, ones, 0)
    chained = fit._replace(chains=chains)
    data = vi.to_arviz(chained, jax.random.key(0), groups=("posterior", "sample_stats"))
    assert data.posterior.attrs["source"] == "chains"
    names = [site.name for site in fit.target.static.sites]
    column = names.index("slope")
    column = sum(site.size for site in fit.target.static.sites[:column])
    np.testing.assert_array_equal(data.posterior["slope"], positions[..., column])
    found = data.sample_stats["lp"].values
    expected = jax.vmap(jax.vmap(fit.target.log_density))(positions)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    thin = vi.to_arviz(chained, jax.random.key(0), 30, groups=("posterior",))
    assert thin.posterior["level"].shape == (3, 10, 4)


@with_arviz
@quietly
def test_plain_density_has_draws_and_verdict(key):
    target = vi.from_log_density(
        lambda p: -0.5 * jnp.sum((p["x"] - 3.0) ** 2), {"x": jnp.zeros(2)}
    )
    fit = vi.fit(target, key)
    data = vi.to_arviz(fit, jax.random.key(1), 500, dims={"x": ["axis"]})
    x = data.posterior["x"]
    assert x.dims == ("chain", "draw", "axis")
    np.testing.assert_allclose(x.mean(), 3.0, atol=4 / np.sqrt(1000))
    # Draws of q, not copies of one: the sds too are right.
    np.testing.assert_allclose(x.std(), 1.0, atol=4 / np.sqrt(2000))
    expected = -0.5 * np.sum((x.values - 3.0) ** 2, axis=-1)
    np.testing.assert_allclose(data.sample_stats["lp"], expected, rtol=1e-5)
    for group in set(GROUPS) - {"posterior", "sample_stats"}:
        assert not hasattr(data, group)


def mixed(y):
    mean = numpyro.sample("mean", dist.Normal(jnp.array([-2.0, 2.0]), 1.0).to_event(1))
    with numpyro.plate("draw", len(y)):  # called like an axis of ArviZ's own
        kind = numpyro.sample("kind", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Normal(mean[kind], 0.5), obs=y)


@with_arviz
@quietly
def test_discrete_unknowns_and_a_plate_called_like_an_axis(key):
    y = np.repeat([-2.0, 2.0], 5)
    fit = vi.fit(vi.from_numpyro(mixed, y), key)
    data = vi.to_arviz(fit, jax.random.key(1), 50)
    assert data.posterior["kind"].dims == ("chain", "draw", "draw_dim")
    assert data.posterior["mean"].dims == ("chain", "draw", "mean_dim_0")
    np.testing.assert_allclose(data.posterior["kind"].mean(("chain", "draw")), y > 0)
    assert data.observed_data["y"].dims == ("draw_dim",)
    assert not hasattr(data, "log_likelihood")


@with_arviz
@quietly
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_samples": 0}, "num_samples = 0 is not valid: give at least 1"),
        ({"groups": ("posteriors",)}, "groups = 'posteriors' is not among"),
        ({"dims": {"slop": ["a"]}}, "dims = {'slop': .* is not valid: the sites and"),
        ({"dims": {"slope": ["a"]}}, "dims = {'slope': .* is not valid: the sites and"),
        ({"coords": {"groups": [1]}}, "coords = {'groups': 1 labels} is not valid"),
        ({"coords": {"teams": [1]}}, "coords = {'teams': 1 labels} is not valid"),
        ({"draws": "chains"}, 'draws = "chains" is not valid: fit has none'),
    ],
)
def test_bad_input_is_refused(fit, key, given, words):
    given = {"num_samples": 10, "groups": ("posterior",)} | given
    with pytest.raises(ValueError, match=words):
        vi.to_arviz(fit, key, **given)


def test_log_likelihoods_are_of_the_fit(fit):  # where ArviZ is not there, too
    values = {"slope": jnp.zeros(1), "level": jnp.zeros((1, 4)), "sigma": jnp.ones(1)}
    found = pointwise(fit.target, values)["y"][0]
    y = make_data()[2]
    expected = -0.5 * y**2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@with_arviz
@quietly
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["dose_response", "enzyme", "batting", "counties", "bird_counts"]
)
def test_leave_one_out_agrees_with_arviz_of_nuts(name):
    """vi.loo of a normal q, and ArviZ's own LOO of NUTS draws, on data of others."""
    import arviz

    entry = collection.get(name)
    target = vi.from_numpyro(entry.model, *entry.args)
    fit = vi.fit(target, jax.random.key(0), family="full_rank")
    found = vi.loo(fit, jax.random.key(1))
    chains = vi.nuts(fit, jax.random.key(2))
    other = arviz.loo(vi.to_arviz(chains, jax.random.key(3)))
    elpd = float(other.elpd_loo if hasattr(other, "elpd_loo") else other.elpd)
    assert abs(found.elpd - elpd) < 0.25 * found.elpd_se
    assert abs(vi.loo(chains).elpd - elpd) < 0.1
