"""Anomalies in tables: the injected signal, the baselines, both directions."""

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from experiments.studies import events
from vijax.data import Dataset

SMALL = events.Network(hidden=(16,), latent=1, steps=300, batch_size=64)


def gaussians(rng, size, scale):
    """Return (size, 3) draws near a line, of the given spread around it."""
    line = rng.normal(size=(size, 1)) * np.array([1.0, 1.0, 0.5])
    return line + scale * rng.normal(size=(size, 3))


@pytest.fixture(scope="module")
def narrow_and_broad():
    rng = np.random.default_rng(0)
    parts = [gaussians(rng, 600, scale) for scale in (1.0, 0.1)]
    x, labels = np.concatenate(parts), np.repeat([0, 1], 600)
    order = rng.permutation(1200)
    x, labels = x[order], labels[order]
    return Dataset(x[:800], x[800:], labels[:800], labels[800:], "toy", None)


def test_broad_background_hides_narrow_anomalies(narrow_and_broad):
    """The asymmetry of MAGIC, where its reason is known."""
    result = events.both_directions(
        narrow_and_broad,
        jax.random.key(0),
        SMALL,
        trainings=2,
        names=("broad", "narrow"),
    )
    narrow = result["narrow is background"]["−ELBO"]
    broad = result["broad is background"]["−ELBO"]
    assert narrow.auc > 0.5 + 5 * narrow.auc_standard_error
    assert broad.auc < 0.5 - 5 * broad.auc_standard_error


def test_mahalanobis_is_scipys(narrow_and_broad):
    train, test = narrow_and_broad.train, narrow_and_broad.test
    mask = narrow_and_broad.test_labels == 0
    found = events.baselines(train, test, mask, latent=1)[events.MAHALANOBIS]
    log_p = stats.multivariate_normal(
        train.mean(axis=0), np.cov(train, rowvar=False)
    ).logpdf(test)
    expected = metrics.roc_auc_score(mask, -log_p)
    assert found.auc == pytest.approx(expected, abs=1e-5)
    assert found.training_spread == 0


def test_found_adds_the_errors_of_events_and_trainings():
    rng = np.random.default_rng(1)
    mask = np.arange(200) < 60
    values = rng.normal(size=(4, 200)) + mask
    areas = [metrics.roc_auc_score(mask, v) for v in values]
    found = events.found(values, mask)
    assert found.auc == pytest.approx(np.mean(areas), abs=1e-5)
    assert found.training_spread == pytest.approx(np.std(areas, ddof=1), rel=1e-3)
    assert found.auc_standard_error > found.training_spread / 2
    assert found.true_positive_rate[-1] == 1
    # At a false positive rate of 0.1, 14 of 140 background events are above the cut.
    cuts = [np.sort(v[~mask])[-14] for v in values]
    at = [np.mean(v[mask] >= cut) for v, cut in zip(values, cuts, strict=True)]
    assert found.found_at[1] == pytest.approx(np.mean(at), abs=1 / 60)
    # The cut itself is uncertain, so more than binomial: 60 anomalies, 4 trainings.
    binomial = np.sqrt(found.found_at[1] * (1 - found.found_at[1]) / 240)
    assert binomial < found.found_at_standard_error[1] < 4 * binomial


def test_invisible_particle_keeps_the_jets_and_the_razor_relation():
    rng = np.random.default_rng(2)
    background = rng.gamma(2.0, 50.0, size=(20_000, 6))
    signal = events.add_invisible(background, rng, mean_energy=100.0)
    np.testing.assert_array_equal(signal[:, [0, 2, 4, 5]], background[:, [0, 2, 4, 5]])
    np.testing.assert_allclose(
        signal[:, 1] / background[:, 1], signal[:, 3] / background[:, 3]
    )
    # Independent directions: E[MET'²] = E[MET²] + E[size²], with E[size²] = 2 · 100².
    gained = signal[:, 3] ** 2 - background[:, 3] ** 2
    error = gained.std() / np.sqrt(len(gained))
    assert abs(gained.mean() - 2e4) < 4 * error


def test_fractions_may_not_ask_for_more_signal_than_there_is():
    table = np.random.default_rng(3).gamma(2.0, 50.0, size=(100, 6))
    dataset = Dataset(table, table, None, None, "toy", None)
    with pytest.raises(ValueError, match="fractions"):
        events.injected(
            dataset,
            jax.random.key(0),
            SMALL,
            fractions=(0.0, 1.5),
            mean_energy=100.0,
            trainings=1,
        )
