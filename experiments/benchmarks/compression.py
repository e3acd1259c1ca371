"""Bits a pixel and bits a number: vijax's files beside those of its peers.

    python -m experiments.benchmarks.compression --folder data --runs runs

Peers are in `requirements.txt`. The folder holds data sets as `vijax.data` finds
them; `--runs` keeps trained models, so that a second call only codes. Every file is
decoded again and compared. A peer whose package is missing has a line that says so.

Images without loss (`image_compression`): static binarised MNIST, MNIST and
Fashion-MNIST, their test images. Tables within a bound (`table_compression`): the test
half of CMS multijets and MAGIC.
"""

from typing import Any

import numpy as np
import tyro

from experiments.benchmarks.compression_settings import Config
from experiments.benchmarks.image_compression import rates_of_images
from experiments.benchmarks.table_compression import rates_of_table


def show(title: str, rows: Any) -> None:
    """Print a table as it comes."""
    print(f"\n{title}", flush=True)
    for name, rate, remark in rows:
        shown = "      –" if np.isnan(rate) else f"{rate:7.4f}"
        print(f"  {name:30}{shown}  {remark}", flush=True)


def main(config: Config) -> None:
    """Print all tables."""
    for name in config.images:
        show(f"{name}: bits a pixel", rates_of_images(config, name))
    for name in config.tables:
        for share, rows in rates_of_table(config, name):
            show(f"{name}, bound {share}: bits a number", rows)


if __name__ == "__main__":
    main(tyro.cli(Config))
