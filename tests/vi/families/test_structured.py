"""The structured family against exact marginal posteriors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax import vi

ROWS = 5  # in each group


def random_effects(groups):
    rng = np.random.default_rng(16)
    group = np.repeat(np.arange(groups), ROWS)
    y = (1 + 0.7 * rng.normal(size=groups))[group]
    return group, y + rng.normal(size=ROWS * groups)


def non_centred(group, y, groups):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfNormal(2.0))
    s = numpyro.sample("s", dist.HalfNormal(2.0))
    with numpyro.plate("groups", groups):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu + tau * z[group], s), obs=y)


def centred(group, y, groups):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfNormal(2.0))
    s = numpyro.sample("s", dist.HalfNormal(2.0))
    with numpyro.plate("groups", groups):
        z = numpyro.sample("z", dist.Normal(mu, tau))
    numpyro.sample("y", dist.Normal(z[group], s), obs=y)


def exact_moments(y, groups, points=81):
    """Means and sds of mu, tau, s, and log p(y), by quadrature over (log tau, log s).

    A group's mean is N(mu, v), v = tau² + s²/5, apart from the rest of its rows, of
    which s² is all that is to be known; and mu is normal given both.
    """
    by_group = y.reshape(groups, ROWS)
    means = by_group.mean(1)
    rest = np.sum((by_group - means[:, None]) ** 2)
    free = groups * (ROWS - 1)
    spread = np.sum((means - means.mean()) ** 2)
    # About the point estimates, by eight of their errors.
    s_hat = np.sqrt(rest / free)
    tau_hat = np.sqrt(spread / groups - s_hat**2 / ROWS)
    error_tau = (tau_hat**2 + s_hat**2 / ROWS) / tau_hat**2 / np.sqrt(2 * groups)
    grid = np.linspace(-8, 8, points)
    tau = tau_hat * np.exp(error_tau * grid)[:, None]
    s = s_hat * np.exp(grid / np.sqrt(2 * free))[None, :]
    v = tau**2 + s**2 / ROWS
    precision = groups / v + 1 / 25
    mu_mean = groups * means.mean() / v / precision
    log_p = (
        stats.halfnorm.logpdf(tau, scale=2.0)
        + stats.halfnorm.logpdf(s, scale=2.0)
        + np.log(tau)
        + np.log(s)
        - 0.5 * rest / s**2
        - 0.5 * free * np.log(2 * np.pi * s**2)
        - 0.5 * groups * np.log(ROWS)
        - 0.5 * groups * np.log(2 * np.pi * v)
        - 0.5 * (spread + groups * means.mean() ** 2) / v
        - 0.5 * np.log(25 * precision)
        + 0.5 * precision * mu_mean**2
    )
    weights = np.exp(log_p - log_p.max())
    steps = (grid[1] - grid[0]) ** 2 * error_tau / np.sqrt(2 * free)
    log_evidence = np.log(weights.sum() * steps) + log_p.max()
    weights /= weights.sum()

    def moments(x, variance=0.0):
        mean = np.sum(weights * x)
        return mean, np.sqrt(np.sum(weights * ((x - mean) ** 2 + variance)))

    found = {"mu": moments(mu_mean, 1 / precision), "tau": moments(tau)}
    return found | {"s": moments(s)}, log_evidence


def check_globals(fit, exact):
    for number, name in enumerate(("mu", "tau", "s")):
        mean, sd = exact[name]
        assert abs(float(fit.means[number]) - mean) < 0.1 * sd, name
        assert abs(float(fit.sds[number]) / sd - 1) < 0.05, name


@pytest.mark.parametrize("model", [non_centred, centred])
def test_random_effects_have_the_exact_hyperparameters(model, key):
    group, y = random_effects(300)
    exact, log_evidence = exact_moments(y, 300)
    fit = vi.fit(vi.from_numpyro(model, group, y, 300), key, family="structured")
    assert fit.trusted
    check_globals(fit, exact)
    np.testing.assert_allclose(fit.log_evidence, log_evidence, atol=0.02)
    assert type(fit.q).__name__ == "StructuredNormal"


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10_000, 100_000])
def test_many_random_effects_have_the_exact_hyperparameters(groups, key):
    group, y = random_effects(groups)
    exact, _ = exact_moments(y, groups)
    fit = vi.fit(
        vi.from_numpyro(non_centred, group, y, groups), key, family="structured"
    )
    assert fit.trusted
    check_globals(fit, exact)
