import contextlib
import socket
import time

import numpy as np
import pytest

from vijax import data
from vijax.data import download, tfds_folder
from vijax.data.files import idx

WAYS_OUT = r"Ways out: .*train-images.*data_dir.*VIJAX_DATA_DIR.*TFDS_DATA_DIR.*digits"


@contextlib.contextmanager
def listening(*, answers: bool):
    """A server that takes connections, if it answers at all, and then says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        port = server.getsockname()[1]
        if answers:
            yield f"http://127.0.0.1:{port}/"
        else:
            server.close()
            yield f"http://127.0.0.1:{port}/"


@pytest.mark.thorough
def test_download_ends_as_a_prepared_folder(small, serve, monkeypatch):
    folder, arrays = small
    assert not data.is_available("mnist")
    with serve(folder) as url:
        monkeypatch.setitem(download.URLS, "mnist", url)
        first = data.load("mnist")
    assert data.is_available("mnist")
    second = data.load("mnist")  # the server is gone
    for dataset in (first, second):
        np.testing.assert_array_equal(dataset.train * 255, arrays.train_images)
        np.testing.assert_array_equal(dataset.test_labels, arrays.test_labels)
    assert [path.name for path in tfds_folder.root().iterdir()] == ["mnist"]


@pytest.mark.thorough
def test_folder_of_the_environment_without_the_data(
    small, serve, monkeypatch, tmp_path
):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("VIJAX_DATA_DIR", str(tmp_path / "other"))
    assert not data.is_available("mnist")
    with serve(small[0]) as url:
        monkeypatch.setitem(download.URLS, "mnist", url)
        assert data.load("mnist").train.shape == (30, 28, 28)


def test_refused(monkeypatch):
    with listening(answers=False) as url:
        monkeypatch.setitem(download.URLS, "mnist", url)
        start = time.perf_counter()
        with pytest.raises(ConnectionError, match=rf"(?s)mnist .*refused.*{WAYS_OUT}"):
            data.load("mnist")
    assert time.perf_counter() - start < 5
    assert list(tfds_folder.root().iterdir()) == []


def test_silent_server(monkeypatch):
    assert download.SECONDS < 10  # so that the whole call ends within 15 s
    monkeypatch.setattr(download, "SECONDS", 0.3)
    with listening(answers=True) as url:
        monkeypatch.setitem(download.URLS, "fashion_mnist", url)
        start = time.perf_counter()
        with pytest.raises(ConnectionError, match=WAYS_OUT):
            data.load("fashion_mnist")
    assert time.perf_counter() - start < 5


def test_silent_name_server(monkeypatch):
    """A look-up of the name knows no timeout, so it has to be left behind."""

    def look_up(*_, **__):
        time.sleep(3)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(download, "SECONDS", 0.3)
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=r"no answer within 0\.3 s"):
        data.load("mnist")
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda content: content[:-7], "bytes received that are not the file"),
        (lambda content: b"<html>Sign in</html>", "20 bytes received that are not"),
        (lambda content: content + b"x", "bytes received that are not the file"),
        (None, "404"),
    ],
)
def test_server_has_something_else(small, serve, monkeypatch, change, found):
    file = small[0] / idx.FILES["mnist"][2].name
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))
    with serve(small[0]) as url:
        monkeypatch.setitem(download.URLS, "mnist", url)
        match = (
            rf"(?s)t10k-images-idx3-ubyte\.gz cannot be fetched.*{found}.*{WAYS_OUT}"
        )
        with pytest.raises(ConnectionError, match=match):
            data.load("mnist")
    assert not data.is_available("mnist")
    assert list(tfds_folder.root().iterdir()) == []


def test_no_download_without_a_place_to_keep_it(small, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file/data"))
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("downloads"))
    with pytest.raises(OSError, match=r"cannot write to .*TFDS_DATA_DIR"):
        data.load("mnist")


def test_no_download_where_a_folder_is_given(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("downloads"))
    with pytest.raises(FileNotFoundError, match="expected the files train-images"):
        data.load("mnist", data_dir=tmp_path)


def test_is_available_never_downloads(monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("downloads"))
    assert not data.is_available("mnist")
