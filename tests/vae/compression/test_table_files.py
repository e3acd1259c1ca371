"""Files of events: every number within its bound, and what rounding does to physics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vae.compression import lossy, table_files

LOGARITHM = np.array([True, True, False])
BOUND = np.where(LOGARITHM, 0.01, 0.49)


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(3)
    kinematics = np.exp(rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=(300, 2)))
    return np.concatenate([kinematics, rng.poisson(2.0, size=(300, 1))], axis=1)


@pytest.mark.thorough
def test_events_come_back_within_their_bounds(events):
    settings = table_files.TableCoderSettings(
        latent=1, hidden=(8,), epochs=2, batch_size=50, learning_rate=1e-2
    )
    train, test = events[:200], events[200:]
    coder = table_files.fit_table_coder(
        jax.random.key(0), train, bound=BOUND, logarithm=LOGARITHM, settings=settings
    )
    coded = table_files.measure_table_file(coder, train, test, bound=BOUND)
    np.testing.assert_array_equal(np.rint(coded.decoded[:, 2]), test[:, 2])
    error = np.abs(coded.decoded[:, :2] / test[:, :2] - 1)
    assert 0.009 < error.max() <= 0.01
    np.testing.assert_allclose(coded.largest_error[:2], error.max(axis=0))
    assert coded.bits_per_number == 8 * coded.file_bytes / 300
    assert coded.bits_per_number < 16  # float64 has 64
    assert set(coded.others) == {"gzip", "bz2", "xz"}


@pytest.mark.thorough
def test_training_moves_numbers_by_up_to_their_bound(events):
    coder = table_files.fit_table_coder(
        jax.random.key(0),
        events,
        bound=BOUND,
        logarithm=LOGARITHM,
        settings=table_files.TableCoderSettings(latent=1, hidden=(), epochs=1),
    )
    moved = coder.model.likelihood.prepare(jax.random.key(1), jnp.zeros((9999, 3)))
    # By half a bin: log(1 + bound), or the bound, in deviations of the column.
    half = np.where(LOGARITHM, np.log1p(BOUND), BOUND) / coder.scale.scale
    np.testing.assert_allclose(np.abs(moved).max(axis=0), half, rtol=1e-3)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=4e-2 * half.max())


@pytest.mark.thorough
def test_columns_code_length_is_that_of_the_adaptive_code():
    rng = np.random.default_rng(2)
    before, symbols = rng.integers(0, 5, (50, 2)), rng.integers(0, 5, (30, 2))
    symbols[0] = 4
    counts = [np.bincount(column, minlength=5) for column in before.T]
    expected = lossy.code_length(symbols, 0.5 + np.array(counts, np.float32))
    np.testing.assert_allclose(
        table_files.columns_code_length(before, symbols), expected, rtol=1e-5
    )


def test_damage_is_what_was_done():
    rng = np.random.default_rng(0)
    mass, energy = np.exp(rng.normal(size=(2, 300)))
    changed = energy * np.where(np.arange(300) % 2, 1.02, 0.98)
    found = table_files.quantity_errors(
        {"mass": mass, "energy": energy}, {"mass": 1.01 * mass, "energy": changed}
    )
    assert found["mass"]["largest"] == pytest.approx(0.01)
    assert found["mass"]["root_mean_square"] == pytest.approx(0.01)
    assert found["energy"]["root_mean_square"] == pytest.approx(0.02)
    shift = 0.01 * mass.mean() / (mass.std(ddof=1) / np.sqrt(300))
    assert found["mass"]["shift_of_mean"] == pytest.approx(shift)
    distance = 0.01 * mass.mean() / mass.std(ddof=1)
    assert found["mass"]["wasserstein"] == pytest.approx(distance)


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(events):
    with pytest.raises(ValueError, match="bound"):
        table_files.fit_table_coder(jax.random.key(0), events, bound=0.0)
    with pytest.raises(ValueError, match="symbols"):
        table_files.columns_code_length(np.array([[0]]), np.array([[-1]]))
    with pytest.raises(ValueError, match="columns"):
        table_files.columns_code_length(np.array([[0, 1]]), np.array([[0]]))
    with pytest.raises(ValueError, match="after"):
        table_files.quantity_errors({"a": np.ones(3)}, {"b": np.ones(3)})
    with pytest.raises(ValueError, match=r"after\['a'\]"):
        table_files.quantity_errors({"a": np.ones(3)}, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"before\['a'\]"):
        table_files.quantity_errors({"a": np.zeros(3)}, {"a": np.ones(3)})
