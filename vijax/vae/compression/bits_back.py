r"""Bits-back coding: lossless compression with a VAE in about -ELBO / ln 2 bits.

The code is a stack of bits (asymmetric numeral systems). Taking bits off it draws a
symbol from a distribution, putting bits on it codes a symbol, and the two are exact
inverses. For each batch of examples, from the last to the first, the encoder does

    take   z ~ q(z | x)       -log₂ q(z | x) bits come back
    put    x under p(x | z)   -log₂ p(x | z) bits
    put    z under p(z)       -log₂ p(z) bits

and the decoder undoes it in reverse. z lives on a grid whose step is below the scales
of q(z | x). How fine the grid is does not matter, since what it costs comes back.
`latent_codes` says what the grid is where prior or q are not the default ones. The
first batch finds an empty stack: its z is the mean of q, and nothing comes back.

Encoder and decoder both compute q(z | x) and p(x | z) and must get the same floats to
the last bit. So decode with the parameters, the versions and the kind of machine that
encoded. `file_format` writes files that notice when something went wrong.

References:
    Townsend, Bird & Barber (2019), arXiv:1901.04866; Bamler (2022), arXiv:2201.01741
    (the coder, `constriction`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import constriction
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vijax.vae.compression import latent_codes
from vijax.vae.compression.latent_codes import Latents
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams

MIN_STEP = latent_codes.MIN_STEP

_Symbols = Int[np.ndarray, "rows ..."]


class SymbolCode(NamedTuple):
    """How the symbols of an example are coded, given its latents z."""

    to_x: Callable[[_Symbols], np.ndarray]  # symbols -> what the encoder network sees
    given: Callable[[np.ndarray], tuple[Any, ...]]  # z -> the stack's model, numbers


class BitsBackSettings(NamedTuple):
    """What encoder and decoder must agree on."""

    batch_size: int  # examples that the networks see at once
    latent_step: float  # of the grid of z


def encode_symbols(
    model: VAE,
    params: ModelParams,
    code: SymbolCode,
    settings: BitsBackSettings,
    symbols: _Symbols,
) -> np.ndarray:
    """Code symbols and return the stack as 32-bit words.

    Args:
        model: the VAE.
        params: its parameters.
        code: of the model's likelihood, from `level_code` or `bin_code`.
        settings: batch size and latent step.
        symbols: (n, *shape), integers.
    """
    stack = constriction.stream.stack.AnsCoder()
    grid = Latents(model, params, *settings)
    batches = _batches(len(symbols), settings.batch_size)
    for rows in reversed(batches):
        q = grid.posterior(code.to_x(symbols[rows]))
        first = rows is batches[-1]
        z = grid.rounded(q) if first else stack.decode(grid.code, *q)
        stack.encode_reverse(symbols[rows].ravel(), *code.given(grid.values(z)))
        grid.put(stack, z, nothing_back=first)
    return stack.get_compressed()


def decode_symbols(
    model: VAE,
    params: ModelParams,
    code: SymbolCode,
    settings: BitsBackSettings,
    words: np.ndarray,
    num_rows: int,
) -> _Symbols | None:
    """Undo `encode_symbols`.

    Args:
        model: the VAE that encoded.
        params: its parameters, the same to the bit.
        code: as for `encode_symbols`.
        settings: as for `encode_symbols`.
        words: the stack.
        num_rows: number of examples.

    Returns:
        The symbols, or None if the words are not a whole stack of this model.
    """
    stack = constriction.stream.stack.AnsCoder(words.astype(np.uint32))
    grid = Latents(model, params, *settings)
    symbols = np.zeros((num_rows, *model.shape), np.int32)
    batches = _batches(num_rows, settings.batch_size)
    for rows in batches:
        size = rows.stop - rows.start
        z = grid.take(stack, size, nothing_back=rows is batches[-1])
        flat = stack.decode(*code.given(grid.values(z)))
        symbols[rows] = flat.reshape(size, *model.shape)
        q = grid.posterior(code.to_x(symbols[rows]))
        if rows is not batches[-1]:
            stack.encode_reverse(z, grid.code, *q)
        elif not np.array_equal(z, grid.rounded(q)):
            return None
    return symbols if stack.is_empty() else None


def level_code(
    model: VAE, params: ModelParams, settings: BitsBackSettings, *, num_levels: int
) -> SymbolCode:
    """Return the code of grey levels 0, 1, …, num_levels - 1, where x = level / top."""
    top = np.float32(num_levels - 1)
    stream = constriction.stream.model
    bernoulli, categorical = (
        stream.Bernoulli(perfect=False),
        stream.Categorical(perfect=False),
    )

    def given(z: np.ndarray) -> tuple[Any, ...]:
        filled = latent_codes.fill(z, settings.batch_size)
        p = np.exp(_log_levels(model, num_levels, params, filled)[: len(z)])
        p = p.reshape(-1, num_levels)
        if num_levels > 2:
            return categorical, p
        # Both levels stay possible in the coder's 24 bits.
        share = (p[:, 1] / p.sum(axis=1)).astype(float)
        return bernoulli, np.clip(share, 2e-7, 1 - 2e-7)

    return SymbolCode(lambda symbols: symbols / top, given)


def bin_code(
    model: VAE,
    params: ModelParams,
    settings: BitsBackSettings,
    *,
    lower: Float[np.ndarray, " features"],
    step: Float[np.ndarray, " features"],
    num_bins: Int[np.ndarray, " features"],
) -> SymbolCode:
    """Return the code of a real table's bins, under a Gaussian likelihood.

    Bin k of a column is centred at lower + step · k. Its probability is the integral of
    the Gaussian over it.

    Args:
        model: the VAE.
        params: its parameters.
        settings: batch size and latent step.
        lower: centre of each column's bin 0.
        step: width of each column's bins.
        num_bins: of each column.
    """
    # The coder wants two bins or more, of one row too.
    last = max(int(num_bins.max()) - 1, 1)
    gaussian = constriction.stream.model.QuantizedGaussian(0, last)

    def given(z: np.ndarray) -> tuple[Any, ...]:
        filled = latent_codes.fill(z, settings.batch_size)
        outputs = _gaussian(model, params, filled)
        loc, scale = (np.asarray(part, float)[: len(z)] for part in outputs)
        # The mean stays within the bins. The scale stays near one bin or above: were it
        # far below, a rounding error of the mean would cost many bits.
        loc = np.clip((loc - lower) / step, 0, num_bins - 1)
        return gaussian, loc.ravel(), np.maximum(scale / step, 0.05).ravel()

    def to_x(symbols: _Symbols) -> np.ndarray:
        return (lower + step * symbols).astype(np.float32)

    return SymbolCode(to_x, given)


def _batches(num_rows: int, batch_size: int) -> list[slice]:
    """Return batches of rows in the decoder's order; the encoder starts at the last.

    The encoder's first batches are small. A batch can only take off the stack what was
    put there before it.
    """
    stop, done, slices = num_rows, 0, []
    while stop > 0:
        size = min(batch_size, max(1, done // 2), stop)
        slices.append(slice(stop - size, stop))
        stop, done = stop - size, done + size
    return slices[::-1]


@partial(jax.jit, static_argnums=(0, 1))
def _log_levels(model: VAE, num_levels: int, params: ModelParams, z: Array) -> Array:
    outputs = autoencoders.decode(model, params, z)

    def one(level: Array) -> Array:
        x = jnp.full(outputs.shape[:-1], level)
        return model.likelihood.log_prob(x, outputs)

    grid = jnp.arange(num_levels) / (num_levels - 1)
    return jnp.moveaxis(jax.lax.map(one, grid), 0, -1)


@partial(jax.jit, static_argnums=0)
def _gaussian(model: VAE, params: ModelParams, z: Array) -> tuple[Array, Array]:
    """Return loc and scale, the scale from the density at its peak."""
    outputs = autoencoders.decode(model, params, z)
    loc = model.likelihood.mean(outputs)
    peak = model.likelihood.log_prob(loc, outputs)
    return loc, jnp.exp(-peak) / jnp.sqrt(2 * jnp.pi)
