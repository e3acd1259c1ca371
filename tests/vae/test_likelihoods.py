"""Every likelihood is normalised, equals a reference, and draws what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vijax.vae import likelihoods
from vijax.vae.likelihoods import Likelihood

OUTPUTS = {
    "bernoulli": [[-4.0], [0.0], [0.3], [5.0]],
    "gaussian": [[-1.0], [0.4]],
    "gaussian_learned": [[0.0, -1.0], [0.7, 0.5]],
}
MAKE = {
    "bernoulli": likelihoods.bernoulli,
    "gaussian": lambda: likelihoods.gaussian(0.3),
    "gaussian_learned": lambda: likelihoods.gaussian(None, min_scale=0.05),
}
CASES = [(name, np.array(out)) for name, outs in OUTPUTS.items() for out in outs]


def support(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points and the width of each: 1 for counts, a step for densities."""
    if name == "bernoulli":
        return np.array([0.0, 1.0]), np.ones(2)
    x = np.linspace(-30, 30, 60_001)
    return x, np.full_like(x, 0.001)


def evaluate(likelihood: Likelihood, x: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    tiled = jnp.broadcast_to(jnp.asarray(outputs), (len(x), len(outputs)))
    return np.asarray(likelihood.log_prob(jnp.asarray(x), tiled))


@pytest.mark.parametrize(("name", "outputs"), CASES)
def test_integrates_to_one_with_its_mean(x64, name, outputs):
    likelihood = MAKE[name]()
    assert len(outputs) == likelihood.num_outputs
    x, width = support(name)
    mass = width * np.exp(evaluate(likelihood, x, outputs))
    np.testing.assert_allclose(mass.sum(), 1, rtol=1e-6)
    mean = likelihood.mean(jnp.asarray(outputs))
    np.testing.assert_allclose(mean, (mass * x).sum(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("name", "outputs"), CASES)
def test_draws_have_the_mean_and_are_supported(key, name, outputs):
    likelihood = MAKE[name]()
    tiled = jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), (20_000, len(outputs)))
    draws = likelihood.sample(key, tiled)
    assert draws.shape == (20_000,)
    likelihoods.check_support(likelihood, draws)
    error = np.std(draws) / np.sqrt(20_000) + 1e-6
    assert abs(draws.mean() - likelihood.mean(tiled)[0]) < 4 * error


def test_bernoulli_equals_scipy(x64):
    x, logit = np.array([0.0, 1.0]), 0.7
    expected = stats.bernoulli(1 / (1 + np.exp(-logit))).logpmf(x)
    actual = evaluate(likelihoods.bernoulli(), x, np.array([logit]))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_bernoulli_keeps_its_tails():
    # float32: sigmoid(100) is 1, and log(1 - 1) would be -inf.
    actual = evaluate(likelihoods.bernoulli(), np.array([0.0]), np.array([100.0]))
    np.testing.assert_allclose(actual, -100.0)


def test_gaussians_equal_scipy(x64):
    x = np.array([-1.0, 0.2])
    fixed = evaluate(likelihoods.gaussian(0.3), x, np.array([0.5]))
    np.testing.assert_allclose(fixed, stats.norm(0.5, 0.3).logpdf(x), rtol=1e-12)
    learned = evaluate(likelihoods.gaussian(None), x, np.array([0.5, -0.2]))
    scale = np.exp(-0.2) + 0.01  # the least scale is added to the learned one
    np.testing.assert_allclose(learned, stats.norm(0.5, scale).logpdf(x), rtol=1e-12)


def test_binarize_has_the_right_mean_at_every_level(key):
    levels = np.arange(256, dtype=np.float32) / 255
    images = jnp.tile(levels, (40_000, 1))
    mean = np.asarray(likelihoods.binarize(key, images)).mean(axis=0)
    assert mean[0] == 0
    assert mean[-1] == 1
    inner = levels[1:-1]
    error = np.sqrt(inner * (1 - inner) / 40_000)
    deviation = (mean[1:-1] - inner) / error
    # χ² of 254 levels: its mean is 254, its sd sqrt(508) = 22.5.
    assert abs(np.sum(deviation**2) - 254) < 4 * 22.5
    assert np.max(np.abs(deviation)) < 4.5


def test_binarize_draws_neighbours_and_calls_independently(key):
    images = jnp.full((100_000, 2), 0.3)  # both pixels from one word of the generator
    first = np.asarray(likelihoods.binarize(key, images))
    second = np.asarray(likelihoods.binarize(jax.random.key(1), images))
    for left, right in ((first[:, 0], first[:, 1]), (first[:, 0], second[:, 0])):
        correlation = np.corrcoef(left, right)[0, 1]
        assert abs(correlation) < 4 / np.sqrt(100_000)


def test_binarize_keeps_odd_shapes_and_types(key, x64):
    assert likelihoods.binarize(key, jnp.ones((3, 5, 7))).shape == (3, 5, 7)
    assert likelihoods.binarize(key, jnp.ones(3)).dtype == jnp.float64


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("bernoulli", [0.0, 0.5], r"x = 0.5 .*bernoulli data are 0 or 1: binarise"),
        ("bernoulli", [np.nan, 1.0], "x = nan"),
        ("gaussian", [0.0, np.inf], "x = inf .*finite numbers"),
    ],
)
def test_data_outside_the_support(name, x, message):
    with pytest.raises(ValueError, match=message):
        likelihoods.check_support(MAKE[name](), np.array(x))


@pytest.mark.parametrize("bad", [-0.1, 1.1, 255.0, np.nan])
def test_images_that_are_no_grey_levels(bad):
    with pytest.raises(ValueError, match=r"images = .*\(at index 1\).*grey levels"):
        likelihoods.check_images(likelihoods.bernoulli(), np.array([0.5, bad]))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match=r"scale = .* give a number above 0"):
        likelihoods.gaussian(scale)


def test_equal_arguments_give_the_same_likelihood():
    assert likelihoods.gaussian(0.3) is likelihoods.gaussian(0.3)
    assert likelihoods.gaussian(0.3) != likelihoods.gaussian(0.4)
