"""Bad input at the public entries: what the ValueError says, and NaN in a trace.

Each table has one row a case: what is called, with which arguments, and what the
message must contain. Priors are named by the functions that make them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax import bayes
from vijax.bayes import (
    evidence,
    frequentist,
    intervals,
    known_background,
    landscape,
    on_off,
    regions,
    theorem,
    uncertain_signal,
)
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.conjugate.normal_inverse_wishart import NormalInverseWishart

EYE = np.eye(2, dtype=np.float32)
NAN, INF = np.nan, np.inf


def beta():
    return dist.Beta(1.0, 1.0)


def gamma():
    return dist.Gamma(1.0, 1.0)


def flat_gamma():
    return dist.Gamma(1.0, 0.0, validate_args=False)


def shares():
    return dist.Dirichlet(jnp.ones(3))


def pareto():
    return dist.Pareto(1.0, 2.0)


def away_from_zero():
    return dist.Uniform(1.0, 5.0)


def normal():
    return dist.Normal(0.0, 1.0)


def flat_normal():
    return dist.Normal(0.0, INF)


def inverse_gamma():
    return dist.InverseGamma(1.0, 1.0)


def two_normals():
    return dist.MultivariateNormal(jnp.zeros(2), EYE)


def scalar():
    return NormalInverseGamma(0.0, 1.0, 2.0, 1.0)


def regression():
    return NormalInverseGamma(jnp.zeros(2), EYE, 2.0, 1.0)


def one_flat_coefficient():
    return bayes.linear_regression.flat_prior(1)


def two_flat_coefficients():
    return bayes.linear_regression.flat_prior(2)


def wishart():
    return NormalInverseWishart(jnp.zeros(2), 1.0, 4.0, EYE)


def wishart_of_few_degrees():
    return wishart()._replace(df=1.0)


def negative_wishart():
    return wishart()._replace(scale=-EYE)


def wishart_of_nan():
    return wishart()._replace(scale=NAN * EYE)


def poisson():
    return dist.Poisson(3.0)


def line():
    return landscape.prior(flat, (landscape.axis(0.0, 1.0, 16),))


def plane():
    axis = landscape.axis(0.0, 1.0, 16)
    return landscape.prior(flat, (axis, axis))


def flat(theta):
    return 0.0


def refuses(message):
    return pytest.raises(ValueError, match=f"(?s){message}")


@pytest.mark.parametrize(
    ("successes", "trials", "message"),
    [
        (15, 14, "successes = 15"),
        (-1, 14, "successes = -1"),
        (NAN, 14, "successes = nan"),
        ("ten", 14, "successes = 'ten'"),
        (None, 14, "successes = None"),
        ([[1], [2, 3]], 4, "successes = "),
        (1 + 2j, 4, "successes = "),
        ([], [], "successes is empty"),
        ([1, 2, 3], [4, 5], "do not fit"),
    ],
)
@pytest.mark.usefixtures("nan_is_an_answer")
def test_binomial_counts(successes, trials, message, as_users_do):
    with refuses(message):
        bayes.beta_binomial.posterior(beta(), successes, trials)


@pytest.mark.parametrize(
    ("family", "prior", "data", "message"),
    [
        ("beta_bernoulli", beta, ([0, 2],), "outcomes = 2"),
        ("beta_binomial", gamma, (1, 4), "prior is a Gamma"),
        ("beta_geometric", beta, ([0.5],), "failures = 0.5"),
        ("beta_negative_binomial", beta, (3, 0), "successes = 0"),
        ("dirichlet_categorical", shares, ([0, 3],), "labels = 3"),
        ("dirichlet_multinomial", shares, ([1, 2],), "3 entries"),
        ("dirichlet_multinomial", shares, ([3],), "3 entries"),
        ("dirichlet_multinomial", shares, (3,), "counts = 3"),
        ("gamma_exponential", gamma, ([-1.0],), "times = -1"),
        ("gamma_exponential", flat_gamma, (0.0,), "posterior.rate = 0.0.*more data"),
        ("gamma_poisson", gamma, (3, -1.0), "exposure = -1"),
        ("gamma_poisson", gamma, (INF,), "counts = inf"),
        ("inverse_gamma_normal", inverse_gamma, (1.0, NAN), "loc = nan"),
        (
            "linear_regression",
            regression,
            (np.ones((4, 3)), np.ones(4)),
            "features has shape",
        ),
        (
            "linear_regression",
            two_flat_coefficients,
            (np.ones((5, 2)), np.arange(5.0)),
            "posterior.precision = 0.0.*not proper",
        ),
        ("multivariate_normal", two_normals, ([1.0] * 3, EYE), "2 ent"),
        (
            "multivariate_normal",
            two_normals,
            ([1.0, 2.0], -EYE),
            "covariance.*positive definite",
        ),
        (
            "multivariate_normal",
            two_normals,
            ([1.0, 2.0], [[1.0, 0.9], [0.0, 1.0]]),
            "covariance.*symmetric",
        ),
        ("normal_inverse_gamma", scalar, ([NAN],), "observations = nan"),
        (
            "normal_inverse_gamma",
            regression,
            ([1.0],),
            r"prior.precision has shape \(2, 2\)",
        ),
        (
            "normal_inverse_wishart",
            wishart_of_few_degrees,
            ([1.0, 2.0],),
            "prior.df = 1.0",
        ),
        (
            "normal_inverse_wishart",
            negative_wishart,
            ([1.0, 2.0],),
            "prior.scale.*positive definite",
        ),
        ("normal_normal", normal, ([1.0], 0.0), "scale = 0"),
        ("pareto_uniform", pareto, (0.0,), "observations = 0.0"),
        ("truncated_gamma_poisson", away_from_zero, (3,), "prior.low = 1"),
        ("truncated_gamma_poisson", gamma, (3,), "a TruncatedGamma"),
    ],
)
@pytest.mark.usefixtures("nan_is_an_answer")
def test_posterior(family, prior, data, message, as_users_do):
    with refuses(message):
        getattr(bayes, family).posterior(prior(), *data)


@pytest.mark.parametrize(
    ("family", "prior", "data", "message"),
    [
        ("beta_binomial", beta, (1.5, 14), "successes = 1.5"),
        ("beta_binomial", gamma, (1, 4), "prior is a Gamma"),
        ("dirichlet_multinomial", shares, ([1, 2],), "3 entries"),
        ("gamma_poisson", flat_gamma, (3,), "prior.rate = 0.0.*improper"),
        (
            "linear_regression",
            one_flat_coefficient,
            (np.ones((5, 1)), np.arange(5.0)),
            "improper",
        ),
        ("normal_normal", flat_normal, (1.0, 1.0), "prior.scale = inf.*improper"),
    ],
)
def test_log_evidence(family, prior, data, message, as_users_do):
    with refuses(message):
        getattr(bayes, family).log_evidence(prior(), *data)


def test_regression_has_its_number_of_features(as_users_do):
    with refuses("num_features = 0"):
        bayes.linear_regression.flat_prior(0)
    with refuses("features has shape"):
        bayes.linear_regression.predictive(regression(), np.ones((4, 3)))


def test_on_off_takes_one_experiment(as_users_do):
    with refuses(r"n_on has shape \(2,\)"):
        bayes.on_off.posterior(gamma(), gamma(), [3, 4], 2, 1.0)


@pytest.mark.parametrize(
    ("posterior", "options", "message"),
    [
        (beta, {"mass": 95}, "mass = 95"),
        (beta, {"mass": "95 %"}, "mass = '95 %'"),
        (beta, {"kind": "hdi"}, "kind = 'hdi'"),
        (lambda: np.array([1.0, NAN]), {}, "posterior = nan"),
        (poisson, {}, "a Poisson, which has no quant"),
        (plane, {}, "give one of its marginals"),
    ],
)
def test_credible_interval(posterior, options, message, as_users_do):
    with refuses(message):
        intervals.credible_interval(posterior(), **options)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (evidence.log_bayes_factor, (NAN, 1.0), "log_evidence_1 = nan"),
        (evidence.model_probabilities, ([1.0, 2.0], [0.0, 0.0]), "prior = "),
        (evidence.model_probabilities, ([1.0, 2.0], [1.0] * 3), "do not fit"),
        (evidence.jeffreys, ([1.0, 2.0],), "give one number"),
        (theorem.posterior, ([0.5, -0.5], [1.0, 1.0]), "prior = -0.5"),
        (theorem.posterior, ([1.0, 0.0], [0.0, 1.0]), "must explain the data"),
        (theorem.posterior, ([1.0, 0.0], [0.0] * 3), "do not fit"),
        (theorem.log_posterior, ([0.0, NAN], [0.0, 0.0]), "log_prior = nan"),
        (theorem.log_posterior, ([0.0], [-INF]), "must explain the data"),
        (frequentist.binomial_coverage, (1.5, 14), "probs = 1.5"),
        (frequentist.binomial_coverage, (0.5, 3.5), "trials = 3.5"),
        (frequentist.poisson_coverage, (-3.0, 40), "means = -3"),
        (frequentist.poisson_coverage, (3.0, -2), "max_count = -2"),
        (frequentist.p_value, (NAN,), "significance = nan"),
        (frequentist.significance_from_log, (1.0,), "log_p_value = 1"),
        (frequentist.li_ma_significance, (3, -1, 1.0), "n_off = -1"),
        (frequentist.profile_interval, (3, 4, 1.0, 2.0), "level = 2"),
        (frequentist.poisson_log_p_value, (3, -1.0), "background = -1"),
        (landscape.axis, (NAN, 1.0), "low = nan"),
        (landscape.axis, (0.0, 1.0, 20.5), "num_points = 20.5"),
    ],
)
def test_functions_of_numbers(function, arguments, message, as_users_do):
    with refuses(message):
        function(*arguments)


@pytest.mark.parametrize("point", [1.5, -0.5])
def test_savage_dickey_outside_of_the_prior(point, as_users_do):
    with refuses("log prior density"):
        evidence.savage_dickey(beta(), beta(), point)


def test_quantile_of_what_is_no_probability(as_users_do):
    with refuses("q = -0.1"):
        intervals.quantile(beta(), -0.1)


def test_grids(as_users_do):
    def a_vector(theta, datum=None):
        return theta

    with refuses("log_prior has shape"):
        landscape.prior(a_vector, line().axes)
    with refuses("tuple of Axis"):
        landscape.prior(flat, line().axes[0])
    with refuses("log_likelihood has shape"):
        landscape.update(line(), a_vector, np.ones(2))
    with refuses("mass = 1.5"):
        regions.region(line(), 1.5)
    with refuses("give one of its marginals"):
        regions.intervals_of(plane(), 0.5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "function", "prior", "data"),
    [
        ("beta_binomial", "posterior", beta, (NAN, 4.0)),
        ("gamma_poisson", "log_evidence", gamma, (NAN,)),
        ("normal_inverse_gamma", "posterior", scalar, (np.array([NAN]),)),
        ("linear_regression", "posterior", regression, (NAN * EYE, np.ones(2))),
        ("multivariate_normal", "posterior", two_normals, (np.ones(2), NAN * EYE)),
        ("normal_inverse_wishart", "log_evidence", wishart_of_nan, (np.ones(2),)),
    ],
)
def test_a_trace_of_a_family_gives_nan(family, function, prior, data, nan_is_an_answer):
    result = jax.jit(getattr(getattr(bayes, family), function))(prior(), *data)
    for leaf in jax.tree.leaves(result):
        assert np.isnan(leaf).all()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (frequentist.log_p_value, (NAN,)),
        (theorem.log_posterior, (np.array([NAN]), np.zeros(1))),
        (lambda mean: frequentist.poisson_coverage(mean, 9), (NAN,)),
        (lambda mass: regions.log_density_level(line(), mass), (NAN,)),
    ],
)
def test_a_trace_gives_nan(function, arguments, nan_is_an_answer):
    assert np.isnan(jax.jit(function)(*arguments)).all()


def narrow():
    return dist.Gamma(2.0, 0.5)


def many():
    """As many as 14 counts have components, padded: they were mixed up in silence."""
    return dist.Gamma(jnp.linspace(1.0, 2.0, 64), 0.5)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: on_off.posterior(many(), narrow(), 14, 10, 0.5), "signal_prior"),
        (lambda: on_off.posterior(narrow(), many(), 14, 10, 0.5), "background_prior"),
        (lambda: on_off.log_evidence(many(), narrow(), 14, 10, 0.5), "signal_prior"),
        (
            lambda: on_off.log_evidence(narrow(), many(), 14, 10, 0.5),
            "background_prior",
        ),
        (lambda: known_background.posterior(many(), 14, 5.0), "signal_prior"),
        (lambda: known_background.log_evidence(many(), 14, 5.0), "signal_prior"),
        (lambda: uncertain_signal.posterior(14, 5.0, many()), "efficiency"),
        (lambda: uncertain_signal.posterior(14, many(), narrow()), "background"),
    ],
)
def test_a_signal_has_one_prior(call, name):
    message = rf"{name} has shape \(64,\): give one distribution, and vmap"
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda plan: bayes.frequentist.signal_limit(7, plan),
        lambda plan: bayes.frequentist.signal_interval(7, plan),
        lambda plan: bayes.frequentist.poisson_log_p_value(7, plan),
        lambda plan: bayes.frequentist.asimov_significance(7, plan),
    ],
)
def test_a_measured_background_is_not_two_numbers(call):
    plan = bayes.frequentist.Sideband(12, 4.0)
    with pytest.raises(ValueError, match="is a Sideband, which is not a number"):
        call(plan)


PLAN = frequentist.Sideband([1.0, 2.0], 1.0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda n: frequentist.signal_coverage(1.0, 1.0, max_count=n), "max_count"),
        (lambda n: frequentist.signal_interval(3, 1.0, max_count=n), "max_count"),
        (
            lambda n: frequentist.uncertain_signal_coverage(1.0, PLAN, max_count=n),
            "max_count",
        ),
        (lambda n: frequentist.poisson_coverage(1.0, n), "max_count"),
        (
            lambda n: frequentist.median_significance(1.0, 2.0, max_terms=n),
            "max_terms",
        ),
        (
            lambda n: frequentist.fisher_log_p_value((3, 9), (5, 9), max_successes=n),
            "max_successes",
        ),
        (
            lambda n: frequentist.barnard_log_p_value((3, 9), (5, 9), max_trials=n),
            "max_trials",
        ),
        (
            lambda n: uncertain_signal.posterior(
                3, 2.0, dist.Gamma(9.0, 9.0), max_count=n
            ),
            "max_count",
        ),
        (
            lambda n: known_background.posterior(gamma(), 3, 2.0, max_count=n),
            "max_count",
        ),
    ],
)
def test_a_size_is_one_whole_number(call, name, as_users_do):
    for bad in ("20", 20.5, NAN, INF, -1, [20, 30], [[1], [1, 2]], 2j, {}):
        with pytest.raises(ValueError, match=rf"^{name} .*: give"):
            call(bad)
    with pytest.raises(ValueError, match=rf"^{name} is traced"):
        jax.jit(call)(20)


@pytest.mark.parametrize(
    ("function", "data", "name"),
    [
        (frequentist.fisher_log_p_value, ((3, 9), (5, 9)), "max_successes"),
        (frequentist.barnard_log_p_value, ((3, 9), (5, 9)), "max_trials"),
    ],
)
def test_a_size_below_the_data(function, data, name, as_users_do):
    """The sum would be without terms: 0, or a wrong number."""
    with pytest.raises(ValueError, match=f"^{name} = 4 is not valid: give the"):
        function(*data, **{name: 4})


@pytest.mark.parametrize("bad", [[], ["wald"], np.array(["wald", "wilson"]), {}, None])
def test_a_method_is_one_word(bad, as_users_do):
    for call in (
        lambda: frequentist.binomial_interval(3, 9, method=bad),
        lambda: frequentist.binomial_coverage(0.3, 9, method=bad),
        lambda: frequentist.signal_limit(3, 1.0, method=bad),
    ):
        with pytest.raises(ValueError, match=r"^method = .* is not valid: give 'c"):
            call()


@pytest.mark.parametrize(
    "measured",
    [
        frequentist.Measured(np.ones(2), np.ones(3)),
        frequentist.Sideband(np.ones(2), np.ones(3)),
    ],
)
def test_a_measurement_has_one_shape(measured, as_users_do):
    for call in (
        lambda: frequentist.critical_count(measured),
        lambda: frequentist.median_significance(1.0, measured),
        lambda: frequentist.uncertain_signal_limit(3, measured),
    ):
        with pytest.raises(ValueError, match=r"background\..* do not fit: give"):
            call()


def test_shapes_of_a_profile_likelihood(as_users_do):
    with pytest.raises(ValueError, match=r"signal of shape \(3,\).* do not fit: give"):
        frequentist.profile_log_likelihood(np.ones(3), [3, 5], [4, 5], 0.5)


def test_trials_of_a_coverage_are_known(as_users_do):
    with pytest.raises(ValueError, match=r"^trials are traced: .* give"):
        jax.jit(lambda n: frequentist.binomial_coverage(0.3, n))(9)


def test_one_weight_for_all_events(as_users_do):
    same = frequentist.efficiency_posterior(beta(), 2.0, [1, 0, 1])
    each = frequentist.efficiency_posterior(beta(), [2.0, 2.0, 2.0], [1, 0, 1])
    assert same.concentration1 == each.concentration1 == 3.0
    assert same.concentration0 == each.concentration0 == 2.0


def test_an_efficiency_has_a_finite_concentration(as_users_do):
    with pytest.raises(ValueError, match=r"^efficiency\.concentration = inf"):
        uncertain_signal.posterior(3, 2.0, dist.Gamma(INF, 1.0))
    with pytest.raises(ValueError, match=r"^background = \[\[1\], \[1, 2\]\] is not"):
        uncertain_signal.posterior(3, [[1], [1, 2]], dist.Gamma(9.0, 9.0))
