"""Conjugate families, one file each, with the same functions in every file.

posterior(prior, data…)      -> the prior's family, updated
log_evidence(prior, data…)   -> log p(data), in nats
predictive(posterior, …)     -> the distribution of the next datum
model(prior, data…)          the same model in NumPyro, for MCMC and VI

sufficient_statistics(data…) -> the sufficient statistics; they add with `+`
update(prior, statistics)    -> the posterior from them

Beside the families: `improper`, priors without a normalising constant; `on_off` and
`known_background`, a signal above a measured or a known background;
`uncertain_signal`, with an uncertain efficiency, too; `marginals`, the
distribution of each single number; `streaming`, how statistics add. The distributions
that NumPyro lacks are in `distributions`, what families share in `support`.
"""

from vijax.bayes.conjugate import (
    beta_bernoulli,
    beta_binomial,
    beta_geometric,
    beta_negative_binomial,
    dirichlet_categorical,
    dirichlet_multinomial,
    gamma_exponential,
    gamma_gamma,
    gamma_poisson,
    improper,
    inverse_gamma_normal,
    known_background,
    known_noise_regression,
    linear_regression,
    marginals,
    multivariate_normal,
    normal_inverse_gamma,
    normal_inverse_wishart,
    normal_normal,
    on_off,
    pareto_uniform,
    streaming,
    truncated_gamma_poisson,
    uncertain_signal,
)

__all__ = [
    "beta_bernoulli",
    "beta_binomial",
    "beta_geometric",
    "beta_negative_binomial",
    "dirichlet_categorical",
    "dirichlet_multinomial",
    "gamma_exponential",
    "gamma_gamma",
    "gamma_poisson",
    "improper",
    "inverse_gamma_normal",
    "known_background",
    "known_noise_regression",
    "linear_regression",
    "marginals",
    "multivariate_normal",
    "normal_inverse_gamma",
    "normal_inverse_wishart",
    "normal_normal",
    "on_off",
    "pareto_uniform",
    "streaming",
    "truncated_gamma_poisson",
    "uncertain_signal",
]


def __dir__() -> list[str]:
    return sorted(__all__)
