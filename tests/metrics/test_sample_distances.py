"""Distances between sets: closed forms, SciPy, null distributions, order of models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats

from vijax import data, metrics
from vijax.vae.generation import feature_classifier


def random_moments(seed, size=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return metrics.GaussianMoments(
        jnp.asarray(rng.normal(size=size)), jnp.asarray(root @ root.T)
    )


def test_moments_are_numpys():
    y = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    mean, covariance = metrics.mean_and_covariance(y)
    np.testing.assert_allclose(mean, y.mean(0), atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(y, rowvar=False), rtol=1e-4)


def test_weights_count_copies():
    y = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    mean, covariance = metrics.mean_and_covariance(
        y, np.array([1.0, 2.0, 1.0, 0.0], np.float32)
    )
    copies = y[[0, 1, 1, 2]]
    np.testing.assert_allclose(mean, copies.mean(0), atol=1e-6)
    # Weights of one set of examples are reliabilities: V₁ - V₂/V₁ in place of n - 1.
    biased = np.cov(copies, rowvar=False, bias=True)
    np.testing.assert_allclose(covariance, biased / (1 - 6 / 16), rtol=1e-5)


def test_squared_wasserstein_is_scipys_matrix_root(x64):
    a, b = random_moments(0), random_moments(1)
    root = linalg.sqrtm(np.asarray(a.covariance) @ np.asarray(b.covariance))
    expected = np.sum((np.asarray(a.mean) - np.asarray(b.mean)) ** 2) + np.trace(
        np.asarray(a.covariance) + np.asarray(b.covariance) - 2 * root.real
    )
    np.testing.assert_allclose(metrics.squared_wasserstein(a, b), expected, rtol=1e-9)
    np.testing.assert_allclose(metrics.squared_wasserstein(b, a), expected, rtol=1e-9)
    np.testing.assert_allclose(metrics.squared_wasserstein(a, a), 0, atol=1e-9)


def test_singular_covariance_gives_the_distance_on_its_support(x64):
    a = metrics.GaussianMoments(jnp.zeros(2), jnp.diag(jnp.array([1.0, 0.0])))
    b = metrics.GaussianMoments(jnp.zeros(2), jnp.diag(jnp.array([4.0, 9.0])))
    np.testing.assert_allclose(metrics.squared_wasserstein(a, b), 1 + 9, rtol=1e-12)


@pytest.mark.thorough
def test_frechet_distance_of_samples_nears_that_of_their_gaussians():
    rng = np.random.default_rng(2)
    real = rng.normal(size=(20_000, 2)).astype(np.float32)
    other = (1 + 2 * rng.normal(size=(20_000, 2))).astype(np.float32)
    value, error = metrics.frechet_distance_with_error(
        jax.random.key(0), real, other, num_resamples=50
    )
    assert abs(value - 4) < 4 * error
    # d/dμ of ‖Δμ‖² and d/dσ of (σ₂ - σ₁)²: var = Σ 4 (s₁² + s₂²)/n + 4 (s₁² + s₂²)/2n.
    exact = np.sqrt(2 * (4 * 5 + 4 * 5 / 2) / 20_000)
    np.testing.assert_allclose(error, exact, rtol=0.4)  # 4 errors of 50 draws


@pytest.mark.thorough
def test_frechet_noise_floor_is_the_null_distribution():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 500, 3)).astype(np.float32)
    floor = metrics.frechet_noise_floor(jax.random.key(1), first, second)
    distance = jax.jit(metrics.frechet_distance)
    null = [
        distance(*rng.normal(size=(2, 500, 3)).astype(np.float32)) for _ in range(60)
    ]
    error = np.std(null, ddof=1) / np.sqrt(60)
    assert abs(floor.value - np.mean(null)) < 4 * error
    np.testing.assert_allclose(floor.standard_error, np.std(null), rtol=0.5)


@pytest.mark.thorough
def test_noise_floor_of_any_distance():
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(2, 400, 1)).astype(np.float32)

    def distance(a, b):
        return jnp.sum((jnp.mean(a, axis=0) - jnp.mean(b, axis=0)) ** 2)

    floor = metrics.noise_floor(
        jax.random.key(2), first, second, distance, num_splits=400
    )
    # Random halves of n + n: 2/n times χ² of one degree of freedom, whose sd is √2.
    expected = 2 / 400 * np.var(np.concatenate([first, second]))
    assert abs(floor.value - expected) < 4 * np.sqrt(2 / 400) * expected


def test_two_sample_accuracy_of_equal_sets_is_one_half():
    keys = jax.random.split(jax.random.key(2), 200)

    def one(key):
        real, generated = jax.random.normal(key, (2, 100, 3))
        return metrics.two_sample_accuracy(real, generated)

    accuracy, error = jax.lax.map(one, keys)
    # 200 trials: their mean is 1/2, their spread the binomial error that they state.
    assert abs(accuracy.mean() - 0.5) < 4 * accuracy.std() / np.sqrt(200)
    np.testing.assert_allclose(accuracy.std(), error.mean(), rtol=0.2)


def test_two_sample_accuracy_of_distant_gaussians_is_known():
    # Nearest neighbours in one dimension, N(±3, 1): errors only where tails meet.
    rng = np.random.default_rng(4)
    real = (3 + rng.normal(size=(4_000, 1))).astype(np.float32)
    generated = (-3 + rng.normal(size=(4_000, 1))).astype(np.float32)
    value, error = metrics.two_sample_accuracy(real, generated)
    # Between Bayes' error Φ(-3) and Cover & Hart's bound of twice that.
    assert 1 - 2 * stats.norm.cdf(-3) - 3 * error < value
    assert value < 1 - stats.norm.cdf(-3) + 3 * error + 1e-3


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def classifier(digits):
    return feature_classifier.train_classifier(
        jax.random.key(0), digits.train[:1000], digits.train_labels[:1000], epochs=30
    )


def test_classifier_knows_digits(digits, classifier):
    # scikit-learn's MLP of the same size gets 0.96 to 0.97 there.
    share = feature_classifier.classifier_accuracy(
        classifier, digits.test, digits.test_labels
    )
    assert share > 0.94
    y = feature_classifier.classifier_features(classifier, digits.test)
    assert y.shape == (360, 32)


def test_frechet_distance_grows_with_damage(digits, classifier):
    """The figure of merit orders damage by its size, from the noise floor upwards."""

    def distance(images):
        return metrics.frechet_distance(
            feature_classifier.classifier_features(classifier, digits.test),
            feature_classifier.classifier_features(classifier, images),
        )

    real = digits.train[1000:1360]
    noise = np.random.default_rng(5).normal(size=real.shape).astype(np.float32)
    values = [distance(real + scale * noise) for scale in (0.0, 0.1, 0.2, 0.4)]
    assert np.all(np.diff(values) > 0)
    one_class = digits.train[digits.train_labels == 3]
    independent = np.random.default_rng(6).permuted(real, axis=0)
    assert distance(one_class) > 5 * values[0]  # mode collapse
    assert distance(independent) > 5 * values[0]  # right pixels, no digit


def test_bad_input_is_refused():
    y = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="generated = nan"):
        metrics.frechet_distance(y, np.full((3, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match="two examples or more"):
        metrics.two_sample_accuracy(y[:1], y)
    with pytest.raises(ValueError, match="labels have shape"):
        feature_classifier.train_classifier(
            jax.random.key(0), np.zeros((3, 4)), np.zeros(2, int)
        )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x, y, _: metrics.frechet_distance(y, x), "generated"),
        (lambda x, y, _: metrics.two_sample_accuracy(x, y), "real"),
        (lambda x, y, key: metrics.frechet_noise_floor(key, x, y), "first"),
        (
            lambda x, y, key: metrics.noise_floor(key, y, x, metrics.frechet_distance),
            "second",
        ),
        (lambda x, y, _: metrics.mean_and_covariance(x), "y"),
    ],
)
def test_text_is_named(call, name, as_users_do):
    text = np.full((4, 2), "0.5")
    with pytest.raises(ValueError, match=f"^{name} has dtype <U3: give real numbers"):
        call(text, np.ones((4, 2)), jax.random.key(0))
