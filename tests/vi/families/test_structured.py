"""The structured family against exact marginal posteriors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from experiments.benchmarks.random_effects import returns, volatility
from vijax import vi
from vijax.vi.after.posterior_draws import posterior_draws

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


@pytest.fixture(scope="module")
def small():
    """A fit of 40 groups, and the exact answer."""
    group, y = random_effects(40)
    target = vi.from_numpyro(non_centred, group, y, 40)
    fit = vi.fit(target, jax.random.key(0), family="structured")
    return fit, exact_moments(y, 40)


@pytest.mark.thorough
def test_random_effects_have_the_exact_hyperparameters(small):
    fit, (exact, log_evidence) = small
    check_globals(fit, exact)
    np.testing.assert_allclose(fit.log_evidence, log_evidence, atol=0.02)
    assert type(fit.q).__name__ == "StructuredNormal"


@pytest.mark.slow
def test_q_is_a_density_of_its_draws(small):
    """log q is −½ ‖ε‖² less log |dz/dε|, and the weights have the same."""
    fit, _ = small
    eps = jax.random.normal(jax.random.key(3), (43,))
    z, jacobian = jax.jit(lambda q: (q.transform(eps), jax.jacfwd(q.transform)(eps)))(
        fit.q
    )
    expected = stats.norm.logpdf(eps).sum() - np.linalg.slogdet(jacobian)[1]
    log_prob = jax.jit(lambda q, z: q.log_prob(z))
    np.testing.assert_allclose(log_prob(fit.q, z), expected, atol=0.01)
    drawn = fit.q.weigh(jax.random.key(4), fit.q.num_draws)
    position, log_joint = drawn.positions[0], drawn.log_joint[0]
    log_p = fit.target.log_density(position)
    np.testing.assert_allclose(log_p - log_prob(fit.q, position), log_joint, atol=0.01)


@pytest.mark.slow
def test_summary_and_draws_have_the_exact_moments(small):
    fit, (exact, _) = small
    table = vi.summary(fit)
    draws = vi.sample(fit, jax.random.key(1), 4000)
    assert table.correctable
    for name, (mean, sd) in exact.items():
        np.testing.assert_allclose(table[name]["corrected_mean"], mean, atol=0.05 * sd)
        np.testing.assert_allclose(table[name]["corrected_sd"], sd, rtol=0.05)
        # five standard errors of 4000 draws, and what q is off
        np.testing.assert_allclose(np.mean(draws[name]), mean, atol=0.13 * sd)
    assert draws["z"].shape == (4000, 40)


@pytest.mark.slow
def test_centred_writing_has_the_exact_hyperparameters(key, compiled):
    group, y = random_effects(300)
    exact, log_evidence = exact_moments(y, 300)
    fit = vi.fit(vi.from_numpyro(centred, group, y, 300), key, family="structured")
    # Beside the search, and not once more when it is called.
    assert sum("_weigh" in name for name in compiled) == 1
    assert fit.trusted
    check_globals(fit, exact)
    np.testing.assert_allclose(fit.log_evidence, log_evidence, atol=0.02)


def binary(group, y, groups):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    tau = numpyro.sample("tau", dist.HalfNormal(2.0))
    with numpyro.plate("groups", groups):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Bernoulli(logits=mu + tau * z[group]), obs=y)


def binary_moments(y, groups, points=61):
    """Means and sds of mu and tau, and log p(y): quadrature over both and each z."""
    ones = y.reshape(groups, ROWS).sum(1)
    mu = np.linspace(-2.0, 1.5, points)[:, None, None]
    log_tau = np.linspace(-3.0, 1.0, points)[None, :, None]
    z, mass = np.polynomial.hermite_e.hermegauss(60)
    logits = mu + np.exp(log_tau) * z
    log_one, log_none = -np.log1p(np.exp(-logits)), -np.log1p(np.exp(logits))
    log_p = stats.norm.logpdf(mu, scale=2.0) + log_tau
    log_p = (log_p + stats.halfnorm.logpdf(np.exp(log_tau), scale=2.0))[..., 0]
    for count, number in zip(*np.unique(ones, return_counts=True), strict=True):
        likelihood = np.exp(count * log_one + (ROWS - count) * log_none)
        log_p += number * np.log(likelihood @ mass / np.sqrt(2 * np.pi))
    weights = np.exp(log_p - log_p.max())
    step = 3.5 / (points - 1) * 4.0 / (points - 1)
    log_evidence = np.log(weights.sum() * step) + log_p.max()
    weights /= weights.sum()
    found = {}
    for name, x in (("mu", mu[..., 0]), ("tau", np.exp(log_tau)[..., 0])):
        mean = np.sum(weights * x)
        found[name] = mean, np.sqrt(np.sum(weights * (x - mean) ** 2))
    return found, log_evidence


@pytest.mark.slow
def test_binary_groups_are_integrated_over(key):
    """Laplace's marginal would be 2.6 sd off in tau: each group has five bits."""
    groups = 400
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(groups), ROWS)
    logits = (-0.5 + 1.0 * rng.normal(size=groups))[group]
    y = rng.binomial(1, 1 / (1 + np.exp(-logits)))
    exact, log_evidence = binary_moments(y, groups)
    fit = vi.fit(vi.from_numpyro(binary, group, y, groups), key, family="structured")
    assert fit.trusted
    assert [group.integrated for group in fit.q.structure.groups] == [True]
    for number, (mean, sd) in enumerate(exact.values()):
        assert abs(float(fit.means[number]) - mean) < 0.05 * sd
        assert abs(float(fit.sds[number]) / sd - 1) < 0.05
    np.testing.assert_allclose(fit.log_evidence, log_evidence, atol=0.02)


def walk(p):
    """A random walk with normal noise: x_t around x_{t−1}, y_t around x_t."""
    precision = jnp.exp(-2 * p["log_s"])
    steps = jnp.diff(p["x"], prepend=0.0)
    log_prior = -0.5 * p["log_s"] ** 2 - len(WALK) * p["log_s"]
    data = -0.5 * jnp.sum((WALK - p["x"]) ** 2) / 0.25
    return log_prior - 0.5 * precision * jnp.sum(steps**2) + data


WALK = np.cumsum(np.random.default_rng(5).normal(0, 0.5, 60))
WALK = WALK + np.random.default_rng(6).normal(0, 0.5, 60)


@pytest.mark.slow
def test_a_chain_has_the_exact_marginal(key):
    """log p(log s, y) = −½ log det H(s) + …, by quadrature with dense matrices."""
    init = {"log_s": 0.0, "x": jnp.zeros(60)}
    fit = vi.fit(vi.from_log_density(walk, init), key, family="structured")
    difference = np.eye(60) - np.eye(60, k=-1)
    grid = np.linspace(-2.5, 1.5, 400)
    log_p = []
    for log_s in grid:
        h = np.exp(-2 * log_s) * difference.T @ difference + 4 * np.eye(60)
        mode = np.linalg.solve(h, 4 * WALK)
        rest = -0.5 * np.linalg.slogdet(h)[1] + 0.5 * mode @ (4 * WALK)
        log_p.append(rest - 0.5 * log_s**2 - 60 * log_s)
    weights = np.exp(np.array(log_p) - np.max(log_p))
    weights /= weights.sum()
    mean = weights @ grid
    sd = np.sqrt(weights @ (grid - mean) ** 2)
    assert fit.trusted
    assert abs(float(fit.means[0]) - mean) < 0.05 * sd
    assert abs(float(fit.sds[0]) / sd - 1) < 0.05


def one_factor(y):
    """Loading and scores may both change their sign."""
    loading = numpyro.sample("loading", dist.Normal(0.0, 2.0))
    noise = numpyro.sample("noise", dist.HalfNormal(1.0))
    with numpyro.plate("people", len(y)):
        score = numpyro.sample("score", dist.Normal(0.0, 1.0))
        mean = loading * score[:, None]
        numpyro.sample("y", dist.Normal(mean, noise).to_event(1), obs=y)


@pytest.mark.slow  # its quick guard is in methods/test_mode_search.py
def test_a_mode_that_the_locals_mirror_is_seen(key):
    """By symmetry half of the mass is elsewhere; by Laplace's formula 20 to 50 %.

    It is taken where the joint density has its mode, at 2.5 times the loading of the
    marginal one.
    """
    rng = np.random.default_rng(1)
    y = 1.5 * rng.normal(size=(10, 1)) + 0.3 * rng.normal(size=(10, 3))
    fit = vi.fit(vi.from_numpyro(one_factor, y), key, family="structured")
    assert not fit.trusted
    assert not fit.correctable
    elsewhere = np.sign(fit.modes.loc[:, 0]) != np.sign(fit.q.globals.loc[0])
    assert 0.2 < np.sum(fit.modes.mass[elsewhere]) < 0.6
    table = vi.summary(fit)
    assert not table.trusted
    assert not table.correctable
    assert "in other modes, which q misses (Laplace's formula" in table.advice


def test_without_locals_it_is_the_full_rank(key):
    def log_density(x):
        return -0.5 * jnp.sum((x - 1.0) ** 2) - 0.4 * x[0] * x[1]

    target = vi.from_log_density(log_density, jnp.zeros(3))
    fit = vi.fit(target, key, family="structured")
    assert type(fit.q).__name__ == "FullRankNormal"
    covariance = np.linalg.inv(np.array([[1, 0.4, 0], [0.4, 1, 0], [0, 0, 1.0]]))
    np.testing.assert_allclose(fit.q.scale(), np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_other_methods_refuse_it(key):
    target = vi.from_numpyro(non_centred, *random_effects(40), 40)
    with pytest.raises(ValueError, match='leave it "auto"'):
        vi.fit(target, key, family="mean_field", method="nested_laplace")
    with pytest.raises(ValueError, match='family = "structured"'):
        vi.fit(target, key, family="structured", method="stochastic")


@pytest.mark.slow
def test_the_same_key_gives_the_same_numbers(small):
    fit, _ = small
    again = vi.fit(fit.target, jax.random.key(0), family="structured")
    np.testing.assert_array_equal(again.means, fit.means)
    assert float(again.elbo) == float(fit.elbo)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10_000, 100_000])
def test_many_random_effects_have_the_exact_hyperparameters(groups, key):
    group, y = random_effects(groups)
    exact, _ = exact_moments(y, groups)
    target = vi.from_numpyro(non_centred, group, y, groups)
    fit = vi.fit(target, key, family="structured")
    assert fit.trusted
    check_globals(fit, exact)


@pytest.mark.slow
def test_of_a_chain_whose_steps_are_not_known_the_globals_are(key):
    """A chain is one block, whose weights say little of a single step."""
    target = vi.from_numpyro(volatility, returns(300))
    fit = vi.fit(target, key, family="structured")
    table = vi.summary(fit)
    assert table.correctable
    assert table.known < 0.5
    assert "numbers (mu, h) are not known" in table.advice
    lines = str(table).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["mu", "phi", "sigma", "h[0]"]
    assert "… 103 more of h" in lines
    nuts = {  # NumPyro, 120,000 draws
        "mu": (-1.150, 0.478),
        "phi": (0.9532, 0.0249),
        "sigma": (0.2927, 0.0658),
    }
    for name, (mean, sd) in nuts.items():
        found = {c: table[name][f"corrected_{c}"] for c in ("mean", "sd")}
        assert not abs(found["mean"] - mean) > 0.1 * sd  # or it is not known
        assert not abs(found["sd"] / sd - 1) > 0.1
    for name in ("phi", "sigma"):
        columns = table[name]
        assert np.isfinite([columns["corrected_mean"], columns["corrected_sd"]]).all()
    # Of 2,500 steps most have tails like this, and draws are of the steps, too.
    draws = posterior_draws(fit._replace(tails=0 * fit.tails + 0.8), key, 10)
    assert not draws.trusted
    assert "tails are too long for many of the unknowns" in draws.advice
