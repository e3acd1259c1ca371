"""Wasserstein distances against SciPy, closed forms, and the order of models."""

import numpy as np
import pytest
from scipy import stats

from vijax.metrics import wasserstein


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 2)), rng.gamma(2.0, size=(40, 2))


def test_columns_are_scipys(sets):
    expected = [
        stats.wasserstein_distance(a, b)
        for a, b in zip(*map(np.transpose, sets), strict=True)
    ]
    np.testing.assert_allclose(
        wasserstein.wasserstein_by_column(*sets), expected, rtol=1e-12
    )


def test_pairs_are_scipys(sets):
    expected = stats.wasserstein_distance_nd(*sets)
    assert wasserstein.wasserstein_distance(*sets) == pytest.approx(expected, rel=1e-9)


def test_a_shift_moves_everything_by_its_length(sets):
    first, _ = sets
    moved = first + np.array([3.0, -4.0])
    assert wasserstein.wasserstein_distance(first, moved[::-1]) == pytest.approx(
        5.0, rel=1e-12
    )
    np.testing.assert_allclose(
        wasserstein.wasserstein_by_column(first, moved[::-1]), [3, 4]
    )


def test_lost_correlations_show_in_pairs_alone():
    rng = np.random.default_rng(1)
    line = rng.normal(size=(300, 1)) * np.ones(2)
    shuffled = rng.permuted(line, axis=0)
    np.testing.assert_allclose(
        wasserstein.wasserstein_by_column(line, shuffled), 0, atol=1e-12
    )
    # Across the line, N(0, 1) has to be moved to zero: E|N(0, 1)| = sqrt(2 / π).
    distance = wasserstein.wasserstein_distance(line, shuffled)
    assert distance > 0.9 * np.sqrt(2 / np.pi)


def test_bad_input_is_refused(sets):
    first, second = sets
    with pytest.raises(ValueError, match="equally many"):
        wasserstein.wasserstein_by_column(first, second[:-1])
    with pytest.raises(ValueError, match="equally many"):
        wasserstein.wasserstein_distance(first[:0], second[:0])
    with pytest.raises(ValueError, match="generated = nan"):
        wasserstein.wasserstein_distance(first, np.full_like(second, np.nan))
    many = np.zeros((wasserstein.LARGEST + 1, 1))
    with pytest.raises(ValueError, match="real = 5001"):
        wasserstein.wasserstein_distance(many, many)


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (np.full((3, 2), "0.5"), "real has dtype <U3: give real numbers"),
        (np.full((3, 2), 1j), "real has dtype complex128"),
        (np.ma.array(np.ones((3, 2)), mask=np.eye(3, 2)), "real has masked entries"),
    ],
)
def test_text_and_what_is_masked_are_no_numbers(real, message, as_users_do):
    """All three were taken as numbers, what is under a mask too."""
    with pytest.raises(ValueError, match=message):
        wasserstein.wasserstein_distance(real, np.ones((3, 2)))
    with pytest.raises(ValueError, match=message.replace("real ", "generated ", 1)):
        wasserstein.wasserstein_by_column(np.ones((3, 2)), real)
