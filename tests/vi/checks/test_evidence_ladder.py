"""The ladder of evidences against conjugate truth."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS
from scipy import stats
from scipy.special import betaln

from vijax import vi
from vijax.vi.checks.evidence_ladder import bridge

# Ten heads in fourteen flips, a Beta(1, 1) prior: evidence 1/15.
EXACT = np.log(1 / 15)


def coin(successes, trials):
    p = numpyro.sample("p", dist.Beta(1.0, 1.0))
    numpyro.sample("y", dist.Binomial(trials, p), obs=successes)


@pytest.fixture(scope="module")
def fit():
    return vi.fit(vi.from_numpyro(coin, 10, 14), jax.random.key(0))


@pytest.fixture
def draws():
    return {"p": stats.beta(11, 5).rvs(4000, random_state=0)}


@pytest.mark.thorough
def test_rungs_agree_with_the_exact_evidence(fit, draws):
    assert abs(betaln(11, 5) + np.log(1001) - EXACT) < 1e-12
    importance = vi.evidence(fit)
    alone = vi.evidence(fit, "bridge")
    with_draws = vi.evidence(fit, "bridge", draws=draws)
    for found in (importance, alone, with_draws):
        assert found.side == "estimate"
        assert 0 < found.standard_error < 0.002
        assert abs(found.log_evidence - EXACT) < 4 * found.standard_error
    bound = vi.evidence(fit, "elbo")
    assert bound.side == "lower bound"
    assert bound.log_evidence + 4 * bound.standard_error < EXACT + 1e-3


def test_bridge_on_a_poor_proposal_and_its_error():
    # p = 3 N(0, 1), q = N(0.8, 0.7²), too narrow: importance weights have no variance.
    q, p = stats.norm(0.8, 0.7), stats.norm(0, 1)
    rng = np.random.default_rng(0)

    def weights(z):
        return p.logpdf(z) + np.log(3.0) - q.logpdf(z)

    found = np.array(
        [
            bridge(
                weights(p.rvs(2000, random_state=rng)),
                weights(q.rvs(2000, random_state=rng)),
            )
            for _ in range(200)
        ]
    )
    spread = found[:, 0].std()
    assert abs(found[:, 0].mean() - np.log(3.0)) < 4 * spread / 200**0.5
    np.testing.assert_allclose(found[:, 1].mean(), spread, rtol=0.2)
    # A chain that repeats itself has fewer draws than it seems to.
    z, other = p.rvs(500, random_state=rng), weights(q.rvs(4000, random_state=rng))
    assert (
        bridge(weights(np.repeat(z, 8)), other)[1]
        > 1.3 * bridge(weights(p.rvs(4000, random_state=rng)), other)[1]
    )


@pytest.mark.slow
def test_bridge_from_numpyros_draws():
    mcmc = MCMC(NUTS(coin), num_warmup=500, num_samples=2000, progress_bar=False)
    mcmc.run(jax.random.key(1), 10, 14)
    fit = vi.fit(vi.from_numpyro(coin, 10, 14), jax.random.key(0))
    found = vi.evidence(fit, "bridge", draws=mcmc.get_samples())
    assert abs(found.log_evidence - EXACT) < 4 * found.standard_error


def test_bayes_factor_of_bounds_is_refused_and_labelled(fit, draws):
    bound = vi.evidence(fit, "elbo")
    estimate = vi.evidence(fit, "bridge", draws=draws)
    # Against the fair coin, whose evidence is exact: K = 15 · 1001 / 2¹⁴.
    fair = vi.Evidence(float(np.log(1001) - 14 * np.log(2)), 0.0, "estimate", 0.0)
    found = vi.bayes_factor(fair, estimate)
    exact = np.log(15 * 1001 / 2**14)
    assert abs(found.log_bayes_factor - exact) < 4 * found.standard_error
    assert "estimate" in found.statement
    assert vi.bayes_factor(fit, fair).statement.startswith("estimate")
    with pytest.raises(ValueError, match="lower bounds is not valid"):
        vi.bayes_factor(fair, bound)
    for pair, word in (
        ((bound, bound), "difference of two lower bounds"),
        ((bound, fair), "lower bound"),
        ((fair, bound), "upper bound"),
    ):
        assert vi.bayes_factor(*pair, allow_bounds=True).statement.startswith(word)


def test_a_fit_that_cannot_be_corrected_counts_with_its_bound(key):
    target = vi.from_log_density(lambda u: -0.5 * u[0] ** 2, jnp.zeros(2))
    improper = vi.fit(target, key, method=vi.FixedDraws(num_steps=20))
    with pytest.raises(ValueError, match="lower bounds is not valid"):
        vi.bayes_factor(improper, improper)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nested"}, "method = 'nested'"),
        ({"draws": {"p": np.ones(3)}}, 'draws are for method = "bridge"'),
        ({"method": "bridge", "draws": {"q": np.ones(3)}}, r"lacks \['p'\]"),
        ({"num_samples": 3}, "num_samples = 3"),
    ],
)
def test_mistakes_are_named(fit, options, message):
    with pytest.raises(ValueError, match=message):
        vi.evidence(fit, **options)
