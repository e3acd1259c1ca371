"""Predictions: against exact predictives, at new sizes, from every source, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.contrib.control_flow import scan

from vijax import bayes, vi
from vijax.vi.after import posterior_draws
from vijax.vi.after.posterior_draws import WeightedDraws
from vijax.vi.after.prediction import check_number
from vijax.vi.after.refusals import parameters_in_words

NUM_SAMPLES = 4000


def line(x, y=None, *, prior_sd=10.0):
    slope = numpyro.sample("slope", dist.Normal(0.0, prior_sd))
    offset = numpyro.sample("offset", dist.Normal(0.0, prior_sd))
    mean = numpyro.deterministic("mean", offset + slope * x)
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(mean, 0.5), obs=y)


def groups(group, y, num_groups):
    spread = numpyro.sample("spread", dist.HalfNormal(1.0))
    with numpyro.plate("groups", num_groups):
        level = numpyro.sample("level", dist.Normal(3.0, spread))
    with numpyro.plate("rows", len(group)):
        numpyro.sample("y", dist.Normal(level[group], 0.1), obs=y)


X = np.linspace(-1.0, 1.0, 12)
Y = 1.0 + 2.0 * X + 0.5 * np.sin(40 * X)
GROUP = np.array([0, 0, 1, 1, 2, 2])
GROUP_Y = np.array([2.0, 2.1, 3.0, 3.1, 4.0, 4.1])


@pytest.fixture(scope="module")
def fitted():
    return vi.fit(vi.from_numpyro(line, X, Y), jax.random.key(0), family="full_rank")


@pytest.fixture(scope="module")
def grouped():
    target = vi.from_numpyro(groups, GROUP, GROUP_Y, 3)
    return vi.fit(target, jax.random.key(0))


def close_in_moments(draws, exact, errors=4.0):
    """Compare mean and variance with exact ones, in standard errors of the draws."""
    draws, number = np.asarray(draws, float), len(draws)
    mean, variance = (np.asarray(m, float) for m in (exact.mean, exact.variance))
    miss = draws.mean(axis=0) - mean
    assert np.all(np.abs(miss) < errors * np.sqrt(variance / number))
    square = (draws - mean) ** 2
    miss = square.mean(axis=0) - variance
    assert np.all(np.abs(miss) < errors * square.std(axis=0) / np.sqrt(number))


@pytest.mark.parametrize(
    ("family", "prior", "data", "new", "exact"),
    [
        pytest.param(
            bayes.beta_binomial,
            dist.Beta(2.0, 3.0),
            {"successes": 7, "trials": 10},
            {"successes": None, "trials": 25},
            {"trials": 25},
            marks=pytest.mark.slow,
        ),
        (
            bayes.gamma_poisson,
            dist.Gamma(2.0, 1.0),
            {"counts": np.array([3, 5, 4]), "exposure": np.array([1.0, 2.0, 1.0])},
            {"counts": None, "exposure": np.array([4.0])},
            {"exposure": 4.0},
        ),
        (
            bayes.normal_normal,
            dist.Normal(0.0, 3.0),
            {"observations": np.array([1.0, 2.5]), "scale": 0.8},
            {"observations": None, "scale": np.array([0.3])},
            {"scale": 0.3},
        ),
    ],
)
def test_equals_the_exact_predictive(family, prior, data, new, exact):
    fit = vi.fit(vi.from_numpyro(family.model, prior, **data), jax.random.key(0))
    posterior = family.posterior(prior, **data)
    draws = vi.predict(fit, jax.random.key(1), prior, num_samples=NUM_SAMPLES, **new)
    (name,) = (name for name in new if new[name] is None)
    flat = np.reshape(draws[name], NUM_SAMPLES)
    close_in_moments(flat, family.predictive(posterior, **exact))


@pytest.mark.slow
def test_equals_the_exact_predictive_of_a_regression():
    features = np.stack([np.ones(12), X], axis=1)
    prior = bayes.linear_regression.NormalInverseGamma(
        jnp.zeros(2), 0.1 * jnp.eye(2), 6.0, 2.0
    )
    model = bayes.linear_regression.model
    target = vi.from_numpyro(model, prior, features, Y)
    fit = vi.fit(target, jax.random.key(0), family="full_rank")
    posterior = bayes.linear_regression.posterior(prior, features, Y)
    new = np.array([[1.0, 0.0], [1.0, 3.0]])
    for draws in ("auto", "importance"):
        found = vi.predict(
            fit, jax.random.key(1), prior, new, draws=draws, num_samples=NUM_SAMPLES
        )
        assert found.trusted
        exact = bayes.linear_regression.predictive(posterior, new)
        close_in_moments(found["targets"], exact)


@pytest.mark.slow
def test_coverage_of_predictive_intervals(key):
    # True parameters from the prior, data, a fit, and one new observation: 90 % of
    # these are in the interval from 5 % to 95 %.
    prior, noise = dist.Normal(0.0, 2.0), 0.7
    template = vi.from_numpyro(bayes.normal_normal.model, prior, np.zeros(4), noise)

    def one(key):
        keys = jax.random.split(key, 4)
        truth = 2.0 * jax.random.normal(keys[0])
        data = truth + noise * jax.random.normal(keys[1], (5,))
        target = vi.from_numpyro(bayes.normal_normal.model, prior, data[:4], noise)
        fit = vi.fit(target, keys[2], family="laplace", num_checks=25)  # exact here
        found = vi.predict(fit, keys[3], prior, None, noise, draws="q", num_samples=400)
        low, high = jnp.quantile(found["observations"], jnp.array([0.05, 0.95]))
        return (low < data[4]) & (data[4] < high)

    assert template.dim == 1
    number = 1000
    covered = jax.jit(jax.vmap(one))(jax.random.split(key, number))
    error = np.sqrt(0.9 * 0.1 / number)
    assert abs(float(jnp.mean(covered)) - 0.9) < 3 * error


@pytest.mark.thorough
def test_new_sizes_deterministic_and_unknown_sites(fitted):
    for number in (1, 5):
        x = np.linspace(2.0, 3.0, number)
        found = vi.predict(fitted, jax.random.key(1), x, num_samples=50)
        assert found["y"].shape == found["mean"].shape == (50, number)
        exact = found["offset"][:, None] + found["slope"][:, None] * x
        np.testing.assert_allclose(found["mean"], exact, rtol=1e-5)
        assert found.source == "q"
        assert found.trusted
        assert found.effective_sample_size == 50
    assert "50 draws of q. Trust it" in str(found)
    assert list(found) == ["slope", "offset", "mean", "y"]


@pytest.mark.thorough
def test_same_numbers_in_batches_under_jit_and_vmap(fitted):
    x, key = np.array([0.0, 1.0, 2.0]), jax.random.key(3)

    def of(key, **options):
        return vi.predict(fitted, key, x, num_samples=50, **options)["y"]

    plain = of(key)
    np.testing.assert_array_equal(of(key, batch_size=7), plain)
    traced = jax.jit(of)(key)
    np.testing.assert_allclose(traced, plain, rtol=1e-5, atol=1e-6)
    mapped = jax.vmap(of)(jax.random.split(key, 2))
    second = of(jax.random.split(key, 2)[1])
    np.testing.assert_allclose(mapped[1], second, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("draws", ["q", "importance"])
def test_same_numbers_of_each_source_under_jit(fitted, draws):
    of = partial(vi.predict, fitted, x=np.array([0.0, 1.0, 2.0]), num_samples=50)
    of, key = partial(of, draws=draws), jax.random.key(3)
    traced = jax.jit(lambda key: of(key=key)["y"])(key)
    np.testing.assert_allclose(traced, of(key=key)["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_a_poor_q_is_corrected_by_weights(key):
    # Strongly correlated: mean field's sds are much too small.
    def pair(y):
        a = numpyro.sample("a", dist.Normal(0.0, 1.0))
        b = numpyro.sample("b", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(a + b, 0.8), obs=y)

    fit = vi.fit(vi.from_numpyro(pair, 1.0), key)
    assert not fit.trusted
    found = vi.predict(fit, key, None, num_samples=NUM_SAMPLES)
    assert (found.source, found.trusted) == ("importance", True)
    assert "corrected by importance weights" in str(found)
    variance = 1 / (1 + 2 / 0.8**2)  # of each given the other, by q
    exact = 1 - 1 / (2 + 0.8**2)
    spread = float(np.var(found["a"]))
    error = exact * np.sqrt(2 / found.effective_sample_size)
    assert abs(spread - exact) < 4 * error < exact - variance
    # q alone can be asked for, and says that it is not to be used.
    alone = vi.predict(fit, key, None, draws="q", num_samples=NUM_SAMPLES)
    assert not alone.trusted
    assert float(np.var(alone["a"])) < exact - 4 * error


@pytest.mark.slow
def test_chains_are_drawn_from(fitted):
    chained = vi.nuts(fitted, jax.random.key(4))
    found = vi.predict(chained, jax.random.key(1), X, num_samples=NUM_SAMPLES)
    assert (found.source, found.trusted) == ("chains", True)
    whole = vi.predict(fitted, jax.random.key(1), X, num_samples=NUM_SAMPLES)
    error = np.std(whole["y"], axis=0) * np.sqrt(2 / found.effective_sample_size)
    miss = np.abs(np.mean(found["y"], axis=0) - np.mean(whole["y"], axis=0))
    assert np.all(miss < 4 * error)


@pytest.mark.thorough
def test_a_q_that_nothing_corrects_is_not_trusted(key):
    def two_modes(y):
        places = dist.Normal(jnp.array([-2.0, 8.0]), 0.4)
        x = numpyro.sample(
            "x", dist.MixtureSameFamily(dist.Categorical(jnp.array([0.5, 0.5])), places)
        )
        numpyro.sample("y", dist.Normal(x, 100.0), obs=y)

    target = vi.from_numpyro(two_modes, 3.0)
    fit = vi.fit(target, key, search_modes=False)._replace(khat=jnp.array(1.5))
    found = vi.predict(fit, key, None, num_samples=50)
    assert (found.source, found.trusted) == ("q", False)
    assert "Do not trust" in str(found)
    # With the other mode known, both are drawn from.
    known = vi.predict(vi.fit(target, key), key, None, num_samples=2000)
    assert (known.source, known.trusted) == ("importance", True)
    np.testing.assert_allclose(np.mean(np.asarray(known["x"]) > 0), 0.5, atol=0.05)


@pytest.mark.thorough
def test_new_groups_are_drawn_from_the_model(grouped):
    new = np.array([0, 3, 4])
    with pytest.raises(ValueError, match=r"'level' has shape \(3,\) .*\(5,\).*fresh="):
        vi.predict(grouped, jax.random.key(1), new, None, 5)
    found = vi.predict(
        grouped, jax.random.key(1), new, None, 5, fresh=("level",), num_samples=4000
    )
    assert found["level"].shape == (4000, 5)
    variance = np.mean(found["spread"] ** 2)
    np.testing.assert_allclose(np.var(found["level"], axis=0), variance, rtol=0.3)
    np.testing.assert_allclose(np.mean(found["y"]), 3.0, atol=0.1)
    # The same groups again keep their levels.
    again = vi.predict(grouped, jax.random.key(1), np.array([2]), None, 3)
    np.testing.assert_allclose(np.mean(again["y"]), 4.05, atol=0.05)


@pytest.mark.thorough
def test_a_scan_is_forecast(key):
    def walk(y, length):
        def step(z, y):
            z = numpyro.sample("z", dist.Normal(z, 0.5))
            numpyro.sample("y", dist.Normal(z, 0.1), obs=y)
            return z, None

        scan(step, 0.0, y, length=length)

    y = np.array([0.5, 1.0, 1.5, 2.0])
    fit = vi.fit(vi.from_numpyro(walk, y, 4), key, family="full_rank")
    found = vi.predict(fit, key, None, 7, num_samples=4000)
    assert found["z"].shape == found["y"].shape == (4000, 7)
    means, variances = found["z"].mean(axis=0), found["z"].var(axis=0)
    np.testing.assert_allclose(means[3:], means[3], atol=0.06)
    np.testing.assert_allclose(np.diff(variances[3:]), 0.25, rtol=0.15)
    with pytest.raises(ValueError, match=r"'z' has shape \(4,\) .*\(3,\)"):
        vi.predict(fit, key, None, 3)


@pytest.mark.slow
def test_discrete_unknowns_are_drawn_given_the_data(key):
    pytest.importorskip("funsor")

    def mixture(y, number):
        share = numpyro.sample("share", dist.Beta(2.0, 2.0))
        with numpyro.plate("rows", number):
            k = numpyro.sample("k", dist.Bernoulli(share))
            numpyro.sample("y", dist.Normal(10.0 * k, 1.0), obs=y)

    y = np.array([9.0, 11.0, 0.5, 10.0])
    fit = vi.fit(vi.from_numpyro(mixture, y, 4), key)
    found = vi.predict(fit, key, None, 4, num_samples=500)
    assert found["k"].mean(axis=0).tolist() == [1.0, 1.0, 0.0, 1.0]
    new = vi.predict(fit, key, None, 6, fresh=("k",), num_samples=2000)
    # E[k] = E[share | y] = (2 + 3) / (4 + 4)
    np.testing.assert_allclose(np.mean(new["k"]), 5 / 8, atol=0.02)


@pytest.mark.thorough
def test_without_arguments_the_data_are_replicated(fitted):
    found = vi.predict(fitted, jax.random.key(1), num_samples=2000)
    assert found["y"].shape == (2000, 12)
    np.testing.assert_allclose(found["y"].mean(axis=0), found["mean"].mean(0), atol=0.1)
    assert found["y"].std(axis=0).min() > 0.4


@pytest.mark.thorough
def test_replications_of_a_broadcast_distribution_have_the_shape_of_the_data(key):
    data = {"observations": np.array([1.0, 2.5, 0.0]), "scale": 0.8}
    prior = dist.Normal(0.0, 3.0)
    fit = vi.fit(vi.from_numpyro(bayes.normal_normal.model, prior, **data), key)
    found = vi.predict(fit, key, num_samples=500)["observations"]
    assert found.shape == (500, 3)
    corr = np.corrcoef(np.asarray(found - found.mean(axis=1, keepdims=True)).T)
    assert corr[0, 1] < -0.3  # each has noise of its own
    before = vi.prior_predict(bayes.normal_normal.model, key, prior, **data)
    assert before["observations"].shape == (1000, 3)


@pytest.mark.thorough
def test_a_partial_keeps_what_it_fixed(key):
    model = partial(line, prior_sd=1e-3)
    fit = vi.fit(vi.from_numpyro(model, X, Y), key)
    found = vi.predict(fit, key, np.array([100.0]), fresh=("slope",), num_samples=500)
    assert np.std(found["slope"]) < 2e-3  # 10 by the default


@pytest.mark.thorough
def test_prior_predictive(key):
    found = vi.prior_predict(line, key, X, Y, num_samples=4000, prior_sd=2.0)
    assert found["y"].shape == (4000, 12)
    exact = 4.0 + 4.0 * X**2 + 0.25
    np.testing.assert_allclose(np.var(found["y"], axis=0), exact, rtol=0.1)
    again = vi.prior_predict(
        partial(line, prior_sd=2.0), key, X, None, num_samples=4000, batch_size=1000
    )
    np.testing.assert_allclose(again["y"], found["y"], rtol=1e-5, atol=1e-6)


SIZE, WIDTH = [3], 1.0


def changing(y):
    with numpyro.plate("parts", SIZE[0]):
        part = numpyro.sample("part", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(part.sum(), WIDTH), obs=y)


class Hidden:  # in what another package's object holds nothing is looked up
    __module__ = "elsewhere"
    size = 3


HIDDEN = Hidden()


def changing_unseen(y):
    with numpyro.plate("parts", HIDDEN.size):
        part = numpyro.sample("part", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(part.sum(), 1.0), obs=y)


def branching(x, y=None):
    slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
    if y is None:
        slope = slope + numpyro.sample("more", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


@pytest.mark.thorough
def test_a_model_that_has_changed_is_refused(key, monkeypatch):
    fit = vi.fit(vi.from_numpyro(changing, 1.0), key)
    for name, value in (("WIDTH", 2.0), ("SIZE", [4])):
        with monkeypatch.context() as changed:
            changed.setitem(globals(), name, value)
            for use in (vi.predict, vi.log_likelihood, vi.power_scaling, vi.nuts):
                with pytest.raises(ValueError, match=f"since the fit: {name}, which"):
                    use(fit, key)
    fit = vi.fit(vi.from_numpyro(changing_unseen, 1.0), key)
    monkeypatch.setattr(HIDDEN, "size", 4)
    with pytest.raises(
        ValueError, match=r"changed since the fit.*\(4,\): fit it again"
    ):
        vi.predict(fit, key, None)
    fit = vi.fit(vi.from_numpyro(branching, X, Y), key)
    with pytest.raises(ValueError, match="site 'more' at these arguments that the fit"):
        vi.predict(fit, key, X)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((np.array([0.0, np.nan]),), {}, r"x is not valid: 1 of its 2 numbers are NaN"),
        ((X[:, None],), {}, r"x is not valid: it has 2 axes, \(12, 1\), and had 1"),
        ((X, Y), {}, "nothing is left to be predicted: site 'y' is observed"),
        ((X, None, 3), {}, "cannot be run at the arguments given .*TypeError"),
        ((X,), {"num_samples": 0}, "num_samples = 0 is not valid"),
        ((np.array(["a", "b"]),), {}, "x is not valid: it is an array of <U1"),
        ((X,), {"batch_size": 0}, "batch_size = 0 is not valid"),
        ((X,), {"draws": "mcmc"}, "draws = 'mcmc' is not one of"),
        ((X,), {"draws": "chains"}, "run vi.nuts"),
        ((X,), {"fresh": ("tilt",)}, "'tilt' is no unknown site of the fit"),
    ],
)
def test_bad_input_is_named(fitted, key, args, options, message):
    with pytest.raises(ValueError, match=message):
        vi.predict(fitted, key, *args, **options)


def counts(exposure, y=None, mask=True):
    rate = numpyro.sample("rate", dist.Gamma(5.0, 5.0))
    with handlers.mask(mask=mask):
        numpyro.sample("y", dist.Poisson(rate * exposure), obs=y)


@pytest.fixture(scope="module")
def counted():
    seen = np.array([True, True, False])  # a mask of the fit hides nothing later
    target = vi.from_numpyro(counts, np.arange(1.0, 4.0), np.array([1, 1, 4]), seen)
    return vi.fit(target, jax.random.key(0))


@pytest.mark.parametrize("bad", [-1.0, np.inf])
def test_parameters_outside_of_their_range_are_refused(counted, key, bad):
    """NumPyro draws −1, or the largest integer, and says nothing."""
    with pytest.raises(ValueError, match="rate of y is outside of its range, or infin"):
        vi.predict(counted, key, np.array([1.0, bad]), None, num_samples=50)
    with pytest.raises(ValueError, match="rate of y is outside of its range, or infin"):
        vi.prior_predict(counts, key, np.array([1.0, bad]), num_samples=50)


@pytest.mark.thorough
def test_a_parameter_that_is_infinite_at_the_fit_is_meant(key):
    def steep(scale, y=None):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        numpyro.sample("flat", dist.Normal(0.0, scale), obs=None if y is None else 0.0)

    fit = vi.fit(vi.from_numpyro(steep, 1.0, 0.5), key)
    with pytest.raises(ValueError, match="scale of flat is outside"):
        vi.predict(fit, key, -1.0, num_samples=20)
    said = {"scale of flat": np.ones(20, bool)}
    assert parameters_in_words(said, lambda: {"scale of flat"}) == ""


@pytest.mark.thorough
def test_some_draws_outside_of_a_range_are_told(key):
    def careless(y=None):
        mean = numpyro.sample("mean", dist.Normal(1.0, 1.0))
        numpyro.sample("y", dist.Poisson(mean), obs=y)

    found = vi.prior_predict(careless, key, None, num_samples=4000)
    share = np.mean(np.asarray(found["mean"]) < 0)  # 16 %
    assert f"rate of y is outside of its range at {share:.1%}" in found.advice
    fine = vi.prior_predict(counts, key, np.ones(2), num_samples=50)
    assert fine.advice == ""


def test_numbers_of_draws_are_whole():
    with pytest.raises(ValueError, match=r"draws = 10\.5 is not valid: give a whole"):
        check_number("draws", 10.5)


@pytest.mark.thorough
def test_indices_beyond_the_groups_are_refused(grouped, key):
    with pytest.raises(
        ValueError, match="group is not valid: its integers go from 0 to 7"
    ):
        vi.predict(grouped, key, np.array([0, 7]), None, 3)


@pytest.mark.slow
def test_indices_that_are_meant_so_pass(key):
    # The sampler of a binomial indexes a table, which is not the model's business.
    prior, model = dist.Beta(1.0, 1.0), bayes.beta_binomial.model
    coin = vi.fit(vi.from_numpyro(model, prior, successes=10, trials=14), key)
    found = vi.predict(coin, key, prior, None, 100, num_samples=50)
    assert found["successes"].max() > 14

    # What the model does at the fit's own arguments too is meant so.
    def padded(group, y):
        level = numpyro.sample("level", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        whole = level.at[group].get(mode="fill", fill_value=0.0)
        numpyro.sample("y", dist.Normal(whole, 1.0), obs=y)

    fit = vi.fit(vi.from_numpyro(padded, np.array([0, 1, 2]), np.ones(3)), key)
    assert vi.predict(fit, key, np.array([5, 0]), None)["y"].shape == (1000, 2)


@pytest.mark.slow
def test_features_that_would_be_broadcast_are_refused(key):
    def model(x, y=None):
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal((x * beta).sum(axis=-1), 1.0), obs=y)

    x = np.ones((4, 3))
    fit = vi.fit(vi.from_numpyro(model, x, np.ones(4)), key)
    with pytest.raises(ValueError, match="its axis 1 has size 1, and had 3 in the fit"):
        vi.predict(fit, key, x[:, :1])
    assert vi.predict(fit, key, x[0], num_samples=5)["y"].shape == (5,)


@pytest.mark.slow
def test_plain_densities_and_subsamples_are_refused(key):
    target = vi.from_log_density(lambda x: -0.5 * x**2, 0.0)
    with pytest.raises(ValueError, match=r"plain log density.*vi\.from_numpyro"):
        vi.predict(vi.fit(target, key), key)

    def model(y, rows=None):
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", 20, subsample_size=rows) as index:
            batch = None if y is None else y[index]
            numpyro.sample("y", dist.Normal(mean, 1.0), obs=batch)

    method = vi.Stochastic(num_steps=50)
    fit = vi.fit(vi.from_numpyro(model, jnp.ones(20), 5), key, method=method)
    with pytest.raises(ValueError, match=r"subsample of plate 'rows' .*subsample_size"):
        vi.predict(fit, key, None, 5)
    assert vi.predict(fit, key, None, num_samples=7)["y"].shape == (7, 20)


@pytest.mark.thorough
def test_an_improper_prior_has_no_predictive(key):
    def model(y):
        mean = numpyro.sample(
            "mean", dist.ImproperUniform(dist.constraints.real, (), ())
        )
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    with pytest.raises(ValueError, match="cannot be run"):
        vi.prior_predict(model, key, None)
    fit = vi.fit(vi.from_numpyro(model, np.ones(3)), key)
    assert vi.predict(fit, key, None, num_samples=5)["y"].shape == (5,)


@pytest.mark.thorough
def test_other_inputs_of_the_same_shapes_compile_nothing(fitted, request):
    def both(seed, x):
        key = jax.random.key(seed)
        for draws in ("q", "importance"):
            vi.predict(fitted, key, x, num_samples=20, draws=draws)
        vi.log_likelihood(fitted, key, 20)

    both(1, X[:5])
    programs = request.getfixturevalue("compiled")
    both(2, X[2:7])
    assert programs == []


def spring(force, stretch):
    offset = numpyro.sample("offset", dist.Normal(0.0, 5.0))
    slope = numpyro.sample("slope", dist.Normal(0.0, 20.0))
    noise = numpyro.sample("noise", dist.HalfNormal(5.0))
    numpyro.sample("stretch", dist.Normal(offset + slope * force, noise), obs=stretch)


@pytest.mark.slow
def test_resampled_draws_have_the_long_tails_of_few_data():
    force = np.arange(1.0, 10.0) / 2
    stretch = np.array([6.1, 10.9, 16.4, 19.7, 26.3, 29.8, 36.0, 40.2, 45.5])
    target = vi.from_numpyro(spring, force, stretch)
    fit = vi.fit(target, jax.random.key(0), family="full_rank")
    table = vi.summary(fit)
    ratios = []
    for seed in range(4):
        drawn = vi.predict(fit, jax.random.key(seed), num_samples=4000)
        assert (drawn.source, bool(drawn.trusted)) == ("importance", True)
        ratios.append(
            [np.std(drawn[name]) / table[name]["corrected_sd"] for name in table]
        )
    # Without them the noise's sd was 11 to 13 % too small.
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1.0, atol=0.05)


def test_draws_whose_sd_is_not_known_say_so(key):
    # One draw of 4000 makes much of the second one's variance.
    target = vi.from_log_density(lambda x: -0.5 * jnp.sum(x**2), jnp.zeros(2))
    fit = vi.fit(target, key)
    positions = np.random.default_rng(0).normal(size=(4000, 2))
    positions[:, 1] = np.random.default_rng(1).standard_cauchy(4000)
    drawn = WeightedDraws(positions, np.zeros(4000), "importance", 1, 0)
    said = posterior_draws._long_tails(fit, drawn)
    assert "the sd of params[1] is not known" in said
    even = drawn._replace(positions=positions[:, :1].repeat(2, axis=1))
    assert posterior_draws._long_tails(fit, even) == ""
