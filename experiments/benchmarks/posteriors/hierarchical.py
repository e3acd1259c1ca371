"""Hierarchical models: units that share a distribution of unknown spread."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from experiments.benchmarks.posteriors.registry import Problem, register


def _trials() -> tuple[np.ndarray, ...]:
    """Return events and patients of twelve trials, treated and control."""
    rng = np.random.default_rng(201)
    patients = rng.integers(30, 200, (2, 12))
    logits = rng.normal(-1.5, 0.5, 12) + np.array([[0.0], [1.0]]) * rng.normal(
        -0.4, 0.3, 12
    )
    return rng.binomial(patients, 1 / (1 + np.exp(-logits))), patients


@register("hierarchical")
def meta_analysis() -> Problem:
    """Log odds ratios of twelve trials, non-centred, binomial counts."""

    def model(events: Any, patients: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(0.5))
        base = numpyro.sample("base", dist.Normal(-1.5, 1.0).expand([12]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([12]).to_event(1))
        logits = jnp.stack([base, base + mu + tau * z])
        likelihood = dist.Binomial(patients, logits=logits)
        numpyro.sample("events", likelihood, obs=events)

    return model, _trials()


@register("hierarchical", decentre=("theta",))
def laboratories() -> Problem:
    """Ten measurements of known error, centred: a funnel in (log τ, θ)."""

    def model(y: Any, error: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(2.0))
        spread = dist.Normal(mu, tau).expand([10]).to_event(1)
        theta = numpyro.sample("theta", spread)
        numpyro.sample("y", dist.Normal(theta, error), obs=y)

    rng = np.random.default_rng(202)
    error = rng.uniform(0.6, 2.0, 10)
    return model, (rng.normal(1.0, 0.3, 10) + error * rng.normal(size=10), error)


@register("hierarchical")
def batting() -> Problem:
    """Eighteen batting averages on the logit scale, partially pooled."""

    def model(at_bats: Any, hits: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(-1.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("players", len(hits)):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
            likelihood = dist.Binomial(at_bats, logits=mu + tau * z)
            numpyro.sample("hits", likelihood, obs=hits)

    rng = np.random.default_rng(203)
    at_bats = rng.integers(40, 60, 18)
    return model, (at_bats, rng.binomial(at_bats, rng.beta(30, 80, 18)))


@register("hierarchical", decentre=("a", "b"))
def lung_decline() -> Problem:
    """Twelve patients' lines: centred intercepts and slopes in a plate."""

    def model(patient: Any, week: Any, y: Any) -> None:
        mu_a = numpyro.sample("mu_a", dist.Normal(0.0, 5.0))
        sigma_a = numpyro.sample("sigma_a", dist.HalfNormal(3.0))
        mu_b = numpyro.sample("mu_b", dist.Normal(0.0, 2.0))
        sigma_b = numpyro.sample("sigma_b", dist.HalfNormal(1.0))
        with numpyro.plate("patients", 12):
            a = numpyro.sample("a", dist.Normal(mu_a, sigma_a))
            b = numpyro.sample("b", dist.Normal(mu_b, sigma_b))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        line = a[patient] + b[patient] * week
        numpyro.sample("y", dist.Normal(line, sigma), obs=y)

    rng = np.random.default_rng(204)
    patient = np.repeat(np.arange(12), 8)
    week = np.tile(np.linspace(-1, 1, 8), 12)
    a, b = rng.normal(1, 2, 12), rng.normal(-0.7, 0.5, 12)
    return model, (
        patient,
        week,
        (a + b * week.reshape(12, 8).T).T.ravel() + rng.normal(0, 0.7, 96),
    )


@register("hierarchical")
def random_slopes() -> Problem:
    """Intercepts and slopes of ten groups, correlated by an LKJ prior."""

    def model(group: Any, x: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(2.0).expand([2]).to_event(1))
        factor = numpyro.sample("factor", dist.LKJCholesky(2, 2.0))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([10, 2]).to_event(2))
        a, b = (mu + z @ (scale[:, None] * factor).T).T
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(a[group] + b[group] * x, sigma), obs=y)

    rng = np.random.default_rng(205)
    group, x = np.repeat(np.arange(10), 8), rng.normal(size=80)
    a, b = rng.multivariate_normal([2.0, -1.0], [[1.0, 0.5], [0.5, 0.5]], 10).T
    return model, (group, x, a[group] + b[group] * x + rng.normal(0, 0.8, 80))


@register("hierarchical")
def surveys() -> Problem:
    """Logistic regression with crossed effects of six regions and four age groups."""

    def model(region: Any, age: Any, female: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(1.0).expand([2]).to_event(1))
        u = numpyro.sample("u", dist.Normal(0.0, 1.0).expand([6]).to_event(1))
        v = numpyro.sample("v", dist.Normal(0.0, 1.0).expand([4]).to_event(1))
        logits = beta[0] + beta[1] * female + scale[0] * u[region] + scale[1] * v[age]
        numpyro.sample("y", dist.Bernoulli(logits=logits), obs=y)

    rng = np.random.default_rng(206)
    region, age, female = (rng.integers(0, top, 200) for top in (6, 4, 2))
    u, v = rng.normal(0, 0.6, 6), rng.normal(0, 0.4, 4)
    logits = -0.3 + 0.5 * female + u[region] + v[age]
    return model, (region, age, female, (rng.logistic(size=200) < logits).astype(int))


@register("hierarchical", decentre=("level",))
def batches() -> Problem:
    """Variance components: six batches, five samples each, centred."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
        between = numpyro.sample("between", dist.HalfNormal(3.0))
        within = numpyro.sample("within", dist.HalfNormal(3.0))
        with numpyro.plate("batches", 6):
            level = numpyro.sample("level", dist.Normal(mu, between))
        numpyro.sample("y", dist.Normal(level[:, None], within), obs=y)

    rng = np.random.default_rng(207)
    return model, (4 + rng.normal(0, 1.5, (6, 1)) + rng.normal(0, 1.0, (6, 5)),)


@register("hierarchical")
def counties() -> Problem:
    """Intercepts and slopes of twenty counties, non-centred: 45 unknowns."""

    def model(county: Any, floor: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
        scale = numpyro.sample("scale", dist.HalfNormal(1.0).expand([2]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([2, 20]).to_event(2))
        a, b = mu[:, None] + scale[:, None] * z
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        mean = a[county] + b[county] * floor
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    rng = np.random.default_rng(208)
    county, floor = rng.integers(0, 20, 150), rng.integers(0, 2, 150)
    a, b = rng.normal(1.4, 0.35, 20), rng.normal(-0.6, 0.3, 20)
    return model, (
        county,
        floor,
        a[county] + b[county] * floor + rng.normal(0, 0.75, 150),
    )


@register("hierarchical")
def pumps() -> Problem:
    """Failures of ten pumps: Gamma rates whose shape and rate are unknown."""

    def model(hours: Any, failures: Any) -> None:
        shape = numpyro.sample("shape", dist.Exponential(1.0))
        rate = numpyro.sample("rate", dist.Gamma(0.5, 1.0))
        with numpyro.plate("pumps", 10):
            theta = numpyro.sample("theta", dist.Gamma(shape, rate))
            numpyro.sample("failures", dist.Poisson(theta * hours), obs=failures)

    rng = np.random.default_rng(212)
    hours = rng.uniform(1, 100, 10)
    return model, (hours, rng.poisson(hours * rng.gamma(0.8, 0.6, 10)))


@register("hierarchical")
def ballots() -> Problem:
    """Dirichlet-multinomial shares of three parties in twelve districts."""

    def model(votes: Any) -> None:
        share = numpyro.sample("share", dist.Dirichlet(jnp.ones(3)))
        kappa = numpyro.sample("kappa", dist.LogNormal(3.0, 1.0))
        total = votes.sum(axis=1)
        with numpyro.plate("districts", len(votes)):
            likelihood = dist.DirichletMultinomial(kappa * share, total)
            numpyro.sample("votes", likelihood, obs=votes)

    rng = np.random.default_rng(213)
    districts = rng.dirichlet([10.0, 7.0, 3.0], 12)
    return model, (np.array([rng.multinomial(60, share) for share in districts]),)


@register("hierarchical")
def mortality() -> Problem:
    """Deaths in twenty-five areas and two age groups: log-linear, overdispersed."""

    def model(exposure: Any, deprivation: Any, deaths: Any) -> None:
        level = numpyro.sample("level", dist.Normal(-4.0, 2.0).expand([2]).to_event(1))
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        area = numpyro.sample("area", dist.Normal(0.0, 1.0).expand([25]).to_event(1))
        log_rate = level + (slope * deprivation + tau * area)[:, None]
        likelihood = dist.Poisson(exposure * jnp.exp(log_rate))
        numpyro.sample("deaths", likelihood, obs=deaths)

    rng = np.random.default_rng(214)
    exposure = rng.uniform(200, 2000, (25, 2))
    deprivation = rng.normal(size=25)
    area = 0.3 * deprivation + rng.normal(0, 0.3, 25)
    rate = np.exp(np.array([-5.0, -3.5]) + area[:, None])
    return model, (exposure, deprivation, rng.poisson(exposure * rate))


@register("hierarchical")
def noisy_predictor() -> Problem:
    """Measurement error: the true predictors of thirty rows are unknown."""

    def model(x_seen: Any, y: Any) -> None:
        centre = numpyro.sample("centre", dist.Normal(0.0, 3.0))
        width = numpyro.sample("width", dist.HalfNormal(3.0))
        a = numpyro.sample("a", dist.Normal(0.0, 3.0))
        b = numpyro.sample("b", dist.Normal(0.0, 3.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        with numpyro.plate("rows", len(y)):
            x = numpyro.sample("x", dist.Normal(centre, width))
            numpyro.sample("x_seen", dist.Normal(x, 0.5), obs=x_seen)
            numpyro.sample("y", dist.Normal(a + b * x, sigma), obs=y)

    rng = np.random.default_rng(215)
    x = rng.normal(1.0, 1.2, 30)
    y = 0.5 + 1.5 * x + 0.6 * rng.normal(size=30)
    return model, (x + 0.5 * rng.normal(size=30), y)
