"""The static binarisation of MNIST: 50,000 / 10,000 / 10,000 images of bits.

H. Larochelle sampled each pixel once as a Bernoulli variable of its grey level
(Larochelle & Murray, AISTATS 2011), so that log-likelihoods can be compared to the
last digit. It has no labels. It is read from a folder: the three original .amat text
files, or their bits packed by `numpy.packbits` in one .npz.
"""

import hashlib
from pathlib import Path

import numpy as np

from vijax.data.dataset import Dataset

SIDE = 28
PACKED = "static_binarized_mnist_packed.npz"
# SHA-256 of the .amat files as tensorflow-datasets 4.9.10 publishes them in
# datasets/binarized_mnist/checksums.tsv. The bits determine those files.
PARTS = {
    "train": (
        50_000,
        "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    ),
    "valid": (
        10_000,
        "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    ),
    "test": (
        10_000,
        "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    ),
}


def find(folder: Path) -> Path | None:
    """Return where a folder holds the data: itself or `<folder>/binarized_mnist`."""
    names = [PACKED, *(_amat(part) for part in PARTS)]
    for candidate in (folder / "binarized_mnist", folder):
        if any((candidate / name).is_file() for name in names):
            return candidate
    return None


def load(folder: Path) -> Dataset:
    """Read and check all bits; `valid` holds the 10,000 images of that part.

    Raises:
        FileNotFoundError: a missing file.
        ValueError: bits that are not the published ones.
    """
    packed = folder / PACKED
    if packed.is_file():
        parts = {part: _read_packed(packed, part) for part in PARTS}
    else:
        parts = {part: _read_amat(folder / _amat(part), part) for part in PARTS}
    return Dataset(
        train=parts["train"],
        test=parts["test"],
        train_labels=None,
        test_labels=None,
        name="binarized_mnist",
        num_levels=2,
        valid=parts["valid"],
    )


def _amat(part: str) -> str:
    return f"binarized_mnist_{part}.amat"


def _read_packed(path: Path, part: str) -> np.ndarray:
    expected = PARTS[part][0] * SIDE**2
    try:
        with path.open("rb") as stream:
            content = np.load(stream, allow_pickle=False)[part]
        bits = np.unpackbits(content.ravel())
    except Exception as e:  # NumPy and zipfile raise many kinds for damaged bytes
        raise ValueError(
            f"{path}: expected packed bits named {part!r} in an .npz file, found "
            f"something that cannot be read so ({e})"
        ) from e
    if bits.size != expected:
        raise ValueError(
            f"{path}: expected {expected} bits of {part}, found {bits.size}"
        )
    text = np.empty((PARTS[part][0], SIDE**2, 2), np.uint8)
    text[..., 0] = bits.reshape(text.shape[:2]) + ord("0")
    text[..., 1] = ord(" ")
    text[:, -1, 1] = ord("\n")
    return _check(text, path, part)


def _read_amat(path: Path, part: str) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the file, found none")
    size = PARTS[part][0] * SIDE**2 * 2
    content = np.fromfile(path, np.uint8)
    if content.size != size:
        raise ValueError(f"{path}: expected {size} bytes, found {content.size}")
    return _check(content.reshape(-1, SIDE**2, 2), path, part)


def _check(text: np.ndarray, path: Path, part: str) -> np.ndarray:
    """Turn the text "0 1 0 …" to images if it is the published file's."""
    found = hashlib.sha256(text.tobytes()).hexdigest()
    if found != PARTS[part][1]:
        raise ValueError(
            f"{path}: expected the published bits of {part} (as text, SHA-256 "
            f"{PARTS[part][1]}), found others ({found})"
        )
    return (text[..., 0] == ord("1")).astype(np.float32).reshape(-1, SIDE, SIDE)
