"""Columns of tables, empty bins, text, and arrays that do not fit together."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from vijax.bayes import beta_binomial, frequentist, intervals, landscape, regions


class NullableColumn:
    """What a column of pandas' nullable integers does, without pandas."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self, dtype=object, na_value=None):
        return np.array([na_value if v is None else v for v in self.values], dtype)


def line():
    return landscape.prior(lambda theta: 0.0, (landscape.axis(0.0, 1.0),))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frequentist.binomial_interval("3", 14), "successes = '3'"),
        (
            lambda: beta_binomial.posterior(dist.Beta(1.0, 1.0), "3", 14),
            "successes = '3'",
        ),
        (lambda: landscape.axis("0", 1.0), "low = '0'"),
        (lambda: landscape.axis([0.0, 0.5], 1.0), r"low has shape \(2,\)"),
        (lambda: frequentist.binomial_coverage(0.3, []), "trials is empty"),
        (lambda: frequentist.binomial_coverage(0.3, "x"), "trials = 'x'"),
        (lambda: frequentist.significance([]), "p_value is empty"),
        (lambda: intervals.quantile(dist.Beta(1.0, 1.0), []), "q is empty"),
        (lambda: frequentist.binomial_interval(3, 14, []), "level is empty"),
        (lambda: frequentist.binomial_interval([1, 2], 3, [0.1, 0.2, 0.3]), "level of"),
        (lambda: frequentist.poisson_interval([1, 2], [0.1, 0.2, 0.3]), "level of"),
        (lambda: frequentist.profile_interval([1, 2], 3, 1.0, [0.1] * 3), "level of"),
        (lambda: frequentist.poisson_coverage(3.0, 40, [0.1, 0.2]), "level has shape"),
        (lambda: regions.region(line(), [0.1, 0.2]), "mass has shape"),
        (lambda: intervals.credible_interval(line(), [0.1, 0.2]), "mass has shape"),
        (
            lambda: intervals.credible_interval(dist.Beta(jnp.ones(2), 1.0), [0.5] * 3),
            "mass has shape",
        ),
        (
            lambda: frequentist.poisson_interval(NullableColumn([1, None])),
            "counts = nan .at index 1",
        ),
        (
            lambda: frequentist.poisson_interval(np.ma.masked_array([1, 2], [0, 1])),
            "counts = nan .at index 1",
        ),
    ],
)
def test_named_errors(call, message, as_users_do):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "values",
    [["3", "4"], [3, "4", None], [np.datetime64(3, "ns"), np.datetime64(4, "ns")]],
)
def test_columns_of_text_and_of_times_are_no_numbers(values, as_users_do):
    # In one line, by its cells: `.` is no line's end.
    with pytest.raises(ValueError, match=r"^counts = \[.* is not valid: give [^\n]*$"):
        frequentist.poisson_interval(NullableColumn(values))


def test_long_text_is_cut(as_users_do):
    words = np.full((30, 2), "a few words")
    with pytest.raises(ValueError, match=r"^counts = \[.{60,80}… is not valid: give"):
        frequentist.poisson_interval(words)


@pytest.mark.thorough
def test_columns_without_gaps_are_arrays():
    found = frequentist.poisson_interval(NullableColumn([0, 3]))
    np.testing.assert_array_equal(found, frequentist.poisson_interval([0, 3]))
    masked = np.ma.masked_array([0, 3], [0, 0])
    np.testing.assert_array_equal(found, frequentist.poisson_interval(masked))


@pytest.mark.thorough
@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.parametrize("method", ["clopper_pearson", "jeffreys", "wilson"])
def test_an_empty_bin_knows_nothing(method, as_users_do):
    lower, upper = frequentist.binomial_interval([0, 3], [0, 14], method=method)
    assert (lower[0], upper[0]) == (0, 1)
    assert 0 < lower[1] < upper[1] < 1
    assert frequentist.binomial_p_value(0, 0) == 1
    with pytest.raises(ValueError, match="trials = 0"):
        frequentist.binomial_interval(0, 0, method="wald")


@pytest.mark.thorough
def test_one_convention_for_alternatives(x64):
    """Two-sided: all counts that are not more probable, as R's poisson.test."""
    counts, means = np.array([10, 0, 3, 1]), np.array([5.0, 5.0, 3.2, 8.0])
    k = np.arange(400)
    expected = []
    for n, mean in zip(counts, means, strict=True):
        pmf = stats.poisson.pmf(k, mean)
        expected.append(pmf[pmf <= stats.poisson.pmf(n, mean) * (1 + 1e-7)].sum())
    found = frequentist.poisson_log_p_value(counts, means, alternative="two-sided")
    np.testing.assert_allclose(jnp.exp(found), expected, rtol=1e-10)
    less = frequentist.poisson_log_p_value(counts, means, alternative="less")
    np.testing.assert_allclose(jnp.exp(less), stats.poisson.cdf(counts, means))
    both = frequentist.on_off_log_p_value(14, 10, 0.5, alternative="two-sided")
    exact = stats.binomtest(14, 24, 1 / 3).pvalue
    np.testing.assert_allclose(jnp.exp(both), exact, rtol=1e-10)
    with pytest.raises(ValueError, match="alternative = 'larger'"):
        frequentist.poisson_log_p_value(3, 1.0, alternative="larger")
    # One default level, of 0.95.
    np.testing.assert_array_equal(
        frequentist.profile_interval(140, 100, 1.0),
        frequentist.profile_interval(140, 100, 1.0, 0.95),
    )
