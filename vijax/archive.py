"""One file for a tree of arrays, numbers and text: read anywhere, never unpickled.

    write("a.npz", {"weights": w, "epochs": 3}, kind="notes")
    read("a.npz", kind="notes")

The file is NumPy's `.npz`: a zip of `.npy` members, not compressed, each with a
checksum. Beside them `header.json` says what kind of file it is, which versions wrote
it, and how the arrays belong together (`vijax.tree_encoding`). `numpy.load` opens the
arrays without this package.

It is written under another name and renamed when complete: a full disk, or a process
killed at any moment, leaves the file that was there. Reading runs nothing that is in
the file. What is damaged, foreign, newer or of another kind is refused, and sizes are
checked before memory is taken.
"""

import contextlib
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

import vijax
from vijax.tree_encoding import decode, encode

VERSION = 1
HEADER = "header.json"
USERS_OWN = 2  # dtype.isbuiltin of bfloat16 and its like


def write(
    path: str | Path,
    tree: Any,
    *,
    kind: str,
    types: Mapping[str, Callable[..., Any]] | None = None,
) -> Path:
    """Write a tree to a file, all of it or nothing; return the file's path.

    Args:
        path: of the file; one that is there is replaced. Missing folders are made.
        tree: dicts, lists, tuples, arrays, random keys, numbers, text, None, and
            objects that `types` knows.
        kind: what the file holds, a few words; `read` asks for the same.
        types: by name, the classes and constructors of the objects in the tree.

    Raises:
        ValueError: the path is a folder; the tree holds something else.
        OSError: the file cannot be written or the disk is full; what was there before
            is intact.

    Example:
        >>> import tempfile
        >>> path = write(Path(tempfile.mkdtemp()) / "a", {"x": np.arange(2)}, kind="a")
        >>> read(path, kind="a")
        {'x': array([0, 1])}
    """
    arrays: dict[str, np.ndarray] = {}
    code = encode(tree, arrays, name="tree", types=types or {})
    return write_arrays(path, {"tree": code}, arrays, kind=kind)


def read(
    path: str | Path,
    *,
    kind: str,
    types: Mapping[str, Callable[..., Any]] | None = None,
) -> Any:
    """Return the tree of a file that `write` made.

    Args:
        path: of the file.
        kind: as given to `write`.
        types: as given to `write`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, another program's, of another kind, or of a newer
            version; it holds an object that `types` does not know.
    """
    header, arrays = read_arrays(path, kind=kind)
    try:
        return decode(header["tree"], arrays, types or {})
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def write_arrays(
    path: str | Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    kind: str,
) -> Path:
    """Write named arrays and a header, all of it or nothing; return the file's path.

    For what has to look at the header first, before the tree is made again.

    Args:
        path: as for `write`.
        header: whatever JSON can say.
        arrays: by name; not of objects.
        kind: as for `write`.

    Raises:
        ValueError: the path is a folder or a device; an array holds objects.
        OSError: as `write`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lengths"
        >>> _ = write_arrays(path, {"unit": "m"}, {"x": np.arange(3)}, kind="lengths")
        >>> read_arrays(path, kind="lengths")
        ({'unit': 'm'}, {'x': array([0, 1, 2])})
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path = {path} is not valid: it is a folder, give a file")
    if path.exists() and not path.is_file():  # the new file would take its place
        raise ValueError(f"path = {path} is not valid: it is a device, give a file")
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name} is an array of objects: give numbers or text")
    about = {
        "kind": kind,
        "version": VERSION,
        "versions": _versions(),
        "header": header,
        "arrays": {name: _describe(array) for name, array in arrays.items()},
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            _write(stream, json.dumps(about, indent=1), arrays)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def read_arrays(
    path: str | Path, *, kind: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and arrays of a file, checked to be what was written.

    Args:
        path: of the file.
        kind: as given to `write_arrays`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, another program's, of another kind, or of a newer
            version.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lengths"
        >>> _ = path.write_bytes(b"PK and so on")
        >>> read_arrays(path, kind="lengths")
        Traceback (most recent call last):
        ...
        ValueError: ... is damaged, truncated, or no file of vijax (File is not a ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    with path.open("rb") as stream:
        try:
            return _read(path, stream, kind)
        except (MemoryError, WrongFileError):
            raise
        except Exception as error:  # zipfile raises many kinds of them for damage
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"{path} is damaged, truncated, or no file of vijax ({reason[:200]}): "
                "write it again"
            ) from error


class WrongFileError(ValueError):
    """A whole file, which is not one that is asked for."""


def _write(stream: BinaryIO, about: str, arrays: Mapping[str, np.ndarray]) -> None:
    # ZipInfo's own date, always the same: equal contents make equal files.
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(HEADER), about)
        for name, array in arrays.items():
            if array.dtype.isbuiltin == USERS_OWN:  # which NumPy's files do not know
                array = array.view(f"u{array.dtype.itemsize}")
            info = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def _read(
    path: Path, stream: BinaryIO, kind: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(stream) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        stored = all(
            info.compress_type == zipfile.ZIP_STORED for info in infos.values()
        )
        size = sum(max(info.file_size, info.compress_size) for info in infos.values())
        if not stored or size > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        about = json.loads(archive.read(HEADER))
        _check_about(path, about, kind)
        told = about["arrays"]
        if set(infos) != {HEADER, *(f"{name}.npy" for name in told)}:
            raise ValueError("parts are missing, or there are others")
        arrays = {
            name: _array(archive, infos[f"{name}.npy"], *told[name]) for name in told
        }
    return about["header"], arrays


def _check_about(path: Path, about: Any, kind: str) -> None:
    names = ("kind", "version", "versions", "header", "arrays")
    if not isinstance(about, dict) or not all(name in about for name in names):
        raise ValueError("its header is another program's")
    if about["kind"] != kind:
        raise WrongFileError(
            f"{path} holds a {about['kind']}, not a {kind}: give another file"
        )
    if about["version"] != VERSION:
        raise WrongFileError(
            f"{path} is of version {about['version']}, and this vijax reads version "
            f"{VERSION}: read it with the versions that wrote it ({about['versions']})"
        )


def _array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: str, shape: list[int]
) -> np.ndarray:
    """Return a member's array, which must be of the size, type and shape it says."""
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError("an array of another format")
        lengths, _, of = np.lib.format.read_array_header_1_0(member)
        size = info.file_size - member.tell()
        if not of.hasobject and math.prod(lengths) * of.itemsize != size:
            raise ValueError("an array of another size than it says")
    # Opened anew: zipfile compares no checksum of a member that was read twice.
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    if str(array.dtype) != dtype and jnp.dtype(dtype).isbuiltin == USERS_OWN:
        array = array.view(dtype)
    if _describe(array) != [dtype, shape]:
        raise ValueError(f"{info.filename} is not what was written")
    return array


def _describe(array: np.ndarray) -> list[Any]:
    return [str(array.dtype), list(array.shape)]


def _versions() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"vijax {vijax.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}, python {python}"
    )
