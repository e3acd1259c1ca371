"""The closed forms of the flat regression against vi.fit, which knows none of them."""

import numpy as np

from experiments.studies import flat_regression, posteriordb
from vijax import vi


def test_posterior_and_best_normal_are_what_vi_finds(x64, key):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(24, 3)), rng.normal(size=24)
    target = vi.from_numpyro(posteriordb.flat_regression, x, y)
    table = vi.summary(vi.fit(target, key, family="full_rank"))
    best = flat_regression.best_normal_moments(x, y)
    exact = flat_regression.exact_moments(x, y)
    # q and the posterior are far apart: 2 % in the mean of σ, 9 % in its sd.
    assert exact[1][-1] / best[1][-1] > 1.08
    for prefix, (mean, sd) in (("", best), ("corrected_", exact)):
        for moment, truth in (("mean", mean), ("sd", sd)):
            found, error = (
                posteriordb.flatten(
                    {site: columns[name] for site, columns in table.items()},
                    ("beta[1]", "beta[2]", "beta[3]", "sigma"),
                )
                for name in (f"{prefix}{moment}", f"{prefix}{moment}_se")
            )
            assert np.all(error < 0.012 * sd)
            assert np.all(np.abs(found - truth) < 4 * error)
