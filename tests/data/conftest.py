"""Small files in the published formats, and MNIST prepared once for all tests."""

import contextlib
import functools
import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from vijax import data
from vijax.data import download, tfds_folder
from vijax.data.files import idx


@pytest.fixture(autouse=True)
def no_data_on_this_machine(tmp_path, monkeypatch) -> Path:
    """Hide what this machine has; return the empty TFDS folder that tests see."""
    root = tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    monkeypatch.delenv("VIJAX_DATA_DIR", raising=False)
    return root


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield the address."""
    handler = functools.partial(Quiet, directory=folder)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def downloaded_mnist(shared, tmp_path_factory) -> tuple[Path, data.Dataset]:
    """The TFDS folder that a download leaves, and what it returned."""
    root = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch, serve(shared / "data/mnist") as url:
        patch.setenv("TFDS_DATA_DIR", str(root))
        patch.delenv("VIJAX_DATA_DIR", raising=False)
        patch.setitem(download.URLS, "mnist", url)
        return root, data.load("mnist")


def idx_bytes(array: np.ndarray) -> bytes:
    header = np.array([0x0800 + array.ndim, *array.shape], ">u4")
    return gzip.compress(header.tobytes() + array.tobytes(), mtime=0)


@pytest.fixture
def as_idx():
    """Return the function that makes the bytes of an idx .gz file."""
    return idx_bytes


@pytest.fixture
def small(tmp_path, monkeypatch) -> tuple[Path, idx.Arrays]:
    """A folder of four small files that stand for MNIST's, and their arrays."""
    generator = np.random.default_rng(0)
    arrays = idx.Arrays(
        generator.integers(0, 256, (30, 28, 28), np.uint8),
        generator.integers(0, 10, 30, np.uint8),
        generator.integers(0, 256, (20, 28, 28), np.uint8),
        generator.integers(0, 10, 20, np.uint8),
    )
    folder = tmp_path / "original"
    folder.mkdir()
    files = []
    for file, array in zip(idx.FILES["mnist"], arrays, strict=True):
        content = idx_bytes(array)
        (folder / file.name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(idx.File(file.name, array.shape, len(content), sha256))
    monkeypatch.setitem(idx.FILES, "mnist", tuple(files))
    digests = {
        split: tfds_folder.Digests(
            tfds_folder.digest(*part), tfds_folder.digest(*part, ordered=False)
        )
        for split, part in (("train", arrays[:2]), ("test", arrays[2:]))
    }
    monkeypatch.setitem(tfds_folder.DIGESTS, "mnist", digests)
    return folder, arrays


@pytest.fixture(name="serve")
def _serve():
    return serve
