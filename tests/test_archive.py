"""Files of trees: what comes back, and that damage is noticed wherever it is."""

import json
import zipfile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import archive


class Pair(NamedTuple):
    first: Any
    second: Any


TYPES = {"Pair": Pair}


@pytest.fixture
def file(tmp_path):
    tree = {
        "x": np.arange(3.0),
        "names": ["a", "é"],
        "pair": Pair(None, (1, 2.5, True)),
    }
    return archive.write(tmp_path / "file.npz", tree, kind="test", types=TYPES)


def test_a_tree_comes_back(file):
    tree = archive.read(file, kind="test", types=TYPES)
    np.testing.assert_array_equal(tree.pop("x"), np.arange(3.0), strict=True)
    assert tree == {"names": ["a", "é"], "pair": Pair(None, (1, 2.5, True))}
    assert type(tree["pair"]) is Pair


def test_equal_trees_make_equal_files(file):
    tree = archive.read(file, kind="test", types=TYPES)
    again = archive.write(file.with_name("b"), tree, kind="test", types=TYPES)
    assert again.read_bytes() == file.read_bytes()
    with zipfile.ZipFile(file) as parts:  # at any time
        assert {part.date_time[0] for part in parts.infolist()} == {1980}


def test_numpy_opens_the_arrays_without_this_package(file):
    with np.load(file, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["tree.x"], np.arange(3.0))


@pytest.mark.parametrize(
    "array",
    [
        np.array(3, np.int8),
        np.zeros((0, 2), np.float32),
        np.array(["one", "three"]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([np.nan, -0.0, np.inf]),
        np.asarray(jnp.array([1.5, 3e38], jnp.bfloat16)),
    ],
)
def test_arrays_keep_type_shape_and_bits(tmp_path, array):
    path = archive.write(tmp_path / "a", array, kind="test")
    found = archive.read(path, kind="test")
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == np.ascontiguousarray(array).tobytes()


def test_random_keys_draw_the_same_numbers(tmp_path):
    key = jax.random.key(3)
    path = archive.write(tmp_path / "key", {"key": key}, kind="test")
    found = archive.read(path, kind="test")["key"]
    assert jax.random.key_data(found).tolist() == jax.random.key_data(key).tolist()
    assert jax.random.key_impl(found) == jax.random.key_impl(key)


def test_every_damaged_byte_is_noticed_or_does_no_harm(file):
    content, wanted = file.read_bytes(), archive.read(file, kind="test", types=TYPES)
    noticed = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x41
        file.write_bytes(damaged)
        try:
            found = archive.read(file, kind="test", types=TYPES)
        except ValueError:
            noticed += 1
        else:
            np.testing.assert_array_equal(found["x"], wanted["x"], strict=True)
            assert found["pair"] == wanted["pair"]
            assert found["names"] == wanted["names"]
    # What is left are dates, flags and the like of the container.
    assert noticed > 0.85 * len(content)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_files_cut_short_are_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="is damaged, truncated, or no file of vijax"):
        archive.read(file, kind="test", types=TYPES)


def _rewritten(file, change):
    """Change what header.json says, as a hostile file would."""
    with zipfile.ZipFile(file) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    about = json.loads(parts["header.json"])
    change(about, parts)
    parts["header.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)


def _lie(**changes):
    return lambda about, parts: about.update(changes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_lie(version=2), "of version 2, .* with the versions that wrote it"),
        (_lie(kind="other"), "holds a other, not a test"),
        (_lie(header={}), "cannot be read: 'tree'"),
        (_lie(header={"tree": {"array": "7", "as": "numpy"}}), "does not fit"),
        (_lie(header={"tree": {"type": "system", "fields": {}}}), "holds a system"),
        (_lie(arrays={}), "parts are missing, or there are others"),
        (_lie(arrays={"tree.x": ["float64", [3, 1]]}), "is not what was written"),
        (_lie(arrays={"tree.x": ["int64", [3]]}), "is not what was written"),
        (lambda about, parts: about.pop("version"), "another program's"),
        (lambda about, parts: parts.update({"more.npy": b""}), "there are others"),
    ],
)
def test_foreign_content_is_refused(file, change, says):
    _rewritten(file, change)
    with pytest.raises(ValueError, match=says):
        archive.read(file, kind="test", types=TYPES)


def test_small_files_of_much_are_refused(file):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("header.json", "0" * 10**6)
    with pytest.raises(ValueError, match="parts are larger than the file"):
        archive.read(file, kind="test", types=TYPES)


def test_sizes_are_checked_before_memory_is_taken(file):
    def lie(about, parts):
        # Half a terabyte, as its header says.
        whole = parts["tree.x.npy"]
        parts["tree.x.npy"] = whole.replace(b"(3,), }", b"(68719476736,)}")[:128]
        about["arrays"]["tree.x"] = ["float64", [68719476736]]

    _rewritten(file, lie)
    with pytest.raises(ValueError, match="another size than it says"):
        archive.read(file, kind="test", types=TYPES)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"f": print}, r"tree\.f = .* a builtin_function_or_method"),
        ({"a": [np.array([None])]}, r"tree\.a\.0 is an array of objects"),
        ({1.5: 2}, "tree = .* it is a dict"),
        (Pair(1, 2), "tree = .* it is a Pair"),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path, tree, says):
    with pytest.raises(ValueError, match=says):
        archive.write(tmp_path / "a", tree, kind="test")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(file, monkeypatch):
    before = file.read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*file\.npz: No space left"):
        archive.write(file, {"x": 1}, kind="test")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["file.npz"]


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a file, found none"):
        archive.read(tmp_path / "none", kind="test")
    with pytest.raises(ValueError, match="it is a folder"):
        archive.write(tmp_path, {}, kind="test")
