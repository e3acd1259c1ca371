r"""Bits-back coding: lossless compression with a VAE in about -ELBO / ln 2 bits.

The code is a stack of bits (asymmetric numeral systems). Taking bits off it draws a
symbol from a distribution, putting bits on it codes a symbol, and the two are exact
inverses. For each batch of examples, from the last to the first, the encoder does

    take   z ~ q(z | x)       -log₂ q(z | x) bits come back
    put    x under p(x | z)   -log₂ p(x | z) bits
    put    z under p(z)       -log₂ p(z) bits

and the decoder undoes it in reverse. z lives on a grid whose step is below the scales
of q(z | x). How fine the grid is does not matter, since what it costs comes back.
`latent_codes` says what the grid is where prior or q are not the default ones.

With K draws an example costs its importance-weighted bound, which is tighter. With
w_k = p(x, z_k) / q(z_k | x) the encoder does

    take   z_1, …, z_K ~ q(z | x),  then one of them, j, with probability w_j / Σ w
    put    the others under q(z | x),  x under p(x | z_j),  z_j under p(z),
           j under equal probabilities

The first example finds an empty stack: its z is the mean of q, and nothing comes back.
The next ones find little: as many examples and draws are coded at once as there are
bits for, and both numbers are put on the stack with them.

Encoder and decoder both compute q(z | x) and p(x | z) and must get the same floats to
the last bit. So decode with the parameters, the versions and the kind of machine that
encoded. `file_format` writes files that notice when something went wrong.

References:
    Townsend, Bird & Barber (2019), arXiv:1901.04866; Ruan et al. (2021),
    arXiv:2102.11086 (several draws); Bamler (2022), arXiv:2201.01741 (the coder,
    `constriction`).
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
_uniform = constriction.stream.model.Uniform
_categorical = constriction.stream.model.Categorical(perfect=False)


class SymbolCode(NamedTuple):
    """How the symbols of an example are coded, given its latents z."""

    to_x: Callable[[_Symbols], np.ndarray]  # symbols -> what the encoder network sees
    given: Callable[[np.ndarray], tuple[Any, ...]]  # z -> the stack's model, numbers


class BitsBackSettings(NamedTuple):
    """What encoder and decoder must agree on."""

    batch_size: int  # examples that the networks see at once
    latent_step: float  # of the grid of z
    num_samples: int  # K, draws of z for an example


class _Batch(NamedTuple):
    """How many examples are coded at once, and with how many draws of z each."""

    num_rows: int
    num_draws: int  # 0: z is the mean of q, and nothing comes back


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
        settings: batch size, latent step and draws.
        symbols: (n, *shape), integers.
    """
    stack = constriction.stream.stack.AnsCoder()
    grid = Latents(model, params, settings.batch_size, settings.latent_step)
    options, stop = _options(settings), len(symbols)
    while stop > 0:
        last = symbols[max(0, stop - settings.batch_size) : stop]
        batch = _affordable(stack, grid.widths(code.to_x(last)), options)
        rows, stop = slice(stop - batch.num_rows, stop), stop - batch.num_rows
        x = code.to_x(symbols[rows])
        # q again, as the decoder will: floats may depend on a row's place in its batch.
        z, which = _take_draws(stack, grid, x, batch)
        stack.encode_reverse(symbols[rows].ravel(), *code.given(grid.values(z)))
        grid.put(stack, z, nothing_back=batch.num_draws == 0)
        if batch.num_draws > 1:
            stack.encode_reverse(which, _uniform(batch.num_draws))
        for number, numbers in zip(batch, options, strict=True):
            index = np.array([numbers.index(number)], np.int32)
            stack.encode_reverse(index, _uniform(len(numbers)))
        stack = _scrambled(stack, stop)
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
    grid = Latents(model, params, settings.batch_size, settings.latent_step)
    symbols = np.zeros((num_rows, *model.shape), np.int32)
    options, start = _options(settings), 0
    while start < num_rows:
        stack = _scrambled(stack, start)
        draws, size = (
            numbers[stack.decode(_uniform(len(numbers)), 1)[0]]
            for numbers in reversed(options)
        )
        batch = _Batch(size, draws)
        which = np.zeros(size, np.int32)
        if draws > 1:
            which = stack.decode(_uniform(draws), size)
        if start + size > num_rows:
            return None
        z = grid.take(stack, size, nothing_back=draws == 0)
        flat = stack.decode(*code.given(grid.values(z)))
        rows, start = slice(start, start + size), start + size
        symbols[rows] = flat.reshape(size, *model.shape)
        x = code.to_x(symbols[rows])
        if not _put_draws(stack, grid, x, batch, z, which):
            return None
    return symbols if stack.is_empty() else None


def _scrambled(stack: Any, seed: int) -> Any:
    """Return the stack with pseudo-random bits flipped; twice is not at all.

    What surprises the model leaves bits that are not random, and draws that were not
    chosen go back as the bits that they came from. The next batch would draw with these
    bits, far out in q's tails, which surprises again: it does not stop by itself.
    """
    words = stack.get_compressed()
    below = max(len(words) - 1, 0)  # the coder's state must not begin with zeros
    pad = np.random.PCG64(seed).random_raw((below + 1) // 2).view(np.uint32)
    words[:below] ^= pad[:below]
    return constriction.stream.stack.AnsCoder(words)


def _options(settings: BitsBackSettings) -> tuple[list[int], list[int]]:
    """Return the numbers of rows and of draws that a batch may have: powers of two."""
    sizes, draws = (
        [2**i for i in range((top - 1).bit_length())] + [top]
        for top in (settings.batch_size, settings.num_samples)
    )
    if len(sizes) == 1:
        sizes *= 2  # the coder wants a choice
    return sizes, [0, *draws]


def _affordable(
    stack: Any,
    scale: Float[np.ndarray, "rows latent"],
    options: tuple[list[int], list[int]],
) -> _Batch:
    """Return the batch for whose draws there are bits: draws first, then rows."""
    sizes, draws = options
    bits = np.sum(np.log2(1 + _SPREAD * scale), axis=1)[::-1].cumsum()  # of last rows
    # What a draw takes varies by one bit a latent. Where the stack runs out, draws come
    # from far out in q's tails, which would be dear.
    there = stack.num_valid_bits() - 32

    def fits(draws: int, rows: int) -> bool:
        varies = 3 * np.sqrt(draws * rows * scale.shape[1])
        return bool(draws * bits[rows - 1] + varies <= there)

    most = max((n for n in draws if n and fits(n, 1)), default=0)
    if most == 0:
        return _Batch(1, 0)
    return _Batch(max(n for n in sizes if n <= len(bits) and fits(most, n)), most)


# A normal's entropy in bits is log2(√(2πe) scale).
_SPREAD = float(np.sqrt(2 * np.pi * np.e))


def _take_draws(
    stack: Any, grid: Latents, x: np.ndarray, batch: _Batch
) -> tuple[np.ndarray, np.ndarray]:
    """Return z, and which of the draws it is; the other draws go back."""
    size, draws = batch
    which = np.zeros(size, np.int32)
    if draws == 0:
        return grid.rounded(x), which
    all_z = np.empty((draws, size, grid.model.latent), np.int32)

    def choose(part: slice, q: np.ndarray) -> np.ndarray:
        flat = stack.decode(grid.code, *_contiguous(q))
        all_z[..., part] = flat.reshape(q.shape[1:])
        return all_z[..., part]

    q = grid.go_through(x, choose, num_draws=draws)
    if draws > 1:
        which = stack.decode(_categorical, grid.weights(x, all_z, q))
        is_other = np.arange(draws)[:, None] != which
        _put(stack, grid, _by_row(all_z, is_other), _by_row(q, is_other))
    return all_z[which, np.arange(size)].ravel(), which


def _put_draws(
    stack: Any,
    grid: Latents,
    x: np.ndarray,
    batch: _Batch,
    z: np.ndarray,
    which: np.ndarray,
) -> bool:
    """Undo `_take_draws`, and say whether z is what it returned."""
    size, draws = batch
    if draws == 0:
        return np.array_equal(z, grid.rounded(x))
    all_z = np.empty((draws, size, z.size // size), np.int32)
    all_z[which, np.arange(size)] = z.reshape(size, -1)
    is_other = np.arange(draws)[:, None] != which

    def choose(part: slice, q: np.ndarray) -> np.ndarray:
        if draws > 1:
            others = stack.decode(grid.code, *_contiguous(_by_row(q, is_other)))
            rows, draw = np.nonzero(is_other.T)
            all_z[draw, rows, part] = others.reshape(len(rows), -1)
        return all_z[..., part]

    q = grid.go_through(x, choose, num_draws=draws)
    if draws > 1:
        stack.encode_reverse(which, _categorical, grid.weights(x, all_z, q))
    _put(stack, grid, all_z, q)
    return True


def _put(stack: Any, grid: Latents, z: np.ndarray, q: np.ndarray) -> None:
    """Put latents under q, the last part first: they will be taken in their order."""
    for part in reversed(grid.parts):
        own = np.ascontiguousarray(z[..., part]).ravel()
        stack.encode_reverse(own, grid.code, *_contiguous(q[..., part]))


def _by_row(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return what is chosen among (…, draws, rows, latent): draws of a row together."""
    rows, draws = np.nonzero(chosen.T)
    return values[..., draws, rows, :]


def _contiguous(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale as the coder takes them."""
    return np.ascontiguousarray(q[0]).ravel(), np.ascontiguousarray(q[1]).ravel()


def level_code(
    model: VAE, params: ModelParams, settings: BitsBackSettings, *, num_levels: int
) -> SymbolCode:
    """Return the code of grey levels 0, 1, …, num_levels - 1, where x = level / top."""
    top = np.float32(num_levels - 1)
    bernoulli = constriction.stream.model.Bernoulli(perfect=False)

    def given(z: np.ndarray) -> tuple[Any, ...]:
        filled = latent_codes.fill(z, settings.batch_size)
        p = np.asarray(_masses(model, num_levels, params, filled))[: len(z)]
        latent_codes.check_finite("p(x | z)", p)
        p = p.reshape(-1, num_levels)
        if num_levels > 2:
            return _categorical, p
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
        latent_codes.check_finite("p(x | z)", loc, scale)
        # The mean stays within the bins. The scale stays near one bin or above: were it
        # far below, a rounding error of the mean would cost many bits.
        loc = np.clip((loc - lower) / step, 0, num_bins - 1)
        return gaussian, loc.ravel(), np.maximum(scale / step, 0.05).ravel()

    def to_x(symbols: _Symbols) -> np.ndarray:
        return (lower + step * symbols).astype(np.float32)

    return SymbolCode(to_x, given)


@partial(jax.jit, static_argnums=(0, 1))
def _masses(model: VAE, num_levels: int, params: ModelParams, z: Array) -> Array:
    """Return the probability of each level, (rows, *shape, num_levels)."""
    outputs = autoencoders.decode(model, params, z)
    if model.likelihood.masses is not None:
        p = model.likelihood.masses(outputs)
        if p.shape[-1] == num_levels:
            return p

    def one(level: Array) -> Array:
        x = jnp.full(outputs.shape[:-1], level)
        # Levels that the model does not know cannot be among the symbols.
        known = model.likelihood.support(x)
        return jnp.where(known, jnp.exp(model.likelihood.log_prob(x, outputs)), 0.0)

    grid = jnp.arange(num_levels) / (num_levels - 1)
    return jnp.moveaxis(jax.lax.map(one, grid), 0, -1)


@partial(jax.jit, static_argnums=0)
def _gaussian(model: VAE, params: ModelParams, z: Array) -> tuple[Array, Array]:
    """Return loc and scale, the scale from the density at its peak."""
    outputs = autoencoders.decode(model, params, z)
    loc = model.likelihood.mean(outputs)
    peak = model.likelihood.log_prob(loc, outputs)
    return loc, jnp.exp(-peak) / jnp.sqrt(2 * jnp.pi)
