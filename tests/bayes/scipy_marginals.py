"""One-dimensional marginals of every family's posterior, as SciPy distributions.

`MARGINALS[family](posterior)` returns {name: (SciPy distribution, θ -> its value)},
with arrays where the posterior is a batch. Calibration and NUTS ask for them.
"""

import numpy as np
from scipy import stats


def beta(posterior):
    c1, c0 = np.asarray(posterior.concentration1), np.asarray(posterior.concentration0)
    return {"probs": (stats.beta(c1, c0), lambda values: values["probs"])}


def dirichlet(posterior):
    c = np.asarray(posterior.concentration)
    first = stats.beta(c[..., 0], c[..., 1:].sum(axis=-1))
    return {"probs[0]": (first, lambda values: values["probs"][..., 0])}


def gamma(posterior):
    shape, rate = np.asarray(posterior.concentration), np.asarray(posterior.rate)
    return {"rate": (stats.gamma(shape, scale=1 / rate), lambda values: values["rate"])}


def inverse_gamma(posterior):
    shape, rate = np.asarray(posterior.concentration), np.asarray(posterior.rate)
    exact = stats.invgamma(shape, scale=rate)
    return {"variance": (exact, lambda values: values["variance"])}


def normal(posterior):
    exact = stats.norm(np.asarray(posterior.loc), np.asarray(posterior.scale))
    return {"loc": (exact, lambda values: values["loc"])}


def multivariate_normal(posterior):
    covariance = np.asarray(posterior.covariance_matrix)
    exact = stats.norm(
        np.asarray(posterior.loc)[..., 1], np.sqrt(covariance[..., 1, 1])
    )
    return {"loc[1]": (exact, lambda values: values["loc"][..., 1])}


def normal_inverse_gamma(posterior):
    loc, precision, shape, rate = map(np.asarray, posterior)
    student = stats.t(2 * shape, loc, np.sqrt(rate / shape / precision))
    return {"loc": (student, lambda values: values["loc"])} | inverse_gamma(posterior)


def linear_regression(posterior):
    loc, precision, shape, rate = map(np.asarray, posterior)
    variance = np.linalg.inv(precision)[..., 0, 0] * rate / shape
    student = stats.t(2 * shape, loc[..., 0], np.sqrt(variance))
    first = (student, lambda values: values["coefficients"][..., 0])
    return {"coefficients[0]": first} | inverse_gamma(posterior)


def normal_inverse_wishart(posterior):
    loc, precision, df, scale = map(np.asarray, posterior)
    df = df - loc.shape[-1] + 1
    student = stats.t(df, loc[..., 0], np.sqrt(scale[..., 0, 0] / (precision * df)))
    variance = stats.invgamma(df / 2, scale=scale[..., 0, 0] / 2)
    return {
        "loc[0]": (student, lambda values: values["loc"][..., 0]),
        "covariance[0, 0]": (variance, lambda values: values["covariance"][..., 0, 0]),
    }


def pareto(posterior):
    exact = stats.pareto(np.asarray(posterior.alpha), scale=np.asarray(posterior.scale))
    return {"high": (exact, lambda values: values["high"])}


class TruncatedGamma:
    """SciPy has none: its cdf is a ratio of two Gamma ones, its moments are too."""

    def __init__(self, shape, rate, high):
        self.shape, self.rate, self.high = map(np.asarray, (shape, rate, high))

    def cdf(self, x):
        whole = stats.gamma(self.shape, scale=1 / self.rate)
        return whole.cdf(x) / whole.cdf(self.high)

    def logpdf(self, x):
        whole = stats.gamma(self.shape, scale=1 / self.rate)
        return whole.logpdf(x) - whole.logcdf(self.high)

    def support(self):
        return 0.0, self.high

    def moment(self, order):
        whole = stats.gamma(self.shape, scale=1 / self.rate)
        shifted = stats.gamma(self.shape + order, scale=1 / self.rate)
        return whole.moment(order) * shifted.cdf(self.high) / whole.cdf(self.high)

    def mean(self):
        return self.moment(1)

    def var(self):
        return self.moment(2) - self.moment(1) ** 2


def truncated_gamma(posterior):
    exact = TruncatedGamma(posterior.concentration, posterior.rate, posterior.high)
    return {"rate": (exact, lambda values: values["rate"])}


MARGINALS = {
    "beta_bernoulli": beta,
    "beta_binomial": beta,
    "beta_geometric": beta,
    "beta_negative_binomial": beta,
    "dirichlet_categorical": dirichlet,
    "dirichlet_multinomial": dirichlet,
    "gamma_exponential": gamma,
    "gamma_gamma": gamma,
    "gamma_poisson": gamma,
    "inverse_gamma_normal": inverse_gamma,
    "linear_regression": linear_regression,
    "multivariate_normal": multivariate_normal,
    "normal_inverse_gamma": normal_inverse_gamma,
    "normal_inverse_wishart": normal_inverse_wishart,
    "normal_normal": normal,
    "pareto_uniform": pareto,
    "truncated_gamma_poisson": truncated_gamma,
}
