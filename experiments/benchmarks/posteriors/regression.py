"""Regressions: one likelihood each, priors that say little, no hierarchy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.registry import Problem, register


@register("regression")
def divorce() -> Problem:
    """Linear regression on two predictors that are themselves correlated (−0.7)."""

    def model(age: Any, marriage: Any, divorce: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 0.2))
        b_age = numpyro.sample("b_age", dist.Normal(0.0, 0.5))
        b_marriage = numpyro.sample("b_marriage", dist.Normal(0.0, 0.5))
        sigma = numpyro.sample("sigma", dist.Exponential(1.0))
        mean = a + b_age * age + b_marriage * marriage
        numpyro.sample("divorce", dist.Normal(mean, sigma), obs=divorce)

    rng = np.random.default_rng(101)
    age = rng.normal(size=50)
    marriage = -0.7 * age + 0.7 * rng.normal(size=50)
    return model, (age, marriage, -0.6 * age + 0.8 * rng.normal(size=50))


@register("regression")
def robust_line() -> Problem:
    """Straight line, Student-t noise of unknown degrees of freedom, six outliers."""

    def model(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        b = numpyro.sample("b", dist.Normal(0.0, 5.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        nu = numpyro.sample("nu", dist.Gamma(2.0, 0.1))
        numpyro.sample("y", dist.StudentT(nu, a + b * x, sigma), obs=y)

    rng = np.random.default_rng(102)
    x = rng.uniform(-3, 3, 60)
    y = 1.0 - 0.8 * x + 0.4 * rng.normal(size=60)
    y[::10] += rng.normal(0, 8, 6)
    return model, (x, y)


@register("regression")
def overdispersed_counts() -> Problem:
    """Negative binomial regression with a log link and unknown dispersion."""

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
        shape = numpyro.sample("shape", dist.Exponential(0.2))
        likelihood = dist.NegativeBinomial2(jnp.exp(x @ beta), shape)
        numpyro.sample("y", likelihood, obs=y)

    rng = np.random.default_rng(103)
    x = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    rate = np.exp(x @ [1.0, 0.6, -0.4]) * rng.gamma(2.0, 0.5, 80)
    return model, (x, rng.poisson(rate))


@register("regression")
def ordinal() -> Problem:
    """Ordered logistic regression: four cut points in order, two slopes."""

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
        steps = dist.Normal(0.0, 3.0).expand([4]).to_event(1)
        ordered = dist.transforms.OrderedTransform()
        cuts = numpyro.sample("cuts", dist.TransformedDistribution(steps, ordered))
        numpyro.sample("y", dist.OrderedLogistic(x @ beta, cuts), obs=y)

    rng = np.random.default_rng(104)
    x = rng.normal(size=(120, 2))
    latent = x @ [1.0, -0.5] + rng.logistic(size=120)
    return model, (x, np.digitize(latent, [-2.0, -0.5, 0.8, 2.5]))


@register("regression")
def beta_regression() -> Problem:
    """Proportions y ~ Beta(μ φ, (1 − μ) φ), logit μ linear."""

    def model(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 2.0))
        b = numpyro.sample("b", dist.Normal(0.0, 2.0))
        phi = numpyro.sample("phi", dist.Gamma(1.0, 0.05))
        mean = jax.nn.sigmoid(a + b * x)
        numpyro.sample("y", dist.Beta(mean * phi, (1 - mean) * phi), obs=y)

    rng = np.random.default_rng(105)
    x = rng.normal(size=50)
    mean = 1 / (1 + np.exp(0.5 - 0.9 * x))
    return model, (x, rng.beta(12 * mean, 12 * (1 - mean)).clip(1e-4, 1 - 1e-4))


@register("regression")
def quantile_line() -> Problem:
    """The 0.8 quantile of y as a line in x, by an asymmetric Laplace likelihood."""

    def model(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        b = numpyro.sample("b", dist.Normal(0.0, 5.0))
        s = numpyro.sample("s", dist.HalfNormal(2.0))
        noise = dist.AsymmetricLaplaceQuantile(a + b * x, s, 0.8)
        numpyro.sample("y", noise, obs=y)

    rng = np.random.default_rng(106)
    x = rng.uniform(0, 4, 70)
    return model, (x, 1 + 0.5 * x + (0.3 + 0.3 * x) * rng.normal(size=70))


@register("regression")
def spline() -> Problem:
    """A curve of nine hat functions whose heights vary by an unknown scale."""

    def model(basis: Any, y: Any) -> None:
        level = numpyro.sample("level", dist.Normal(0.0, 3.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        prior = dist.Normal(0.0, 1.0).expand([basis.shape[1]]).to_event(1)
        height = numpyro.sample("height", prior)
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        mean = level + tau * basis @ height
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    rng = np.random.default_rng(107)
    x = np.sort(rng.uniform(0, 8, 60))
    basis = np.maximum(1 - np.abs(x[:, None] - np.arange(9)), 0)
    return model, (basis, np.sin(x) + 0.3 * rng.normal(size=60))


@register("regression")
def logistic_separated() -> Problem:
    """Logistic regression whose classes a plane separates: the prior holds the tail."""

    def model(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 5.0).expand([3]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=a + x @ beta), obs=y)

    rng = np.random.default_rng(108)
    x = rng.normal(size=(40, 3))
    return model, (x, (x @ [2.0, -1.0, 0.0] > 0.3).astype(int))


@register("regression")
def softmax_regression() -> Problem:
    """Three classes, coefficients of all three: only the prior fixes their sum."""

    def model(x: Any, y: Any) -> None:
        prior = dist.Normal(0.0, 2.0).expand([x.shape[1], 3]).to_event(2)
        beta = numpyro.sample("beta", prior)
        numpyro.sample("y", dist.Categorical(logits=x @ beta), obs=y)

    rng = np.random.default_rng(109)
    x = np.column_stack([np.ones(90), rng.normal(size=(90, 2))])
    logits = x @ np.array([[0.5, 0.0, -0.5], [1.0, -1.0, 0.0], [0.0, 0.7, -0.7]])
    return model, (x, np.argmax(logits + rng.gumbel(size=(90, 3)), axis=1))


@register("regression")
def compositions() -> Problem:
    """Dirichlet regression of shares that add up to one."""

    def model(x: Any, shares: Any) -> None:
        prior = dist.Normal(0.0, 1.5).expand([2, 3]).to_event(2)
        beta = numpyro.sample("beta", prior)
        design = jnp.stack([jnp.ones_like(x), x], axis=1)
        concentration = jnp.exp(design @ beta)
        numpyro.sample("shares", dist.Dirichlet(concentration), obs=shares)

    rng = np.random.default_rng(110)
    x = rng.normal(size=40)
    logs = np.column_stack([np.ones(40), x]) @ [[1.5, 1.0, 0.5], [0.5, 0.0, -0.5]]
    shares = np.array([rng.dirichlet(row) for row in np.exp(logs)]).clip(1e-5)
    return model, (x, shares / shares.sum(axis=1, keepdims=True))


@register("regression")
def tobit() -> Problem:
    """Linear regression of data censored from below at zero."""

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 3.0).expand([3]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        noise = dist.Normal(x @ beta, sigma)
        log_prob = jnp.where(
            y > 0, noise.log_prob(y), jax.scipy.stats.norm.logcdf(-(x @ beta) / sigma)
        )
        numpyro.factor("likelihood", log_prob.sum())

    rng = np.random.default_rng(111)
    x = np.column_stack([np.ones(70), rng.normal(size=(70, 2))])
    latent = x @ [0.2, 1.0, -0.6] + rng.normal(size=70)
    return model, (x, np.maximum(latent, 0.0))
