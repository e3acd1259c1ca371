"""One file for a tree of arrays, numbers and text: read anywhere, never unpickled.

    write("a.npz", {"weights": w, "epochs": 3}, kind="notes")
    read("a.npz", kind="notes")

The file is a NumPy archive: its arrays, not compressed, and beside them `about.json`,
which says what kind of file it is, which versions wrote it, how the arrays belong
together, and the SHA-256 of each. `numpy.load` opens the arrays without this package. A
file is written under another name and renamed when it is complete. What is damaged,
foreign or of another kind is refused, and its sizes are checked before memory is taken.

Objects of your own go in where `kinds` knows their class or constructor by name: a
NamedTuple or a dataclass by its fields, anything with a `recipe` by that.
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vijax

FORMAT = 1
ABOUT = "about.json"
PLAIN = (bool, int, float, str, type(None))
Kinds = Mapping[str, Callable[..., Any]]


def write(
    path: Path | str, tree: Any, *, kind: str, kinds: Kinds | None = None
) -> Path:
    """Write a tree to a file, all of it or nothing; return its path.

    Args:
        path: of the file; one that is there is replaced. Its folder is made if missing.
        tree: dicts with text keys, lists, tuples, arrays, random keys, numbers, text,
            None, and objects that `kinds` knows.
        kind: of the file; `read` asks for the same.
        kinds: name -> class or constructor, of the objects in the tree.

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
    path = Path(path).absolute()
    if path.is_dir():
        raise ValueError(f"path = {path} is not valid: it is a folder, give a file")
    arrays: dict[str, bytes] = {}
    content = _encoded(tree, "tree", kinds or {}, arrays)
    about = {
        "format": FORMAT,
        "kind": kind,
        "versions": _versions(),
        "sha256": {name: _sha256(data) for name, data in arrays.items()},
        "content": content,
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(ABOUT, json.dumps(about, indent=1))
                for name, data in arrays.items():
                    archive.writestr(f"{name}.npy", data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def read(path: Path | str, *, kind: str, kinds: Kinds | None = None) -> Any:
    """Return the tree of a file that `write` made; arrays are NumPy's.

    Args:
        path: of the file.
        kind: as given to `write`.
        kinds: as given to `write`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, foreign, of another kind, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    content = path.read_bytes()
    try:
        about, arrays = _members(content)
    except Exception as error:  # whatever zipfile meets in bytes that are not its own
        raise ValueError(
            f"{path} is damaged, or no file of vijax ({_first_line(error)})"
        ) from error
    newer = about.get("format")
    if newer != FORMAT:
        raise ValueError(
            f"{path} is of format {newer!r}, this version reads {FORMAT}: install the "
            f"version of vijax that wrote it ({about.get('versions')})"
        )
    if about.get("kind") != kind:
        raise ValueError(f"{path} holds a {about.get('kind')!r}: give a {kind!r} file")
    try:
        return _decoded(about["content"], kinds or {}, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged: its content makes no sense ({_first_line(error)})"
        ) from error


def _encoded(value: Any, name: str, kinds: Kinds, arrays: dict[str, bytes]) -> Any:
    """Return what JSON holds of a value; its arrays go into `arrays`."""

    def inside(parts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: _encoded(part, f"{name}.{key}", kinds, arrays)
            for key, part in parts.items()
        }

    recipe = getattr(value, "recipe", None)
    if recipe is not None and recipe.constructor in kinds:
        return {"made_by": recipe.constructor, "of": inside(dict(recipe.arguments))}
    if type(value).__name__ in kinds:
        return {"made_by": type(value).__name__, "of": inside(_fields(value))}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": inside(value)}
    if type(value) in (list, tuple):
        parts = inside({str(i): part for i, part in enumerate(value)})
        return {type(value).__name__: list(parts.values())}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _encoded_array(value, name, arrays)
    raise ValueError(
        f"{name} = {type(value).__name__} cannot be kept in a file: give arrays, "
        f"numbers, text, dicts with text keys, lists or tuples"
    )


def _encoded_array(value: Any, name: str, arrays: dict[str, bytes]) -> dict[str, Any]:
    about: dict[str, Any] = {"array": str(len(arrays))}
    if isinstance(value, jax.Array) and jnp.issubdtype(
        value.dtype, jax.dtypes.prng_key
    ):
        about["key"] = str(jax.random.key_impl(value))
        value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise ValueError(f"{name} is an array of objects: give numbers or text")
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and its like
        about["dtype"] = array.dtype.name
        array = array.view(f"u{array.dtype.itemsize}")
    stream = io.BytesIO()
    # ascontiguousarray would make a vector of a number.
    np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
    arrays[about["array"]] = stream.getvalue()
    return about


def _decoded(node: Any, kinds: Kinds, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, PLAIN):
        return node

    def inside(parts: dict[str, Any]) -> dict[str, Any]:
        return {key: _decoded(part, kinds, arrays) for key, part in parts.items()}

    if "made_by" in node:
        return kinds[node["made_by"]](**inside(node["of"]))
    if "dict" in node:
        return inside(node["dict"])
    for container in (list, tuple):
        if container.__name__ in node:
            parts = node[container.__name__]
            return container(_decoded(part, kinds, arrays) for part in parts)
    array = arrays[node["array"]]
    if "dtype" in node:
        array = array.view(jnp.dtype(node["dtype"]))
    if "key" in node:
        return jax.random.wrap_key_data(jnp.asarray(array), impl=node["key"])
    return array


def _members(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return `about.json` and the arrays, each checked against its SHA-256."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        for info in infos.values():
            stored = info.compress_type == zipfile.ZIP_STORED
            if not stored or info.file_size > len(content):
                raise ValueError("a part is larger than the file")
        about = json.loads(archive.read(ABOUT))
        expected = about["sha256"]
        if set(infos) != {ABOUT, *(f"{name}.npy" for name in expected)}:
            raise ValueError("parts are missing, or there are others")
        arrays = {}
        for name, digest in expected.items():
            data = archive.read(f"{name}.npy")
            if _sha256(data) != digest:
                raise ValueError("an array is not what was written")
            arrays[name] = _array(data)
    return about, arrays


def _array(data: bytes) -> np.ndarray:
    """Return the array of a .npy file's bytes, which must be as long as it says."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array of another format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    body = data[stream.tell() :]
    if fortran or dtype.hasobject or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("an array of another size than it says")
    return np.frombuffer(body, dtype).reshape(shape).copy()


def _fields(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dict(value._asdict())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _versions() -> dict[str, str]:
    return {
        "vijax": vijax.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
