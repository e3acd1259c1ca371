r"""Lossy compression by rounded latents: what images cost, in bits, and what is lost.

An encoder's latents are rounded to a grid, and the rounded ones are coded without loss:

    symbols = quantise(grid, encoder(x))
    x' = decoder(dequantise(grid, symbols))
    rate = code_length(symbols, concentration) / pixels    bits per pixel
    distortion = mean (x - x')²                            on held-out images

`rate_distortion` does all of this. The receiver also needs the decoder's parameters,
whose size is `parameter_bits`. `baselines` has what everybody has, to compare.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vijax.printing import in_digits
from vijax.types import Params, Scalar
from vijax.vae.compression import latent_grids
from vijax.vae.compression.latent_grids import Grid, Symbols
from vijax.validate import check, is_traced, is_whole, seen, where_valid


class RateDistortion(NamedTuple):
    """What a set of images costs, and what is lost."""

    bits: Scalar  # of all latents of all images, entropy-coded
    mse: Scalar  # mean (x - x')² over all pixels
    mse_standard_error: Scalar  # over sets of as many images

    def __str__(self) -> str:
        """Return bits and mean square error."""
        mse = in_digits(self.mse, self.mse_standard_error)
        if is_traced(self.bits) or np.ndim(self.bits):
            return f"rates and distortions of shape {np.shape(self.bits)}"
        return f"{self.bits:.1f} bits, mean square error {mse}"


def symbol_concentration(
    grid: Grid, symbols: Symbols, *, max_levels: int
) -> Float[Array, "latent levels"]:
    """Return a code's prior knowledge: ½ plus the count of each training symbol.

    Args:
        grid: the levels; those at and above `num_levels` get 0, impossible.
        symbols: of the training data.
        max_levels: length of the result's last axis, at least every `num_levels`.

    Raises:
        ValueError: fewer levels than an axis of the grid has.

    References:
        Krichevsky & Trofimov (1981), IEEE Trans. Inf. Theory 27, 199.

    Example:
        >>> grid = latent_grids.uniform_grid(jnp.array([[0.0], [1.0]]), num_levels=2)
        >>> symbol_concentration(grid, jnp.array([[1], [1]]), max_levels=3).tolist()
        [[0.5, 2.5, 0.0]]
    """
    remedy = f"give the most levels of an axis or more, {grid.num_levels}"
    check(seen(grid.num_levels) <= max_levels, "max_levels", max_levels, remedy)
    return _concentration(grid, jnp.asarray(symbols), max_levels)


@partial(jax.jit, static_argnums=2)
def _concentration(grid: Grid, symbols: Array, max_levels: int) -> Array:
    levels = jnp.arange(max_levels)
    counts = jax.vmap(lambda s: jnp.bincount(s, length=max_levels), 1)(symbols)
    return jnp.where(levels < grid.num_levels[:, None], counts + 0.5, 0.0)


def code_length(
    symbols: Symbols, concentration: Float[ArrayLike, "latent levels"]
) -> Scalar:
    r"""Return the bits that an adaptive arithmetic code gives to a table of symbols.

    After i symbols, level k has probability (α_k + n_k) / (A + i), where n_k counts its
    occurrences so far and A = Σ_k α_k. The product over all symbols is the evidence
    under a Dirichlet prior:

        p(symbols) = Γ(A) / Γ(A + n) Π_k Γ(α_k + n_k) / Γ(α_k)

    The file is -log₂ p bits long, to within two bits for all symbols together. Sender
    and receiver learn alike, so no table of frequencies is sent.

    Args:
        symbols: of the data to be coded, each column by its own code.
        concentration: α; ½ for a code that knows nothing (Krichevsky & Trofimov 1981),
            plus counts for one that has seen training data. Zero makes a level
            impossible: its occurrence costs infinitely many bits.

    Raises:
        ValueError: negative concentration, symbols that are not whole numbers, have no
            row of concentration, or are not one of its levels.

    Example:
        >>> bits = code_length(jnp.array([[0], [0], [1]]), jnp.array([[0.5, 0.5]]))
        >>> round(bits.item(), 4)  # -log2(1/2 · 3/4 · 1/6)
        4.0
    """
    alpha = jnp.asarray(concentration, float)
    remedy = "give numbers of 0 or more"
    valid: Any = check(seen(alpha) >= 0, "concentration", alpha, remedy)
    symbols, num_levels = jnp.asarray(symbols), alpha.shape[-1]
    if not jnp.issubdtype(symbols.dtype, jnp.integer):
        raise ValueError(f"symbols are {symbols.dtype}: give whole numbers")
    if symbols.shape[1:] != alpha.shape[:1]:
        raise ValueError(
            f"symbols have shape {symbols.shape}, concentration {alpha.shape}: give "
            "a row of concentration for each column of symbols"
        )
    known = (seen(symbols) >= 0) & (seen(symbols) < num_levels)
    inside: Any = check(known, "symbols", symbols, f"give 0 to {num_levels - 1}")
    return where_valid(valid.all() & inside.all(), _code_length(symbols, alpha))


@jax.jit
def _code_length(symbols: Array, alpha: Array) -> Scalar:
    num_levels = alpha.shape[-1]
    counts = jax.vmap(lambda s: jnp.bincount(s, length=num_levels), 1)(symbols)
    possible = jnp.where(alpha > 0, alpha, 1.0)
    gain = jnp.where(counts > 0, gammaln(possible + counts) - gammaln(possible), 0)
    gain = jnp.where((alpha == 0) & (counts > 0), -jnp.inf, gain)
    total = jnp.sum(alpha, axis=-1)
    nats = gammaln(total + counts.sum(-1)) - gammaln(total) - gain.sum(-1)
    return jnp.sum(nats) / math.log(2)


def rate_distortion(
    train: Float[ArrayLike, "train latent"],
    test: Float[ArrayLike, "test latent"],
    images: Float[ArrayLike, "..."],
    decode: Callable[[Any], Float[Array, "..."]],
    num_levels: int | Int[Array, ""],
    *,
    max_levels: int = 256,
    shared_step: bool = False,
) -> RateDistortion:
    """Quantise, code and decode held-out latents; the code has seen the training ones.

    Args:
        train: latents of the training images: they fix the grid and its statistics.
        test: latents of the held-out images.
        images: those images.
        decode: latents -> images.
        num_levels: levels on an axis; may be traced, so `vmap` or `lax.map` over it.
        max_levels: the most levels that an axis may have: `num_levels`, or one more
            where the step is shared.
        shared_step: see `latent_grids.uniform_grid`.

    Returns:
        Bits of all held-out latents, and the mean square error with its standard error
        over images.

    Raises:
        ValueError: unlike numbers of latents and images; as `uniform_grid` and
            `symbol_concentration`.

    Example:
        >>> z = jnp.array([[0.0], [1.0], [0.6]])
        >>> found = rate_distortion(z[:2], z[2:], z[2:], lambda z: z, 2, max_levels=2)
        >>> round(found.bits.item(), 3), round(found.mse.item(), 3)  # a coin: 1 bit
        (1.0, 0.16)
    """
    if len(jnp.asarray(test)) != len(jnp.asarray(images)):
        raise ValueError(
            f"test has {len(jnp.asarray(test))} latents and images "
            f"{len(jnp.asarray(images))}: give one for each image"
        )
    grid = latent_grids.uniform_grid(
        train, num_levels=num_levels, shared_step=shared_step
    )
    alpha = symbol_concentration(
        grid, latent_grids.quantise(grid, train), max_levels=max_levels
    )
    symbols = latent_grids.quantise(grid, test)
    decoded = decode(latent_grids.dequantise(grid, symbols))
    mean, error = _mean_square(decoded, jnp.asarray(images))
    return RateDistortion(code_length(symbols, alpha), mean, error)


@jax.jit
def _mean_square(decoded: Array, images: Array) -> tuple[Scalar, Scalar]:
    """Return the mean square error, and its standard error over images."""
    squares = (decoded - images) ** 2
    mse = jnp.mean(squares.reshape(len(squares), -1), axis=1)
    return jnp.mean(mse), jnp.std(mse, ddof=1) / math.sqrt(len(mse))


def bits_per_pixel(nats: ArrayLike, num_pixels: int) -> Float[Array, "..."]:
    """Turn nats per example into bits per pixel.

    Raises:
        ValueError: a number of pixels that is not whole and positive.

    Example:
        >>> round(bits_per_pixel(86.76, 784).item(), 3)  # IWAE paper's VAE, MNIST
        0.16
    """
    valid = is_whole(num_pixels) and num_pixels >= 1
    check(valid, "num_pixels", num_pixels, "give 1 or more")
    return jnp.asarray(nats) / (num_pixels * math.log(2))


def peak_signal_to_noise(mse: ArrayLike) -> Float[Array, "..."]:
    """Return the PSNR in decibels of pixels in [0, 1], -10 log₁₀ MSE.

    Raises:
        ValueError: a negative mean square.

    Example:
        >>> peak_signal_to_noise(0.01).round(4).item()
        20.0
    """
    mse = jnp.asarray(mse)
    valid = check(mse >= 0, "mse", mse, "give a mean square of 0 or more")
    return where_valid(valid, -10 * jnp.log10(mse))


def parameter_bits(params: Params) -> int:
    """Return the bits of a decoder's parameters as they are stored in memory.

    Example:
        >>> params = {"kernel": np.zeros((2, 3), "f4"), "bias": np.zeros(3, "f4")}
        >>> parameter_bits(params)
        288
    """
    return 8 * sum(leaf.nbytes for leaf in jax.tree.leaves(params))
