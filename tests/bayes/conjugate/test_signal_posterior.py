"""The on/off posterior: its tails, its speed in compilations, its improper priors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import improper, on_off
from vijax.bayes.intervals import credible_interval, quantile, upper_quantile


@pytest.mark.slow
def test_tails_are_those_of_the_mixture(x64):
    prior = dist.Gamma(1.5, 0.01)
    signal = on_off.posterior(prior, prior, 14, 10, 0.5)
    weights = np.exp(signal.log_weights)
    for s in (1e-3, 2.0, 9.0, 100.0):
        each = stats.gamma(np.asarray(signal.concentration), scale=1 / 1.01)
        lower, upper = np.exp(signal.log_tails(jnp.asarray(s)))
        np.testing.assert_allclose(lower, weights @ each.cdf(s), rtol=1e-12)
        np.testing.assert_allclose(upper, weights @ each.sf(s), rtol=1e-12)
        np.testing.assert_allclose(
            jnp.exp(signal.log_prob(s)), weights @ each.pdf(s), rtol=1e-12
        )
    far = upper_quantile(signal, 1e-30)
    np.testing.assert_allclose(np.exp(signal.log_tails(far)[1]), 1e-30, rtol=1e-12)
    assert quantile(signal, 0.0) == 0
    assert quantile(signal, 1.0) == np.inf


@pytest.mark.thorough
def test_counts_are_data(compiled):
    """Other counts compile nothing, and 30,000 of them are not 30,000 components."""
    prior = dist.Gamma(1.0, 0.01)

    def ends(n_on):
        return credible_interval(on_off.posterior(prior, prior, n_on, 10, 0.5))

    ends(14)
    before = len(compiled)
    for n_on in (3, 15, 40):
        ends(n_on)
    assert len(compiled) == before
    many = on_off.posterior(prior, prior, 30_000, 60_000, 0.5)
    assert len(many.log_weights) <= 16_384


@pytest.mark.slow
def test_many_counts_against_the_normal_limit(x64):
    """Signal 15000, variance n_on + α² n_off: the interval to 1e-3 of its width."""
    flat = improper.gamma()
    signal = on_off.posterior(flat, flat, 30_000, 30_000, 0.5)
    lower, upper = credible_interval(signal, 0.6827)
    sigma = np.sqrt(30_000 + 0.25 * 30_000)
    np.testing.assert_allclose((upper - lower) / (2 * sigma), 1.0, atol=2e-3)


@pytest.mark.slow
def test_a_plain_count_fixes_the_number_of_components_under_jit(x64):
    def ends(rate):
        prior, background = dist.Gamma(1.5, rate), dist.Gamma(1.0, 0.01)
        return jnp.stack(
            credible_interval(on_off.posterior(prior, background, 14, 10, 0.5))
        )

    np.testing.assert_allclose(jax.jit(ends)(0.1), ends(0.1), rtol=1e-12)


@pytest.mark.slow
def test_slopes_of_its_densest_interval(x64):
    background = dist.Gamma(1.0, 0.01)

    def ends(rate):
        signal = on_off.posterior(dist.Gamma(1.5, rate), background, 14, 10, 0.5)
        return jnp.stack(credible_interval(signal, 0.9, kind="highest_density"))

    step = 1e-5
    numeric = (ends(0.1 + step) - ends(0.1 - step)) / (2 * step)
    np.testing.assert_allclose(jax.jacfwd(ends)(0.1), numeric, rtol=1e-5)
    # Under jit a plain count fixes the number of components by itself.
    np.testing.assert_allclose(jax.jit(ends)(0.1), ends(0.1), rtol=1e-12)


@pytest.mark.thorough
def test_improper_priors(x64):
    """Flat in the signal and in log b, against sums over a grid of both."""
    signal = on_off.posterior(improper.gamma(), improper.gamma(0.0, 0.0), 14, 10, 0.5)
    s, b = np.linspace(0, 80, 1601), np.linspace(0, 60, 6001)[1:]
    weight = stats.poisson.pmf(14, s[:, None] + 0.5 * b) @ (
        stats.poisson.pmf(10, b) / b
    )
    weight[[0, -1]] /= 2  # the trapezoid rule
    np.testing.assert_allclose(signal.mean, weight @ s / weight.sum(), rtol=1e-5)
    with pytest.raises(ValueError, match=r"background_concentration = 0\.0"):
        on_off.posterior(improper.gamma(), improper.gamma(0.0, 0.0), 14, 0, 0.5)
    with pytest.raises(ValueError, match=r"posterior.concentration = 0\.0"):
        on_off.posterior(improper.gamma(0.0, 0.0), improper.gamma(), 14, 10, 0.5)
