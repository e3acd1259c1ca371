"""Diabetes patients: ten measurements, and how far the disease was a year later.

The table of Efron, Hastie, Johnstone & Tibshirani (2004), Ann. Statist. 32(2), as it
comes with scikit-learn, and four regressions of it.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats
from sklearn.datasets import load_diabetes

BMI = 2  # column of the table
SCORE = (150.0, 75.0)  # centre and spread of progression, for priors
ROOT = (12.0, 3.0)  # and of its root
SIMPLE = "all ten"  # the model that a reader would begin with


class Patients(NamedTuple):
    """Inputs in sds from their mean, both of the training rows."""

    names: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    new_x: np.ndarray
    new_y: np.ndarray


def line(x: Any, centre: float, spread: float) -> tuple[Any, Any]:
    """Return a + x b by row, and the sd of the noise around it."""
    intercept = numpyro.sample("intercept", dist.Normal(centre, spread))
    prior = dist.Normal(0.0, 0.4 * spread).expand([x.shape[1]]).to_event(1)
    weights = numpyro.sample("weights", prior)
    sd = numpyro.sample("sd", dist.HalfNormal(spread))
    return intercept + x @ weights, sd * jnp.ones(len(x))


def straight(x: Any, y: Any) -> None:
    """Draw y ~ N(a + x b, s)."""
    mean, sd = line(x, *SCORE)
    _rows(mean, sd, y)


def growing(x: Any, y: Any) -> None:
    """Draw y ~ N(m, s exp(g (m − 150) / 75)), m = a + x b."""
    mean, sd = line(x, *SCORE)
    growth = numpyro.sample("growth", dist.Normal(0.0, 0.5))
    _rows(mean, sd * jnp.exp(growth * (mean - SCORE[0]) / SCORE[1]), y)


def on_roots(x: Any, y: Any) -> None:
    """Draw √y ~ N(a + x b, s), cut at 0; the density is that of y."""
    mean, sd = line(x, *ROOT)
    _rows(mean, sd, y, squared)


def squared(mean: Any, sd: Any) -> dist.Distribution:
    """Return the distribution of the square of a normal that is cut at 0."""
    root = dist.TruncatedNormal(mean, sd, low=0.0)
    return dist.TransformedDistribution(root, dist.transforms.PowerTransform(2.0))


def _rows(
    mean: Any,
    sd: Any,
    y: Any,
    noise: Callable[[Any, Any], dist.Distribution] = dist.Normal,
) -> None:
    numpyro.deterministic("mean", mean)
    numpyro.deterministic("row_sd", sd)
    numpyro.sample("y", noise(mean, sd), obs=y)


class Regression(NamedTuple):
    """A model, the columns that it sees, and its noise as a function of mean and sd."""

    model: Callable[..., None]
    columns: slice
    noise: Callable[[Any, Any], dist.Distribution] = dist.Normal
    unit: str = "score"  # of its line


REGRESSIONS = {
    "BMI alone": Regression(straight, slice(BMI, BMI + 1)),
    SIMPLE: Regression(straight, slice(None)),
    "all ten, growing noise": Regression(growing, slice(None)),
    "all ten, on roots": Regression(on_roots, slice(None), squared, "√score"),
}


def load(held_out: float, key: Any) -> Patients:
    """Return the rows in random order, a share of them held out.

    Args:
        held_out: share of the patients.
        key: random key of the order.
    """
    bunch = load_diabetes(scaled=False)
    x, y = np.asarray(bunch.data, np.float32), np.asarray(bunch.target, np.float32)
    order = np.asarray(jax.random.permutation(key, len(y)))
    number = math.ceil(held_out * len(y))
    new, old = order[:number], order[number:]
    x = (x - x[old].mean(axis=0)) / x[old].std(axis=0)
    names = ("age", "sex", "BMI", "blood pressure", *bunch.feature_names[4:])
    return Patients(names, x[old], y[old], x[new], y[new])


def statistics(table: Patients) -> dict[str, Callable[[Any], Any]]:
    """Return what the models are not fitted to: shape, and noise against the mean."""
    design = np.column_stack([np.ones(len(table.x)), table.x]).astype(float)
    projection = design @ np.linalg.pinv(design)

    def growth(y: np.ndarray) -> float:
        """Correlation of a least-squares line with the size of its residuals."""
        line = projection @ y
        return float(np.corrcoef(line, np.abs(y - line))[0, 1])

    return {
        "skewness": stats.skew,
        "min": np.min,
        "max": np.max,
        "growth of the noise": growth,
    }
