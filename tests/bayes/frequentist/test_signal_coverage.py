"""Coverage of a signal's limits, against sums of SciPy's Poisson probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.bayes import frequentist as freq

SIGNALS, BACKGROUNDS = np.array([0.0, 0.5, 2.0, 5.5]), np.array([0.0, 3.0])
COUNTS = np.arange(60)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "method",
    slow_except({"classical"}, ["cls", "classical", "kraft_burrows_nousek"]),
)
def test_against_sums(method, x64):
    coverage = freq.signal_coverage(SIGNALS, BACKGROUNDS, 0.9, method=method)
    assert coverage.shape == (2, 4)
    for row, background in zip(coverage, BACKGROUNDS, strict=True):
        if method == "kraft_burrows_nousek":
            lower, upper = freq.signal_interval(COUNTS, background, 0.9, method=method)
        else:
            upper = freq.signal_limit(COUNTS, background, 0.9, method=method)
            lower = jnp.zeros_like(upper)
        for value, signal in zip(row, SIGNALS, strict=True):
            inside = (lower <= signal) & (signal <= upper)
            exact = stats.poisson.pmf(COUNTS, signal + background)[inside].sum()
            np.testing.assert_allclose(value, exact, rtol=1e-10)


@pytest.mark.slow
def test_promises(x64):
    """Neyman's constructions cover at least the level; CLs more than the classical."""
    signals = np.linspace(0.0, 6.0, 25)
    unified, classical, cls = (
        freq.signal_coverage(signals, 3.0, 0.9, method=method, max_count=40)
        for method in ("feldman_cousins", "classical", "cls")
    )
    assert unified.min() >= 0.9 - 1e-9
    assert classical[1:].min() >= 0.9 - 1e-9
    assert (cls >= classical - 1e-12).all()


@pytest.mark.usefixtures("nan_is_an_answer")
def test_own_interval_and_bad_input(x64):
    def whole(counts, background, level):
        return jnp.zeros_like(counts + background), jnp.full_like(counts, jnp.inf)

    np.testing.assert_allclose(freq.signal_coverage(2.0, 3.0, interval=whole), 1.0)
    in_trace = jax.jit(
        lambda s: freq.signal_coverage(s, 3.0, interval=whole, max_count=50)
    )
    assert jnp.isnan(in_trace(-1.0))
    with pytest.raises(ValueError, match="method = 'bayes'"):
        freq.signal_coverage(1.0, 1.0, method="bayes")
    with pytest.raises(ValueError, match="signals = -1"):
        freq.signal_coverage(-1.0, 1.0)
