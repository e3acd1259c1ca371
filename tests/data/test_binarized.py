import numpy as np
import pytest

from vijax import data
from vijax.data import binarized


def test_published_bits(shared):
    """The loader checks all bits against the published SHA-256 of the text files."""
    dataset = data.load("binarized_mnist", data_dir=shared / "data/binarized_mnist")
    for part, size in (
        (dataset.train, 50_000),
        (dataset.valid, 10_000),
        (dataset.test, 10_000),
    ):
        assert part.shape == (size, 28, 28)
        assert part.dtype == np.float32
        assert np.all((part == 0) | (part == 1))
    assert (dataset.num_levels, dataset.train_labels) == (2, None)
    # Sampled as Bernoulli variables of MNIST's grey levels, whose mean is 0.1307, of
    # which these are 50,000 in 60,000: the bits' mean agrees to 5 standard errors.
    standard_error = np.sqrt(0.1307 * 0.8693 / dataset.train.size)
    assert abs(dataset.train.mean(dtype=float) - 0.1307) < 5 * standard_error + 5e-5


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Files of few images, as published: text of bits, and the same bits packed."""
    generator = np.random.default_rng(0)
    bits = {part: generator.integers(0, 2, (8, 784), np.uint8) for part in TEXT}
    parts, packed = {}, {}
    for part, array in bits.items():
        text = "".join(" ".join(map(str, row)) + "\n" for row in array)
        (tmp_path / f"binarized_mnist_{part}.amat").write_text(text)
        parts[part] = (8, binarized.hashlib.sha256(text.encode()).hexdigest())
        packed[part] = np.packbits(array)
    monkeypatch.setattr(binarized, "PARTS", parts)
    np.savez(tmp_path / binarized.PACKED, **packed)
    return tmp_path, bits, packed


TEXT = ("train", "valid", "test")


@pytest.mark.parametrize("suffix", [".amat", ".npz"])
def test_text_and_packed_are_the_same(small, suffix):
    folder, bits, _ = small
    for path in folder.iterdir():
        if path.suffix != suffix:
            path.unlink()
    dataset = data.load("binarized_mnist", data_dir=folder)
    for part in TEXT:
        found = getattr(dataset, part).reshape(8, 784)
        np.testing.assert_array_equal(found, bits[part])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda bits: bits[:-1], "expected 6272 bits of valid, found 6264"),
        (lambda bits: bits ^ (np.arange(784) == 9), "expected the published bits of v"),
        (lambda bits: bits.astype(float), "expected packed bits named 'valid'"),
        (lambda bits: None, "expected packed bits named 'valid'"),
    ],
)
def test_wrong_bits(small, change, found):
    folder, _, packed = small
    packed["valid"] = change(packed["valid"])
    kept = {part: bits for part, bits in packed.items() if bits is not None}
    np.savez(folder / binarized.PACKED, **kept)
    with pytest.raises(ValueError, match=rf"packed\.npz: {found}"):
        data.load("binarized_mnist", data_dir=folder)


def test_truncated_archive(small):
    folder, _, _ = small
    path = folder / binarized.PACKED
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"packed\.npz: expected packed bits"):
        data.load("binarized_mnist", data_dir=folder)


def test_wrong_text(small):
    folder, _, _ = small
    (folder / binarized.PACKED).unlink()
    path = folder / "binarized_mnist_test.amat"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        ValueError, match=r"test\.amat: expected 12544 bytes, found 12543"
    ):
        data.load("binarized_mnist", data_dir=folder)
    path.write_bytes(content[:-2] + b"7\n")
    with pytest.raises(ValueError, match=r"test\.amat: expected the published bits"):
        data.load("binarized_mnist", data_dir=folder)
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"test\.amat: expected the file, found"
    ):
        data.load("binarized_mnist", data_dir=folder)
