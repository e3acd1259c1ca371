"""Anomaly detectors of tables: vijax's default beside what a user would pick instead.

    python -m experiments.benchmarks.anomalies --folder adbench

The folder holds tables as ADBench has them, .npz files with `X` (rows, columns) and `y`
(1 = anomaly). No detector sees a label. Two splits of each table, each `--splits` times
with all detectors on the same rows:

    one class   half of the background to train; its other half, all anomalies to test
    left in     70 % of all rows to train, anomalies among them; the rest to test

The others are scikit-learn's with their defaults on standardised columns, the fifth
nearest neighbour, and an empirical-tail score after ECOD (Li et al. 2022,
arXiv:2201.00382), written here. The error of a mean is that of the splits alone: the
tables are what they are. The last row is no detector: it takes the best one of each
table, which only the labels tell, and says how far a choice among them can lead.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from vijax.vae import anomaly

Scorer = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
OURS = "vijax default"


@dataclass(frozen=True)
class Config:
    """Settings."""

    folder: Path  # of the tables
    splits: int = 3  # of each table
    max_train: int = 6000  # rows; all detectors see the same
    trim: float = anomaly.DetectorSettings.trim  # of our detector


def vijax_default(
    train: np.ndarray, test: np.ndarray, seed: int, trim: float
) -> np.ndarray:
    """Return the recommended score."""
    settings = anomaly.DetectorSettings(trim=trim)
    detector = anomaly.fit_detector(jax.random.key(seed), train, settings=settings)
    return anomaly.score(detector, test)


def fifth_neighbour(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the distance to the fifth nearest training row."""
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


def isolation_forest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return how soon random cuts isolate a row."""
    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def local_outlier_factor(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the density of neighbours over that of the row."""
    factor = LocalOutlierFactor(min(20, len(train) - 1), novelty=True)
    return -factor.fit(train).score_samples(test)


def one_class_svm(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the distance from a support vector machine's edge."""
    return -OneClassSVM().fit(train).score_samples(test)


def pca(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return what the components with nine tenths of the variance leave."""
    components = PCA(0.9, svd_solver="full").fit(train)
    rebuilt = components.inverse_transform(components.transform(test))
    return np.sum((test - rebuilt) ** 2, axis=1)


def empirical_tails(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Return the sum over columns of -log tail probability, the larger of three."""
    rows, totals = len(train), np.zeros((3, len(test)))
    for column, values in zip(train.T, test.T, strict=True):
        ordered = np.sort(column)
        below = np.searchsorted(ordered, values, "right")
        above = rows - np.searchsorted(ordered, values, "left")
        left, right = (-np.log(np.maximum(n, 1) / (rows + 1)) for n in (below, above))
        skewed_left = np.mean((column - column.mean()) ** 3) < 0
        totals += np.stack([left, right, left if skewed_left else right])
    return totals.max(axis=0)


OTHERS: dict[str, Scorer] = {
    "fifth neighbour": fifth_neighbour,
    "IsolationForest": isolation_forest,
    "LOF": local_outlier_factor,
    "one-class SVM": one_class_svm,
    "PCA residual": pca,
    "ECOD's tails": empirical_tails,
}


def split(labels: np.ndarray, seed: int, *, left_in: bool) -> tuple[np.ndarray, ...]:
    """Return the rows to train on and to test on."""
    random = np.random.default_rng(seed)
    background, odd = (random.permutation(np.flatnonzero(labels == c)) for c in (0, 1))
    if not left_in:
        half = len(background) // 2
        return background[:half], np.concatenate([background[half:], odd])
    cuts = [round(0.7 * len(rows)) for rows in (background, odd)]
    parts = [
        (rows[:n], rows[n:]) for rows, n in zip((background, odd), cuts, strict=True)
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def measure(config: Config, *, left_in: bool) -> tuple[list[str], np.ndarray]:
    """Return the tables' names and the AUC, (tables, splits, scorers)."""
    scorers = {OURS: partial(vijax_default, trim=config.trim)} | OTHERS
    names, areas = [], []
    for path in sorted(config.folder.glob("*.npz")):
        with np.load(path) as file:
            table, labels = file["X"].astype(float), file["y"].astype(int)
        of_table = []
        for seed in range(config.splits):
            train_rows, rows = split(labels, seed, left_in=left_in)
            train = table[train_rows[: config.max_train]]
            loc, scale = train.mean(axis=0), train.std(axis=0)
            scale = np.where(scale > 0, scale, 1.0)
            train, test = ((x - loc) / scale for x in (train, table[rows]))
            found = [scorer(train, test, seed) for scorer in scorers.values()]
            of_table.append([roc_auc_score(labels[rows], values) for values in found])
        names.append(path.stem.partition("_")[2])
        areas.append(of_table)
    return names, np.array(areas)


def table(names: list[str], areas: np.ndarray) -> str:
    """Return the means over splits as text, with mean and mean rank of each scorer."""
    means = areas.mean(axis=1)
    ranks = rankdata(-means.round(4), axis=1).mean(axis=0)
    error = areas.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(areas.shape[1])
    lines = [
        " " * 18 + "".join(f"{name[:8]:>9}" for name in names) + "  mean AUC     rank"
    ]
    for i in np.argsort(ranks):
        values = "".join(f"{value:9.3f}" for value in means[:, i])
        mean = f"{means[:, i].mean():.3f} ± {error[i]:.3f}"
        lines.append(f"{[OURS, *OTHERS][i]:18}{values}  {mean} {ranks[i]:5.2f}")
    best = means.max(axis=1)
    values = "".join(f"{value:9.3f}" for value in best)
    lines.append(f"{'best, by labels':18}{values}  {best.mean():.3f}")
    return "\n".join(lines)


def main(config: Config) -> None:
    """Print both tables."""
    for title, left_in in (("one class", False), ("anomalies left in", True)):
        start = time.process_time()
        names, areas = measure(config, left_in=left_in)
        print(f"{title}, {config.splits} splits, {time.process_time() - start:.0f} s")
        print(table(names, areas), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Config))
