"""Download the original files of MNIST and Fashion-MNIST, or fail within seconds.

The download of tensorflow-datasets retries for minutes before it gives up, and its
extraction needs TensorFlow. This one waits 8 seconds at most for a silent network.
"""

import hashlib
import threading
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from vijax.data.files import idx

T = TypeVar("T")

SECONDS = 8.0  # to wait for an answer, and for each further part of it
# Where tensorflow-datasets 4.9.10 fetches them from.
URLS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}


def fetch(name: str, folder: Path) -> None:
    """Write the original files of a data set to a folder.

    Raises:
        ConnectionError: no network, or a server that does not have them.
    """
    for file in idx.FILES[name]:
        url = URLS[name] + file.name
        try:
            content = _get(url, file)
        except (OSError, HTTPException) as error:
            raise ConnectionError(
                f"{name} is not on this machine, and {url} cannot be fetched "
                f"({error}). Ways out: put {', '.join(f.name for f in idx.FILES[name])}"
                " into a folder and name it as data_dir or in VIJAX_DATA_DIR; or name "
                "in TFDS_DATA_DIR a folder where tensorflow-datasets has prepared "
                f"{name}; or use the data set 'digits', which needs no network"
            ) from error
        (folder / file.name).write_bytes(content)


def _get(url: str, file: idx.File) -> bytes:
    """Return the file, or raise OSError where something else is found."""
    try:
        with _within(SECONDS, lambda: urlopen(url, timeout=SECONDS)) as response:
            content = response.read(file.size + 1)
    except HTTPError as error:
        error.close()  # it is a response, too, with a connection
        raise
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise OSError(f"{len(content)} bytes received that are not the file")
    return content


def _within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function, but wait no longer: a timeout does not bound name look-ups."""
    results: list[T] = []
    errors: list[Exception] = []

    def call() -> None:
        try:
            results.append(function())
        except Exception as error:  # raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]
