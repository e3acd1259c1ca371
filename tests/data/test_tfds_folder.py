import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vijax import data
from vijax.data import tfds_folder
from vijax.data.files import idx


def assert_same(found: data.Dataset, expected: data.Dataset) -> None:
    """Assert that two data sets agree bit for bit."""
    for name, a, b in zip(expected._fields, found, expected, strict=True):
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert a == b, name


def files_below(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(parent, file), folder)
        for parent, _, files in os.walk(folder)
        for file in files
    )


@pytest.mark.slow
def test_real_mnist_through_a_prepared_folder(shared, downloaded_mnist, monkeypatch):
    root, downloaded = downloaded_mnist
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    original = data.load("mnist", data_dir=shared / "data/mnist")
    monkeypatch.delattr(idx, "load")  # from the prepared folder, or not at all
    assert_same(data.load("mnist"), original)
    assert_same(downloaded, original)


def test_digests_are_those_of_the_original_files(shared):
    arrays = idx.load("mnist", shared / "data/mnist")
    parts = {"train": arrays[:2], "test": arrays[2:]}
    for split, expected in tfds_folder.DIGESTS["mnist"].items():
        assert tfds_folder.digest(*parts[split]) == expected.in_order
        assert tfds_folder.digest(*parts[split], ordered=False) == expected.sorted


def test_prepared_folder_is_what_tfds_makes(small):
    arrays, root = small[1], tfds_folder.root()
    folder = tfds_folder.write("mnist", arrays, root)
    assert folder == root / "mnist/3.0.1"
    assert files_below(root) == [
        f"mnist/3.0.1/{name}"
        for name in (
            "dataset_info.json",
            "features.json",
            "mnist-test.array_record-00000-of-00001",
            "mnist-train.array_record-00000-of-00001",
        )
    ]
    import tensorflow_datasets as tfds

    source = tfds.data_source("mnist", split="test", data_dir=root)
    assert len(source) == 20
    # TFDS shuffles as it prepares.
    info = json.loads((folder / "dataset_info.json").read_text())
    assert not info.get("disableShuffling", False)
    order = np.argsort(tfds_folder._original_order("test", 20))
    for record, index in zip(source, order, strict=True):
        pixels = arrays.test_images[index]
        np.testing.assert_array_equal(record["image"][..., 0], pixels)
        assert record["label"] == arrays.test_labels[index]


def test_prepared_comes_before_the_folder(small):
    folder, arrays = small
    tfds_folder.write("mnist", arrays, tfds_folder.root())
    for file in folder.iterdir():
        file.write_bytes(b"")
    dataset = data.load("mnist", data_dir=folder)
    np.testing.assert_array_equal(dataset.train * 255, arrays.train_images)


def test_prepared_folder_as_data_dir(small, tmp_path):
    tfds_folder.write("mnist", small[1], tmp_path / "elsewhere")
    assert not data.is_available("mnist")
    assert data.is_available("mnist", data_dir=tmp_path / "elsewhere")
    dataset = data.load("mnist", data_dir=tmp_path / "elsewhere")
    np.testing.assert_array_equal(dataset.test * 255, small[1].test_images)


def test_default_folder(small, tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    tfds_folder.write("mnist", small[1], tmp_path / "tensorflow_datasets")
    assert data.load("mnist").train.shape == (30, 28, 28)


def as_tfrecord(folder: Path) -> None:
    """Turn array_record files into tfrecord files, TFDS's older default."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    for split in ("train", "test"):
        records = list(builder.as_data_source(split, deserialize_method=raw))
        (old,) = folder.glob(f"mnist-{split}.array_record*")
        with old.with_name(old.name.replace("array_", "tf")).open("wb") as stream:
            for record in records:
                stream.write(struct.pack("<Q4x", len(record)) + record + bytes(4))
        old.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))


def test_tfrecord(small):
    as_tfrecord(tfds_folder.write("mnist", small[1], tfds_folder.root()))
    dataset = data.load("mnist")
    np.testing.assert_array_equal(dataset.train * 255, small[1].train_images)
    np.testing.assert_array_equal(dataset.train_labels, small[1].train_labels)


def test_any_order_of_the_published_records_will_do(small, monkeypatch):
    tfds_folder.write("mnist", small[1], tfds_folder.root())
    monkeypatch.setattr(tfds_folder, "_original_order", lambda _, n: np.arange(n)[::-1])
    dataset = data.load("mnist")
    assert not np.array_equal(dataset.train * 255, small[1].train_images)
    pixels = small[1].train_images / np.float32(255)
    assert as_set(dataset.train, dataset.train_labels) == as_set(
        pixels, small[1].train_labels
    )


def as_set(images, labels):
    pairs = zip(images, labels, strict=True)
    return {(image.tobytes(), int(label)) for image, label in pairs}


@pytest.mark.parametrize("name", ["incomplete.9XXB32_3.0.1", "3.0.1.part"])
def test_what_is_still_being_written_is_not_prepared(small, name):
    folder = tfds_folder.write("mnist", small[1], tfds_folder.root())
    folder.rename(folder.with_name(name))
    assert not data.is_available("mnist")


def test_a_folder_without_its_last_file_is_not_prepared(small):
    folder = tfds_folder.write("mnist", small[1], tfds_folder.root())
    (folder / "dataset_info.json").unlink()
    assert not data.is_available("mnist")
    with pytest.raises(FileExistsError, match=r"mnist/3\.0\.1: expected.*remove"):
        tfds_folder.write("mnist", small[1], tfds_folder.root())


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("mnist-train.array_record-00000-of-00001", truncate),
        ("mnist-train.array_record-00000-of-00001", Path.unlink),
        ("mnist-train.array_record-00000-of-00001", lambda path: path.write_bytes(b"")),
        ("dataset_info.json", lambda path: path.write_text("{")),
        ("dataset_info.json", lambda path: path.write_text("{}")),
        ("features.json", Path.unlink),
    ],
)
def test_damaged(small, file, damage):
    folder = tfds_folder.write("mnist", small[1], tfds_folder.root())
    damage(folder / file)
    match = r"mnist/3\.0\.1: expected the train part of mnist, found .*remove"
    with pytest.raises(ValueError, match=match):
        data.load("mnist")


def test_other_images(small):
    arrays = small[1]._replace(test_images=small[1].test_images ^ 1)
    tfds_folder.write("mnist", arrays, tfds_folder.root())
    with pytest.raises(ValueError, match=r"found others in its test part: remove"):
        data.load("mnist")


WRITE = """
import sys, time
from pathlib import Path
import numpy as np
import tensorflow_datasets
from vijax.data import tfds_folder
from vijax.data.files import idx

arrays, root = np.load(sys.argv[1]), Path(sys.argv[2])
arrays = idx.Arrays(*(arrays[name] for name in idx.Arrays._fields))
print("ready", flush=True)
sys.stdin.read()  # until the other one is ready, too
tfds_folder.write("mnist", arrays, root)
"""


@pytest.mark.thorough
def test_two_processes_at_once(small, tmp_path):
    np.savez(tmp_path / "arrays.npz", **small[1]._asdict())
    command = [sys.executable, "-W", "error", "-c", WRITE]
    command += [str(tmp_path / "arrays.npz"), str(tfds_folder.root())]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.close()
    for process in processes:
        assert process.wait(60) == 0, process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    dataset = data.load("mnist")
    np.testing.assert_array_equal(dataset.train * 255, small[1].train_images)
    assert [path.name for path in tfds_folder.root().iterdir()] == ["mnist"]
    assert [path.name for path in (tfds_folder.root() / "mnist").iterdir()] == ["3.0.1"]


def test_killed_while_writing(small, tmp_path):
    """A process that is killed half-way leaves nothing that is taken for good."""
    die = "import os; tfds_folder.png.encode_png = lambda _: os.kill(os.getpid(), 9)"
    script = WRITE.replace("sys.stdin.read()", die)
    np.savez(tmp_path / "arrays.npz", **small[1]._asdict())
    command = [sys.executable, "-c", script]
    command += [str(tmp_path / "arrays.npz"), str(tfds_folder.root())]
    assert subprocess.run(command, capture_output=True).returncode == -9
    assert list(tfds_folder.root().iterdir())  # it had begun
    assert not data.is_available("mnist")
    tfds_folder.write("mnist", small[1], tfds_folder.root())
    assert data.load("mnist").train.shape == (30, 28, 28)


def test_failing_half_way_leaves_nothing(small, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfds_folder.png, "encode_png", fail)
    with pytest.raises(OSError, match="No space left"):
        tfds_folder.write("mnist", small[1], tfds_folder.root())
    assert files_below(tfds_folder.root()) == []
    shutil.rmtree(tfds_folder.root())


def test_unwritable_folder(tmp_path, small):
    (tmp_path / "file").write_text("in the way")
    match = r"cannot write to .*file/data.*TFDS_DATA_DIR"
    with pytest.raises(OSError, match=match):
        tfds_folder.write("mnist", small[1], tmp_path / "file/data")
