"""Anomalies in tables: scores, baselines, both directions, an injected signal."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.decomposition import PCA

from vijax.vae import anomaly, event_tables
from vijax.vae.anomaly import event_vaes

# All studies here have the same shapes, so that they share their programs.
SMALL = anomaly.EventDetectorSettings(hidden=(16,), latent=1, steps=300, batch_size=64)
FAST = replace(SMALL, steps=600, learning_rate=2e-2)
TRAIN, TEST = 400, 200  # events of each class


def gaussians(rng, size, scale):
    """Return (size, 3) draws near a line, of the given spread around it."""
    line = rng.normal(size=(size, 1)) * np.array([1.0, 1.0, 0.5])
    return line + scale * rng.normal(size=(size, 3))


@pytest.fixture(scope="module")
def narrow_and_broad():
    rng = np.random.default_rng(0)
    parts = []
    for size in (TRAIN, TEST):
        x = [gaussians(rng, size, scale) for scale in (1.0, 0.1)]
        order = rng.permutation(2 * size)
        labels = np.repeat([0, 1], size)
        parts.append((np.concatenate(x)[order], labels[order]))
    return parts


@pytest.mark.slow
def test_broad_background_hides_narrow_anomalies(narrow_and_broad):
    """The asymmetry of MAGIC, where its reason is known."""
    result = anomaly.both_directions(
        jax.random.key(0),
        *narrow_and_broad,
        names=("broad", "narrow"),
        num_trainings=2,
        settings=SMALL,
    )
    narrow = result["narrow is background"][event_vaes.BOUND]
    broad = result["broad is background"][event_vaes.BOUND]
    assert narrow.auc > 0.5 + 5 * narrow.auc_standard_error
    assert broad.auc < 0.5 - 5 * broad.auc_standard_error


def test_mahalanobis_is_scipys(narrow_and_broad):
    (train, _), (test, _) = narrow_and_broad
    found = anomaly.mahalanobis_distance(train, test)
    normal = stats.multivariate_normal(train.mean(axis=0), np.cov(train, rowvar=False))
    log_p, top = normal.logpdf(test), normal.logpdf(train.mean(axis=0))
    np.testing.assert_allclose(found, 2 * (top - log_p), rtol=1e-9)


def test_pca_residual_is_sklearns(narrow_and_broad):
    (train, _), (test, _) = narrow_and_broad
    pca = PCA(2).fit(train)
    rebuilt = pca.inverse_transform(pca.transform(test))
    found = anomaly.pca_residual(train, test, latent=2)
    np.testing.assert_allclose(found, np.sum((test - rebuilt) ** 2, axis=1), rtol=1e-9)
    assert np.all(anomaly.pca_residual(train, test, latent=3) == 0)


@pytest.mark.thorough
def test_measure_adds_the_errors_of_events_and_trainings():
    rng = np.random.default_rng(1)
    mask = np.arange(200) < 60
    values = rng.normal(size=(4, 200)) + mask
    areas = [metrics.roc_auc_score(mask, v) for v in values]
    found = anomaly.measure_detection(values, mask)
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


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_contaminated_rows_keep_their_number_and_are_all_different(fraction):
    rows = anomaly.contaminated_rows(jax.random.key(0), 50, 20, fraction)
    assert len(np.unique(rows)) == 50
    assert np.sum(rows >= 50) == 50 * fraction
    assert rows.max() < 70


@pytest.mark.slow
def test_signal_among_the_training_events_hides_itself():
    rng = np.random.default_rng(4)
    train, test = (
        (rng.normal(size=(size, 3)), rng.normal(3.0, 0.3, size=(size, 3)))
        for size in (TRAIN, TEST)
    )
    before, after = (
        anomaly.injected_signal(
            jax.random.key(0),
            train,
            test,
            fractions=(fraction,),
            num_trainings=2,
            settings=FAST,
        )[0][event_vaes.BOUND]
        for fraction in (0.0, 0.5)
    )
    assert before.auc > 0.99
    # At 10 % false alarms. Areas differ too much from training to training.
    lost = before.found_at[1] - after.found_at[1]
    assert lost > 5 * after.found_at_standard_error[1] > 0


@pytest.mark.thorough
def test_scores_of_each_training_have_its_own_parameters(narrow_and_broad, key):
    (train, _), (test, _) = narrow_and_broad
    rows = np.tile(np.arange(TRAIN), (2, 1))
    scaled = event_tables.to_scaled(train, event_tables.fit_scale(train))
    short = replace(SMALL, steps=2)
    model, params = anomaly.fit_event_vaes(jax.random.key(1), scaled, rows, short)
    found = anomaly.score_events(model, params, key, test)
    total = found["reconstruction"] + found["KL"]
    np.testing.assert_allclose(found[event_vaes.BOUND], total, rtol=1e-6)
    assert not np.allclose(*total)
    again = jax.jit(lambda key: anomaly.score_events(model, params, key, test))(key)
    np.testing.assert_allclose(again["KL"], found["KL"], rtol=1e-5)


@pytest.mark.usefixtures("as_users_do")
def test_bad_input_is_named(narrow_and_broad):
    (train, labels), (test, _) = narrow_and_broad
    key = jax.random.key(0)
    for fraction in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="fraction"):
            anomaly.contaminated_rows(key, 10, 10, fraction)
    with pytest.raises(ValueError, match="needs 9 signal events"):
        anomaly.contaminated_rows(key, 10, 5, 0.9)
    with pytest.raises(ValueError, match="train's labels"):
        anomaly.both_directions(key, (train, labels + 1), (test, labels[:400]))
    with pytest.raises(ValueError, match="num_trainings = 0"):
        anomaly.injected_signal(
            key, (train, train), (test, test), fractions=(0.1,), num_trainings=0
        )
    with pytest.raises(ValueError, match="same columns"):
        anomaly.mahalanobis_distance(train, test[:, :2])
    with pytest.raises(ValueError, match="rank"):
        anomaly.mahalanobis_distance(
            np.repeat(train, 2, axis=1), np.repeat(test, 2, axis=1)
        )
    with pytest.raises(ValueError, match="latent = 4"):
        anomaly.pca_residual(train, test, latent=4)
    with pytest.raises(ValueError, match="is_anomaly"):
        anomaly.measure_detection(np.zeros(4), np.zeros(4, bool))
    with pytest.raises(ValueError, match="a mask"):
        anomaly.measure_detection(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match="a mask"):
        anomaly.measure_detection(np.zeros((2, 4)), np.zeros(3, bool))
    with pytest.raises(ValueError, match="remove NaN"):
        anomaly.measure_detection(np.full(4, np.nan), np.arange(4) < 2)
