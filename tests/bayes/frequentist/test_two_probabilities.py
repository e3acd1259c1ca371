"""Two probabilities or rates: Barnard's test and intervals, by published values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.bayes import frequentist as freq

NEWCOMBE = [  # Stat. Med. 17 (1998) 873, table II: both samples, method 6
    ((48, 80), (56, 70), (0.0528, 0.3382)),
    ((3, 10), (9, 10), (0.1700, 0.8406)),
    ((0, 20), (10, 10), (0.7156, 1.0)),
    ((0, 10), (0, 10), (-0.2879, 0.2879)),
]
RATIOS = [  # statsmodels 0.15, confint_proportions_2indep(compare="ratio")
    ((24, 100), (29, 95), "koopman", (0.804816348187951, 2.0180859031456317)),
    ((24, 100), (29, 95), "katz", (0.8011449140226269, 2.0193668464867907)),
    ((9, 10), (3, 10), "miettinen_nurminen", (0.1150494460502, 0.7530366730116)),
    ((1, 1000), (900, 1000), "koopman", (159.4893167495887, 5098.206997460831)),
    ((0, 10), (3, 12), "koopman", (0.7681537935141544, np.inf)),
]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "alternative", slow_except({"two-sided"}, ["greater", "less", "two-sided"])
)
def test_barnard(alternative, x64):
    k1, n1, k2, n2 = np.array([(2, 20, 8, 25), (0, 5, 3, 40), (6, 6, 1, 9)]).T
    log_p = freq.barnard_log_p_value((k1, n1), (k2, n2), alternative=alternative)
    mirrored = {"greater": "less", "less": "greater"}.get(alternative, alternative)
    exact = [
        stats.barnard_exact([[b, d], [c - b, e - d]], alternative=mirrored).pvalue
        for b, c, d, e in zip(k1, n1, k2, n2, strict=True)
    ]
    # SciPy's search of the largest p-value ends before the last digits.
    np.testing.assert_allclose(jnp.exp(log_p), exact, rtol=1e-9)


@pytest.mark.slow
def test_barnard_finds_the_largest(x64):
    """All tables by fractions, on 20,001 probabilities; SciPy 1.17 ends at 0.034077."""
    value = freq.barnard_log_p_value((7, 15), (12, 15))
    np.testing.assert_allclose(jnp.exp(value), 0.03410915465485, rtol=1e-9)
    under_jit = jax.jit(
        lambda k: freq.barnard_log_p_value((k, 15), (12, 15), max_trials=16)
    )
    np.testing.assert_allclose(under_jit(7), value, rtol=1e-12)


@pytest.mark.slow  # quick: where nothing fails
def test_difference_of_probabilities(x64):
    """Newcombe's table, and the derivative by the level."""
    first, second, published = (np.array(x, float) for x in zip(*NEWCOMBE, strict=True))
    ends = freq.probability_difference_interval(
        tuple(first.T), tuple(second.T), method="miettinen_nurminen"
    )
    np.testing.assert_allclose(jnp.stack(ends, axis=-1), published, atol=5.1e-5)

    def upper(level):
        return freq.probability_difference_interval(
            (48, 80), (56, 70), level, method="miettinen_nurminen"
        )[1]

    slope = (upper(0.95001) - upper(0.94999)) / 2e-5
    np.testing.assert_allclose(jax.grad(upper)(0.95), slope, rtol=1e-6)


@pytest.mark.thorough
def test_difference_where_nothing_fails(x64):
    ends = freq.probability_difference_interval(
        (10, 10), (10, 10), method="miettinen_nurminen"
    )
    np.testing.assert_allclose(ends, (-0.2879339, 0.2879339), atol=1e-7)


@pytest.mark.thorough
@pytest.mark.parametrize(("first", "second", "method", "exact"), RATIOS)
def test_ratio_of_probabilities(first, second, method, exact, x64):
    ends = freq.probability_ratio_interval(first, second, method=method)
    np.testing.assert_allclose(ends, exact, rtol=1e-9)


@pytest.mark.slow
def test_float32():
    ends = freq.probability_ratio_interval((1, 1000), (900, 1000))
    np.testing.assert_allclose(ends, (159.48931674, 5098.20699746), rtol=1e-5)
    ends = freq.probability_difference_interval(
        (3, 10), (9, 10), method="miettinen_nurminen"
    )
    np.testing.assert_allclose(ends, (0.17002502, 0.84064954), rtol=1e-5)
    value = freq.barnard_log_p_value((7, 15), (12, 15))
    np.testing.assert_allclose(jnp.exp(value), 0.034109155, rtol=2e-5)


@pytest.mark.thorough
def test_difference_of_rates(x64):
    """The score equation by mpmath; statsmodels 0.15 has eight of these digits."""
    lower, upper = freq.rate_difference_interval(
        ([10, 3], [1.0, 2.0]), ([20, 9], [1.0, 5.0])
    )
    exact = (-0.785080417276006, -2.710282091252317)
    np.testing.assert_allclose(lower, exact, rtol=1e-12)
    np.testing.assert_allclose(upper[1], 2.233890138589933, rtol=1e-12)


def test_bad_input():
    with pytest.raises(ValueError, match="method = 'wald'"):
        freq.probability_ratio_interval((1, 2), (1, 2), method="wald")
    with pytest.raises(ValueError, match="trials = 0"):
        freq.barnard_log_p_value((0, 0), (1, 2))
    with pytest.raises(ValueError, match="level = 95"):
        freq.rate_difference_interval((1, 1.0), (1, 2.0), 95)


@pytest.mark.thorough
def test_barnard_counts_ties(x64):
    """SciPy 1.17 loses a table whose |z| is the same but for rounding: 0.01322."""
    i, j = np.meshgrid(np.arange(11), np.arange(7), indexing="ij")
    # z², in whole numbers: 16 (6 i - 10 j)² / (60 (i + j) (16 - i - j))
    square, spread = (6 * i - 10 * j) ** 2, (i + j) * (16 - i - j)
    as_far = square * spread[8, 1] >= square[8, 1] * spread
    as_far &= spread > 0
    probs = np.linspace(0.0, 1.0, 2001)[:, None, None]
    weights = stats.binom.pmf(i, 10, probs) * stats.binom.pmf(j, 6, probs)
    exact = np.sum(weights * as_far, axis=(1, 2)).max()
    log_p = freq.barnard_log_p_value((8, 10), (1, 6), alternative="two-sided")
    np.testing.assert_allclose(np.exp(log_p), exact, rtol=1e-6)
