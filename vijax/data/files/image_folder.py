"""A folder of images: grey or colour, all of one size; subfolders are classes.

    photos/0001.png …                  images without labels
    photos/cat/0001.png, dog/ …        labels 0, 1 in alphabetical order, with names
    letters/Greek/alpha/01.png …       labels of folders at any depth: Greek/alpha, …
    photos/train/cat/ …, test/cat/ …   parts, where no other folder holds images

Files are read in the order of their names. If one image has colours, all are colour;
an alpha channel is refused, for what it would be drawn over is not known.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vijax.data.files.open_tables import FileContentError, listed, named_errors
from vijax.extras import require

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
GREY = ("1", "L")
PARTS = {"train": "train", "test": "test", "valid": "valid", "val": "valid"}
Classes = dict[str, list[Path]]  # images by the name of their class; "" for none


class Images(NamedTuple):
    """What a folder holds."""

    arrays: dict[str, np.ndarray]  # uint8 by part, "train" if there is one; labels
    label_names: tuple[str, ...] | None  # in alphabetical order


def read(folder: Path) -> Images:
    """Return the images (n, height, width) or (…, 3), labels, and their names.

    Raises:
        ImportError: Pillow is not installed.
        ValueError: no image; a damaged one; images of different sizes; an alpha
            channel, 16 bits or CMYK; parts of which one has other classes.
    """
    parts = _parts(folder)
    pillow = require("PIL.Image", extra="data", purpose=f"reading {folder}")
    files = [file for part in parts.values() for file in _in_order(part)]
    pixels = _alike(folder, files, [_pixels(pillow, file) for file in files])
    names = (*parts["train"],)
    arrays, start = {}, 0
    for part, classes in parts.items():
        counts = [len(found) for found in classes.values()]
        arrays[part] = pixels[start : start + sum(counts)]
        start += sum(counts)
        if names != ("",):
            numbers = [names.index(name) for name in classes]
            arrays[f"{part}_labels"] = np.repeat(numbers, counts)
    return Images(arrays, None if names == ("",) else names)


def _parts(folder: Path) -> dict[str, Classes]:
    """Return the images' paths by part and class."""
    classes = _classes(folder)
    if not classes:
        there = sorted(path.name for path in folder.iterdir())
        raise FileContentError(
            f"{folder}: expected images ({', '.join(SUFFIXES)}), here or in subfolders "
            f"that are classes, found {listed(there)}"
        )
    tops = {name.split("/")[0] for name in classes}
    if not {"train"} < tops <= PARTS.keys():
        return {"train": classes}
    parts = {PARTS[top]: _classes(folder / top) for top in sorted(tops, reverse=True)}
    if len(parts) < len(tops):
        raise FileContentError(f"{folder}: expected one part of val and valid")
    for part, found in parts.items():
        if others := sorted(found.keys() - parts["train"].keys()):
            raise FileContentError(
                f"{folder}, {part}: expected the classes of train "
                f"({listed([*parts['train']])}), found {listed(others)} too"
            )
    return parts


def _classes(folder: Path) -> Classes:
    """Return images here, or in each of the folders below, by the folder's name."""
    if files := _images(folder):
        return {"": files}
    below = sorted(
        path.relative_to(folder).parts for path in folder.rglob("*") if path.is_dir()
    )
    return {
        "/".join(path): files
        for path in below
        if not any(name.startswith(".") for name in path)
        and (files := _images(folder.joinpath(*path)))
    }


def _in_order(classes: Classes) -> list[Path]:
    return [file for files in classes.values() for file in files]


def _alike(folder: Path, files: list[Path], images: list[np.ndarray]) -> np.ndarray:
    """Return images of one size as one array, with colours if one has."""
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
    return np.stack(images)


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
