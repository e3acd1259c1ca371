"""Bad input at the public entries: what the ValueError says, and NaN in a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax import bayes
from vijax.bayes import evidence, frequentist, theorem
from vijax.bayes.conjugate import on_off
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.conjugate.normal_inverse_wishart import NormalInverseWishart
from vijax.bayes.grid import landscape, regions
from vijax.bayes.intervals import credible_interval, quantile
from vijax.sweep import sweep

BETA, GAMMA = dist.Beta(1.0, 1.0), dist.Gamma(1.0, 1.0)
EYE = np.eye(2, dtype=np.float32)


def improper(kind, *parameters):
    return kind(*parameters, validate_args=False)


def shares():
    return dist.Dirichlet(jnp.ones(3))


def scalar():
    return NormalInverseGamma(0.0, 1.0, 2.0, 1.0)


def regression(precision=EYE):
    return NormalInverseGamma(jnp.zeros(2), precision, 2.0, 1.0)


def wishart(**changes):
    return NormalInverseWishart(jnp.zeros(2), 1.0, 4.0, EYE)._replace(**changes)


def normal():
    return dist.MultivariateNormal(jnp.zeros(2), EYE)


def grid(*dims):
    axes = tuple(landscape.axis(0.0, 1.0, 16) for _ in range(len(dims) or 1))
    return landscape.prior(lambda theta: 0.0, axes)


CALLS = [
    # counts and their priors
    (lambda: bayes.beta_binomial.posterior(BETA, 15, 14), "successes = 15"),
    (lambda: bayes.beta_binomial.posterior(BETA, -1, 14), "successes = -1"),
    (lambda: bayes.beta_binomial.log_evidence(BETA, 1.5, 14), "successes = 1.5"),
    (lambda: bayes.beta_binomial.posterior(BETA, np.nan, 14), "successes = nan"),
    (lambda: bayes.beta_binomial.posterior(BETA, "ten", 14), "successes = 'ten'"),
    (lambda: bayes.beta_binomial.posterior(BETA, None, 14), "successes = None"),
    (lambda: bayes.beta_binomial.posterior(BETA, [[1], [2, 3]], 4), "successes = "),
    (lambda: bayes.beta_binomial.posterior(BETA, 1 + 2j, 4), "successes = "),
    (lambda: bayes.beta_binomial.posterior(BETA, [], []), "successes is empty"),
    (lambda: bayes.beta_binomial.posterior(BETA, [1, 2, 3], [4, 5]), "do not fit"),
    (lambda: bayes.beta_binomial.posterior(GAMMA, 1, 4), "prior is a Gamma"),
    (lambda: bayes.beta_binomial.log_evidence(GAMMA, 1, 4), "prior is a Gamma"),
    (
        lambda: bayes.gamma_exponential.posterior(improper(dist.Gamma, 1.0, 0.0), 0.0),
        "posterior.rate = 0.0.*more data",
    ),
    (
        lambda: bayes.gamma_poisson.log_evidence(improper(dist.Gamma, 1.0, 0.0), 3),
        "prior.rate = 0.0.*improper",
    ),
    (lambda: bayes.beta_bernoulli.posterior(BETA, [0, 2]), "outcomes = 2"),
    (lambda: bayes.beta_geometric.posterior(BETA, [0.5]), "failures = 0.5"),
    (lambda: bayes.beta_negative_binomial.posterior(BETA, 3, 0), "successes = 0"),
    (lambda: bayes.dirichlet_categorical.posterior(shares(), [0, 3]), "labels = 3"),
    (lambda: bayes.dirichlet_multinomial.posterior(shares(), [1, 2]), "3 entries"),
    (lambda: bayes.dirichlet_multinomial.posterior(shares(), [3]), "3 entries"),
    (lambda: bayes.dirichlet_multinomial.posterior(shares(), 3), "counts = 3"),
    (lambda: bayes.dirichlet_multinomial.log_evidence(shares(), [1, 2]), "3 entries"),
    (lambda: bayes.gamma_poisson.posterior(GAMMA, 3, -1.0), "exposure = -1"),
    (lambda: bayes.gamma_poisson.posterior(GAMMA, np.inf), "counts = inf"),
    (lambda: bayes.gamma_exponential.posterior(GAMMA, [-1.0]), "times = -1"),
    (lambda: bayes.pareto_uniform.posterior(dist.Pareto(1.0, 2.0), 0.0), "= 0.0"),
    (
        lambda: bayes.truncated_gamma_poisson.posterior(dist.Uniform(1.0, 5.0), 3),
        "prior.low = 1",
    ),
    (lambda: bayes.truncated_gamma_poisson.posterior(GAMMA, 3), "a TruncatedGamma"),
    # means, variances, regressions
    (lambda: bayes.normal_normal.posterior(dist.Normal(), [1.0], 0.0), "scale = 0"),
    (
        lambda: bayes.normal_normal.log_evidence(dist.Normal(0.0, np.inf), 1.0, 1.0),
        "prior.scale = inf.*improper",
    ),
    (
        lambda: bayes.inverse_gamma_normal.posterior(
            dist.InverseGamma(1.0, 1.0), 1.0, np.nan
        ),
        "loc = nan",
    ),
    (
        lambda: bayes.normal_inverse_gamma.posterior(scalar(), [np.nan]),
        "observations = nan",
    ),
    (
        lambda: bayes.normal_inverse_gamma.posterior(regression(), [1.0]),
        r"prior.precision has shape \(2, 2\)",
    ),
    (lambda: bayes.multivariate_normal.posterior(normal(), [1.0] * 3, EYE), "2 ent"),
    (
        lambda: bayes.multivariate_normal.posterior(normal(), [1.0, 2.0], -EYE),
        "covariance.*positive definite",
    ),
    (
        lambda: bayes.multivariate_normal.posterior(
            normal(), [1.0, 2.0], [[1.0, 0.9], [0.0, 1.0]]
        ),
        "covariance.*symmetric",
    ),
    (
        lambda: bayes.normal_inverse_wishart.posterior(wishart(df=1.0), [1.0, 2.0]),
        "prior.df = 1.0",
    ),
    (
        lambda: bayes.normal_inverse_wishart.posterior(wishart(scale=-EYE), [1.0, 2.0]),
        "prior.scale.*positive definite",
    ),
    (
        lambda: bayes.linear_regression.posterior(
            regression(), np.ones((4, 3)), np.ones(4)
        ),
        "features has shape",
    ),
    (
        lambda: bayes.linear_regression.posterior(
            bayes.linear_regression.flat_prior(2), np.ones((5, 2)), np.arange(5.0)
        ),
        "posterior.precision = 0.0.*not proper",
    ),
    (
        lambda: bayes.linear_regression.log_evidence(
            bayes.linear_regression.flat_prior(1), np.ones((5, 1)), np.arange(5.0)
        ),
        "improper",
    ),
    (lambda: bayes.linear_regression.flat_prior(0), "num_features = 0"),
    (
        lambda: bayes.linear_regression.predictive(regression(), np.ones((4, 3))),
        "features has shape",
    ),
    # intervals, evidence, hypotheses
    (lambda: credible_interval(BETA, 95), "mass = 95"),
    (lambda: credible_interval(BETA, "95 %"), "mass = '95 %'"),
    (lambda: credible_interval(BETA, kind="hdi"), "kind = 'hdi'"),
    (lambda: credible_interval(np.array([1.0, np.nan])), "posterior = nan"),
    (lambda: credible_interval(dist.Poisson(3.0)), "a Poisson, which has no quant"),
    (lambda: credible_interval(grid(0, 1)), "give one of its marginals"),
    (lambda: quantile(BETA, -0.1), "q = -0.1"),
    (lambda: evidence.log_bayes_factor(np.nan, 1.0), "log_evidence_1 = nan"),
    (lambda: evidence.model_probabilities([1.0, 2.0], [0.0, 0.0]), "prior = "),
    (lambda: evidence.model_probabilities([1.0, 2.0], [1.0] * 3), "do not fit"),
    (lambda: evidence.savage_dickey(BETA, BETA, 1.5), "log prior density"),
    (lambda: evidence.jeffreys([1.0, 2.0]), "give one number"),
    (lambda: theorem.posterior([0.5, -0.5], [1.0, 1.0]), "prior = -0.5"),
    (lambda: theorem.posterior([1.0, 0.0], [0.0, 1.0]), "must explain the data"),
    (lambda: theorem.posterior([1.0, 0.0], [0.0] * 3), "do not fit"),
    (lambda: theorem.log_posterior([0.0, np.nan], [0.0, 0.0]), "log_prior = nan"),
    (lambda: theorem.log_posterior([0.0], [-np.inf]), "must explain the data"),
    # tests and counting
    (lambda: frequentist.binomial_coverage(1.5, 14), "probs = 1.5"),
    (lambda: frequentist.binomial_coverage(0.5, 3.5), "trials = 3.5"),
    (lambda: frequentist.poisson_coverage(-3.0, 40), "means = -3"),
    (lambda: frequentist.poisson_coverage(3.0, -2), "max_count = -2"),
    (lambda: frequentist.p_value(np.nan), "significance = nan"),
    (lambda: frequentist.significance_from_log(1.0), "log_p_value = 1"),
    (lambda: frequentist.li_ma_significance(3, -1, 1.0), "n_off = -1"),
    (lambda: frequentist.profile_interval(3, 4, 1.0, 2.0), "level = 2"),
    (lambda: frequentist.poisson_log_p_value(3, -1.0), "background = -1"),
    (lambda: on_off.posterior(GAMMA, GAMMA, [3, 4], 2, 1.0), r"n_on has shape \(2,\)"),
    # grids and sweeps
    (lambda: landscape.axis(np.nan, 1.0), "low = nan"),
    (lambda: landscape.axis(0.0, 1.0, 20.5), "num_points = 20.5"),
    (lambda: landscape.prior(lambda theta: theta, grid().axes), "log_prior has shape"),
    (lambda: landscape.prior(lambda theta: 0.0, grid().axes[0]), "tuple of Axis"),
    (
        lambda: landscape.update(grid(), lambda theta, n: theta, np.ones(2)),
        "log_likelihood has shape",
    ),
    (lambda: regions.region(grid(), 1.5), "mass = 1.5"),
    (lambda: regions.intervals_of(grid(0, 1), 0.5), "give one of its marginals"),
    (lambda: sweep(lambda row: row, np.ones(0)), "at least one row"),
    (lambda: sweep(lambda row: row, np.ones(3), batch_size=1.5), "batch_size = 1.5"),
    (lambda: sweep(lambda row: row, np.array(["a"])), "give numbers"),
    (lambda: sweep(3, np.ones(3)), "fn is a int"),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_a_value_error_names_the_argument(number, as_users_do):
    call, message = CALLS[number]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


@pytest.mark.parametrize(
    "function",
    [
        lambda bad: bayes.beta_binomial.posterior(BETA, bad, 4).mean,
        lambda bad: bayes.gamma_poisson.log_evidence(GAMMA, bad),
        lambda bad: bayes.normal_inverse_gamma.posterior(scalar(), bad[None]).loc,
        lambda bad: (
            bayes.linear_regression.posterior(regression(), bad * EYE, jnp.ones(2)).rate
        ),
        lambda bad: (
            bayes.multivariate_normal.posterior(normal(), jnp.ones(2), bad * EYE).loc
        ),
        lambda bad: bayes.normal_inverse_wishart.log_evidence(
            wishart(scale=bad * EYE), jnp.ones(2)
        ),
        lambda bad: frequentist.poisson_coverage(bad, 9),
        lambda bad: theorem.log_posterior(bad[None], jnp.zeros(1)),
        lambda bad: regions.log_density_level(grid(), bad),
        lambda bad: frequentist.log_p_value(bad),
    ],
)
def test_a_trace_gives_nan(function):
    assert np.isnan(jax.jit(function)(jnp.asarray(np.nan))).all()
