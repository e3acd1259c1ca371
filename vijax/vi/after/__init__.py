"""After the fit: predict, compare, check.

    predict(fit, key, x_new, None)      draws of the posterior predictive
    prior_predict(model, key, x, None)  draws of the prior predictive
    log_likelihood(fit, key, n)         of each observation, at draws of the posterior
    loo(fit), waic(fit)                 what a model predicts of observations left out
    compare({"a": fit_a, "b": fit_b})   the differences, with their errors
    posterior_predictive_check(fit, key)    could the model have made these data?
    power_scaling(fit, key)             how far each unknown hangs on prior and data
    modes_by_site(fit)                  other modes of the posterior, by name
    elbo_by_site(fit, key)              which site of a model a fit pays for
    to_arviz(fit, key)                  draws, predictions, data and verdict for ArviZ

All begin with draws of the posterior (`posterior_draws`): of q, of q corrected by
importance weights, or of NUTS, as the fit's verdict tells, and each result says which,
and whether they are trusted. `vi.targets.models.replay` runs the model at them.
"""

from vijax.vi.after.arviz import to_arviz
from vijax.vi.after.comparison import Compared, Comparison, compare
from vijax.vi.after.cross_validation import Loo, Waic, loo, waic
from vijax.vi.after.elbo_terms import ElboTerm, ElboTerms, elbo_by_site
from vijax.vi.after.mode_sites import ModeSites, modes_by_site
from vijax.vi.after.pointwise import log_likelihood
from vijax.vi.after.prediction import predict, prior_predict
from vijax.vi.after.predictive_checks import (
    CheckedStatistic,
    PredictiveCheck,
    posterior_predictive_check,
)
from vijax.vi.after.sensitivity import PowerScaling, power_scaling
from vijax.vi.after.site_draws import SiteDraws

__all__ = [
    "CheckedStatistic",
    "Compared",
    "Comparison",
    "ElboTerm",
    "ElboTerms",
    "Loo",
    "ModeSites",
    "PowerScaling",
    "PredictiveCheck",
    "SiteDraws",
    "Waic",
    "compare",
    "elbo_by_site",
    "log_likelihood",
    "loo",
    "modes_by_site",
    "posterior_predictive_check",
    "power_scaling",
    "predict",
    "prior_predict",
    "to_arviz",
    "waic",
]


def __dir__() -> list[str]:
    return sorted(__all__)
