import gzip

import numpy as np
import pytest

from vijax import data
from vijax.data.files import idx

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def rewrite(path, change):
    """Change what a file holds below its compression."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(bytes(change(raw)), mtime=0))


# The numbers are published: the classes' counts in LeCun's own list, mean and standard
# deviation of the pixels as torchvision's examples normalise with them.
@pytest.mark.parametrize(
    ("name", "counts", "first", "moments"),
    [
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [5, 0, 4, 1, 9, 2, 1, 3, 1, 4],
            (0.1307, 0.3081),
        ),
        (
            "fashion_mnist",
            [6000] * 10,
            [9, 0, 0, 3, 0, 2, 7, 2, 5, 5],
            (0.2860, 0.3530),
        ),
    ],
)
def test_published_files(shared, name, counts, first, moments):
    dataset = data.load(name, data_dir=shared / "data")
    assert dataset.train.shape == (60_000, 28, 28)
    assert dataset.test.shape == (10_000, 28, 28)
    assert dataset.train.dtype == dataset.test.dtype == np.float32
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    assert (dataset.name, dataset.num_levels) == (name, 256)
    assert np.bincount(dataset.train_labels).tolist() == counts
    assert dataset.train_labels[:10].tolist() == first
    # In parts: all pixels in float64 would take 400 MB.
    parts = np.array_split(dataset.train, 20)
    mean, square = (
        np.mean([np.mean(part**power, dtype=np.float64) for part in parts])
        for power in (1, 2)
    )
    np.testing.assert_allclose((mean, np.sqrt(square - mean**2)), moments, atol=5e-5)


def test_folder_itself_or_its_parent(small):
    folder, arrays = small
    dataset = data.load("mnist", data_dir=folder)
    np.testing.assert_array_equal(dataset.train * 255, arrays.train_images)
    np.testing.assert_array_equal(dataset.test_labels, arrays.test_labels)
    folder.rename(folder.parent / "mnist")
    assert data.load("mnist", data_dir=folder.parent).name == "mnist"


def test_folder_from_environment(small, monkeypatch):
    monkeypatch.setenv("VIJAX_DATA_DIR", str(small[0]))
    assert data.is_available("mnist")
    assert data.load("mnist").train.shape == (30, 28, 28)


def test_reading_a_folder_writes_nothing(small, no_data_on_this_machine):
    folder, _ = small
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    data.load("mnist", data_dir=folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert not no_data_on_this_machine.exists()


def test_truncated(small):
    path = small[0] / IMAGES
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    with pytest.raises(
        ValueError, match=rf"{IMAGES}.*complete gzip.*{size // 2} bytes"
    ):
        data.load("mnist", data_dir=small[0])


def test_not_gzip(small):
    (small[0] / LABELS).write_bytes(b"<html>Sign in to the network</html>")
    with pytest.raises(ValueError, match=rf"{LABELS}.*expected a gzip file, found"):
        data.load("mnist", data_dir=small[0])


def test_corrupt_gzip(small):
    path = small[0] / IMAGES
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{IMAGES}.*found"):
        data.load("mnist", data_dir=small[0])


def test_wrong_magic_number(small):
    rewrite(small[0] / IMAGES, lambda raw: b"\0\0\x0d\x03" + raw[4:])
    with pytest.raises(
        ValueError, match=rf"{IMAGES}.*expected.*0x00000803, found 0x00000d03"
    ):
        data.load("mnist", data_dir=small[0])


def test_empty_content(small):
    rewrite(small[0] / LABELS, lambda raw: b"")
    with pytest.raises(ValueError, match=rf"{LABELS}.*0x00000801, found.*nothing"):
        data.load("mnist", data_dir=small[0])


def test_wrong_shape(small):
    rewrite(small[0] / LABELS, lambda raw: raw[:4] + bytes([0, 0, 0, 31]) + raw[8:])
    with pytest.raises(
        ValueError, match=rf"{LABELS}.*expected.*\(30,\), found \(31,\)"
    ):
        data.load("mnist", data_dir=small[0])


@pytest.mark.parametrize(("change", "found"), [(slice(0, -5), 25), (None, 33)])
def test_wrong_count(small, change, found):
    rewrite(small[0] / LABELS, lambda raw: raw[change] if change else raw + b"123")
    with pytest.raises(ValueError, match=rf"{LABELS}.*30 values, found {found}"):
        data.load("mnist", data_dir=small[0])


def test_wrong_checksum(small):
    rewrite(small[0] / LABELS, lambda raw: raw[:-1] + bytes([(raw[-1] + 1) % 10]))
    with pytest.raises(ValueError, match=rf"{LABELS}.*expected SHA-256 .*, found "):
        data.load("mnist", data_dir=small[0])


def test_missing_file_is_an_error_and_not_a_silent_no(small):
    (small[0] / LABELS).unlink()
    assert data.is_available("mnist", data_dir=small[0])
    with pytest.raises(FileNotFoundError, match=rf"{LABELS}.*expected.*found none"):
        data.load("mnist", data_dir=small[0])


def test_fashion_files_do_not_pass_for_mnist(shared):
    folder = shared / "data/fashion_mnist"
    assert idx.find("fashion_mnist", folder) == folder
    assert not data.is_available("mnist", data_dir=folder)
    with pytest.raises(FileNotFoundError, match="expected the files"):
        data.load("mnist", data_dir=folder)


def test_one_fashion_file_among_mnist_is_found_out(shared, tmp_path):
    for file in idx.FILES["mnist"]:
        source = "fashion_mnist" if file.name == LABELS else "mnist"
        (tmp_path / file.name).symlink_to(shared / "data" / source / file.name)
    with pytest.raises(
        ValueError, match=rf"{LABELS}: expected SHA-256 3552534a.*a04f1"
    ):
        data.load("mnist", data_dir=tmp_path)


@pytest.mark.parametrize("prefix", ["", "emnist-letters-"])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_files_of_ones_own(tmp_path, as_idx, prefix, test):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (9, 4, 5), np.uint8), np.arange(9) % 3
    for part, chosen in (("train", slice(0, 6)), (test, slice(6, 9))):
        name = tmp_path / f"{prefix}{part}-images-idx3-ubyte.gz"
        name.write_bytes(as_idx(images[chosen]))
        raw = gzip.decompress(as_idx(labels[chosen].astype(np.uint8)))
        (tmp_path / f"{prefix}{part}-labels.idx1-ubyte").write_bytes(raw)
    dataset = data.load(tmp_path)
    np.testing.assert_array_equal(dataset.train, images[:6] / np.float32(255))
    np.testing.assert_array_equal(dataset.test, images[6:] / np.float32(255))
    assert dataset.train_labels.tolist() == labels[:6].tolist()
    assert dataset.test_labels.tolist() == labels[6:].tolist()
    assert dataset.num_levels == 256


def test_files_of_ones_own_that_are_no_data_set(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03" + bytes(9))
    with pytest.raises(ValueError, match=r"expected train-images-idx3-ubyte\[.gz\]"):
        data.load(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03" + bytes(9))
    with pytest.raises(ValueError, match=r"expected 16 bytes or more, found 13"):
        data.load(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x0d\x03" + bytes(99))
    with pytest.raises(ValueError, match=r"magic number 0x00000803, found 0x00000d03"):
        data.load(tmp_path)
    (tmp_path / "mine-train-images-idx3-ubyte").touch()
    with pytest.raises(
        ValueError, match=r"of one data set, .*train-…, mine-train-…: give"
    ):
        data.load(tmp_path)


def test_published_files_by_their_path(shared):
    by_path = data.load(shared / "data" / "mnist")
    by_name = data.load("mnist", data_dir=shared / "data")
    np.testing.assert_array_equal(by_path.test, by_name.test)
    assert by_path.test_labels.tolist() == by_name.test_labels.tolist()
