import io
import zlib

import numpy as np
import pytest
from PIL import Image

from vijax.data.files import png


@pytest.fixture
def images():
    """Ten smooth images and ten of noise, 7 pixels high and 5 wide."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:7, :5]
    smooth = [(20 * rows + k * columns) % 256 for k in range(10)]
    noise = generator.integers(0, 256, (10, 7, 5))
    return np.concatenate([smooth, noise]).astype(np.uint8)


def filtered(image, kind):
    """The lines of an image by one of PNG's five filters, as the standard has them."""
    padded = np.pad(image, ((1, 0), (1, 0))).astype(int)
    x, left, up, corner = (
        padded[1:, 1:],
        padded[1:, :-1],
        padded[:-1, 1:],
        padded[:-1, :-1],
    )
    distances = np.abs(np.stack([up - corner, left - corner, left + up - 2 * corner]))
    nearest = np.choose(distances.argmin(0), [left, up, corner])
    predicted = [0 * x, left, up, (left + up) // 2, nearest][kind]
    return np.column_stack([np.full(len(x), kind), (x - predicted) % 256])


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("joined", [1, 3, 100])
def test_all_filters(images, kind, joined, monkeypatch):
    monkeypatch.setattr(png, "JOINED", joined)
    files = [
        png._file(7, 5, zlib.compress(filtered(image, kind).astype(np.uint8).tobytes()))
        for image in images
    ]
    np.testing.assert_array_equal(png.decode_png(files, 7, 5), images)
    with Image.open(io.BytesIO(files[0])) as image:
        np.testing.assert_array_equal(np.asarray(image), images[0])


def test_files_of_pillow(images):
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "png", pnginfo=None, optimize=True)
        files.append(stream.getvalue())
    np.testing.assert_array_equal(png.decode_png(files, 7, 5), images)


def test_pillow_reads_what_is_encoded(images):
    for file, image in zip(png.encode_png(images), images, strict=True):
        with Image.open(io.BytesIO(file)) as opened:
            opened.verify()
        with Image.open(io.BytesIO(file)) as opened:
            np.testing.assert_array_equal(np.asarray(opened), image)


def test_data_in_several_chunks(images):
    (file,) = png.encode_png(images[:1])
    start = file.index(b"IDAT") - 4
    length = int.from_bytes(file[start : start + 4])
    data = file[start + 8 : start + 8 + length]
    chunks = b"".join(
        len(part).to_bytes(4) + b"IDAT" + part + zlib.crc32(b"IDAT" + part).to_bytes(4)
        for part in (data[:10], data[10:])
    )
    split = file[:start] + chunks + file[start + 12 + length :]
    np.testing.assert_array_equal(png.decode_png([split], 7, 5), images[:1])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda file: b"GIF89a" + file, "not a grey 8-bit PNG of 7 x 5 pixels"),
        (lambda file: file[:50], "corrupt PNG"),
        (lambda file: b"", "not a grey 8-bit PNG"),
        (
            lambda file: next(png.encode_png(np.zeros((1, 5, 7), np.uint8))),
            "not a grey",
        ),
        (
            lambda file: png._file(7, 5, zlib.compress(b"short")),
            "PNG of 5 bytes, not 42",
        ),
    ],
)
def test_other_files(images, change, found):
    (file,) = png.encode_png(images[:1])
    with pytest.raises(ValueError, match=found):
        png.decode_png([file, change(file)], 7, 5)
