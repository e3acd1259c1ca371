"""The conjugate families, each with strategies that draw a prior and data for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from hypothesis import strategies as st

from vijax import bayes
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.conjugate.normal_inverse_wishart import NormalInverseWishart

NUM_DATA = 4


class Case(NamedTuple):
    """One family. Data are arrays by argument name, one row for each datum."""

    family: Any
    prior: Callable[..., Any]  # parameters -> prior
    parameters: tuple[st.SearchStrategy, ...]
    data: dict[str, st.SearchStrategy]  # of one datum; the first name is what is seen
    log_density: Callable[[Any, dict], Any]  # (posterior, θ) -> log p(θ | data)
    points: dict[
        str, Callable[[Any], Any]
    ]  # θ by site, each from four numbers in (0, 1)
    repair: Callable[[dict], dict] = lambda data: data  # make drawn data possible
    fixed: Callable[[], dict[str, Any]] = dict  # arguments that are no data


def number(low: float, high: float) -> st.SearchStrategy:
    return st.floats(low, high, allow_subnormal=False)


def vector(elements: st.SearchStrategy, size: int) -> st.SearchStrategy:
    return st.lists(elements, min_size=size, max_size=size).map(np.array)


def below_trials(data: dict) -> dict:
    return data | {"successes": np.minimum(data["successes"], data["trials"])}


def square(flat: Any) -> Any:
    """Return a positive definite 2 × 2 matrix from four numbers."""
    root = jnp.reshape(jnp.asarray(flat), (2, 2))
    return root @ root.T + jnp.eye(2)


def first(u: Any) -> Any:
    return u[0]


def pair(u: Any) -> Any:
    return u[2:]


def shares(u: Any) -> Any:
    return u[:3] / u[:3].sum()


def of_site(name: str) -> Callable[[Any, dict], Any]:
    return lambda posterior, values: posterior.log_prob(values[name])


def regression_log_density(posterior: Any, values: dict) -> Any:
    variance, coefficients = values["variance"], values["coefficients"]
    of_variance = dist.InverseGamma(posterior.concentration, posterior.rate)
    precision = posterior.precision / variance
    given = dist.MultivariateNormal(posterior.loc, precision_matrix=precision)
    return of_variance.log_prob(variance) + given.log_prob(coefficients)


def normal_log_density(posterior: Any, values: dict) -> Any:
    variance, loc = values["variance"], values["loc"]
    of_variance = dist.InverseGamma(posterior.concentration, posterior.rate)
    given = dist.Normal(posterior.loc, jnp.sqrt(variance / posterior.precision))
    return of_variance.log_prob(variance) + given.log_prob(loc)


def wishart_log_density(posterior: Any, values: dict) -> Any:
    covariance, loc = values["covariance"], values["loc"]
    scale = posterior.scale
    of_covariance = dist.InverseWishart(posterior.df, scale_matrix=scale)
    given = dist.MultivariateNormal(posterior.loc, covariance / posterior.precision)
    return of_covariance.log_prob(covariance) + given.log_prob(loc)


POSITIVE = number(0.1, 20.0)
REAL = number(-5.0, 5.0)
COUNT = st.integers(0, 50)

CASES = {
    "beta_bernoulli": Case(
        bayes.beta_bernoulli,
        dist.Beta,
        (POSITIVE, POSITIVE),
        {"outcomes": st.integers(0, 1)},
        of_site("probs"),
        {"probs": first},
    ),
    "beta_binomial": Case(
        bayes.beta_binomial,
        dist.Beta,
        (POSITIVE, POSITIVE),
        {"successes": COUNT, "trials": COUNT},
        of_site("probs"),
        {"probs": first},
        below_trials,
    ),
    "beta_geometric": Case(
        bayes.beta_geometric,
        dist.Beta,
        (POSITIVE, POSITIVE),
        {"failures": COUNT},
        of_site("probs"),
        {"probs": first},
    ),
    "beta_negative_binomial": Case(
        bayes.beta_negative_binomial,
        dist.Beta,
        (POSITIVE, POSITIVE),
        {"failures": COUNT, "successes": st.integers(1, 20)},
        of_site("probs"),
        {"probs": first},
    ),
    "dirichlet_categorical": Case(
        bayes.dirichlet_categorical,
        dist.Dirichlet,
        (vector(POSITIVE, 3),),
        {"labels": st.integers(0, 2)},
        of_site("probs"),
        {"probs": shares},
    ),
    "dirichlet_multinomial": Case(
        bayes.dirichlet_multinomial,
        dist.Dirichlet,
        (vector(POSITIVE, 3),),
        {"counts": vector(COUNT, 3)},
        of_site("probs"),
        {"probs": shares},
    ),
    "gamma_exponential": Case(
        bayes.gamma_exponential,
        dist.Gamma,
        (POSITIVE, POSITIVE),
        {"times": number(0.01, 10.0)},
        of_site("rate"),
        {"rate": first},
    ),
    "gamma_gamma": Case(
        bayes.gamma_gamma,
        dist.Gamma,
        (POSITIVE, POSITIVE),
        {"observations": number(0.01, 10.0), "shape": POSITIVE},
        of_site("rate"),
        {"rate": first},
    ),
    "gamma_poisson": Case(
        bayes.gamma_poisson,
        dist.Gamma,
        (POSITIVE, POSITIVE),
        {"counts": COUNT, "exposure": POSITIVE},
        of_site("rate"),
        {"rate": first},
    ),
    "inverse_gamma_normal": Case(
        bayes.inverse_gamma_normal,
        dist.InverseGamma,
        (POSITIVE, POSITIVE),
        {"observations": REAL, "loc": REAL},
        of_site("variance"),
        {"variance": first},
    ),
    "linear_regression": Case(
        bayes.linear_regression,
        lambda loc, root, a, b: NormalInverseGamma(loc, square(root), a, b),
        (vector(REAL, 2), vector(REAL, 4), POSITIVE, POSITIVE),
        {"targets": REAL, "features": vector(REAL, 2)},
        regression_log_density,
        {"variance": first, "coefficients": pair},
    ),
    "multivariate_normal": Case(
        bayes.multivariate_normal,
        lambda loc, root: dist.MultivariateNormal(loc, square(root)),
        (vector(REAL, 2), vector(REAL, 4)),
        {"observations": vector(REAL, 2)},
        of_site("loc"),
        {"loc": pair},
        fixed=lambda: {"covariance": jnp.array([[2.0, 0.5], [0.5, 1.0]])},
    ),
    "normal_inverse_gamma": Case(
        bayes.normal_inverse_gamma,
        NormalInverseGamma,
        (REAL, POSITIVE, POSITIVE, POSITIVE),
        {"observations": REAL},
        normal_log_density,
        {"variance": first, "loc": lambda u: u[1]},
    ),
    "normal_inverse_wishart": Case(
        bayes.normal_inverse_wishart,
        lambda loc, precision, excess, root: NormalInverseWishart(
            loc, precision, excess + 1, square(root)
        ),
        (vector(REAL, 2), POSITIVE, POSITIVE, vector(REAL, 4)),
        {"observations": vector(REAL, 2)},
        wishart_log_density,
        {"covariance": square, "loc": pair},
    ),
    "normal_normal": Case(
        bayes.normal_normal,
        dist.Normal,
        (REAL, POSITIVE),
        {"observations": REAL, "scale": POSITIVE},
        of_site("loc"),
        {"loc": first},
    ),
    "pareto_uniform": Case(
        bayes.pareto_uniform,
        dist.Pareto,
        (POSITIVE, POSITIVE),
        {"observations": POSITIVE},
        of_site("high"),
        {"high": lambda u: 21.0 + u[0]},
    ),
    "truncated_gamma_poisson": Case(
        bayes.truncated_gamma_poisson,
        lambda high: dist.Uniform(0.0, high),
        (number(1.0, 20.0),),
        {"counts": st.integers(0, 30), "exposure": POSITIVE},
        of_site("rate"),
        {"rate": first},
    ),
}


@st.composite
def problems(draw: Callable, case: Case) -> tuple[list, dict[str, np.ndarray]]:
    """Draw a prior's parameters and NUM_DATA data."""
    parameters = [np.asarray(draw(p), float) for p in case.parameters]
    data = {
        name: np.array([draw(one) for _ in range(NUM_DATA)])
        for name, one in case.data.items()
    }
    return parameters, case.repair(data)
