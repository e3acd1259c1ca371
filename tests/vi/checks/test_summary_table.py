"""What a summary makes of a fit's own word, and of numbers that weights do not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import vi
from vijax.vi.checks import summary_table


def correlated(u):
    return -0.5 * (u["a"] ** 2 + u["b"] ** 2 - 1.2 * u["a"] * u["b"]) / (1 - 0.36)


CLOSE = {
    "mean": 0.0,
    "sd": 0.93,
    "corrected_mean": 0.0,
    "corrected_mean_se": 0.001,
    "corrected_sd": 1.0,
    "corrected_sd_se": 0.005,
}


@pytest.fixture(scope="module")
def misled():
    """A mean field whose checks saw nothing: its sds are 0.8 of the right ones."""
    start = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    fit = vi.fit(vi.from_log_density(correlated, start), jax.random.key(0))
    assert not fit.trusted
    zero = jnp.zeros_like(fit.mean_shift)
    fit = fit._replace(tails=jnp.zeros_like(fit.tails))
    return fit._replace(mean_shift=zero, sd_shift=zero, covariance=None)


def test_a_summary_takes_back_trust_that_its_draws_contradict(misled):
    assert misled.trusted
    table = vi.summary(misled, key=jax.random.key(1))
    assert not table.trusted
    assert table.correctable
    np.testing.assert_allclose(table["a"]["corrected_sd"], 1.0, rtol=0.03)
    assert "Do not trust q's own moments: the draws of this summary" in table.advice


def test_what_is_off_by_much_less_is_taken_back_where_more_is_known():
    """7 % of an sd ± 0.5: for corrected moments, but not for none at all."""
    columns = {name: np.array(value) for name, value in CLOSE.items()}
    table = summary_table.Summary({"x": columns})
    for known in (True, False):
        table.correctable = known
        assert summary_table._contradicts(table) is known
    columns["corrected_sd_se"] = np.array(0.02)
    table.correctable = True
    assert not summary_table._contradicts(table)


def test_few_draws_do_not_take_it_back(misled):
    assert vi.summary(misled, key=jax.random.key(1), num_samples=200).trusted


def test_errors_are_told_in_sds_that_are_known():
    columns = {
        "sd": np.array([2.0, 3.0, 0.0]),
        "corrected_sd": np.array([4.0, np.nan, 0.0]),
    }
    np.testing.assert_array_equal(summary_table._unit(columns), [4.0, 3.0, 1.0])


def pointed(u):
    """exp(−√|u|), whose sd is √(Γ(6) / Γ(2)) = √120."""
    return -jnp.sum(jnp.sqrt(jnp.abs(u)))


def stairs(u):
    """A normal of which what is above 1 counts five times."""
    return -0.5 * jnp.sum(u**2) + jnp.sum(jnp.where(u > 1, jnp.log(5.0), 0.0))


def unsettled(log_density):
    """Return the fit and the summary of a search that was given one step."""
    target = vi.from_log_density(log_density, jnp.full(2, 0.5))
    method = vi.FixedDraws(num_steps=1)
    fit = vi.fit(target, jax.random.key(0), method=method)
    assert fit.verdict == "not_converged"
    return fit, vi.summary(fit, key=jax.random.key(1))


@pytest.mark.thorough
def test_draws_correct_a_search_that_had_not_settled():
    """What they come from does not matter to even weights; q's own are not used."""
    fit, table = unsettled(pointed)
    assert not fit.trusted
    assert not table.trusted
    assert table.correctable
    moments = table["params"]
    np.testing.assert_allclose(moments["corrected_sd"], np.sqrt(120.0), rtol=0.02)
    assert table.advice.startswith("Use the corrected moments, known to")
    assert "Of q alone: Do not trust it: the search had not settled" in table.advice


@pytest.mark.thorough
def test_draws_that_miss_steins_identities_do_not():
    """So they do where p has a border, of which gradients say nothing."""
    _, table = unsettled(stairs)
    assert not table.correctable
    assert "by the gradients of its density" in table.advice
