"""Checkpoints of any pytree of arrays: written atomically, restored bit for bit.

    save(folder, tree, step=3, about={"batch_size": "128"})
    step, tree = restore(folder, like=tree, about={"batch_size": "128"})

A checkpoint is a folder `<folder>/<step>` with Orbax's files in `tree` and a
`fingerprint.json` beside them: the path, shape and type of every leaf, what the run
was `about`, and the SHA-256 of every file. It is written under another name and renamed
when complete, so a process killed at any moment leaves the last complete one, and
Ctrl-C waits for it. What does not match its fingerprint, or belongs to another run, is
refused.
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from vijax import processes

try:
    import fcntl
except ImportError:  # Windows has none, and no lock here
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
OVERHEAD = 100_000  # bytes of a checkpoint beside its arrays


def save(
    folder: Path, tree: PyTree, *, step: int, about: dict[str, str] | None = None
) -> Path:
    """Write a checkpoint and remove the earlier ones; return its folder.

    Args:
        folder: holds the checkpoints of one run; made if missing.
        tree: arrays, random keys and numbers in any pytree.
        step: a count that grows; the highest is the one restored.
        about: what must be equal for a run to go on from here, as text.

    Raises:
        OSError: the folder cannot be written or the disk is full; earlier
            checkpoints are intact.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save(folder, {"x": np.arange(3)}, step=7).name
        '7'
    """
    folder = Path(folder).absolute()
    part = folder / f".{step}.{os.getpid()}.part"
    target = folder / str(step)
    arrays = jax.tree.map(_to_numpy, tree)
    fingerprint = {
        "format": FORMAT,
        "about": about or {},
        "leaves": _leaves(arrays),
    }
    if target.exists() and not (target / "fingerprint.json").is_file():
        raise ValueError(f"{target} is no checkpoint: choose another folder or move it")
    with _interrupts_wait():
        try:
            part.mkdir(parents=True)
            _check_space(folder, arrays)
            with _checkpointer() as checkpointer:
                checkpointer.save(part / "tree", arrays)
            fingerprint["sha256"] = _checksums(part / "tree")
            (part / "fingerprint.json").write_text(json.dumps(fingerprint, indent=1))
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except (OSError, ValueError) as error:
            reason = _first_line(error)
            raise OSError(f"cannot write a checkpoint to {folder}: {reason}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for other in _steps(folder):
            if other < step:
                shutil.rmtree(folder / str(other), ignore_errors=True)
    return target


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of a block: Orbax's threads would be left hanging."""
    waiting: list[tuple[Any, ...]] = []
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not (in_main and callable(before)):
        yield
        return
    signal.signal(signal.SIGINT, lambda *given: waiting.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        before(*waiting[0])


@contextmanager
def writer(folder: Path) -> Iterator[None]:
    """Hold a folder for one run: a second writer is refused while the first lives.

    What a process that was killed left unfinished is removed. The lock ends with the
    process, however it ends. Of several processes of one run the first holds it.

    Raises:
        ValueError: another run is writing there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with writer(folder), writer(folder):
        ...     pass
        Traceback (most recent call last):
        ...
        ValueError: ... is in use by another run: choose another folder or wait
    """
    with ExitStack() as held:

        def hold() -> bytes:
            held.enter_context(_lock(Path(folder).absolute()))
            return b""

        processes.from_first(hold)
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    f"{folder} is in use by another run: choose another folder or wait"
                ) from error
        for left in folder.glob(".*.part"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def latest(folder: Path) -> int | None:
    """Return the step of the newest complete checkpoint, None without one.

    Example:
        >>> import tempfile
        >>> latest(Path(tempfile.mkdtemp())) is None
        True
    """
    return max(_steps(Path(folder)), default=None)


def restore(
    folder: Path, like: PyTree, *, about: dict[str, str] | None = None
) -> tuple[int, PyTree]:
    """Return the newest checkpoint's step and tree, after checking both.

    Args:
        folder: as given to `save`.
        like: a tree of the same structure, shapes and types; its values do not matter.
        about: as given to `save`.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: it is corrupt, or it is another run's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = save(folder, {"x": np.arange(3)}, step=7, about={"epochs": "9"})
        >>> restore(folder, {"x": np.zeros(3, int)}, about={"epochs": "9"})
        (7, {'x': array([0, 1, 2])})
        >>> restore(folder, {"x": np.zeros(3, int)}, about={"epochs": "8"})
        Traceback (most recent call last):
        ...
        ValueError: ... is another run's checkpoint: epochs is 9 there and 8 here; ...
    """
    folder = Path(folder).absolute()
    step = latest(folder)
    if step is None:
        raise FileNotFoundError(f"no checkpoint in {folder}")
    target = folder / str(step)
    template = jax.tree.map(_to_numpy, like)
    fingerprint = _read_fingerprint(target)
    _check_same_run(target, fingerprint, template, about or {})
    _check_files(target, fingerprint["sha256"])
    with _checkpointer() as checkpointer:
        arrays = checkpointer.restore(target / "tree", template)
    return step, jax.tree.map(_from_numpy, like, arrays)


def _checkpointer() -> Any:
    """Return Orbax's, of this process alone: others need not call it too."""
    import orbax.checkpoint as ocp  # half a second: only those who save pay it

    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    index = jax.process_index()
    return ocp.StandardCheckpointer(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=index,
            active_processes={index},
            barrier_sync_key_prefix=f"vijax-{index}",
        )
    )


def _check_space(folder: Path, arrays: PyTree) -> None:
    """Raise an OSError where a disk is too full, before Orbax's threads meet it."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)) + OVERHEAD
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{os.strerror(errno.ENOSPC)}: {needed} bytes are needed, {free} are free",
        )


def _read_fingerprint(target: Path) -> dict[str, Any]:
    try:
        fingerprint = json.loads((target / "fingerprint.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(_corrupt(target, "fingerprint.json is unreadable")) from error
    tables = ("about", "leaves", "sha256")
    if (
        not isinstance(fingerprint, dict)
        or fingerprint.get("format") != FORMAT
        or not all(isinstance(fingerprint.get(name), dict) for name in tables)
    ):
        raise ValueError(_corrupt(target, "fingerprint.json is not of this format"))
    return fingerprint


def _check_same_run(
    target: Path, fingerprint: dict[str, Any], template: PyTree, about: dict[str, str]
) -> None:
    for name, ours in (("about", about), ("leaves", _leaves(template))):
        theirs = fingerprint[name]
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                raise ValueError(
                    f"{target} is another run's checkpoint: {key} is "
                    f"{theirs.get(key, 'absent')} there and {ours.get(key, 'absent')} "
                    "here; choose another folder or remove it"
                )


def _check_files(target: Path, expected: dict[str, str]) -> None:
    found = _checksums(target / "tree")
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise ValueError(_corrupt(target, f"{name} is missing"))
        if found[name] != expected.get(name):
            raise ValueError(_corrupt(target, f"{name} is not what was written"))


def _corrupt(target: Path, reason: str) -> str:
    return f"checkpoint {target} is corrupt ({reason}): remove it to start anew"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [
        int(path.name)
        for path in folder.iterdir()
        # A folder of that name without a fingerprint is somebody else's.
        if path.name.isdigit() and (path / "fingerprint.json").is_file()
    ]


def _leaves(arrays: PyTree) -> dict[str, str]:
    """Return path -> type and shape: ".params['bias']" -> "float32 (3,)"."""
    flat, _ = jax.tree_util.tree_flatten_with_path(arrays)
    return {jax.tree_util.keystr(path): f"{a.dtype} {a.shape}" for path, a in flat}


def _checksums(folder: Path) -> dict[str, str]:
    """Return path -> SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(
        leaf.dtype, jax.dtypes.prng_key
    )


def _to_numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _from_numpy(like: Any, array: np.ndarray) -> Any:
    if _is_key(like):
        data = jnp.asarray(array)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(like))
    return jnp.asarray(array) if isinstance(like, jax.Array) else np.asarray(array)
