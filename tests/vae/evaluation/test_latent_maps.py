import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vijax.batching import map_batches
from vijax.vae.evaluation import latent_gaps, latent_maps
from vijax.vae.models import autoencoders


def test_other_numbers_of_rows_compile_nothing(caplog):
    double = jax.jit(lambda x: 2 * x)
    map_batches(double, np.ones((7, 2), np.float32), batch_size=4)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for rows in (5, 6, 8, 13):
            map_batches(double, np.ones((rows, 2), np.float32), batch_size=4)
    assert "Compiling" not in caplog.text


@pytest.mark.parametrize("rows", [1, 4, 5, 9])
def test_batches_are_put_together_in_order(rows):
    shapes = set()

    def function(x, y):
        shapes.add(x.shape)
        return {"sum": x + y, "double": 2 * x}

    x, y = np.arange(rows), 10 * np.arange(rows)
    result = map_batches(function, x, y, batch_size=4)
    np.testing.assert_array_equal(result["sum"], 11 * x)
    np.testing.assert_array_equal(result["double"], 2 * x)
    assert shapes == {(4,)}


def test_encode_and_decode_are_the_models(linear_vae):
    vae = linear_vae
    z = latent_maps.latent_means(vae.model, vae.params, vae.x, batch_size=8)
    expected = autoencoders.latent_mean(vae.model, vae.params, vae.x)
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)
    grid = z[:48].reshape(6, 8, 2)
    images = latent_maps.decoded_means(vae.model, vae.params, grid, batch_size=7)
    assert images.shape == (6, 8, 6)
    expected = autoencoders.decoded_mean(vae.model, vae.params, grid)
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5)


def test_quantile_grid_has_equal_mass_and_an_images_orientation():
    grid = np.asarray(latent_maps.quantile_grid(4, latent=3))
    assert grid.shape == (4, 4, 3)
    np.testing.assert_allclose(
        stats.norm.cdf(grid[2, :, 0]), [0.125, 0.375, 0.625, 0.875], atol=1e-6
    )
    assert np.all(np.diff(grid[:, 0, 1]) < 0)  # the top row has the largest z₂
    np.testing.assert_array_equal(grid[..., 2], 0)


def test_range_grid_spans_the_box():
    z = jnp.array([[-1.0, 2.0, 5.0], [3.0, 10.0, 7.0]])
    grid = np.asarray(latent_maps.range_grid(z, 2))
    np.testing.assert_allclose(grid[0], [[0, 8, 6], [2, 8, 6]])
    np.testing.assert_allclose(grid[1], [[0, 4, 6], [2, 4, 6]])
    assert latent_maps.latent_box(z) == (-1, 3, 2, 10)


def test_uniform_fills_the_box(key):
    z = jnp.array([[-1.0, 2.0], [3.0, 10.0]])
    draws = np.asarray(latent_maps.uniform_in_box(key, z, num_samples=20_000))
    unit = (draws - [-1, 2]) / [4, 8]
    for column in unit.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3


def test_traversal_and_interpolation():
    z = jnp.array([1.0, 2.0])
    path = latent_maps.latent_traversal(z, 1, jnp.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(path, [[1, -1], [1, 0], [1, 1]])
    line = latent_maps.latent_line(z, jnp.array([3.0, -2.0]), 3)
    np.testing.assert_allclose(line, [[1, 2], [2, 0], [3, -2]])


def test_kl_of_moments_is_the_closed_form(x64):
    random = np.random.default_rng(0)
    z = random.normal(size=(500, 2)) @ np.array([[2.0, 0.3], [0.0, 0.5]]) + [1, -2]
    mean, covariance = z.mean(axis=0), np.cov(z.T, bias=True)
    expected = 0.5 * (
        np.trace(covariance) + mean @ mean - 2 - np.linalg.slogdet(covariance)[1]
    )
    np.testing.assert_allclose(latent_maps.kl_of_moments(jnp.asarray(z)), expected)


@pytest.mark.thorough
def test_sliced_wasserstein_of_a_shift_and_of_the_prior(key):
    normal = jax.random.normal(key, (2000, 2))
    assert latent_maps.sliced_wasserstein(normal, key, num_projections=500) < 0.05
    # W₂² along u of a shift by m is (u·m)², whose mean over directions is |m|² / 2;
    # of 500 directions the mean of cos² is known to 3 %, its root to 1.6 %.
    shifted = normal + jnp.array([3.0, 0.0])
    distance = latent_maps.sliced_wasserstein(shifted, key, num_projections=500)
    np.testing.assert_allclose(distance, 3 / np.sqrt(2), rtol=4 * 0.016)


def test_sliced_wasserstein_of_the_quantiles_themselves_is_zero(key):
    # Of 7 points, each the median of its seventh of N(0, 1).
    z = stats.norm.ppf((np.arange(7) + 0.5) / 7)[::-1, None].astype(np.float32)
    assert latent_maps.sliced_wasserstein(z, key) < 1e-5
    assert latent_maps.sliced_wasserstein(-z, key) < 1e-5


def test_nearest_distance_is_the_brute_force_one(key):
    left = jax.random.normal(key, (23, 3, 2))
    right = jax.random.normal(jax.random.key(1), (17, 3, 2))
    pairs = np.linalg.norm((left[:, None] - right[None]).reshape(23, 17, 6), axis=2)
    actual = latent_gaps.nearest_distance(left, right, batch_size=5)
    np.testing.assert_allclose(actual, pairs.min(axis=1), rtol=1e-5)


@pytest.mark.thorough
def test_off_data_of_known_distances(key):
    held_out = jnp.linspace(0.0, 1.0, 1001)
    decoded = latent_gaps.DecodedData(jnp.zeros((1, 1)), held_out)
    distances = jnp.linspace(0.0, 2.0, 1000)  # beyond 0.99: 50.5 %
    off = latent_gaps.share_off_data(distances, decoded, key)
    np.testing.assert_allclose(off.share, 0.505, atol=1e-3)
    # Binomial sqrt(p q / n) = 0.0158; the threshold's own error adds 0.0015.
    np.testing.assert_allclose(off.share_standard_error, 0.0158, rtol=0.25)


@pytest.mark.thorough
def test_held_out_data_are_off_the_data_by_one_per_cent(linear_vae, key):
    vae = linear_vae
    keys = jax.random.split(key, 3)
    z = [jax.random.normal(k, (2000, 2)) for k in keys]
    x = [autoencoders.decoded_mean(vae.model, vae.params, latents) for latents in z]
    decoded = latent_gaps.decoded_data(vae.model, vae.params, x[0], x[1])
    # The decoder is injective and q(z | x) shrinks all z alike: new draws of the same
    # distribution are as far from the data as the held-out ones.
    again = latent_maps.latent_means(vae.model, vae.params, x[2])
    distances = latent_gaps.distances_to_data(vae.model, vae.params, decoded, again)
    off = latent_gaps.share_off_data(distances, decoded, key)
    assert abs(off.share - 0.01) < 4 * max(off.share_standard_error, 0.003)
    far = latent_gaps.distances_to_data(vae.model, vae.params, decoded, again + 20)
    assert latent_gaps.share_off_data(far, decoded, key).share == 1


@pytest.mark.usefixtures("nan_is_an_answer")
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 8, 8)), r"x has shape \(0, 8, 8\): give \(n, 8, 8\), n >= 1"),
        (np.zeros((3, 9, 8)), r"x has shape \(3, 9, 8\)"),
        (np.full((3, 8, 8), np.nan), r"x = nan \(at index 0, 0, 0\)"),
    ],
)
def test_bad_data(key, x, message):
    model = autoencoders.vae((8, 8), hidden=(4,))
    with pytest.raises(ValueError, match=message):
        latent_maps.latent_means(model, autoencoders.init(model, key), x)


@pytest.mark.parametrize("make", [autoencoders.vae, autoencoders.autoencoder])
def test_no_latents(make):
    with pytest.raises(ValueError, match=r"latent = 0 .*1 dimension or more"):
        make((8, 8), latent=0)
