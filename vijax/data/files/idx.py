"""Arrays of the idx format: MNIST's own four files, checked, and a user's like them.

idx format (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): big-endian 32-bit
words: the magic number, then the length of each axis; then the values as bytes. The
magic number is 0x0801 for labels (one axis of uint8), 0x0803 for images (three axes).
"""

import gzip
import hashlib
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vijax.data.files.open_tables import FileContentError, listed

PARTS = {"train": "train", "t10k": "test", "test": "test"}  # as files are called
# Such as kmnist's t10k-images-idx3-ubyte.gz, or emnist-letters-test-labels-….
_NAME = re.compile(rf"(.*)({'|'.join(PARTS)})-(images|labels)[-.]idx\d-ubyte(\.gz)?")


class File(NamedTuple):
    """One published file: what it must contain."""

    name: str
    shape: tuple[int, ...]
    size: int  # bytes, compressed
    sha256: str


class Arrays(NamedTuple):
    """The content of the four files, as uint8, in the order of `FILES`."""

    train_images: np.ndarray  # (60000, 28, 28)
    train_labels: np.ndarray  # (60000,)
    test_images: np.ndarray  # (10000, 28, 28)
    test_labels: np.ndarray  # (10000,)


# Sizes and SHA-256 as tensorflow-datasets 4.9.10 publishes them in
# tensorflow_datasets/url_checksums/mnist.txt and fashion_mnist.txt.
FILES = {
    "mnist": (
        File(
            "train-images-idx3-ubyte.gz",
            (60_000, 28, 28),
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        File(
            "train-labels-idx1-ubyte.gz",
            (60_000,),
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        File(
            "t10k-images-idx3-ubyte.gz",
            (10_000, 28, 28),
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        File(
            "t10k-labels-idx1-ubyte.gz",
            (10_000,),
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": (
        File(
            "train-images-idx3-ubyte.gz",
            (60_000, 28, 28),
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        File(
            "train-labels-idx1-ubyte.gz",
            (60_000,),
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        File(
            "t10k-images-idx3-ubyte.gz",
            (10_000, 28, 28),
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        File(
            "t10k-labels-idx1-ubyte.gz",
            (10_000,),
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def find(name: str, folder: Path) -> Path | None:
    """Return where a folder holds files of the data set: itself or `<folder>/<name>`.

    One file is enough, so that a missing one is an error later, not a silent no.
    """
    for candidate in (folder / name, folder):
        present = [file for file in FILES[name] if (candidate / file.name).is_file()]
        if present and not _is_other(name, candidate):
            return candidate
    return None


def load(name: str, folder: Path) -> Arrays:
    """Read the four files of `mnist` or `fashion_mnist` from a folder.

    Raises:
        FileNotFoundError: a missing file.
        ValueError: a file that is not the published one.
    """
    return Arrays(*(read(folder / file.name, file) for file in FILES[name]))


def read(path: Path, expected: File) -> np.ndarray:
    """Read one file as uint8, or say what was expected of it and what was found.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is not the published one.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected the original file of {expected.size} bytes, found none"
        )
    content = path.read_bytes()
    # The structure first: "truncated" or "wrong magic number" tells a user more than
    # a checksum that differs. The checksum then catches every other change.
    array = parse(content, expected.shape, path)
    found = hashlib.sha256(content).hexdigest()
    if found != expected.sha256:
        raise ValueError(f"{path}: expected SHA-256 {expected.sha256}, found {found}")
    return array


def parse(content: bytes, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Decompress and parse the bytes of an idx .gz file that must have this shape.

    Raises:
        ValueError: not a complete gzip file, another magic number or shape.
    """
    return _parse(content, len(shape), path, shape)


def is_folder(folder: Path) -> bool:
    """Say whether there are idx files of images in a folder."""
    return bool(_own_files(folder))


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Read idx files as uint8: train, test, train_labels and test_labels.

    Their names end as MNIST's: train-images-idx3-ubyte.gz, t10k- or test-labels-…,
    compressed or not.

    Raises:
        ValueError: files of several data sets, no images to train with, a damaged file.
    """
    found = _own_files(folder)
    prefixes = sorted({prefix for prefix, _ in found})
    if len(prefixes) > 1:
        raise FileContentError(
            f"{folder}: expected idx files of one data set, found such as "
            f"{listed([f'{prefix}train-…' for prefix in prefixes])}: give each a "
            "folder of its own"
        )
    paths = {key: path for (_, key), path in found.items()}
    if "train" not in paths:
        there = sorted(path.name for path in paths.values())
        raise FileContentError(
            f"{folder}: expected train-images-idx3-ubyte[.gz], found {listed(there)}"
        )
    return {
        key: _parse(path.read_bytes(), 1 if key.endswith("labels") else 3, path)
        for key, path in paths.items()
    }


def _own_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return idx files by what comes before the part's name, and the array's name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            prefix, part, kind, _ = match.groups()
            found[prefix, PARTS[part] + ("_labels" if kind == "labels" else "")] = path
    return found


def _parse(
    content: bytes, num_axes: int, path: Path, expected: tuple[int, ...] | None = None
) -> np.ndarray:
    """Decompress what is compressed, and parse an array of so many axes."""
    raw = content
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(content)
        except EOFError as error:
            raise ValueError(
                f"{path}: expected a complete gzip file, found one that is truncated "
                f"after {len(content)} bytes"
            ) from error
        except (OSError, zlib.error) as error:
            raise ValueError(
                f"{path}: expected a gzip file, found corrupt data ({error})"
            ) from error
    header = 4 * (1 + num_axes)
    magic = 0x0800 + num_axes
    if int.from_bytes(raw[:4]) != magic:
        raise ValueError(
            f"{path}: expected the idx magic number 0x{magic:08x}, "
            f"found 0x{raw[:4].hex() or '(nothing)'}"
        )
    if len(raw) < header:
        raise ValueError(f"{path}: expected {header} bytes or more, found {len(raw)}")
    shape = tuple(int(n) for n in np.frombuffer(raw[4:header], ">u4"))
    if expected is not None and shape != expected:
        raise ValueError(f"{path}: expected an array of {expected}, found {shape}")
    values = np.frombuffer(raw, np.uint8, offset=header)
    if values.size != np.prod(shape):
        raise ValueError(
            f"{path}: expected {np.prod(shape)} values, found {values.size}"
        )
    return values.reshape(shape)


def _is_other(name: str, folder: Path) -> bool:
    """Say whether all files are another data set's: both use the same file names."""
    return any(
        all(
            (folder / file.name).is_file()
            and (folder / file.name).stat().st_size == file.size
            for file in files
        )
        for other, files in FILES.items()
        if other != name
    )
