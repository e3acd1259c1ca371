"""Leave-one-out against closed forms and NUTS; WAIC, comparison, refusals."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan
from numpyro.infer import MCMC, NUTS
from numpyro.infer import log_likelihood as log_likelihood_of_numpyro

from vijax import bayes, vi
from vijax.vi.after import cross_validation
from vijax.vi.result import Chains

X = np.linspace(-1.0, 1.0, 20)
FEATURES = np.stack([np.ones(20), X], axis=1)
Y = 1.0 + 2.0 * X + np.random.default_rng(0).normal(0.0, 0.7, 20)
PRIOR = bayes.linear_regression.NormalInverseGamma(
    jnp.zeros(2), 0.1 * jnp.eye(2), 3.0, 1.0
)


def exact_regression(prior, features):
    found = []
    for i in range(len(Y)):
        rest = np.arange(len(Y)) != i
        posterior = bayes.linear_regression.posterior(prior, features[rest], Y[rest])
        left_out = bayes.linear_regression.predictive(posterior, features[i : i + 1])
        found.append(float(left_out.log_prob(Y[i])[0]))
    return np.array(found)


def regression(features=FEATURES, **options):
    prior = PRIOR._replace(
        loc=jnp.zeros(features.shape[1]), precision=0.1 * jnp.eye(features.shape[1])
    )
    target = vi.from_numpyro(bayes.linear_regression.model, prior, features, Y)
    return vi.fit(target, jax.random.key(0), **options), prior


@pytest.fixture(scope="module")
def line():
    return regression(family="full_rank")[0]


@pytest.fixture(scope="module")
def constant():
    return regression(FEATURES[:, :1], family="full_rank")


def test_equals_exact_leave_one_out(line):
    # Of mean field, whose sds are too small, as of full rank: the weights correct both.
    exact = exact_regression(PRIOR, FEATURES)
    for fit in (line, regression()[0]):
        found = vi.loo(fit)
        assert found.trusted
        assert found.source == "importance"
        assert abs(found.elpd - exact.sum()) < 3 * found.monte_carlo_se < 0.2
        np.testing.assert_allclose(found.pointwise, exact, atol=0.03)
        spread = np.sqrt(20 * np.var(exact, ddof=1))
        np.testing.assert_allclose(found.elpd_se, spread, rtol=0.02)
    assert found.data.names[:2] == ("targets[0]", "targets[1]")
    assert "PSIS-LOO of 20 observations, draws by importance" in str(found)
    assert "Trust it" in str(found)


@pytest.mark.slow
def test_without_correction_a_narrow_q_is_off():
    fit, _ = regression()
    exact = exact_regression(PRIOR, FEATURES).sum()
    assert abs(vi.loo(fit, draws="q").elpd - exact) > 0.2
    assert not vi.loo(fit, draws="q").trusted


@pytest.mark.slow
def test_stated_error_is_of_the_size_of_the_misses(line):
    found = [vi.loo(line, jax.random.key(n), num_samples=1000) for n in range(12)]
    spread = np.std([one.elpd for one in found], ddof=1)
    stated = np.median([one.monte_carlo_se for one in found])
    # Whitened noise makes the misses smaller than independent draws would have them.
    assert 0.4 < spread / stated < 1.5


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "prior", "data"),
    [
        pytest.param(
            bayes.gamma_poisson,
            dist.Gamma(2.0, 1.0),
            {"counts": np.array([3, 5, 4, 9, 2]), "exposure": np.ones(5)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            bayes.beta_binomial,
            dist.Beta(2.0, 3.0),
            {"successes": np.array([7, 2, 5]), "trials": np.array([10, 8, 9])},
            marks=pytest.mark.slow,
        ),
        (
            bayes.normal_normal,
            dist.Normal(0.0, 3.0),
            {"observations": np.array([1.0, 2.5, -0.5]), "scale": np.full(3, 0.8)},
        ),
    ],
)
def test_equals_exact_leave_one_out_of_conjugate_families(family, prior, data):
    first, second = data
    exact = []
    for i in range(len(data[first])):
        rest = {name: np.delete(x, i) for name, x in data.items()}
        posterior = family.posterior(prior, **rest)
        left_out = family.predictive(posterior, data[second][i])
        exact.append(float(left_out.log_prob(data[first][i])))
    fit = vi.fit(vi.from_numpyro(family.model, prior, **data), jax.random.key(0))
    found = vi.loo(fit, jax.random.key(1))
    assert found.trusted
    assert abs(found.elpd - sum(exact)) < 3 * found.monte_carlo_se + 1e-3
    np.testing.assert_allclose(found.pointwise, exact, atol=0.05)


def eight_schools(sigma, y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    with numpyro.plate("schools", 8):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mu + tau * z, sigma), obs=y)


def logistic(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)


def counts(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Poisson(jnp.exp(x @ beta)), obs=y)


def robust(x, y):
    beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    scale = numpyro.sample("scale", dist.HalfNormal(2.0))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.StudentT(4.0, x @ beta, scale), obs=y)


def made_up(model):
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
    mean = x @ [0.5, 1.0, -0.7]
    return {
        eight_schools: lambda: (
            np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
            np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        ),
        logistic: lambda: (x, rng.binomial(1, 1 / (1 + np.exp(-mean)))),
        counts: lambda: (x, rng.poisson(np.exp(mean))),
        robust: lambda: (x, mean + rng.standard_t(4, size=60)),
    }[model]()


@pytest.mark.slow
@pytest.mark.parametrize("model", [logistic, eight_schools, counts, robust])
def test_agrees_with_leave_one_out_of_nuts(model):
    args = made_up(model)
    fit = vi.fit(vi.from_numpyro(model, *args), jax.random.key(0), family="full_rank")
    found = vi.loo(fit)
    sampler = MCMC(
        NUTS(model, target_accept_prob=0.9),
        num_warmup=500,
        num_samples=2000,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.key(1), *args)
    log_p = log_likelihood_of_numpyro(model, sampler.get_samples(), *args)["y"]
    log_p = np.asarray(log_p, float)
    reference = 0.0
    for column in log_p.T:
        weights = vi.psis(-column).log_weights
        reference += np.log(np.sum(np.exp(weights + column)))
    assert abs(found.elpd - reference) < min(0.25 * found.elpd_se, 0.3)


@pytest.mark.thorough
def test_chains_that_are_exact_give_exact_leave_one_out(key, monkeypatch):
    prior, y, noise = dist.Normal(0.0, 3.0), np.array([1.0, 1.6, 0.4]), np.full(3, 0.8)
    family = bayes.normal_normal
    fit = vi.fit(vi.from_numpyro(family.model, prior, y, noise), key)
    posterior = family.posterior(prior, y, noise)
    draws = np.asarray(posterior.sample(jax.random.key(1), (4, 1000, 1)))
    ones = np.ones(1)
    good = {"r_hat": ones, "mean_ess": 4000 * ones, "sd_ess": 4000 * ones}
    rest = {"visits": 1.0, "mean_se": ones, "sd_se": ones, "num_divergences": 0}
    chained = fit._replace(chains=Chains(draws, **good, **rest))
    found = vi.loo(chained)
    exact = []
    for i in range(3):
        others = np.arange(3) != i
        rest_of = family.posterior(prior, y[others], noise[others])
        exact.append(float(family.predictive(rest_of, noise[i]).log_prob(y[i])))
    assert (found.source, found.trusted) == ("chains", True)
    assert abs(found.elpd - sum(exact)) < 3 * found.monte_carlo_se < 0.3
    # Shorter than the default number of draws, and too long to be held: every second.
    short = fit._replace(chains=Chains(draws[:, :750], **good, **rest))
    monkeypatch.setattr(cross_validation, "MAX_NUMBERS", 3 * 2999)
    np.testing.assert_allclose(vi.loo(short).khat_limit, 1 - 1 / np.log10(1500))
    assert vi.predict(chained, key, prior, None, 0.8).source == "chains"


@pytest.mark.slow
def test_chains_are_used_where_they_are(line):
    chained = vi.nuts(line, jax.random.key(1))
    found = vi.loo(chained)
    exact = exact_regression(PRIOR, FEATURES).sum()
    assert (found.source, found.trusted) == ("chains", True)
    assert abs(found.elpd - exact) < 3 * found.monte_carlo_se < 0.4


def test_an_observation_that_cannot_be_left_out_is_named(key):
    # Each group has one observation, and a wide prior: leaving it out changes all.
    def model(y):
        with numpyro.plate("groups", len(y)):
            level = numpyro.sample("level", dist.Normal(0.0, 30.0))
            numpyro.sample("y", dist.Normal(level, 1.0), obs=y)

    fit = vi.fit(vi.from_numpyro(model, np.array([0.0, 5.0, -80.0])), key)
    found = vi.loo(fit)
    assert not found.trusted
    assert "y[2]" in found.unreliable
    assert "Do not trust it: k̂ is above 0.70" in found.advice
    assert "y[2] (" in str(found)


@pytest.mark.thorough
def test_log_likelihood_is_that_of_numpyro(line):
    found = vi.log_likelihood(line, jax.random.key(5), 40)
    assert found["targets"].shape == (40, 20)
    drawn = vi.predict(line, jax.random.key(5), num_samples=40)  # the same draws
    args = (PRIOR, FEATURES, Y)
    values = {name: drawn[name] for name in ("variance", "coefficients")}
    expected = log_likelihood_of_numpyro(bayes.linear_regression.model, values, *args)
    np.testing.assert_allclose(found["targets"], expected["targets"], rtol=2e-5)
    traced = jax.jit(lambda key: vi.log_likelihood(line, key, 40))(jax.random.key(5))
    np.testing.assert_allclose(traced["targets"], found["targets"], rtol=1e-5)


@pytest.mark.slow
def test_subsamples_and_scans_and_masks(key):
    y = np.random.default_rng(1).normal(1.0, 1.0, 22)

    def model(y, rows=None):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", 22, subsample_size=rows) as index:
            numpyro.sample("y", dist.Normal(mean, 1.0), obs=y[index])

    whole = vi.fit(vi.from_numpyro(model, y), key)
    exact = vi.loo(whole)
    # 22 rows by batches of 5: the last batch is not whole.
    part = vi.fit(
        vi.from_numpyro(model, y, 5), key, method=vi.Stochastic(num_steps=500)
    )
    drawn = vi.log_likelihood(part, key, 30, draws="q")
    means = vi.predict(
        part._replace(target=whole.target), key, num_samples=30, draws="q"
    )
    expected = dist.Normal(means["mean"][:, None], 1.0).log_prob(y)
    np.testing.assert_allclose(drawn["y"], expected, rtol=1e-4, atol=1e-5)
    assert abs(vi.loo(part).elpd - exact.elpd) < 0.5

    def walk(y, seen):
        def step(z, at):
            y, seen = at
            z = numpyro.sample("z", dist.Normal(z, 0.5))
            with numpyro.handlers.mask(mask=seen):
                numpyro.sample("y", dist.Normal(z, 0.3), obs=y)
            return z, None

        scan(step, 0.0, (y, seen))

    seen = np.array([True, True, False, True])
    fit = vi.fit(vi.from_numpyro(walk, y[:4], seen), key, family="full_rank")
    found = vi.log_likelihood(fit, key, 30)
    z = vi.predict(fit, key, num_samples=30)["z"]
    expected = np.where(seen, dist.Normal(z, 0.3).log_prob(y[:4]), 0.0)
    np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-5)
    assert vi.loo(fit).data.names == ("y[0]", "y[1]", "y[3]")


@pytest.mark.thorough
def test_several_observed_sites_keep_their_order(key):
    # Sites in another order than that of their names, which a dict under jit takes.
    def model(first, second):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        numpyro.sample("z", dist.Normal(mean, 1.0), obs=first)
        numpyro.sample("a", dist.Normal(mean, 0.1).expand([2, 2]), obs=second)

    first, second = np.array([0.3, 2.0]), np.array([[0.1, 0.2], [0.3, 0.2]])
    fit = vi.fit(vi.from_numpyro(model, first, second), key)
    found = vi.loo(fit)
    names = ("z[0]", "z[1]", "a[0, 0]", "a[0, 1]", "a[1, 0]", "a[1, 1]")
    assert found.data.names == names
    precision = 1 + 2 + 4 / 0.1**2
    total = first.sum() + second.sum() / 0.1**2
    exact = []
    for y, scale in [*((y, 1.0) for y in first), *((y, 0.1) for y in second.ravel())]:
        rest = precision - scale**-2
        spread = (1 / rest + scale**2) ** 0.5
        left_out = dist.Normal((total - y / scale**2) / rest, spread)
        exact.append(float(left_out.log_prob(y)))
    np.testing.assert_allclose(found.pointwise, exact, atol=0.05)
    assert list(vi.log_likelihood(fit, key, 5)) == ["z", "a"]
    assert list(vi.predict(fit, key, num_samples=5)) == ["mean", "z", "a"]


@pytest.mark.thorough
def test_waic_of_regular_data_is_near_loo(line):
    found, other = vi.waic(line), vi.loo(line)
    log_p = np.asarray(vi.log_likelihood(line, jax.random.key(2), 20_000)["targets"])
    variances = log_p.var(axis=0)
    np.testing.assert_allclose(found.variances, variances, rtol=0.15, atol=0.01)
    lppd = np.log(np.mean(np.exp(log_p), axis=0))
    assert abs(found.elpd - (lppd - variances).sum()) < 0.2
    assert abs(found.elpd - other.elpd) < 0.3
    assert not found.trusted  # two variances are above 0.4
    assert "use vi.loo" in str(found)


@pytest.mark.thorough
def test_comparison_has_the_errors_of_the_differences(line, constant):
    other, prior = constant
    table = vi.compare({"constant": other, "line": line})
    assert list(table) == ["line", "constant"]
    exact = exact_regression(PRIOR, FEATURES)
    parts = exact_regression(prior, FEATURES[:, :1]) - exact
    row = table["constant"]
    np.testing.assert_allclose(row.difference, parts.sum(), atol=0.3)
    spread = np.sqrt(20 * np.var(parts, ddof=1))
    np.testing.assert_allclose(row.difference_se, spread, rtol=0.03)
    assert table["line"].difference == table["line"].difference_se == 0.0
    assert "line predicts best, 14" in str(table)
    header = str(table).splitlines()[0].split()
    assert header[2:] == [
        "difference",
        "difference_se",
        "monte_carlo_se",
        "p_loo",
        "trusted",
    ]
    again = vi.compare({"a": vi.loo(line), "b": vi.loo(line, jax.random.key(9))})
    assert "cannot be told apart" in again.statement


@pytest.mark.thorough
def test_other_data_are_not_compared(line, constant):
    target = vi.from_numpyro(bayes.linear_regression.model, PRIOR, FEATURES, 2 * Y)
    scaled = vi.loo(vi.fit(target, jax.random.key(0), family="full_rank"))
    found = vi.loo(line)
    with pytest.raises(ValueError, match=r"other observations .values, units or order"):
        vi.compare({"a": found, "b": scaled})
    fewer = found._replace(data=found.data._replace(names=found.data.names[:-1]))
    with pytest.raises(ValueError, match="'a' has 20 observations and 'b' has 19"):
        vi.compare({"a": found, "b": fewer})
    counted = found._replace(data=found.data._replace(discrete=(True,)))
    with pytest.raises(ValueError, match="no common unit"):
        vi.compare({"a": found, "b": counted})
    with pytest.raises(ValueError, match="give at least two"):
        vi.compare({"a": found})
    with pytest.raises(ValueError, match="'b' a Waic"):
        vi.compare({"a": found, "b": vi.waic(line)})


def test_models_that_have_no_names_are_not_compared():
    compare = inspect.unwrap(vi.compare)  # without the types that tests check
    with pytest.raises(ValueError, match="fits is not valid: it is a list; name the"):
        compare([1, 2])
    with pytest.raises(ValueError, match=r"fits\['b'\] is not valid: it is a float"):
        compare({"b": 1.0, "a": 2.0})


@pytest.mark.thorough
def test_what_has_no_single_observations_is_refused(line, key):
    plain = vi.fit(vi.from_log_density(lambda x: -0.5 * x**2, 0.0), key)
    with pytest.raises(ValueError, match="plain log density"):
        vi.loo(plain)

    def only_factor():
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.factor("data", -(x**2))

    with pytest.raises(ValueError, match="without an observed site"):
        vi.loo(vi.fit(vi.from_numpyro(only_factor), key))

    def scaled(y):
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        with numpyro.handlers.scale(scale=0.5):
            numpyro.sample("y", dist.Normal(x, 1.0), obs=y)

    with pytest.raises(ValueError, match="'y' is scaled"):
        vi.loo(vi.fit(vi.from_numpyro(scaled, np.ones(3)), key))
    with pytest.raises(ValueError, match="num_samples = 50"):
        vi.loo(line, num_samples=50)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda key: vi.loo(line, key))(key)
    pytest.importorskip("funsor")

    def mixture(y):
        share = numpyro.sample("share", dist.Beta(2.0, 2.0))
        with numpyro.plate("rows", 3):
            k = numpyro.sample("k", dist.Bernoulli(share))
            numpyro.sample("y", dist.Normal(10.0 * k, 1.0), obs=y)

    fit = vi.fit(vi.from_numpyro(mixture, np.array([9.0, 0.5, 10.0])), key)
    with pytest.raises(ValueError, match=r"sums out .'k'.*MixtureSameFamily"):
        vi.log_likelihood(fit, key, 10)


def counts_of_one_rate(y):
    rate = numpyro.sample("rate", dist.Gamma(1.0, 0.1))
    with numpyro.plate("bins", len(y)):
        numpyro.sample("y", dist.Poisson(rate), obs=y)


@pytest.mark.thorough
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_a_model_is_wrong_where_p_loo_is_surely_above_the_unknowns(spread):
    """p_loo of a single rate is about Var[y] / mean(y)."""
    rng = np.random.default_rng(3)
    y = rng.poisson(5.0 * np.exp(spread * rng.normal(size=200)) if spread else 5.0, 200)
    fit = vi.fit(vi.from_numpyro(counts_of_one_rate, y), jax.random.key(0))
    found = vi.loo(fit)
    assert found.trusted
    np.testing.assert_allclose(found.p_loo, np.var(y) / np.mean(y), rtol=0.1)
    assert found.p_loo > 1
    assert ("likely wrong" in found.advice) == (spread > 0)


def test_of_many_observations_fewer_draws_are_taken(line, monkeypatch):
    whole = vi.loo(line)
    monkeypatch.setattr(cross_validation, "MAX_NUMBERS", 20 * 1000)
    found = vi.loo(line)
    np.testing.assert_allclose(found.khat_limit, 1 - 1 / 3)  # of 1,000 draws
    error = np.hypot(found.monte_carlo_se, whole.monte_carlo_se)
    assert abs(found.elpd - whole.elpd) < 3 * error
    assert found.monte_carlo_se > 1.5 * whole.monte_carlo_se


def test_more_than_can_be_held_is_refused_by_name(line, monkeypatch):
    monkeypatch.setattr(cross_validation, "MAX_NUMBERS", 20 * 1000)
    with pytest.raises(ValueError, match="give at most 500, which is the default"):
        vi.loo(line, num_samples=501)
    monkeypatch.setattr(cross_validation, "MAX_NUMBERS", 20 * 100)
    with pytest.raises(ValueError, match=r"fit is of 20 obs.* too many for vi.waic"):
        vi.waic(line)
