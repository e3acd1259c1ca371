"""Every likelihood is normalised, equals a reference, and draws what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.cases import slow_except
from vijax.vae.models import likelihoods
from vijax.vae.models.likelihoods import Likelihood

OUTPUTS = {
    "bernoulli": [[-4.0], [0.0], [0.3], [5.0]],
    "gaussian": [[-1.0], [0.4]],
    "gaussian_learned": [[0.0, -1.0], [0.7, 0.5]],
    "continuous_bernoulli": [[-30.0], [-0.61], [-0.59], [0.0], [1e-6], [2.0], [30.0]],
    "discretised_logistic": [[0.5, -3.0], [-0.2, -2.0], [1.3, 0.5], [0.31, -20.0]],
    "logistic_17": [[0.5, -3.0], [0.9, -1.0]],
    "logistics_17": [[0.3, -1.0, 0.2, -0.4, 0.1, 0.5, -3.0, -2.0, -6.0]],
    "beta_binomial": [[0.0, 0.0], [-4.0, -3.0], [5.0, 30.0], [-9.0, 4.0]],
}
MAKE = {
    "bernoulli": likelihoods.bernoulli,
    "gaussian": lambda: likelihoods.gaussian(0.3),
    "gaussian_learned": lambda: likelihoods.gaussian(None, min_scale=0.05),
    "continuous_bernoulli": likelihoods.continuous_bernoulli,
    "discretised_logistic": likelihoods.discretised_logistic,
    "logistic_17": lambda: likelihoods.discretised_logistic(17),
    "logistics_17": lambda: likelihoods.discretised_logistic(17, num_components=3),
    "beta_binomial": likelihoods.beta_binomial,
}
LEVELS = {
    "bernoulli": 2,
    "discretised_logistic": 256,
    "logistic_17": 17,
    "logistics_17": 17,
    "beta_binomial": 256,
}
CASES = [(name, np.array(out)) for name, outs in OUTPUTS.items() for out in outs]


def support(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points and the width of each: 1 for levels, a step for densities."""
    if name in LEVELS:
        x = np.arange(LEVELS[name]) / (LEVELS[name] - 1)
        return x, np.ones_like(x)
    low, high = (0, 1) if name == "continuous_bernoulli" else (-30, 30)
    width = (high - low) / 60_000
    x = low + width * (np.arange(60_000) + 0.5)
    return x, np.full_like(x, width)


def evaluate(likelihood: Likelihood, x: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    tiled = jnp.broadcast_to(jnp.asarray(outputs), (len(x), len(outputs)))
    return np.asarray(jax.jit(likelihood.log_prob)(jnp.asarray(x), tiled))


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "outputs"), CASES)
def test_integrates_to_one_with_its_mean(x64, name, outputs):
    likelihood = MAKE[name]()
    assert len(outputs) == likelihood.num_outputs
    x, width = support(name)
    mass = width * np.exp(evaluate(likelihood, x, outputs))
    np.testing.assert_allclose(mass.sum(), 1, rtol=1e-6)
    mean = likelihood.mean(jnp.asarray(outputs))
    np.testing.assert_allclose(mean, (mass * x).sum(), rtol=1e-6, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "outputs"), CASES)
def test_draws_follow_the_distribution_and_are_supported(key, name, outputs):
    likelihood = MAKE[name]()
    tiled = jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), (20_000, len(outputs)))
    draws = jax.jit(likelihood.sample)(key, tiled)
    assert draws.shape == (20_000,)
    likelihoods.check_support(likelihood, draws)
    x, width = support(name)
    mass = np.cumsum(width * np.exp(evaluate(likelihood, x, outputs), dtype=float))
    shares = np.searchsorted(np.sort(draws), x + (x[1] - x[0]) / 2) / 20_000
    # Kolmogorov-Smirnov: beyond 2.2 / √n once in 8,000.
    assert np.abs(shares - mass).max() < 2.2 / np.sqrt(20_000)


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


def test_continuous_bernoulli_is_the_truncated_exponential(x64):
    # p(x | η) is an exponential distribution of rate -η, cut off at 1.
    x = np.array([0.0, 0.2, 1.0])
    for eta in (-80.0, -3.0, -0.29, 0.31, 3.0, 80.0):
        rate = abs(eta)
        mirrored = x if eta < 0 else 1 - x
        expected = stats.truncexpon(b=rate, scale=1 / rate).logpdf(mirrored)
        actual = evaluate(likelihoods.continuous_bernoulli(), x, np.array([eta]))
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_continuous_bernoulli_is_smooth_where_its_formula_changes(x64):
    log_prob = likelihoods.continuous_bernoulli().log_prob

    def slope(eta):
        return jax.grad(lambda e: log_prob(jnp.array(0.2), e[None]))(eta)

    below, above = slope(0.6 - 1e-9), slope(0.6 + 1e-9)
    np.testing.assert_allclose(below, above, rtol=1e-6)


@pytest.mark.thorough
def test_levels_equal_scipy(x64):
    x = np.arange(256) / 255
    edges = np.concatenate([[-np.inf], x[:-1] + 0.5 / 255, [np.inf]])
    scale = np.log1p(np.exp(-3.0)) + 0.001
    expected = np.log(np.diff(stats.logistic(0.4, scale).cdf(edges)))
    actual = evaluate(likelihoods.discretised_logistic(), x, np.array([0.4, -3.0]))
    np.testing.assert_allclose(actual, expected, rtol=1e-7)

    mixed = likelihoods.discretised_logistic(num_components=2)
    other = np.log(np.diff(stats.logistic(0.9, scale).cdf(edges)))
    actual = evaluate(mixed, x, np.array([np.log(3.0), 0.0, 0.4, -0.1, -3.0, -3.0]))
    np.testing.assert_allclose(
        np.exp(actual), 0.75 * np.exp(expected) + 0.25 * np.exp(other), rtol=1e-7
    )

    a, b = np.log1p(np.exp([0.3, 2.0])) + 0.001
    expected = stats.betabinom(255, a, b).logpmf(np.arange(256))
    actual = evaluate(likelihoods.beta_binomial(), x, np.array([0.3, 2.0]))
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["discretised_logistic", "logistics_17", "beta_binomial"]
)
def test_all_masses_at_once_are_those_of_each_level(name):
    """To within the 24 bits of an entropy coder, float32 as it is used."""
    likelihood, outputs = MAKE[name](), jnp.asarray(OUTPUTS[name], jnp.float32)
    x, _ = support(name)
    found = np.asarray(jax.jit(likelihood.masses)(outputs))
    assert found.shape == (len(outputs), LEVELS[name])
    for mass, out in zip(found, OUTPUTS[name], strict=True):
        expected = np.exp(evaluate(likelihood, x, np.array(out, np.float32)))
        np.testing.assert_allclose(mass, expected, rtol=1e-4, atol=2e-7)
        assert mass.min() >= 0


@pytest.mark.parametrize("name", slow_except(set(MAKE) - {"beta_binomial"}, MAKE))
def test_float32_values_and_gradients_are_finite(name):
    likelihood = MAKE[name]()
    sizes = jnp.array([-90.0, -30.0, -1e-8, 1e-8, 30.0, 90.0])
    outputs = jnp.tile(sizes[:, None], (1, likelihood.num_outputs))
    slope = jax.jit(jax.vmap(jax.value_and_grad(likelihood.log_prob, 1), (None, 0)))
    for x in (0.0, 1.0):
        value, gradient = slope(jnp.array(x), outputs)
        assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(gradient))
        # No density of a pixel is larger than 90 = η here, no mass than 1.
        assert np.all(value <= (0.0 if name in LEVELS else np.log(90.0)))


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_binarize_keeps_odd_shapes_and_types(key, x64):
    assert likelihoods.binarize(key, jnp.ones((3, 5, 7))).shape == (3, 5, 7)
    assert likelihoods.binarize(key, jnp.ones(3)).dtype == jnp.float64


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("bernoulli", [0.0, 0.5], r"x = 0.5 .*bernoulli data are 0 or 1: binarise"),
        ("bernoulli", [np.nan, 1.0], "x = nan"),
        ("gaussian", [0.0, np.inf], "x = inf .*finite numbers"),
        ("continuous_bernoulli", [0.0, 1.5], r"x = 1.5 .*real numbers in \[0, 1\]"),
        ("beta_binomial", [0.0, 0.3], "x = 0.3 .*multiples of 1/255"),
        ("logistic_17", [0.0, 17 / 16], "x = 1.0625 .*multiples of 1/16"),
    ],
)
def test_data_outside_the_support(name, x, message):
    with pytest.raises(ValueError, match=message):
        likelihoods.check_support(MAKE[name](), np.array(x))


@pytest.mark.parametrize("bad", [-0.1, 1.1, 255.0, np.nan])
def test_images_that_are_no_grey_levels(bad):
    with pytest.raises(ValueError, match=r"images = .*\(at index 1\).*grey levels"):
        likelihoods.check_images(likelihoods.bernoulli(), np.array([0.5, bad]))


def test_binary_images_are_taken_as_they_are(key):
    likelihood = likelihoods.bernoulli(binary=True)
    images = jnp.array([0.0, 1.0, 1.0])
    likelihoods.check_images(likelihood, images)
    assert likelihood.prepare(key, images) is images
    with pytest.raises(ValueError, match=r"images = 0.5 .*bernoulli takes 0 or 1"):
        likelihoods.check_images(likelihood, jnp.array([0.5]))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match=r"scale = .* give a number above 0"):
        likelihoods.gaussian(scale)


def test_equal_arguments_give_the_same_likelihood():
    assert likelihoods.gaussian(0.3) is likelihoods.gaussian(0.3)
    assert likelihoods.gaussian(0.3) != likelihoods.gaussian(0.4)


@pytest.mark.thorough
@pytest.mark.parametrize("num_levels", slow_except({256}, [256, 65_536]))
@pytest.mark.parametrize("concentration", [(1e-3, 1e-3), (0.3, 2.0), (90.0, 1e3)])
def test_beta_binomial_is_exact_in_float32(num_levels, concentration):
    # Differences of log gammas lost 7e-3 nats a pixel at 256 levels, 0.13 at 65,536.
    top = num_levels - 1
    a, b = np.array(concentration) + 1e-3
    c = np.array(concentration)
    outputs = c + np.log(-np.expm1(-c))  # the inverse of softplus
    k = np.unique(np.geomspace(1, top, 60).astype(int)) - 1
    x = jnp.asarray(k / top, jnp.float32)
    found = likelihoods.beta_binomial(num_levels).log_prob(
        x, jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), (len(k), 2))
    )
    exact = stats.betabinom(top, a, b).logpmf(k)
    np.testing.assert_allclose(found, exact, rtol=3e-5, atol=2e-4)
