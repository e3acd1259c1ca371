"""What both halves of the compression benchmark share: settings, and a table's row."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

BINARY = "binarized_mnist"
Row = tuple[str, float, str]  # code, rate, remarks


@dataclass(frozen=True)
class Config:
    """Settings."""

    folder: Path  # of the data sets
    runs: Path | None = None  # folder of trained models, made once
    images: tuple[str, ...] = (BINARY, "mnist", "fashion_mnist")
    tables: tuple[str, ...] = ("cms_multijet", "magic")
    max_images: int | None = None  # test images in a file; None: all
    epochs: int = 12  # passes over grey images
    binary_epochs: int = 60  # passes over binary ones
    num_components: int = 3  # logistics of a grey pixel
    num_samples: int = 1  # draws of z for each grey image
    binary_samples: int = 1  # draws of z for each binary one
    bounds: tuple[float, ...] = (0.1, 0.01, 0.001)
    table_epochs: int = 15  # passes over the rows of a table
    peers_only: bool = False  # leave vijax out
    seed: int = 0  # of every random number


def missing(package: str) -> bool:
    """Say whether a package is not installed."""
    return importlib.util.find_spec(package) is None
