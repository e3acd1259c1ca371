"""A folder of images: grey or colour, all of one size; subfolders are classes.

    photos/0001.png …                  images without labels
    photos/cat/0001.png, dog/ …        labels 0, 1 in alphabetical order, with names

Files are read in the order of their names. If one image has colours, all are colour;
an alpha channel is refused, for what it would be drawn over is not known.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vijax.data.files.open_tables import FileContentError, listed, named_errors
from vijax.extras import require

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
GREY = ("1", "L")


def read(folder: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Return uint8 images (n, height, width) or (…, 3), labels, and their names.

    Raises:
        ImportError: Pillow is not installed.
        ValueError: no image; a damaged one; images of different sizes; an alpha
            channel, 16 bits or CMYK.
    """
    files, labels, names = _files(folder)
    pillow = require("PIL.Image", extra="data", purpose=f"reading {folder}")
    images = [_pixels(pillow, file) for file in files]
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        odd = next(
            file
            for file, image in zip(files, images, strict=True)
            if image.shape[:2] != images[0].shape[:2]
        )
        raise FileContentError(
            f"{folder}: expected images of one size, found {sorted(sizes)} (height, "
            f"width), for instance {odd.name}: bring them to one size"
        )
    if any(image.ndim == 3 for image in images):
        images = [
            image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
            for image in images
        ]
    return np.stack(images), labels, names


def _files(
    folder: Path,
) -> tuple[list[Path], np.ndarray | None, tuple[str, ...] | None]:
    """Return the images' paths in order, with labels where there are subfolders."""
    if files := _images(folder):
        return files, None, None
    classes = {
        sub.name: found
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and (found := _images(sub))
    }
    if not classes:
        there = sorted(path.name for path in folder.iterdir())
        raise FileContentError(
            f"{folder}: expected images ({', '.join(SUFFIXES)}), here or in subfolders "
            f"that are classes, found {listed(there)}"
        )
    counts = [len(found) for found in classes.values()]
    labels = np.repeat(np.arange(len(classes)), counts)
    return [file for found in classes.values() for file in found], labels, (*classes,)


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _pixels(pillow: Any, file: Path) -> np.ndarray:
    with named_errors(file, "an image"), pillow.open(file) as image:
        if image.mode in GREY:
            return np.asarray(image.convert("L"))
        if image.mode == "P" and "transparency" not in image.info:
            image = image.convert("RGB")
        if image.mode != "RGB":
            raise FileContentError(
                f"{file}: expected grey or RGB of 8 bits, found mode {image.mode}: "
                "convert it"
            )
        return np.asarray(image)
