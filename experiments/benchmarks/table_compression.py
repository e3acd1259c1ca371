"""Tables within a bound on every number: vijax's files beside SZ3 and zfp.

All codes keep the same bound: relative for the kinematic columns of CMS multijets,
whose logarithm SZ3 and zfp are given, 0.49 for its counts, which so stay exact, and a
share of a column's standard deviation for MAGIC. SZ3 and zfp code column by column, and
once the whole table in units of its bounds; the better is shown. They need no training.
vijax is trained on the other half of the table.
"""

import time
from collections.abc import Iterator

import jax
import numpy as np

from experiments.benchmarks.compression_settings import Config, Row, missing
from experiments.studies import cms_multijet
from vijax import data
from vijax.vae.compression import lossy, table_files
from vijax.vae.compression.table_files import TableCoderSettings


def sz3(scaled: np.ndarray) -> tuple[int, np.ndarray]:
    """Code float64 numbers to within 1; return the bytes and what comes back."""
    from pysz import sz, szConfig, szErrorBoundMode

    config = szConfig()
    config.errorBoundMode = szErrorBoundMode.ABS
    config.absErrorBound = 1.0
    coded, _ = sz.compress(scaled, config)
    return coded.nbytes, sz.decompress(coded, np.float64, scaled.shape)[0]


def zfp(scaled: np.ndarray) -> tuple[int, np.ndarray]:
    """Code float64 numbers to within 1; return the bytes and what comes back."""
    import zfpy

    coded = zfpy.compress_numpy(scaled, tolerance=1.0)
    return len(coded), zfpy.decompress_numpy(coded)


def peers_of_table(
    table: np.ndarray, logarithm: np.ndarray, bound: np.ndarray
) -> Iterator[Row]:
    """Code by SZ3 and zfp, columns alone and the table in units of its bounds."""
    u = np.where(logarithm, np.log(np.where(logarithm, table, 1.0)), table)
    # A hair less than the bound, for the rounding of floats on the way back.
    width = np.where(logarithm, np.log1p(bound), bound) * (1 - 1e-6)
    scaled = np.ascontiguousarray((u / width).T)
    for name, package, code in (("SZ3", "pysz", sz3), ("zfp", "zfpy", zfp)):
        if missing(package):
            yield name, np.nan, f"needs {package}"
            continue
        found: list[Row] = []
        for form in ("by column", "table"):
            start = time.process_time()
            parts = [code(c) for c in (scaled if form == "by column" else [scaled])]
            seconds = time.process_time() - start
            back = np.concatenate([p.reshape(-1, len(table)) for _, p in parts]).T
            back = np.where(logarithm, np.exp(back * width), back * width)
            # Whole numbers within 0.49 are those that they are nearest to.
            exact = (bound < 0.5) & np.all(table == np.rint(table), axis=0)
            back = np.where(exact & ~logarithm, np.rint(back), back)
            used = share_of_bound(table, back, logarithm, bound)
            rate = 8 * sum(size for size, _ in parts) / table.size
            found.append(
                (f"{name}, {form}", rate, f"{used:.3f} of the bound, {seconds:.2f} s")
            )
        yield min(found, key=lambda row: row[1])


def share_of_bound(
    table: np.ndarray, back: np.ndarray, logarithm: np.ndarray, bound: np.ndarray
) -> float:
    """Return the largest error that was really made, in units of its bound."""
    error = np.abs(back - table) / np.where(logarithm, np.abs(table), 1.0)
    return float(np.max(error / bound))


def rates_of_table(config: Config, name: str) -> Iterator[tuple[float, list[Row]]]:
    """Code the test rows by everything, for each bound."""
    dataset = data.load(name, data_dir=config.folder)
    train, table = (np.asarray(x, float) for x in (dataset.train, dataset.test))
    spread, is_cms = train.std(axis=0), name == "cms_multijet"
    logarithm = cms_multijet.LOGARITHM if is_cms else np.zeros(len(spread), bool)

    def bound_of(share: float) -> np.ndarray:
        return cms_multijet.bounds(share) if is_cms else share * spread

    finest = bound_of(min(config.bounds))
    if is_cms:
        finest = cms_multijet.bounds(min(config.bounds), counts=0.5)
    coder = None
    if not config.peers_only:
        start = time.process_time()
        coder = table_files.fit_table_coder(
            jax.random.key(config.seed),
            train,
            bound=finest,
            logarithm=logarithm,
            settings=TableCoderSettings(epochs=config.table_epochs),
        )
        minutes = (time.process_time() - start) / 60
        weights = lossy.parameter_bits(coder.params) / table.size
    for share in config.bounds:
        bound = np.broadcast_to(bound_of(share), table.shape[1:])
        rows: list[Row] = []
        if coder is not None:
            cost = table_files.measure_table_file(coder, train, table, bound=bound)
            used = share_of_bound(table, cost.decoded, logarithm, bound)
            seconds = len(table) / cost.encoded_events_per_second
            remark = (
                f"{used:.3f} of the bound, {seconds:.2f} s; trained for {minutes:.1f} "
                f"processor minutes, the model is {weights:.2f} bits a number"
            )
            rows.append(("vijax, file", cost.bits_per_number, remark))
            best = min(cost.others, key=lambda other: cost.others[other])
            rows += [
                (
                    f"same bins, {best}",
                    cost.others[best],
                    "column by column, one stream",
                ),
                ("same bins, adaptive", cost.columns_bits_per_number, "columns alone"),
            ]
        rows += peers_of_table(table, logarithm, bound)
        yield share, rows
