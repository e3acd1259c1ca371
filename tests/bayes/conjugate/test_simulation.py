"""Every family against simulation: calibrated posteriors, and NUTS on its own model.

Calibration: with θ from the prior and data from the model, the posterior's cdf at θ is
uniform (Cook, Gelman & Rubin 2006). A Kolmogorov-Smirnov test at a fixed seed.
"""

import jax
import numpy as np
import pytest
from numpyro import handlers
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS
from scipy import stats

from tests.bayes.cases import CASES, NUM_DATA
from tests.bayes.scipy_marginals import MARGINALS

NUM_REPLICATES = 2000
FAST = {"beta_binomial", "normal_inverse_gamma"}
NAMES = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name in sorted(CASES)
]

# A prior's parameters, and those data that the model does not draw.
GIVEN = {
    "beta_bernoulli": ((2.0, 3.0), {}),
    "beta_binomial": ((2.0, 3.0), {"trials": np.array([3, 8, 1, 20])}),
    "beta_geometric": ((2.0, 3.0), {}),
    "beta_negative_binomial": ((2.0, 3.0), {"successes": np.array([1, 4, 2, 9])}),
    "dirichlet_categorical": ((np.array([0.7, 2.0, 1.5]),), {}),
    "dirichlet_multinomial": ((np.array([0.7, 2.0, 1.5]),), {}),
    "gamma_exponential": ((2.0, 3.0), {}),
    "gamma_gamma": ((2.0, 3.0), {"shape": np.array([0.5, 2.0, 1.0, 3.0])}),
    "gamma_poisson": ((2.0, 0.5), {"exposure": np.array([0.5, 2.0, 1.0, 3.0])}),
    "inverse_gamma_normal": ((6.0, 3.0), {"loc": np.array([0.0, 1.0, -2.0, 0.5])}),
    "linear_regression": (
        (np.array([1.0, -1.0]), np.array([1.0, 0.5, 0.0, 1.0]), 6.0, 3.0),
        {"features": np.array([[1.0, 0.3], [1.0, -1.0], [1.0, 2.0], [1.0, 0.0]])},
    ),
    "multivariate_normal": ((np.array([1.0, -1.0]), np.array([1.0, 0.5, 0, 1.0])), {}),
    "normal_inverse_gamma": ((0.5, 2.0, 6.0, 3.0), {}),
    "normal_inverse_wishart": (
        (np.array([1.0, -1.0]), 2.0, 9.0, np.array([1.0, 0.5, 0.0, 1.0])),
        {},
    ),
    "normal_normal": ((0.5, 2.0), {"scale": np.array([1.0, 2.0, 0.5, 3.0])}),
    "pareto_uniform": ((1.5, 6.0), {}),
    "truncated_gamma_poisson": ((5.0,), {"exposure": np.array([0.5, 2.0, 1.0, 3.0])}),
}


def simulate(name, key):
    """Draw parameters from the prior, and NUM_DATA data given them."""
    case = CASES[name]
    parameters, known = GIVEN[name]
    prior, fixed = case.prior(*parameters), case.fixed()

    def run(key, row, values=None):
        model = handlers.seed(case.family.model, key)
        if values is not None:
            model = handlers.substitute(model, data=values)
        trace = handlers.trace(model).get_trace(prior, **row, **fixed)
        return {site: node["value"] for site, node in trace.items()}

    first = {site: values[0] for site, values in known.items()}
    theta_key, data_key = jax.random.split(key)
    theta = {s: v for s, v in run(theta_key, first).items() if s in case.points}
    observed = next(iter(case.data))
    rows = jax.vmap(lambda key, row: run(key, row, theta)[observed])(
        jax.random.split(data_key, NUM_DATA), known
    )
    return theta, {observed: rows} | known


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_calibration(name, x64):
    case = CASES[name]
    prior = case.prior(*GIVEN[name][0])

    def one(key):
        theta, data = simulate(name, key)
        return theta, case.family.posterior(prior, **data, **case.fixed())

    keys = jax.random.split(jax.random.key(1), NUM_REPLICATES)
    theta, posterior = jax.jit(jax.vmap(one))(keys)
    for exact, of in MARGINALS[name](posterior).values():
        ranks = exact.cdf(np.asarray(of(theta)))
        assert stats.kstest(ranks, "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nuts(name, x64):
    """Mean and variance of 4000 draws within four of their standard errors."""
    case = CASES[name]
    prior, fixed = case.prior(*GIVEN[name][0]), case.fixed()
    _, data = simulate(name, jax.random.key(2))
    kernel = NUTS(case.family.model)
    sampler = MCMC(kernel, num_warmup=500, num_samples=4000, progress_bar=False)
    sampler.run(jax.random.key(3), prior, **data, **fixed)
    draws = {site: np.asarray(v) for site, v in sampler.get_samples().items()}
    posterior = case.family.posterior(prior, **data, **fixed)
    for exact, of in MARGINALS[name](posterior).values():
        values = of(draws)
        for got, truth in (
            (values, exact.mean()),
            ((values - exact.mean()) ** 2, exact.var()),
        ):
            error = got.std() / np.sqrt(effective_sample_size(got[None]))
            assert abs(got.mean() - truth) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("flat_in", ["log_scale", "scale"])
def test_nuts_under_the_flat_prior_of_a_regression(flat_in, x64):
    family = CASES["linear_regression"].family
    rng = np.random.default_rng(0)
    features = np.column_stack([np.ones(12), rng.normal(size=12)])
    targets = features @ [1.0, -2.0] + rng.normal(size=12)
    prior = family.flat_prior(2, flat_in=flat_in)
    sampler = MCMC(
        NUTS(family.model), num_warmup=500, num_samples=4000, progress_bar=False
    )
    sampler.run(jax.random.key(3), prior, features, targets)
    draws = {site: np.asarray(v) for site, v in sampler.get_samples().items()}
    posterior = family.posterior(prior, features, targets)
    for exact, of in MARGINALS["linear_regression"](posterior).values():
        values = of(draws)
        error = values.std() / np.sqrt(effective_sample_size(values[None]))
        assert abs(values.mean() - exact.mean()) < 4 * error
