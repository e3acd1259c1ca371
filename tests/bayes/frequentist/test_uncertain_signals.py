"""Profile likelihood limits against ROOT's TRolke, whose search ends at 1e-5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.bayes.frequentist import (
    Measured,
    Selected,
    Sideband,
    profile_interval,
    uncertain_signal_interval,
    uncertain_signal_log_likelihood,
)

# Output of ROOT 5.34's tutorial Rolke.C, unbounded, models 2 to 7
TROLKE = [
    ((10, Sideband(3, 2.5), Measured(0.9, 0.05), 0.95), (3.88417, 18.4584)),
    ((10, Measured(5, 0.5), Measured(0.9, 0.05), 0.99), (0.0, 17.5005)),
    ((1, Sideband(7, 5), 0.25, 0.68), (0.0, 4.08807)),
    ((1, Measured(0, 1.0), 0.65, 0.799999), (0.0, 4.91504)),
    ((25, 10.0, Selected(500, 750), 0.9), (11.4655, 36.3035)),
    ((15, 10.0, Measured(0.77, 0.15), 0.95), (0.0, 20.1747)),
]


def check(arguments, published):
    ends = uncertain_signal_interval(*arguments, bounded=False)
    np.testing.assert_allclose(ends, published, rtol=2e-5)


@pytest.mark.thorough
def test_trolke(x64):
    check(*TROLKE[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", [TROLKE[0], *TROLKE[2:]])
def test_all_models_of_trolke(case, x64):
    check(*case)


@pytest.mark.slow
def test_a_binomial_efficiency_and_a_sideband(x64):
    """By scipy.optimize.minimize; TRolke has 11.5943, where -2 log L is 2.48."""
    ends = uncertain_signal_interval(5, Sideband(10, 2.5), Selected(50, 100), 0.9)
    np.testing.assert_allclose(ends, (0.0, 12.1019115906), rtol=1e-9)


@pytest.mark.thorough
def test_critical_numbers(x64):
    """TRolke: at 99 % the smallest count with a signal is 13, at 5 sigma 21."""
    counts, level = (
        np.array([12, 13, 20, 21]),
        np.array([0.99] * 2 + [1 - 5.733e-7] * 2),
    )
    lower, _ = uncertain_signal_interval(
        counts, Measured(5, 0.5), Measured(0.9, 0.05), level, bounded=False
    )
    assert (lower > 0).tolist() == [False, True, False, True]


@pytest.mark.slow
def test_on_off_is_a_sideband(x64):
    ends = uncertain_signal_interval([14, 3], Sideband(10, 2.0))
    np.testing.assert_allclose(ends, profile_interval([14, 3], 10, 0.5), rtol=1e-10)

    def upper(ratio):
        return uncertain_signal_interval(14, Sideband(10, ratio))[1]

    slope = (upper(2.0001) - upper(1.9999)) / 2e-4
    np.testing.assert_allclose(jax.grad(upper)(2.0), slope, rtol=1e-6)


@pytest.mark.thorough
def test_edges(x64):
    """An efficiency that may be 0 excludes no signal; a deficit stays a limit."""
    background, efficiency = Measured(5, 0.5), Measured([0.9, 0.1], 0.06)
    _, upper = uncertain_signal_interval(0, background, efficiency)
    assert np.isfinite(upper[0])
    assert upper[1] == np.inf
    with pytest.raises(ValueError, match=r"efficiency = -0.5"):
        uncertain_signal_interval(1, 1.0, -0.5)
    with pytest.raises(ValueError, match="without, no signal is excluded"):
        uncertain_signal_interval(1, 1.0, Selected(0, 10))
    with pytest.raises(ValueError, match=r"background.error = 0.0"):
        uncertain_signal_interval(1, Measured(1.0, 0.0))


@pytest.mark.thorough
def test_float32():
    ends = uncertain_signal_interval(
        10, Measured(5.0, 0.5), Measured(0.9, 0.05), jnp.float32(0.99)
    )
    np.testing.assert_allclose(ends[1], 17.50036851926159, rtol=1e-5)


@pytest.mark.thorough
def test_no_count_beside_a_wide_background(x64):
    """The best of all (b, e) on a grid: the total is 0 there, and b = -e s."""
    signal, estimate, error = 2.0, 2.5, 3.0
    e = np.linspace(0.5, 1.0, 100_001)
    total = np.array([0.0, 1e-3, 1e-2])[:, None]
    of_b = ((total - e * signal - estimate) / error) ** 2
    misfit = total + 0.5 * of_b + 0.5 * ((e - 0.9) / 0.09) ** 2
    assert misfit.min() == misfit[0].min()
    found = uncertain_signal_log_likelihood(
        signal, 0, Measured(estimate, error), Measured(0.9, 0.09)
    )
    np.testing.assert_allclose(found, -misfit.min(), rtol=1e-9)
