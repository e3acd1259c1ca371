"""Files of images and events: exact, of the stated size, and what rounding does."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.studies import lossless, lossy_tables
from vijax.vae.compression import lossy
from vijax.vae.models import autoencoders


@pytest.fixture(scope="module")
def images():
    x = np.random.default_rng(0).random((40, 5, 3)) < 0.2
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def coder():
    model = autoencoders.vae((5, 3), latent=2, hidden=(4,))
    return model, autoencoders.init(model, jax.random.key(0))


def test_png_holds_every_pixel_of_every_image(images):
    sheet = np.asarray(Image.open(io.BytesIO(lossless.png(images))))
    assert sheet.shape == (6 * 5, 7 * 3)
    tiles = sheet.reshape(6, 5, 7, 3).swapaxes(1, 2).reshape(42, 5, 3)
    np.testing.assert_array_equal(tiles[:40], images)
    assert not tiles[40:].any()


def test_rates_count_bytes_and_weights(coder, images):
    found = lossless.code(*coder, images, jax.random.key(1))
    assert found["bits_per_pixel"] == 8 * found["file_bytes"] / 600
    # 15·4 + 4 + 4·4 + 4 numbers in the encoder, 2·4 + 4 + 4·15 + 15 in the decoder.
    assert found["weights_bytes"] == 4 * (84 + 87)
    weights = 32 * 171 / 600
    assert found["bits_per_pixel_with_weights"] == found["bits_per_pixel"] + weights
    # An untrained model costs more than its own bound by the header and first image.
    assert found["bits_per_pixel"] > found["bound_bits_per_pixel"]
    packed = np.packbits(images.astype(np.uint8)).tobytes()
    expected = lossy.general_purpose_bits(packed)["gzip"] / 600
    assert found["others"]["gzip"] == expected
    assert found["break_even_images"] is None or found["break_even_images"] > 0


def test_growth_ends_at_the_whole_file(coder, images):
    growth = lossless.growth(*coder, images)
    assert growth["images"] == [1, 3, 10, 30, 40]
    assert np.all(np.diff(growth["bits_per_pixel"]) < 0)


def test_columns_alone_is_the_adaptive_code():
    rng = np.random.default_rng(2)
    before, symbols = rng.integers(0, 5, (50, 2)), rng.integers(0, 5, (30, 2))
    symbols[0] = 4
    counts = [np.bincount(column, minlength=5) for column in before.T]
    expected = lossy.code_length(symbols, 0.5 + np.array(counts, np.float32))
    np.testing.assert_allclose(
        lossy_tables.columns_alone(before, symbols), expected, rtol=1e-5
    )


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(3)
    kinematics = np.exp(rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=(300, 4)))
    counts = rng.poisson(2.0, size=(300, 2))
    return np.concatenate([kinematics, counts], axis=1)


def test_events_come_back_within_their_bounds(events):
    coder = lossy_tables.fit(
        events[:200],
        jax.random.key(0),
        finest=0.01,
        latent=1,
        hidden=(8,),
        epochs=2,
        batch_size=50,
        learning_rate=1e-2,
    )
    row, decoded = lossy_tables.code(coder, events[:200], events[200:], 0.01)
    np.testing.assert_array_equal(np.rint(decoded[:, 4:]), events[200:, 4:])
    error = np.abs(decoded[:, :4] / events[200:, :4] - 1)
    assert 0.009 < error.max() <= 0.01
    np.testing.assert_allclose(row["largest_error"][:4], error.max(axis=0))
    assert row["bits_per_number"] == 8 * row["file_bytes"] / 600


def test_damage_is_what_was_done(events):
    changed = events.copy()
    changed[:, 0] *= 1.01  # MR
    changed[:, 3] *= np.where(np.arange(300) % 2, 1.02, 0.98)  # MET
    found = lossy_tables.damage(events, changed)
    for name in ("MR", "transverse mass MR √Rsq"):
        assert found[name]["largest"] == pytest.approx(0.01)
        assert found[name]["root_mean_square"] == pytest.approx(0.01)
    assert found["MET / √HT"]["root_mean_square"] == pytest.approx(0.02)
    mr = events[:, 0]
    shift = 0.01 * mr.mean() / (mr.std(ddof=1) / np.sqrt(300))
    assert found["MR"]["shift_of_mean"] == pytest.approx(shift)
    assert found["MR"]["wasserstein"] == pytest.approx(
        0.01 * mr.mean() / mr.std(ddof=1)
    )
