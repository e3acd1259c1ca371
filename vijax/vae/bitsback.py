r"""Lossless compression with a VAE: a file of about -ELBO bits that decodes exactly.

A stack of bits (asymmetric numeral systems) lets one draw a symbol from a
distribution by taking bits off, and code it by putting bits on; the two are exact
inverses. For each batch of images, from the last to the first,

    take   z ~ q(z | x)       -log₂ q(z | x) bits come back
    put    x under p(x | z)   -log₂ p(x | z) bits
    put    z under p(z)       -log₂ p(z) bits

so on average an image costs -ELBO / ln 2 bits. The decoder undoes it in reverse. The
first image finds an empty stack: its z is the mean of q, and nothing comes back.

Both sides compute q(z | x) and p(x | z), and they must get the same bits of the same
floats: decode with the parameters, the versions and the kind of machine that encoded.
A file says of which parameters it is, and a checksum of the images tells whether they
came out right.

References:
    Townsend, Bird & Barber (2019), arXiv:1901.04866; Bamler (2022), arXiv:2201.01741
    (the coder, `constriction`).
"""

import struct
import zlib
from functools import partial
from math import prod
from typing import Any, NamedTuple

import constriction
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vijax.vae import likelihoods, models
from vijax.vae.models import VAE, ModelParams
from vijax.validate import check

MAGIC = b"VXBB1"
HEADER = struct.Struct("<IIHHdI")  # see _Header; the shape follows, then the words
MAX_LATENT = 8.0  # standard deviations of the prior that the grid of z spans


class _Header(NamedTuple):
    num_images: int
    params_crc: int  # of the model's parameters
    num_levels: int
    batch_size: int
    latent_step: float
    images_crc: int


def encode(
    model: VAE,
    params: ModelParams,
    x: Any,
    *,
    num_levels: int = 2,
    batch_size: int = 32,
    latent_step: float = 2.0**-6,
) -> bytes:
    """Return the file.

    Args:
        model: a VAE whose likelihood is of levels: Bernoulli, discretised logistic,
            beta-binomial.
        params: its parameters.
        x: (n, *shape), multiples of 1 / (num_levels - 1) in [0, 1].
        num_levels: of a pixel.
        batch_size: images that the networks see at once; for speed.
        latent_step: grid of z. Bits back returns what a fine grid costs; it should
            be below the scales of q(z | x), and 16 / latent_step well below 2²⁴.
    """
    x = np.asarray(x, np.float32)
    if x.shape[1:] != model.shape or not len(x):
        raise ValueError(f"x has shape {x.shape}: give (n, *{model.shape}) with n >= 1")
    check(2 <= num_levels <= 2**16 - 1, "num_levels", num_levels, "give 2 to 65535")
    check(1 <= batch_size < 2**16, "batch_size", batch_size, "give 1 to 65535")
    low = MAX_LATENT * 2.0**-18
    check(low <= latent_step <= 1, "latent_step", latent_step, f"give {low} to 1")
    likelihoods.check_support(model.likelihood, x)
    top = num_levels - 1
    symbols = np.rint(x * top).astype(np.int32)
    remedy = f"give multiples of 1/{top} in [0, 1]"
    check(np.abs(symbols / top - x) < 1e-6, "x", x, remedy)

    header = _Header(
        len(x), _crc(params), num_levels, batch_size, latent_step, _crc(symbols)
    )
    codec = _Codec(model, params, header)
    stack = constriction.stream.stack.AnsCoder()
    batches = codec.batches()
    for rows in reversed(batches):
        images = symbols[rows]
        q = codec.posterior(images)
        if rows is batches[-1]:
            z = np.clip(np.rint(q[0]), -codec.span, codec.span).astype(np.int32)
        else:
            z = stack.decode(codec.gaussian, *q)
        stack.encode_reverse(images.ravel(), *codec.likelihood(z, len(images)))
        stack.encode_reverse(z, codec.gaussian, *codec.prior(z))
    words = stack.get_compressed().astype("<u4").tobytes()
    shape = struct.pack(f"<B{len(model.shape)}I", len(model.shape), *model.shape)
    return MAGIC + HEADER.pack(*header) + shape + words


def decode(model: VAE, params: ModelParams, data: bytes) -> np.ndarray:
    """Return the images, float32 of (n, *shape).

    Raises:
        ValueError: if the file is not one, was made with other parameters, or does not
            decode to what went in.
    """
    header, words = _read(model, params, data)
    codec = _Codec(model, params, header)
    stack = constriction.stream.stack.AnsCoder(words)
    batches = codec.batches()
    symbols = np.zeros((header.num_images, *model.shape), np.int32)
    for rows in batches:
        size = rows.stop - rows.start
        z = stack.decode(codec.gaussian, *codec.prior(np.empty(size * model.latent)))
        pixels = stack.decode(*codec.likelihood(z, size))
        symbols[rows] = pixels.reshape(size, *model.shape)
        if rows is not batches[-1]:
            stack.encode_reverse(z, codec.gaussian, *codec.posterior(symbols[rows]))
    if not stack.is_empty() or _crc(symbols) != header.images_crc:
        raise ValueError(
            "the file does not decode to what went in: it is damaged, or this machine "
            "computes the model's floats differently from the one that encoded"
        )
    return (symbols / (header.num_levels - 1)).astype(np.float32)


class _Codec:
    """The three distributions, on the grid of z and the levels of x."""

    def __init__(self, model: VAE, params: ModelParams, header: _Header) -> None:
        self.model, self.params, self.header = model, params, header
        self.span = round(MAX_LATENT / header.latent_step)
        stream = constriction.stream.model
        self.gaussian = stream.QuantizedGaussian(-self.span, self.span)
        self.bernoulli = stream.Bernoulli(perfect=False)
        self.categorical = stream.Categorical(perfect=False)

    def batches(self) -> list[slice]:
        """Return rows in the decoder's order; the encoder goes from the last one.

        The encoder's first batches are small: what a batch takes off the stack must
        have been put there before, or it comes for nothing and is paid in full.
        """
        stop, done, slices = self.header.num_images, 0, []
        while stop > 0:
            size = min(self.header.batch_size, max(1, done // 2), stop)
            slices.append(slice(stop - size, stop))
            stop, done = stop - size, done + size
        return slices[::-1]

    def prior(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the prior's mean and scale for each latent, in steps of the grid."""
        return np.zeros(z.size), np.full(z.size, 1 / self.header.latent_step)

    def posterior(self, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and scale of q(z | x), in steps of the grid."""
        x = symbols / np.float32(self.header.num_levels - 1)
        loc, scale = _posterior(self.model, self.params, self._fill(x))
        parts = (np.asarray(part, float)[: len(x)].ravel() for part in (loc, scale))
        loc, scale = (part / self.header.latent_step for part in parts)
        # Far below one step the code would spend bits on rounding errors alone.
        return np.clip(loc, -self.span, self.span), np.maximum(scale, 1e-2)

    def likelihood(self, z: np.ndarray, size: int) -> tuple[Any, np.ndarray]:
        """Return the code of pixels and each pixel's probabilities under p(x | z)."""
        z = z.reshape(size, self.model.latent) * np.float32(self.header.latent_step)
        log_p = np.asarray(
            _log_levels(self.model, self.header.num_levels, self.params, self._fill(z))
        )[:size]
        p = np.exp(log_p).reshape(-1, self.header.num_levels)
        if self.header.num_levels == 2:
            # Both levels stay possible in the coder's 24 bits.
            share = p[:, 1] / p.sum(axis=1)
            return self.bernoulli, np.clip(share, 2e-7, 1 - 2e-7).astype(np.float64)
        return self.categorical, p

    def _fill(self, rows: np.ndarray) -> np.ndarray:
        """Fill up the last batch, so that the networks see one shape only."""
        filled = np.zeros((self.header.batch_size, *rows.shape[1:]), np.float32)
        filled[: len(rows)] = rows
        return filled


@partial(jax.jit, static_argnums=0)
def _posterior(model: VAE, params: ModelParams, x: Array) -> tuple[Array, Array]:
    q = models.encode(model, params, x)
    return q.loc, jnp.exp(q.log_scale)


@partial(jax.jit, static_argnums=(0, 1))
def _log_levels(model: VAE, num_levels: int, params: ModelParams, z: Array) -> Array:
    outputs = models.decode(model, params, z)

    def one(level: Array) -> Array:
        x = jnp.full(outputs.shape[:-1], level)
        return model.likelihood.log_prob(x, outputs)

    levels = jnp.arange(num_levels) / (num_levels - 1)
    return jnp.moveaxis(jax.lax.map(one, levels), 0, -1)


def _crc(tree: Any) -> int:
    """Return a checksum of all numbers in a pytree."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), crc)
    return crc


def _read(model: VAE, params: ModelParams, data: bytes) -> tuple[_Header, np.ndarray]:
    start = len(MAGIC) + HEADER.size
    dimensions = struct.Struct(f"<B{len(model.shape)}I")
    if not data.startswith(MAGIC) or len(data) < start + dimensions.size:
        raise ValueError("this is no file of vijax.vae.bitsback, or it is cut short")
    header = _Header(*HEADER.unpack_from(data, len(MAGIC)))
    if header.params_crc != _crc(params):
        raise ValueError("the file was made with other parameters: decode with those")
    shape = dimensions.unpack_from(data, start)[1:]
    body = data[start + dimensions.size :]
    if shape != model.shape or len(body) % 4:
        raise ValueError(
            f"the file is damaged: it says images of shape {shape}, the model's have "
            f"{model.shape}, and {len(body)} bytes of code"
        )
    limit = 64 * 8 * prod(model.shape) * (len(body) + 1)
    if not 0 < header.num_images <= limit or header.num_levels < 2:
        raise ValueError("the file is damaged: its header makes no sense")
    return header, np.frombuffer(body, "<u4").astype(np.uint32)
