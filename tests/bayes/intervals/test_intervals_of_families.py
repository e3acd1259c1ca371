"""Both kinds of interval for every family's posterior, against SciPy's marginals."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given, settings

from tests.bayes.cases import CASES, problems
from tests.bayes.scipy_marginals import MARGINALS
from tests.cases import slow_except
from vijax.bayes.conjugate.marginals import marginals
from vijax.bayes.intervals import credible_interval

RUNS = settings(max_examples=4, deadline=None, derandomize=True, database=None)
MASS = 0.9
# One of each kind of posterior: on (0, 1), on (0, ∞), normal, and joint.
QUICK = {"beta_bernoulli", "gamma_poisson", "normal_normal", "normal_inverse_gamma"}


def pick(ends, values_of):
    """Return the end of the marginal that SciPy has, by the sites' names."""
    if not isinstance(ends, dict):
        site = dict.fromkeys(("probs", "rate", "variance", "loc", "high"), ends)
        return np.asarray(values_of(site))
    matrix = np.asarray(ends["variance"])[..., None, None]  # of which SciPy has [0, 0]
    covariance = matrix[0] if matrix.ndim > 2 else matrix
    return np.asarray(values_of({"covariance": covariance, **ends}))


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except(QUICK, sorted(CASES)))
def test_mass_tails_and_level(name):
    case = CASES[name]

    @RUNS
    @given(problem=problems(case))
    def run(problem):
        parameters, data = problem
        prior = case.prior(*parameters)
        posterior = case.family.posterior(prior, **data, **case.fixed())
        middle = credible_interval(posterior, MASS)
        densest = credible_interval(posterior, MASS, kind="highest_density")
        for exact, values_of in MARGINALS[name](posterior).values():
            lower, upper = (pick(ends, values_of) for ends in middle)
            # An end near 1 is rounded to 1e-16: the mass beyond it to that of density.
            rounding = 1e-15 * (1 + np.exp(exact.logpdf(upper)) * upper)
            np.testing.assert_allclose(exact.cdf(lower), 0.05, rtol=1e-9)
            above = 1 - exact.cdf(upper)
            np.testing.assert_allclose(above, 0.05, rtol=1e-9, atol=rounding)
            low, high = (pick(ends, values_of) for ends in densest)
            inside = exact.cdf(high) - exact.cdf(low)
            np.testing.assert_allclose(inside, MASS, rtol=1e-9, atol=rounding)
            assert high - low <= (upper - lower) * (1 + 1e-9)
            begin, end = exact.support()
            if begin + 1e-6 < low and high < end - 1e-6:
                np.testing.assert_allclose(
                    exact.logpdf(low), exact.logpdf(high), atol=1e-6
                )

    with jax.enable_x64(True):
        run()


@pytest.mark.thorough
def test_marginals_are_the_distributions_of_single_numbers(key, x64):
    """Moments of 4000 draws of each joint distribution, within four standard errors."""
    root = np.array([[1.0, 0.0], [0.7, 0.5]])
    joints = [
        dist.Dirichlet(np.array([0.7, 2.0, 1.5])),
        dist.MultivariateNormal(np.array([1.0, -1.0]), scale_tril=root),
        dist.MultivariateStudentT(9.0, np.array([1.0, -1.0]), root),
    ]
    for joint in joints:
        draws, single = np.asarray(joint.sample(key, (4000,))), marginals(joint)
        for got, truth in (
            (draws, single.mean),
            ((draws - single.mean) ** 2, single.variance),
        ):
            error = got.std(axis=0) / np.sqrt(len(draws))
            assert np.all(np.abs(got.mean(axis=0) - truth) < 4 * error)


def test_a_distribution_of_matrices_has_no_interval():
    wishart = dist.InverseWishart(5.0, scale_matrix=np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="InverseWishart of shape"):
        credible_interval(wishart)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "posterior",
    [
        lambda: dist.Gamma(np.array([0.5, 3.0, 300.0]), 2.0),
        *(
            pytest.param(slow, marks=pytest.mark.slow)
            for slow in (
                lambda: dist.Beta(np.array([0.5, 3, 300]), np.array([4, 1.5, 40])),
                lambda: dist.InverseGamma(np.array([0.5, 3.0, 300.0]), 2.0),
                lambda: dist.StudentT(np.array([1.0, 3.0, 300.0]), 1.0, 2.0),
            )
        ),
    ],
)
def test_float32_error(posterior, float32):
    """Below 1e-5 of the interval's larger end, as documented."""
    for kind in ("equal_tailed", "highest_density"):
        with jax.enable_x64(True):
            exact = np.stack(credible_interval(posterior(), MASS, kind=kind))
        single = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), posterior())
        ends = np.stack(credible_interval(single, np.float32(MASS), kind=kind))
        assert ends.dtype == np.float32
        assert np.all(np.abs(ends - exact) < 1e-5 * np.abs(exact).max(axis=0))
