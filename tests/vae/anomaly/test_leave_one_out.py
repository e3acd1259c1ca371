"""Classes left out: what each VAE says of every example, and how well it is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from vijax.metrics import roc
from vijax.vae import anomaly
from vijax.vae.anomaly import scores, stroke_codes
from vijax.vae.models import autoencoders


@pytest.fixture(scope="module")
def two_models():
    model = autoencoders.vae((3, 4), latent=2, hidden=(4,))
    keys = jax.random.split(jax.random.key(0), 2)
    return model, jax.vmap(lambda key: autoencoders.init(model, key))(keys)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 2, (9, 3, 4)).astype(np.float32)


@pytest.mark.thorough
def test_each_model_scores_every_example(two_models, x, key):
    model, params = two_models
    found = anomaly.scores_by_model(model, params, key, x, num_samples=3)
    assert found.kl.shape == (2, 9)
    for run in range(2):
        own = jax.tree.map(lambda leaf, run=run: leaf[run], params)
        expected = scores.anomaly_scores(model, own, key, x, num_samples=3)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine[run], theirs, rtol=2e-5)


@pytest.mark.thorough
def test_the_same_key_gives_the_same_scores_in_every_transformation(two_models, x, key):
    model, params = two_models

    def bound(key):
        found = anomaly.scores_by_model(model, params, key, x, num_samples=3)
        return found.negative_elbo

    eager = bound(key)
    np.testing.assert_allclose(jax.jit(bound)(key), eager, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(bound)(key[None])[0], eager, rtol=1e-6)


@pytest.mark.thorough
def test_distances_are_those_of_each_model_and_its_rows(two_models, x):
    model, params = two_models
    x = np.where(x.any(axis=(1, 2), keepdims=True), x, 1.0)
    rows = np.array([[0, 1, 2], [3, 4, 5]])
    found = anomaly.distances_by_model(model, params, rows, x, x)
    for run in range(2):
        own = jax.tree.map(lambda leaf, run=run: leaf[run], params)
        z = np.asarray(autoencoders.latent_mean(model, own, x))
        apart = np.linalg.norm(z[:, None] - z[rows[run]], axis=-1).min(axis=1)
        np.testing.assert_allclose(found.latent[run], apart, atol=1e-6)
        np.testing.assert_allclose(
            found.unexplained[run], scores.unexplained_share(model, own, x), rtol=1e-5
        )
    with pytest.raises(ValueError, match="zero everywhere"):
        anomaly.distances_by_model(model, params, rows, x, 0 * x)


def test_local_code_without_a_class_is_that_of_the_others(x):
    labels = np.arange(9) % 3
    found = anomaly.local_code_without_class(x, labels, x)
    for label in range(3):
        counts = stroke_codes.count_patterns(x[labels != label])
        np.testing.assert_allclose(found[label], stroke_codes.local_code(counts, x))
    with pytest.raises(ValueError, match="labels' shape"):
        anomaly.local_code_without_class(x, labels[:-1], x)


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 3
    masks = anomaly.class_masks([0, 1, 2], labels)
    good = rng.normal(size=(3, 300)) + 1.5 * masks
    return {"good": good, "noise": rng.normal(size=(3, 300))}, masks


@pytest.mark.slow
def test_areas_are_sklearns(toy):
    scores, masks = toy
    found = anomaly.class_areas(
        jax.random.key(0), scores, masks, false_positive_rates=(0.1, 1.0)
    )
    for name, values in scores.items():
        expected = [
            metrics.roc_auc_score(mask, row)
            for mask, row in zip(masks, values, strict=True)
        ]
        np.testing.assert_allclose(found[name].auc, expected, atol=1e-6)
        np.testing.assert_allclose(found[name].mean_auc, np.mean(expected), atol=1e-6)
        np.testing.assert_allclose(found[name].true_positive_rate[:, 1], 1.0)
    cut = [np.sort(v[~m])[-20] for v, m in zip(scores["good"], masks, strict=True)]
    share = [
        np.mean(v[m] >= c) for v, m, c in zip(scores["good"], masks, cut, strict=True)
    ]
    np.testing.assert_allclose(found["good"].true_positive_rate[:, 0], share, atol=0.02)


@pytest.mark.thorough
def test_the_error_of_an_area_is_delongs(toy):
    scores, masks = toy
    found = anomaly.class_areas(
        jax.random.key(0), {"good": scores["good"]}, masks, num_resamples=400
    )["good"]
    expected = [
        roc.auc_with_error(jnp.asarray(v), jnp.asarray(mask)).standard_error
        for v, mask in zip(scores["good"], masks, strict=True)
    ]
    np.testing.assert_allclose(found.auc_standard_error, expected, rtol=0.12)
    assert found.mean_auc_standard_error < found.auc_standard_error.mean()
    assert found.true_positive_rate.shape == (3, 0)


@pytest.mark.usefixtures("as_users_do")
@pytest.mark.usefixtures("nan_is_an_answer")
def test_bad_input_is_named(two_models, x, toy, key):
    scores, masks = toy
    with pytest.raises(ValueError, match="scores = 0"):
        anomaly.class_areas(key, {}, masks)
    with pytest.raises(ValueError, match=r"scores\['good'\]"):
        anomaly.class_areas(key, {"good": scores["good"][:, 1:]}, masks)
    with pytest.raises(ValueError, match=r"scores\['good'\]"):
        anomaly.class_areas(key, {"good": scores["good"] * np.nan}, masks)
    with pytest.raises(ValueError, match="false_positive_rates"):
        anomaly.class_areas(key, scores, masks, false_positive_rates=(1.5,))
    with pytest.raises(ValueError, match="masks"):
        anomaly.class_areas(key, scores, masks & False)
    with pytest.raises(ValueError, match="train_labels"):
        anomaly.class_masks([0, 1], [0, 0])
    with pytest.raises(ValueError, match="bernoulli"):
        anomaly.scores_by_model(*two_models, key, x + jnp.nan)
