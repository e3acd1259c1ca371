"""vi.fit on every conjugate family of vijax.bayes, whose evidence is known exactly.

The ELBO is the log evidence where the family of q holds the posterior (a normal mean),
and below it by KL(q ‖ posterior) elsewhere. The importance-weighted evidence of a fit
whose weights are good is the exact one, within its error.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vijax import bayes, vi
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.conjugate.normal_inverse_wishart import NormalInverseWishart

RNG = np.random.default_rng(0)
Y, PAIRS, FEATURES = (RNG.normal(1.0, 1.0, shape) for shape in (8, (8, 2), (12, 2)))
COVARIANCE = jnp.array([[2.0, 0.5], [0.5, 1.0]])
TARGETS = FEATURES @ np.array([1.0, -2.0]) + RNG.normal(size=12)

# name -> (prior, data); the posterior is normal where the name is in NORMAL
CASES = {
    "beta_bernoulli": (dist.Beta(2.0, 3.0), {"outcomes": [1, 0, 1, 1, 0, 1]}),
    "beta_binomial": (dist.Beta(1.0, 1.0), {"successes": 10, "trials": 14}),
    "beta_geometric": (dist.Beta(2.0, 2.0), {"failures": [0, 3, 1, 4]}),
    "beta_negative_binomial": (
        dist.Beta(2.0, 2.0),
        {"failures": [4, 7, 2], "successes": [3, 5, 2]},
    ),
    "dirichlet_categorical": (
        dist.Dirichlet(jnp.array([2.0, 1.0, 3.0])),
        {"labels": [0, 2, 2, 1, 0, 2, 1]},
    ),
    "dirichlet_multinomial": (
        dist.Dirichlet(jnp.array([2.0, 1.0, 3.0])),
        {"counts": [[4, 3, 5], [1, 6, 2]]},
    ),
    "gamma_exponential": (dist.Gamma(2.0, 1.0), {"times": [0.5, 1.2, 0.3, 2.2]}),
    "gamma_gamma": (
        dist.Gamma(2.0, 1.0),
        {"observations": [0.5, 1.2, 0.3, 2.2], "shape": 2.0},
    ),
    "gamma_poisson": (dist.Gamma(2.0, 1.0), {"counts": [3, 5, 4], "exposure": 1.5}),
    "inverse_gamma_normal": (
        dist.InverseGamma(3.0, 2.0),
        {"observations": Y, "loc": 1.0},
    ),
    "known_noise_regression": (
        dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)),
        {"features": FEATURES, "targets": TARGETS, "errors": 0.5},
    ),
    "linear_regression": (
        NormalInverseGamma(jnp.zeros(2), jnp.eye(2), 3.0, 2.0),
        {"features": FEATURES, "targets": TARGETS},
    ),
    "multivariate_normal": (
        dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)),
        {"observations": PAIRS, "covariance": COVARIANCE},
    ),
    "normal_inverse_gamma": (
        NormalInverseGamma(0.0, 1.0, 3.0, 2.0),
        {"observations": Y},
    ),
    "normal_inverse_wishart": (
        NormalInverseWishart(jnp.zeros(2), 1.0, 5.0, 2 * jnp.eye(2)),
        {"observations": PAIRS},
    ),
    "normal_normal": (dist.Normal(0.0, 1.0), {"observations": Y, "scale": 1.5}),
    "pareto_uniform": (dist.Pareto(1.0, 2.0), {"observations": [0.5, 2.0, 1.3]}),
    "truncated_gamma_poisson": (
        dist.Uniform(0.0, 10.0),
        {"counts": [3, 5, 4], "exposure": 1.0},
    ),
}
NORMAL = ("normal_normal", "multivariate_normal")


def test_no_family_is_left_out():
    families = {name for name in dir(bayes) if hasattr(getattr(bayes, name), "model")}
    assert families == set(CASES)


# A fit of each family takes two seconds, most of which is compilation.
QUICK = ("normal_normal",)
NAMES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in CASES
]


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_elbo_is_at_most_the_exact_evidence(x64, key, name):
    family, (prior, given) = getattr(bayes, name), CASES[name]
    data = {argument: np.asarray(value) for argument, value in given.items()}
    exact = float(family.log_evidence(prior, **data))
    fit = vi.fit(vi.from_numpyro(family.model, prior, **data), key, family="full_rank")
    assert fit.verdict == "converged"
    assert fit.elbo < exact + 4 * fit.elbo_se + 1e-6
    if name in NORMAL:
        assert abs(fit.elbo - exact) < 4 * fit.elbo_se + 1e-6
        assert fit.trusted
    assert fit.correctable
    assert abs(fit.log_evidence - exact) < 4 * fit.log_evidence_se + 1e-6
