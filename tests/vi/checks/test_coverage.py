"""The stated errors of corrected moments cover the truth as often as they say."""

import jax
import numpy as np
import pytest

from experiments.benchmarks.posteriors import collection
from vijax import vi

NUM_KEYS = 12


def errors_in_sds(name: str, family: str) -> np.ndarray:
    """Return (corrected − true) / stated error, of means and sds, over keys.

    Their stated errors are of the draws of one summary: the fit stays.
    """
    entry = collection.get(name)
    target = vi.from_numpyro(entry.model, *entry.args)
    fit = vi.fit(target, jax.random.key(1), family=family)
    found = []
    for number in range(NUM_KEYS):
        table = vi.summary(fit, key=jax.random.key(100 + number))
        for site, truth in (entry.reference or {}).items() if table.correctable else ():
            for moment, exact in (("mean", truth.mean), ("sd", truth.sd)):
                column = f"corrected_{moment}"
                off = table[site][column] - exact
                found.append(np.ravel(off / table[site][f"{column}_se"]))
    off = np.concatenate(found)
    return off[np.isfinite(off)]  # the others are said to be not known


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("two_pages", "mean_field"),
        pytest.param("raw_years", "mean_field", marks=pytest.mark.slow),
        pytest.param("rare_species", "full_rank", marks=pytest.mark.slow),
        pytest.param("rare_island", "full_rank", marks=pytest.mark.slow),
        pytest.param("mild_funnel", "mean_field", marks=pytest.mark.slow),
        pytest.param("mild_funnel", "full_rank", marks=pytest.mark.slow),
    ],
)
def test_stated_errors_cover_the_truth(name: str, family: str) -> None:
    off = errors_in_sds(name, family)
    assert len(off) >= 24
    # 95 % of 48 or more numbers, which come in pairs: 0.86 is three errors below.
    assert np.mean(np.abs(off) < 2) >= 0.86
    assert np.sqrt(np.mean(off**2)) < 1.35
