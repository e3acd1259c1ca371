"""Code lengths against their definition, quantisation against theory."""

import bz2
import gzip
import itertools
import lzma

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

from vijax.vae.compression import baselines, latent_grids, lossy


def test_code_length_is_the_product_of_its_predictions(x64):
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 4, size=(30, 3))
    alpha = rng.gamma(1.0, size=(3, 4))
    bits = 0.0
    for column, start in zip(symbols.T, alpha, strict=True):
        counts = start.copy()
        for symbol in column:
            bits -= np.log2(counts[symbol] / counts.sum())
            counts[symbol] += 1
    np.testing.assert_allclose(lossy.code_length(symbols, alpha), bits, rtol=1e-12)


def test_code_length_satisfies_kraft_with_equality(x64):
    # Over all sequences of length 6 the 2^-length of a complete code sum to one.
    alpha = np.array([[0.5, 1.5, 3.0]])
    sequences = np.array(list(itertools.product(range(3), repeat=6)))[:, :, None]
    lengths = jax.vmap(lossy.code_length, in_axes=(0, None))(sequences, alpha)
    np.testing.assert_allclose(np.sum(2.0**-lengths), 1, rtol=1e-12)


def test_code_length_exceeds_the_entropy_by_its_known_redundancy(x64):
    p = np.array([0.7, 0.2, 0.1])
    symbols = np.repeat([0, 1, 2], [7_000, 2_000, 1_000])[:, None]
    bits = lossy.code_length(symbols, np.full((1, 3), 0.5))
    entropy = -10_000 * np.sum(p * np.log2(p))
    # What learning K shares costs: (K - 1)/2 log2(n / 2π) + log2(Γ(1/2)^K / Γ(K/2)),
    # Xie & Barron (1997); for K = 3 it is log2(n).
    np.testing.assert_allclose(bits - entropy, np.log2(10_000), atol=1e-3)


@pytest.mark.thorough
def test_impossible_symbol_costs_infinitely_many_bits():
    alpha = np.array([[1.0, 0.0]])
    assert lossy.code_length(np.array([[0], [0]]), alpha) == 0
    assert lossy.code_length(np.array([[0], [1]]), alpha) == np.inf


def test_concentration_counts_training_symbols():
    grid = latent_grids.Grid(jnp.zeros(2), jnp.ones(2), jnp.array([3, 2]))
    alpha = lossy.symbol_concentration(grid, np.array([[0, 1], [2, 1]]), max_levels=4)
    np.testing.assert_array_equal(alpha, [[1.5, 0.5, 1.5, 0], [0.5, 2.5, 0, 0]])


@pytest.mark.parametrize("shared_step", [False, True])
def test_training_data_are_rounded_by_at_most_half_a_step(shared_step):
    latents = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    latents *= [10, 1, 0.1]
    grid = latent_grids.uniform_grid(latents, num_levels=16, shared_step=shared_step)
    symbols = latent_grids.quantise(grid, latents)
    assert symbols.min() >= 0
    assert np.all(symbols.max(0) < grid.num_levels)
    error = np.abs(latent_grids.dequantise(grid, symbols) - latents)
    assert np.all(error <= 0.5001 * grid.step)
    if not shared_step:
        np.testing.assert_array_equal(grid.num_levels, [16, 16, 16])
        return
    mean = latents.mean(0)
    np.testing.assert_array_equal(np.ptp(grid.step), 0)
    np.testing.assert_allclose((mean - grid.lower) / grid.step % 1, 0, atol=1e-5)
    assert grid.num_levels[2] == 1  # an axis shorter than the step: its mean
    assert grid.num_levels.max() <= 17


def test_quantisation_error_is_step_squared_over_12():
    latents = np.random.default_rng(2).uniform(size=(20_000, 1)).astype(np.float32)
    grid = latent_grids.uniform_grid(latents, num_levels=33)
    error = (
        latent_grids.dequantise(grid, latent_grids.quantise(grid, latents)) - latents
    )
    # Standard error of the mean of uniform squares: 0.6 %.
    np.testing.assert_allclose(np.mean(error**2), grid.step[0] ** 2 / 12, rtol=0.03)


def test_held_out_data_are_clipped_to_the_grid():
    grid = latent_grids.uniform_grid(np.array([[0.0], [1.0]], np.float32), num_levels=3)
    symbols = latent_grids.quantise(grid, np.array([[-5.0], [7.0]], np.float32))
    assert symbols.tolist() == [[0], [2]]


@pytest.mark.thorough
def test_an_axis_without_width_costs_nothing():
    latents = np.ones((10, 1), np.float32)
    grid = latent_grids.uniform_grid(latents, num_levels=8)
    symbols = latent_grids.quantise(grid, latents)
    alpha = lossy.symbol_concentration(grid, symbols, max_levels=8)
    assert lossy.code_length(symbols, alpha) == 0
    np.testing.assert_array_equal(latent_grids.dequantise(grid, symbols), latents)


def test_principal_components_are_scikit_learns():
    rows = np.random.default_rng(3).normal(size=(200, 6)) * np.arange(1, 7)
    ours = baselines.principal_components(rows.astype(np.float32), latent=3)
    theirs = PCA(3).fit(rows)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-5)
    overlap = np.abs(np.sum(ours.components * theirs.components_, axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-4)
    with pytest.raises(ValueError, match="latent = 7"):
        baselines.principal_components(rows.astype(np.float32), latent=7)


@pytest.mark.thorough
def test_rate_distortion_of_principal_components_meets_high_rate_theory():
    # x is Gaussian, so PCA with all components and a fine step Δ costs
    # Σ h(z_j) - log2 Δ bits (Gish & Pierce 1968) and loses Δ²/12 a pixel.
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(3, 3))
    rows = (rng.normal(size=(20_000, 3)) @ mixing).astype(np.float32)
    pca = baselines.principal_components(rows, latent=3)
    z = (rows - pca.mean) @ pca.components.T
    rate, mse, error = lossy.rate_distortion(
        z[:10_000],
        z[10_000:],
        rows[10_000:],
        lambda z: pca.mean + z @ pca.components,
        64,
        max_levels=65,
        shared_step=True,
    )
    step = np.ptp(z[:10_000], axis=0).max() / 63
    entropy = 0.5 * np.log2(2 * np.pi * np.e * np.linalg.eigvalsh(mixing.T @ mixing))
    bits = np.sum(entropy - np.log2(step))
    np.testing.assert_allclose(rate / 10_000, bits, rtol=0.02)
    # Squares of uniform errors have the variance Δ⁴/180, three to a row; some held-out
    # rows beyond the training range are clipped and add to it.
    uniform = step**2 / np.sqrt(180 * 3 * 10_000)
    assert uniform < error < 1.5 * uniform
    assert abs(mse - step**2 / 12) < 4 * error


def test_general_purpose_files_decode():
    data = np.packbits(np.random.default_rng(4).random(8_000) < 0.1).tobytes()
    decoders = {"gzip": gzip.decompress, "bz2": bz2.decompress, "xz": lzma.decompress}
    bits = baselines.general_purpose_bits(data)
    assert set(bits) == set(decoders)
    for name, decode in decoders.items():
        encoded = baselines.GENERAL_PURPOSE[name](data)
        assert decode(encoded) == data
        assert bits[name] == 8 * len(encoded)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="num_levels = 1"):
        latent_grids.uniform_grid(np.zeros((3, 1), np.float32), num_levels=1)
    with pytest.raises(ValueError, match=r"concentration = -1\.0"):
        lossy.code_length(np.array([[0]]), np.array([[-1.0]]))
