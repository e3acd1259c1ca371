"""The command line on files: what is compressed comes back in another process."""

import subprocess
import sys

import numpy as np
import pytest

from vijax.vae import __main__ as commands


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Bytes of 4 × 4, and a model of them."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 4, 4)).astype(np.uint8)
    np.save(folder / "images.npy", images)
    says = commands.train(
        folder / "images.npy", folder / "model.npz", epochs=2, latent=2, hidden=(8,)
    )
    assert "verdict" in says
    return folder, images


def test_images_come_back_by_another_process(images):
    folder, array = images
    model, packed = folder / "model.npz", folder / "images.vx"
    commands.compress(model, folder / "images.npy", packed)
    arguments = ["decompress", model, packed, folder / "back.npy"]
    subprocess.run(
        [sys.executable, "-m", "vijax.vae", *map(str, arguments)], check=True
    )
    found = np.load(folder / "back.npy")
    np.testing.assert_array_equal(found, array, strict=True)


def test_samples_are_of_the_same_kind(images):
    folder, array = images
    commands.sample(folder / "model.npz", folder / "new.npy", number=3)
    new = np.load(folder / "new.npy")
    assert (new.shape, new.dtype) == ((3, 4, 4), array.dtype)


def test_a_table_is_scored_and_compressed(tmp_path):
    random = np.random.default_rng(1)
    table = np.round(random.normal(size=(60, 2)), 3)
    path = tmp_path / "table.csv"
    np.savetxt(path, table, delimiter=",", header="mass,charge", comments="")
    commands.detect(path, tmp_path / "detector.npz")
    commands.score(tmp_path / "detector.npz", path, tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)
    assert scores.shape == (60, 2)
    farthest = np.argmax(np.abs(table).max(axis=1))
    assert scores[farthest, 1] < 0.1
    model, packed = tmp_path / "model.npz", tmp_path / "table.vx"
    commands.train(path, model, epochs=1, latent=1, hidden=(4,))
    commands.compress(model, path, packed, bound=0.01)
    commands.decompress(model, packed, tmp_path / "back.npy")
    assert np.abs(np.load(tmp_path / "back.npy") - table).max() <= 0.01


def test_other_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"give a \.npy or a \.csv file"):
        commands.detect(tmp_path / "a.txt", tmp_path / "detector.npz")
