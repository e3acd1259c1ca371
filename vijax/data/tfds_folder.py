"""MNIST and Fashion-MNIST in folders of tensorflow-datasets, without TensorFlow.

A prepared data set is a folder such as `<TFDS_DATA_DIR>/mnist/3.0.1`. `write` makes
what tensorflow-datasets (TFDS) itself makes, in its array_record format. `read` also
takes the older tfrecord format, which most folders of TensorFlow users hold.
"""

import hashlib
import io
import json
import os
import re
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vijax.data.files import idx, png
from vijax.extras import require

SIDE = 28  # pixels
SPLITS = ("train", "test")


class Digests(NamedTuple):
    """SHA-256 of one split's records: image bytes, then label byte."""

    in_order: str  # as in the original files
    sorted: str  # whatever the order


# Of the arrays in the original files, whose own SHA-256 stand in `idx.FILES`.
DIGESTS = {
    "mnist": {
        "train": Digests(
            "3f074c293944a59f39fd5c9df2c5a5c3d51dd07eae26eaec1a8cd80727532538",
            "386a0fff07efe9ae3f934853780556ca1fe630371d4964508a3e3256c2063b0e",
        ),
        "test": Digests(
            "226d568e56fefdff4d870175fd86df4f7769cdc495dfa2d21bc91ff721b9266f",
            "292a2c8e9008782f6c6c94df46012a17c808c2666413d175e62502bbcf68dd61",
        ),
    },
    "fashion_mnist": {
        "train": Digests(
            "54380f0b12a6b1569fc826f5c9cdf6ed659d8b8c6959f181e804ae8669b5c007",
            "4bc58f5926b1420d49344d02d6e71205a6644e54f0d302bc45b3918681b3998e",
        ),
        "test": Digests(
            "ffd391374f349fcbb4f9458aed5724cad2dd44c3f0c36f460a93d43959ec239e",
            "81875622ad6afb3e0bbaab6b5725f6f1d7759c18ac59f6306006d04c25bd7d29",
        ),
    },
}


def root() -> Path:
    """Return the folder of prepared data sets: TFDS_DATA_DIR or TFDS's default."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def find(name: str, folder: Path) -> Path | None:
    """Return the prepared data set in a TFDS folder, or None; cheap.

    A folder that TFDS is still writing, or left half-written, has no such name.
    """
    versions = [
        path.parent
        for path in folder.glob(f"{name}/*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    ]
    return max(versions, default=None)


def read(name: str, folder: Path) -> idx.Arrays:
    """Read a prepared data set, in the order of the original files.

    Raises:
        ValueError: a folder without the published images and labels.
    """
    arrays = {split: _read_split(name, folder, split) for split in SPLITS}
    return idx.Arrays(*arrays["train"], *arrays["test"])


def write(name: str, arrays: idx.Arrays, folder: Path) -> Path:
    """Prepare a data set in a TFDS folder, all of it or nothing.

    Two processes may do so at once: the first to finish gives the folder its name, and
    the other finds it there.

    Raises:
        FileExistsError: a folder of that name that holds no prepared data set.
        OSError: the folder cannot be written to.
    """
    tfds = require("tensorflow_datasets", extra="data", purpose="preparing MNIST")
    records = {
        "train": (arrays.train_images, arrays.train_labels),
        "test": (arrays.test_images, arrays.test_labels),
    }

    class Builder(tfds.builder_cls(name), skip_registration=True):  # type: ignore[call-arg,misc]
        """TFDS's own builder, fed with arrays: its own extraction wants TensorFlow."""

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
            return {split: self._generate_examples(split) for split in SPLITS}

        def _generate_examples(self, split: str) -> Iterator[Any]:
            pixels, labels = records[split]
            # As PNG: to encode an array TFDS wants TensorFlow, too.
            pairs = zip(png.encode_png(pixels), labels.tolist(), strict=True)
            for key, (image, label) in enumerate(pairs):
                yield key, {"image": io.BytesIO(image), "label": label}

    Builder.name = name
    with temporary(folder) as part:
        builder = Builder(data_dir=part, file_format="array_record")
        with redirect_stdout(io.StringIO()):  # TFDS prints the temporary path
            builder.download_and_prepare()
        final = folder / name / str(builder.version)
        final.parent.mkdir(exist_ok=True)
        try:
            (part / name / final.name).rename(final)
        except OSError as error:
            if find(name, folder) is None:  # not another process that was first
                raise FileExistsError(
                    f"{final}: expected a prepared data set or nothing, found neither: "
                    "remove that folder"
                ) from error
    return final


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """Make a TFDS folder where missing, and inside it a temporary one.

    Raises:
        OSError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = tempfile.TemporaryDirectory(prefix=".vijax-", dir=folder)
    except OSError as error:
        raise OSError(
            f"cannot write to {folder} ({error.strerror}): name in TFDS_DATA_DIR a "
            "folder where data sets can be kept"
        ) from error
    with part as path:
        yield Path(path)


def digest(pixels: np.ndarray, labels: np.ndarray, *, ordered: bool = True) -> str:
    """Return the SHA-256 of a split's records, as they stand or sorted."""
    records = np.column_stack([pixels.reshape(len(pixels), -1), labels])
    content = records.tobytes()
    if not ordered:
        content = b"".join(sorted(row.tobytes() for row in records))
    return hashlib.sha256(content).hexdigest()


def _read_split(name: str, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    remedy = "remove that folder, and it will be prepared again"
    try:
        records = _records(folder, split)
        if empty := sum(None in record.values() for record in records):
            raise ValueError(f"{empty} of {len(records)} records are empty")
        pixels = png.decode_png([record["image"] for record in records], SIDE, SIDE)
        labels = np.array([record["label"] for record in records], np.uint8)
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        raise ValueError(
            f"{folder}: expected the {split} part of {name}, found one that cannot be "
            f"read ({error}): {remedy}"
        ) from error
    expected = DIGESTS[name][split]
    for order in (_original_order(split, len(labels)), slice(None)):
        arrays = pixels[order], labels[order]
        if digest(*arrays) == expected.in_order:
            return arrays
    if digest(*arrays, ordered=False) != expected.sorted:
        raise ValueError(
            f"{folder}: expected the published images and labels of {name}, found "
            f"others in its {split} part: {remedy}"
        )
    return arrays


def _original_order(split: str, num_records: int) -> np.ndarray:
    """Undo TFDS's shuffle: it sorts by the MD5 of the split's name and the index."""
    salt = hashlib.md5(split.encode(), usedforsecurity=False)
    hashes = []
    for index in range(num_records):
        hashed = salt.copy()
        hashed.update(str(index).encode())
        hashes.append(hashed.digest())
    stored = sorted(range(num_records), key=hashes.__getitem__)
    return np.argsort(stored)


def _records(folder: Path, split: str) -> Sequence[dict[str, Any]]:
    """Return the records of a split, the images still as PNG."""
    tfds = require(
        "tensorflow_datasets", extra="data", purpose="reading prepared MNIST"
    )
    decoders = {"image": tfds.decode.SkipDecoding()}
    info = json.loads((folder / "dataset_info.json").read_text())
    builder = tfds.builder_from_directory(folder)
    if info.get("fileFormat", "tfrecord") != "tfrecord":
        source = builder.as_data_source(split, decoders=decoders)
        return source.__getitems__(range(len(source)))
    # TFDS reads tfrecord files with TensorFlow only.
    return [
        builder.info.features.deserialize_example_np(record, decoders=decoders)
        for path in builder.info.splits[split].filepaths
        for record in _tfrecords(Path(path))
    ]


def _tfrecords(path: Path) -> Iterator[bytes]:
    """Yield the records of a file: each is its length, a CRC, its bytes, a CRC."""
    content = path.read_bytes()
    position = 0
    while position < len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        yield content[position + 12 : position + 12 + length]
        position += 12 + length + 4
