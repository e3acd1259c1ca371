"""One file of named arrays with a header: written whole or not at all, no pickle.

    write(path, "table", {"name": "t"}, {"x": np.arange(3)})
    header, arrays = read(path, "table")

The file is NumPy's `.npz` (a zip of `.npy` members, each with a checksum) with a
`header.json` beside the arrays, so `np.load` opens it too. It is written under another
name and renamed when complete: a full disk, or a process killed at any moment, leaves
the file that was there before. Reading runs nothing that is in the file.
"""

import contextlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

VERSION = 1
HEADER = "header.json"


def write(
    path: str | Path, kind: str, header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> Path:
    """Write a file, in the place of the one that is there; return its path.

    Args:
        path: of the file; missing folders are made.
        kind: what the file holds, a few words that `read` is given too.
        header: whatever JSON can say.
        arrays: by name; of numbers, booleans or text.

    Raises:
        OSError: the file cannot be written or the disk is full; what was there before
            is intact.
        ValueError: an array holds what is no number, boolean or text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers"
        >>> _ = write(path, "numbers", {"unit": "m"}, {"x": np.arange(3)})
        >>> read(path, "numbers")
        ({'unit': 'm'}, {'x': array([0, 1, 2])})
    """
    path = Path(path)
    for name, array in arrays.items():
        if array.dtype.kind not in "biufcUS":
            raise ValueError(
                f"array {name} = one of {array.dtype} cannot be stored: give numbers"
            )
    told = {
        "kind": kind,
        "version": VERSION,
        "header": header,
        "arrays": {name: _describe(array) for name, array in arrays.items()},
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            _write(file, json.dumps(told, indent=1), arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a file's header and arrays, after checking that they are what was written.

    Args:
        path: of the file.
        kind: as given to `write`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is truncated or damaged, of another kind or program, or written
            by a newer version of vijax.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers"
        >>> _ = path.write_bytes(b"PK and so on")
        >>> read(path, "numbers")
        Traceback (most recent call last):
        ...
        ValueError: ... is damaged, truncated, or no file of vijax (File is not a ...
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read(HEADER))
            _check_kind(path, told, kind)
            arrays = {name: _read(archive, name) for name in told["arrays"]}
    except (OSError, WrongFileError):
        raise
    except Exception as error:  # zipfile raises many kinds of them for damaged bytes
        raise ValueError(_damaged(path, str(error) or type(error).__name__)) from error
    for name, array in arrays.items():
        if _describe(array) != told["arrays"][name]:
            raise ValueError(_damaged(path, f"array {name} is not what was written"))
    return told["header"], arrays


class WrongFileError(ValueError):
    """A whole file, which is not one that is asked for."""


def _check_kind(path: Path, told: Any, kind: str) -> None:
    names = ("kind", "version", "header", "arrays")
    if not isinstance(told, dict) or not all(name in told for name in names):
        raise ValueError("its header is another program's")
    if told["kind"] != kind:
        raise WrongFileError(
            f"{path} holds a {told['kind']}, not a {kind}: give another file"
        )
    if told["version"] != VERSION:
        raise WrongFileError(
            f"{path} is of version {told['version']}, and this vijax reads version "
            f"{VERSION}: read it with the vijax that wrote it, or a newer one"
        )


def _write(file: Any, told: str, arrays: dict[str, np.ndarray]) -> None:
    # ZipInfo's own date, always the same: equal contents make equal files.
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(HEADER), told)
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # to its end, where the checksum is compared
        return array


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path} is damaged, truncated, or no file of vijax ({reason}): write it again"
    )
