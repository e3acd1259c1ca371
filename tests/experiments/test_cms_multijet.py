"""The toy signal, bounds and quantities of CMS multijet events."""

import jax
import numpy as np

from experiments.studies import cms_multijet


def test_invisible_particle_keeps_the_jets_and_the_razor_relation():
    background = np.random.default_rng(2).gamma(2.0, 50.0, size=(20_000, 6))
    signal = cms_multijet.add_invisible(
        jax.random.key(0), background, mean_energy=100.0
    )
    np.testing.assert_array_equal(signal[:, [0, 2, 4, 5]], background[:, [0, 2, 4, 5]])
    np.testing.assert_allclose(
        signal[:, 1] / background[:, 1], signal[:, 3] / background[:, 3]
    )
    # Independent directions: E[MET'²] = E[MET²] + E[size²], with E[size²] = 2 · 100².
    gained = signal[:, 3] ** 2 - background[:, 3] ** 2
    error = gained.std() / np.sqrt(len(gained))
    assert abs(gained.mean() - 2e4) < 4 * error


def test_counts_stay_exact_and_kinematics_relative():
    np.testing.assert_array_equal(cms_multijet.bounds(0.1), [0.1] * 4 + [0.49] * 2)


def test_quantities_are_of_the_columns_they_name():
    found = cms_multijet.quantities(np.array([[2.0, 9.0, 16.0, 8.0, 3.0, 1.0]]))
    assert {name: value.item() for name, value in found.items()} == {
        "MR": 2.0,
        "MET": 8.0,
        "transverse mass MR √Rsq": 6.0,
        "MET / √HT": 2.0,
    }
