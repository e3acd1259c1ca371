"""The posteriors of posteriordb in PyMC, as far as a few lines carry, for ADVI."""

import logging
from typing import Any

import numpy as np

from experiments.studies import posteriordb


def advi(
    posterior: posteriordb.Posterior, seed: int, steps: int, num_draws: int
) -> dict[str, np.ndarray] | None:
    """Fit by pm.fit's defaults; return draws by name, None where no model is here."""
    import pymc as pm

    logging.getLogger("pymc").setLevel(logging.ERROR)
    with pm.Model():
        if not _declare(posterior):
            return None
        q = pm.fit(steps, method="advi", progressbar=False, random_seed=seed)
        trace = q.sample(num_draws, random_seed=seed, return_inferencedata=False)
    sites = {name.partition("[")[0] for name in posterior.parameters}
    return {site: np.asarray(trace[site]) for site in sites}


def _declare(posterior: posteriordb.Posterior) -> bool:
    import pymc as pm

    model, arguments = posterior.model, posterior.arguments
    priors: dict[Any, Any] = {
        posteriordb.flat_regression: (
            lambda n: pm.Flat("beta", shape=n),
            lambda: pm.HalfFlat("sigma"),
        ),
        posteriordb.cauchy_regression: (
            lambda n: pm.Flat("beta", shape=n),
            lambda: pm.HalfCauchy("sigma", 2.5),
        ),
        posteriordb.normal_regression: (
            lambda n: pm.Normal("beta", 0.0, 10.0, shape=n),
            lambda: pm.HalfNormal("sigma", 10.0),
        ),
    }
    if model in priors:
        x, y = arguments
        beta_prior, sigma_prior = priors[model]
        mean = pm.math.dot(np.asarray(x), beta_prior(x.shape[1]))
        pm.Normal("y", mean, sigma_prior(), observed=np.asarray(y))
    elif model is posteriordb.kilpisjarvi:
        x, y, *given = arguments
        alpha, beta = (
            pm.Normal(name, float(prior.loc), float(prior.scale))
            for name, prior in zip(("alpha", "beta"), given, strict=True)
        )
        pm.Normal("y", alpha + beta * x, pm.HalfFlat("sigma"), observed=y)
    elif model is posteriordb.autoregression:
        lags, y = arguments
        alpha = pm.Normal("alpha", 0.0, 10.0)
        beta = pm.Normal("beta", 0.0, 10.0, shape=lags.shape[1])
        mean = alpha + pm.math.dot(lags, beta)
        pm.Normal("y", mean, pm.HalfCauchy("sigma", 2.5), observed=y)
    elif model is posteriordb.eight_schools:
        y, sigma = arguments
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        eta = pm.Normal("eta", 0.0, 1.0, shape=len(y))
        theta = pm.Deterministic("theta", mu + tau * eta)
        pm.Normal("y", theta, sigma, observed=y)
    elif model is posteriordb.gaussian_process:
        x, y = arguments
        rho, alpha = pm.Gamma("rho", 25.0, 4.0), pm.HalfNormal("alpha", 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        distance = (x[:, None] - x) / rho
        covariance = alpha**2 * pm.math.exp(-0.5 * distance**2)
        covariance += sigma * np.eye(len(x))
        pm.MvNormal("y", np.zeros(len(x)), covariance, observed=y)
    else:
        return False
    return True
