"""Encode and decode many small grey PNGs at once.

Opening a PNG takes far longer than decoding its 784 pixels. So `decode_png` joins
images into tall ones of 10,000 each and opens only those.

Reference: PNG specification, third edition, W3C (2025), https://www.w3.org/TR/png-3/.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from vijax.extras import require

SIGNATURE = b"\x89PNG\r\n\x1a\n"
JOINED = 10_000  # images: far below the size at which Pillow warns of a bomb


def encode_png(images: np.ndarray) -> Iterator[bytes]:
    """Encode grey images, uint8 of shape (n, height, width), one after the other.

    Example:
        >>> decode_png(list(encode_png(np.eye(2, dtype=np.uint8)[None])), 2, 2)
        array([[[1, 0],
                [0, 1]]], dtype=uint8)
    """
    _, height, width = images.shape
    # Each line is its filter type, 0 (none), and then its pixels.
    for lines in np.pad(images, ((0, 0), (0, 0), (1, 0))):
        yield _file(height, width, zlib.compress(lines.tobytes()))


def decode_png(files: Sequence[bytes], height: int, width: int) -> np.ndarray:
    """Decode grey 8-bit PNGs of one size to uint8 of shape (n, height, width).

    Raises:
        ValueError: a file that is not such a PNG.
    """
    image_file = require("PIL.Image", extra="data", purpose="reading MNIST as PNG")
    pixels = np.empty((len(files), height, width), np.uint8)
    # A blank line ends each image: a line's filter may look at the line above it,
    # which is blank for the first line of a file.
    blank = bytes(1 + width)
    for start in range(0, len(files), JOINED):
        part = pixels[start : start + JOINED]
        lines = blank.join(_lines(files[start : start + JOINED], height, width))
        rows = len(part) * (height + 1)
        tall = _file(rows, width, zlib.compress(lines + blank, level=0))
        with image_file.open(io.BytesIO(tall)) as image:
            part[:] = np.asarray(image).reshape(-1, height + 1, width)[:, :height]
    return pixels


def _lines(files: Sequence[bytes], height: int, width: int) -> Iterator[bytes]:
    """Yield the decompressed lines of each file, still filtered."""
    header = _header(height, width)
    size = height * (1 + width)
    for file in files:
        position = len(SIGNATURE)
        if file[:position] != SIGNATURE or file[16:29] != header:
            raise ValueError(f"not a grey 8-bit PNG of {height} x {width} pixels")
        data = b""
        while position < len(file):
            length = int.from_bytes(file[position : position + 4])
            if file[position + 4 : position + 8] == b"IDAT":
                data += file[position + 8 : position + 8 + length]
            position += 12 + length  # length, type, data, CRC
        try:
            lines = zlib.decompress(data)
        except zlib.error as error:
            raise ValueError(f"corrupt PNG: {error}") from error
        if len(lines) != size:
            raise ValueError(f"PNG of {len(lines)} bytes, not {size}")
        yield lines


def _file(height: int, width: int, data: bytes) -> bytes:
    file = SIGNATURE
    for kind, content in (
        (b"IHDR", _header(height, width)),
        (b"IDAT", data),
        (b"IEND", b""),
    ):
        crc = zlib.crc32(content, zlib.crc32(kind))
        file += struct.pack(">I", len(content)) + kind + content
        file += struct.pack(">I", crc)
    return file


def _header(height: int, width: int) -> bytes:
    # 8 bits a pixel; grey; deflate; adaptive filters; not interlaced
    return struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
