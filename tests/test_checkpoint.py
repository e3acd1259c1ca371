"""Checkpoints: exact, atomic, and refused where they should be."""

import signal
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import checkpoint


class State(NamedTuple):
    params: dict[str, Any]
    key: jax.Array
    count: Any


def make_state(value: float = 1 / 3) -> State:
    params = {"weight": jnp.full((3, 2), value), "nested": [np.arange(4.0), 7]}
    return State(params, jax.random.key(5), jnp.int32(4))


def assert_equal(left: State, right: State) -> None:
    as_data = lambda s: s._replace(key=jax.random.key_data(s.key))  # noqa: E731
    jax.tree.map(np.testing.assert_array_equal, as_data(left), as_data(right))


def test_restores_every_leaf_bit_for_bit(tmp_path):
    checkpoint.save(tmp_path / "run", make_state(), step=3)
    step, restored = checkpoint.restore(tmp_path / "run", make_state(0.0))
    assert step == 3
    assert_equal(restored, make_state())
    assert isinstance(restored.params["weight"], jax.Array)
    assert isinstance(restored.params["nested"][0], np.ndarray)


def test_the_newest_replaces_the_earlier(tmp_path):
    checkpoint.save(tmp_path, make_state(1.0), step=9)
    checkpoint.save(tmp_path, make_state(2.0), step=10)
    assert [path.name for path in tmp_path.iterdir()] == ["10"]
    assert checkpoint.latest(tmp_path) == 10
    assert_equal(checkpoint.restore(tmp_path, make_state())[1], make_state(2.0))


def test_no_checkpoint(tmp_path):
    assert checkpoint.latest(tmp_path / "absent") is None
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpoint.restore(tmp_path, make_state())


def test_a_half_written_one_is_never_taken(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, make_state(1.0), step=1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Path, "rename", fail_with_full_disk)
        with pytest.raises(
            OSError, match=r"cannot write a checkpoint .* No space left"
        ):
            checkpoint.save(tmp_path, make_state(2.0), step=2)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    # What kill -9 leaves behind is a folder under its temporary name.
    (tmp_path / ".2.99.part").mkdir()
    step, restored = checkpoint.restore(tmp_path, make_state())
    assert step == 1
    assert_equal(restored, make_state(1.0))


def fail_with_full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_any_flipped_byte_is_found(tmp_path):
    folder = checkpoint.save(tmp_path, make_state(), step=1)
    for path in [path for path in (folder / "tree").rglob("*") if path.is_file()]:
        content = path.read_bytes() or b"0"
        middle = len(content) // 2
        damaged = content[:middle] + bytes([content[middle] ^ 1])
        path.write_bytes(damaged + content[middle + 1 :])
        with pytest.raises(ValueError, match=f"corrupt .*{path.name} is not what was"):
            checkpoint.restore(tmp_path, make_state())
        path.write_bytes(content if content != b"0" else b"")
    assert_equal(checkpoint.restore(tmp_path, make_state())[1], make_state())


def test_truncated_missing_and_added_files_are_found(tmp_path):
    folder = checkpoint.save(tmp_path, make_state(), step=1)
    data = max((folder / "tree" / "d").iterdir(), key=lambda path: path.stat().st_size)
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"corrupt .*remove it to start anew"):
        checkpoint.restore(tmp_path, make_state())
    data.unlink()
    with pytest.raises(ValueError, match=f"{data.name} is missing"):
        checkpoint.restore(tmp_path, make_state())
    data.write_bytes(content)
    (folder / "tree" / "new").write_text("")
    with pytest.raises(ValueError, match="new is not what was written"):
        checkpoint.restore(tmp_path, make_state())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}'])
def test_a_foreign_fingerprint_is_refused(tmp_path, content):
    folder = checkpoint.save(tmp_path, make_state(), step=1)
    (folder / "fingerprint.json").write_text(content)
    with pytest.raises(ValueError, match=r"corrupt \(fingerprint.json"):
        checkpoint.restore(tmp_path, make_state())


def test_another_shape_type_or_structure_is_refused(tmp_path):
    saved = jnp.zeros(3, jnp.float32)
    checkpoint.save(tmp_path, {"a": saved}, step=1)
    for like, message in (
        (
            {"a": jnp.zeros(4, jnp.float32)},
            r"\['a'\] is float32 \(3,\) there and float32 \(4,\) here",
        ),
        ({"a": jnp.zeros(3, jnp.int32)}, "int32"),
        ({"a": saved, "b": jnp.zeros(1)}, r"\['b'\] is absent there"),
        ({}, r"\['a'\] is .* absent here"),
    ):
        with pytest.raises(ValueError, match=message):
            checkpoint.restore(tmp_path, like)


def test_another_run_is_refused(tmp_path):
    tree = {"a": jnp.zeros(3)}
    checkpoint.save(tmp_path, tree, step=1, about={"batch_size": "128"})
    with pytest.raises(ValueError, match="batch_size is 128 there and 64 here"):
        checkpoint.restore(tmp_path, tree, about={"batch_size": "64"})


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write a checkpoint"):
        checkpoint.save(tmp_path / "file", make_state(), step=1)


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    tree = {"a": jnp.zeros(1000, jnp.float32)}
    checkpoint.save(tmp_path, tree, step=1)
    usage = checkpoint.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        checkpoint.shutil, "disk_usage", lambda folder: usage._replace(free=4000)
    )
    with pytest.raises(
        OSError, match=r"No space left .* 104000 bytes are needed, 4000"
    ):
        checkpoint.save(tmp_path, tree, step=2)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert checkpoint.restore(tmp_path, tree)[0] == 1


def test_ctrl_c_waits_until_a_checkpoint_is_whole(tmp_path, monkeypatch):
    """In Orbax's threads it left half a save and an error of asyncio's."""
    checksums = checkpoint._checksums

    def interrupted(folder):
        signal.raise_signal(signal.SIGINT)
        return checksums(folder)

    monkeypatch.setattr(checkpoint, "_checksums", interrupted)
    # A process in a shell's background ignores the signal.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, {"x": np.arange(3)}, step=7)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
    monkeypatch.undo()
    assert checkpoint.restore(tmp_path, {"x": np.zeros(3, int)})[0] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


def test_a_second_writer_is_refused_and_the_lock_ends(tmp_path):
    with checkpoint.writer(tmp_path):
        second = checkpoint.writer(tmp_path)
        with pytest.raises(ValueError, match="in use by another run"):
            second.__enter__()
    with checkpoint.writer(tmp_path):
        pass


def test_what_a_killed_run_left_is_removed_and_other_folders_stay(tmp_path):
    (tmp_path / ".3.99.part").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "mine.txt").write_text("kept")
    with checkpoint.writer(tmp_path):
        assert not (tmp_path / ".3.99.part").exists()
    assert checkpoint.latest(tmp_path) is None
    with pytest.raises(ValueError, match="is no checkpoint: choose another folder"):
        checkpoint.save(tmp_path, {"x": np.zeros(1)}, step=7)
    checkpoint.save(tmp_path, {"x": np.zeros(1)}, step=8)
    assert (tmp_path / "7" / "mine.txt").read_text() == "kept"
