"""Signals above a known background: published tables, and other systems' numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.bayes import frequentist as freq
from vijax.bayes.frequentist.signals import signal_intervals

# Feldman & Cousins (1998), table IV: 90 %, n = 0 … 10, no background.
UNIFIED = [
    (0.00, 2.44),
    (0.11, 4.36),
    (0.53, 5.91),
    (1.10, 7.42),
    (1.47, 8.60),
    (1.84, 9.99),
    (2.21, 11.47),
    (3.56, 12.53),
    (3.96, 13.99),
    (4.36, 15.30),
    (5.50, 16.50),
]
# astropy 8.0.2: poisson_conf_interval(n, interval="kraft-burrows-nousek",
# background=b, confidence_level=0.95).
NARROWEST = [
    (5, 2.5, 0.0, 8.08667367),
    (20, 4.0, 8.439328039826568, 26.137415316741784),
    (2, 0.5, 0.0, 5.815611291572511),
    (8, 2.0, 1.6258230997743652, 12.969050843658442),
    (30, 25.0, 0.0, 16.16046057740076),
]


# mpmath: the equation of equal densities by Lambert's W, with 40 digits.
NARROW_LEVELS = [  # counts, background, level, lower, upper
    (400, 10.0, 0.01, 389.749330763, 390.250774006),
    (10_000, 5000.0, 0.01, 4998.74669497, 5001.25340976),
    (30, 0.25, 0.5, 26.1962906434, 33.608637494),
    (9, 0.0, 0.9999, 1.69929247132, 26.3812750535),
]


@pytest.mark.thorough
def test_unified_intervals_of_the_publication(x64):
    lower, upper = freq.signal_interval(np.arange(11), 0.0, 0.9)
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), UNIFIED, atol=0.0051)
    # The same table at b = 3, where no end was raised: n = 1 … 5.
    lower, upper = freq.signal_interval(np.arange(1, 6), 3.0, 0.9)
    assert (lower == 0).all()
    np.testing.assert_allclose(upper, [1.88, 3.04, 4.42, 5.60, 6.99], atol=0.0051)


@pytest.mark.slow
def test_unified_intervals_cover(x64):
    """The exact belt never covers less than its level."""
    background, counts = 3.0, np.arange(60)
    lower, upper = freq.signal_interval(counts, background, 0.9)
    for signal in np.linspace(0.05, 12, 40):
        inside = (lower <= signal) & (signal <= upper)
        weights = stats.poisson.pmf(counts, signal + background)
        assert weights @ inside > 0.9 - 1e-9
    with pytest.raises(ValueError, match="max_count"):
        jax.jit(freq.signal_interval)(3, 1.0)
    traced = jax.jit(lambda n: freq.signal_interval(n, 3.0, 0.9, max_count=127))(5)
    np.testing.assert_allclose(traced, (lower[5], upper[5]), atol=1e-9)


@pytest.mark.slow  # quick: its example, and the posterior that has the same ends
def test_narrowest_intervals_of_astropy(x64):
    counts, background, low, high = np.array(NARROWEST).T
    # Two more, for the slope at 2: their program is the same.
    counts = np.append(counts, [8.0, 8.0])
    background = np.append(background, [2.001, 1.999])
    method = "kraft_burrows_nousek"
    lower, upper = freq.signal_interval(counts, background, method=method)
    np.testing.assert_allclose(lower[:-2], low, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(upper[:-2], high, rtol=1e-7, atol=1e-9)
    slope = jax.grad(lambda b: freq.signal_interval(8, b, method=method)[1])(2.0)
    np.testing.assert_allclose(slope, (upper[-2] - upper[-1]) / 0.002, rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("bits", slow_except({64}, [32, 64]))
def test_limits(bits):
    rtol = 1e-9 if bits == 64 else 2e-5
    with jax.enable_x64(bits == 64):
        counts, background = np.array([0, 3, 10, 3]), np.array([2.0, 2.0, 3.0, 100.0])
        limit = np.asarray(freq.signal_limit(counts, background), float)
        left = stats.poisson.cdf(counts, limit + background)
        cls = left / stats.poisson.cdf(counts, background)
        np.testing.assert_allclose(cls, 0.05, rtol=100 * rtol)
        np.testing.assert_allclose(limit[0], -np.log(0.05), rtol=rtol)
        helene = freq.signal_limit(counts, background, method="helene")
        np.testing.assert_array_equal(helene, freq.signal_limit(counts, background))
        classical = freq.signal_limit(counts, background, method="classical")
        expected = stats.chi2.isf(0.05, 2 * counts + 2) / 2 - background
        np.testing.assert_allclose(classical, expected.clip(0), rtol=rtol, atol=1e-6)
        slope = jax.grad(lambda b: freq.signal_limit(3, b))(2.0)
        np.testing.assert_allclose(slope, -0.68806, rtol=1e-4)


@pytest.mark.thorough
def test_expected_band(x64):
    """The counts at -2 … 2 sigmas of a Poisson mean of 3 are 0, 1, 3, 5, 7."""
    quantiles = stats.poisson.ppf(stats.norm.cdf([-2, -1, 0, 1, 2]), 3.0)
    band = freq.expected_signal_limits(3.0)
    np.testing.assert_array_equal(band, freq.signal_limit(quantiles, 3.0))


@pytest.mark.slow
def test_expected_band_in_a_trace(x64):
    band = freq.expected_signal_limits(3.0)
    jitted = jax.jit(freq.expected_signal_limits)(jnp.array([3.0, 50.0]))
    np.testing.assert_allclose(jitted.median[0], band.median, rtol=1e-12)


@pytest.mark.thorough
def test_expected_significance(x64):
    """Cowan (2012), eq. 20, and Li and Ma's formula at the expected counts."""
    s, b, e = 10.0, 9.0, 3.0
    total = s + b
    first = total * np.log(total * (b + e**2) / (b**2 + total * e**2))
    second = b**2 / e**2 * np.log(1 + e**2 * s / (b * (b + e**2)))
    found = freq.asimov_significance(s, b, [e, 0.0, 1e-6])
    known = np.sqrt(2 * (total * np.log(total / b) - s))
    exact = np.sqrt(2 * (first - second))
    np.testing.assert_allclose(found, [exact, known, known], rtol=1e-9)
    tiny = freq.asimov_significance(1e-6, 100.0)
    np.testing.assert_allclose(tiny, 1e-7, rtol=1e-6)


@pytest.mark.thorough
def test_off_counts_that_are_not_whole(x64):
    """Whole ones are the exact on/off test; Cousins et al. (2008), table 1: 1.66."""
    value = freq.uncertain_background_log_p_value(4, 1.0, np.sqrt(0.2))
    np.testing.assert_allclose(value, freq.on_off_log_p_value(4, 5, 0.2), rtol=1e-12)
    assert abs(freq.significance_from_log(value) - 1.66) < 0.005
    assert freq.uncertain_background_log_p_value(0, 1.0, 0.5) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: freq.signal_limit(-1, 1.0), "counts = -1"),
        (lambda: freq.signal_limit(1, -1.0), "background = -1"),
        (lambda: freq.signal_limit(1, 1.0, 95), "level = 95"),
        (lambda: freq.signal_limit(1, 1.0, method="clz"), "method = 'clz'"),
        (lambda: freq.signal_interval([1, 2], [1.0] * 3), "do not fit"),
        (lambda: freq.asimov_significance(1.0, 0.0), "background = 0"),
    ],
)
def test_bad_input(call, message, as_users_do, nan_is_an_answer):
    with pytest.raises(ValueError, match=message):
        call()
    assert np.isnan(jax.jit(freq.signal_limit)(-1, 1.0))


@pytest.mark.parametrize("bits", [32, 64])
def test_narrowest_intervals_of_any_level(bits):
    """The ends of a narrow interval keep their digits, relative to its width."""
    with jax.enable_x64(bits == 64):
        *data, low, high = np.array(NARROW_LEVELS).T
        found = freq.signal_interval(*data, method="kraft_burrows_nousek")
        error = np.abs(np.stack(found) - np.stack([low, high])) / (high - low)
        assert error.max() < (1e-8 if bits == 64 else 4e-4)


@pytest.mark.thorough
def test_experiments_that_are_equal_have_equal_intervals(monkeypatch):
    """A million toys of one background are a few dozen intervals."""
    counts = np.random.default_rng(0).poisson(5.0, 1_000_000)
    sizes = []
    unified = signal_intervals._unified

    def counted(counts, *rest, **options):
        sizes.append(counts.size)
        return unified(counts, *rest, **options)

    monkeypatch.setattr(signal_intervals, "_unified", counted)
    lower, upper = freq.signal_interval(counts, 3.0)
    few = np.unique(counts)
    assert sizes == [1 << (len(few) - 1).bit_length()]
    by_count = freq.signal_interval(few, 3.0)
    for found, alone in zip((lower, upper), by_count, strict=True):
        expected = np.asarray(alone)[np.searchsorted(few, counts)]
        np.testing.assert_allclose(found, expected, rtol=2e-5)


# Ends of a belt behind signals that do not accept, from a scan of the definition with
# 40,000 signals, which stops less than 1e-3 below them.
ISLANDS = [  # counts, background, level, largest signal
    (1, 10.0, 0.95, 1.63896),
    (0, 2.5658418, 0.9999, 7.62494),
    (8, 11.72846173, 0.9999, 13.96524),
]


@pytest.mark.parametrize("bits", slow_except({64}, [32, 64]))
def test_a_belt_reaches_to_its_last_island(bits):
    """The largest signal that accepts is found behind others that do not."""
    with jax.enable_x64(bits == 64):
        counts, background, level, upper = np.array(ISLANDS).T
        found = np.asarray(freq.signal_interval(counts, background, level)[1], float)
        np.testing.assert_allclose(found, upper, atol=1e-3)
        for n, b, mass, end in zip(counts, background, level, found, strict=True):
            assert _accepts(n, b, mass, end - 1e-5)
            assert not any(_accepts(n, b, mass, end + s) for s in (1e-4, 0.1, 0.5, 2))


def _accepts(count, background, level, signal):
    """The definition: counts in the order of their likelihood ratio, summed up."""
    others, mean = np.arange(200), signal + background
    best = np.maximum(others, background)
    ratio = stats.poisson.logpmf(others, mean) - stats.poisson.logpmf(others, best)
    before = ratio > ratio[int(count)] + 1e-12
    return stats.poisson.pmf(others, mean) @ before < level


@pytest.mark.parametrize(
    "data", slow_except({(5, 2.5)}, [(5, 2.5), (9, 3.1), (12, 11.3)])
)
def test_slopes_of_a_belt(x64, data):
    """Of both ends, in the background and in the level: finite differences."""
    count, background = data
    ends = jax.jit(lambda *data: freq.signal_interval(count, *data, max_count=63)[:2])
    given, step = (background, 0.95), 1e-6
    for place, slopes in enumerate(zip(*jax.jacfwd(ends, (0, 1))(*given), strict=True)):
        moved = [list(given), list(given)]
        moved[0][place] += step
        moved[1][place] -= step
        above, below = (np.stack(ends(*data)) for data in moved)
        np.testing.assert_allclose(slopes, (above - below) / (2 * step), atol=1e-4)


@pytest.mark.thorough
def test_a_belt_that_ends_too_soon_says_so():
    """The upper end of 10 counts above 1 needs the belt up to 25."""
    whole = freq.signal_interval(10, 1.0, 0.9)
    enough = freq.signal_interval(10, 1.0, 0.9, max_count=25)
    np.testing.assert_allclose(enough.upper, whole.upper, rtol=1e-5)
    with pytest.raises(ValueError, match="max_count = 24 is not valid"):
        freq.signal_interval(10, 1.0, 0.9, max_count=24)
    with pytest.raises(ValueError, match="max_count = 9 is not valid"):
        freq.signal_interval(10, 1.0, 0.9, max_count=9)
    traced = jax.jit(lambda n: freq.signal_interval(n, 1.0, 0.9, max_count=24))(10.0)
    assert np.isnan(traced.upper)
    np.testing.assert_allclose(traced.lower, whole.lower, rtol=1e-5)
