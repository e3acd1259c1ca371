"""Bayesian t tests: is there an effect, and how large is it in standard deviations?

    H_0: μ = null      H_1: (μ - null) / σ ~ Cauchy(0, scale)      both: p(σ) ∝ 1 / σ

With a Cauchy prior on the effect in units of σ (Jeffreys, Zellner and Siow) the Bayes
factor does not depend on the unit of the data, and has no arbitrary factor.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import seen, where_valid

_STEP, _LOWEST, _HIGHEST = 0.2, -6.0, 80.0
_NODES = np.arange(_LOWEST, _HIGHEST, _STEP)  # of log g
MEDIUM = 0.5**0.5  # the scale that R's package BayesFactor calls medium


def t_log_bayes_factor(
    t: Numbers, size: Numbers, df: Numbers, *, scale: Numbers = MEDIUM
) -> Float[Array, "..."]:
    r"""Return the log Bayes factor of an effect over none, from Student's t.

    ∫ (1 + N g)^(-1/2) (1 + t² / ((1 + N g) ν))^(-(ν + 1)/2) p(g) dg / (1 + t²/ν)^(-(ν +
    1)/2), with p(g) inverse gamma (1/2, scale²/2), by the trapezoidal rule in log g.

    Args:
        t: Student's t, any shape, element by element.
        size: effective number N of data: n of one sample, n_1 n_2 / (n_1 + n_2) of two.
        df: degrees of freedom ν: n - 1, or n_1 + n_2 - 2.
        scale: of the Cauchy prior of the effect; all broadcast.

    Returns:
        Nats, relative error below 1e-10 in x64, where |t| is below 1e12.

    Raises:
        ValueError: a t that is not finite; a size, df or scale that is not positive;
            shapes that do not fit.

    References:
        Rouder, Speckman, Sun, Morey & Iverson (2009), Psychon. Bull. Rev. 16, 225,
        appendix; H. Jeffreys (1961), Theory of Probability, section 5.2.

    Example:
        >>> value = t_log_bayes_factor(3.5, 10.0, 38.0)  # two samples of 20
        >>> print(f"{jnp.exp(value):.2f}")  # pingouin.bayesfactor_ttest(3.5, 20, 20)
        26.74
    """
    t, valid = value_checks.finite("t", t)
    size, size_valid = value_checks.positive("size", size)
    df, df_valid = value_checks.positive("df", df)
    scale, scale_valid = value_checks.positive("scale", scale)
    t, size, df, scale = shape_checks.broadcast(t=t, size=size, df=df, scale=scale)
    value = _log_bayes_factor(t, size, df, scale)
    return where_valid(valid & size_valid & df_valid & scale_valid, value)


def mean_log_bayes_factor(
    observations: Numbers, *, null: Numbers = 0.0, scale: Numbers = MEDIUM
) -> Float[Array, "..."]:
    r"""Return the log Bayes factor of μ ≠ null over μ = null, of one sample.

    `t_log_bayes_factor` of t = (x̄ - null) / (s / √n). Pairs are one sample of
    differences.

    Args:
        observations: x, shape (..., data), two or more with some spread.
        null: the mean of H_0, in the data's unit.
        scale: of the Cauchy prior of the effect (μ - null) / σ.

    Returns:
        Nats, of the shape (...).

    Raises:
        ValueError: fewer than two data, data that are not finite or all equal, a scale
            that is not positive, shapes that do not fit.

    References:
        Rouder, Speckman, Sun, Morey & Iverson (2009), Psychon. Bull. Rev. 16, 225.

    Example:
        >>> sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student's
        >>> print(f"{jnp.exp(mean_log_bayes_factor(sleep)):.3f}")  # R: 17.259
        17.259
    """
    x, valid = _sample("observations", observations)
    null, null_valid = value_checks.finite("null", null)
    size = x.shape[-1]
    mean, squares = _moments(x)
    error = jnp.sqrt(squares / (size - 1) / size)
    spread = _some("observations", error)
    t = (mean - null) / jnp.where(error > 0, error, 1.0)
    t = jnp.where(jnp.isfinite(t), t, 0.0)
    value = t_log_bayes_factor(t, float(size), float(size - 1), scale=scale)
    return where_valid(valid & null_valid & spread, value)


def means_log_bayes_factor(
    first: Numbers, second: Numbers, *, scale: Numbers = MEDIUM
) -> Float[Array, "..."]:
    r"""Return the log Bayes factor of two different means over equal ones.

    Both samples have the same unknown variance: `t_log_bayes_factor` of Student's
    pooled t, N = n_1 n_2 / (n_1 + n_2), ν = n_1 + n_2 - 2. The effect is (μ_2 - μ_1) /
    σ.

    Args:
        first: shape (..., data).
        second: shape (..., data), another number of data.
        scale: of the Cauchy prior of the effect.

    Returns:
        Nats, of the shape (...).

    Raises:
        ValueError: as in `mean_log_bayes_factor`.

    References:
        Rouder, Speckman, Sun, Morey & Iverson (2009), Psychon. Bull. Rev. 16, 225.

    Example:
        >>> first, second = [179.0, 160.0, 136.0, 227.0], [309.0, 229.0, 181.0, 141.0]
        >>> print(f"{jnp.exp(means_log_bayes_factor(first, second)):.4f}")
        0.6822
    """
    x, valid = _sample("first", first)
    y, second_valid = _sample("second", second)
    n, m = x.shape[-1], y.shape[-1]
    (mean, squares), (other, others) = _moments(x), _moments(y)
    mean, squares, other, others = shape_checks.broadcast(
        first=mean, of_first=squares, second=other, of_second=others
    )
    size = n * m / (n + m)
    error = jnp.sqrt((squares + others) / (n + m - 2) / size)
    spread = _some("first and second", error)
    t = (other - mean) / jnp.where(error > 0, error, 1.0)
    t = jnp.where(jnp.isfinite(t), t, 0.0)
    value = t_log_bayes_factor(t, size, float(n + m - 2), scale=scale)
    return where_valid(valid & second_valid & spread, value)


def _sample(name: str, sample: Numbers) -> tuple[Array, Array]:
    sample, valid = value_checks.finite(name, sample)
    size = sample.shape[-1] if sample.ndim else 1
    if size < 2:
        raise ValueError(f"{name} has shape {sample.shape}: give two data or more")
    return sample, valid.all(axis=-1)


def _some(name: str, error: Array) -> Array:
    positive = seen(error) > 0
    return value_checks.checked(positive, name, error, "give data with some spread")


def _moments(sample: Array) -> tuple[Array, Array]:
    """Return the mean and the sum of squares around it."""
    mean = sample.mean(axis=-1)
    return mean, jnp.square(sample - mean[..., None]).sum(axis=-1)


@jax.jit
def _log_bayes_factor(t: Array, size: Array, df: Array, scale: Array) -> Array:
    t, size, df, scale = (x[..., None] for x in (t, size, df, scale))
    log_g = jnp.asarray(_NODES, t.dtype)
    # N g scale² may be larger than any float32; its logarithm and its inverse are not.
    log_growth = log_g + jnp.log(size) + 2 * jnp.log(scale)
    square = t**2 / df
    # (1 + t²/ν) / (1 + t² / ((1 + N g) ν)), without the difference of two logarithms
    log_gain = jnp.log1p(square / (1 + (1 + square) * jnp.exp(-log_growth)))
    log_prior = -0.5 * (jnp.log(2 * jnp.pi) + log_g + jnp.exp(-log_g))
    log_terms = (
        log_prior - 0.5 * jax.nn.softplus(log_growth) + 0.5 * (df + 1) * log_gain
    )
    return logsumexp(log_terms, axis=-1) + jnp.log(_STEP)
