"""After the fit: predict, compare, check.

predict(fit, key, x_new, None)     draws of the posterior predictive
prior_predict(model, key, x, None) draws of the prior predictive
"""

from vijax.vi.after.prediction import Prediction, predict, prior_predict

__all__ = ["Prediction", "predict", "prior_predict"]


def __dir__() -> list[str]:
    return sorted(__all__)
