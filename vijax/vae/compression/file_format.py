r"""Compressed files: of images without loss, of tables with a bound on every error.

    data = encode_images(model, params, x)                 decode_images(…, data) == x
    data = encode_table(model, params, table, scale, bound)   |decoded - table| <= bound

A table's numbers are rounded to bins twice as wide as their bound, and the bins are
coded without loss. So rounding is all that is lost. Of a column with more than 2^20
bins the model codes the leading bits of a bin's number, and the others stand in the
file as they are. The model of a table is a VAE with a Gaussian likelihood, trained on
`event_tables.to_scaled(table, scale)`.

The file does not hold the model, but its checksum and that of what was coded. A damaged
or foreign file, or a machine that computes other floats, ends in a ValueError.
"""

import struct
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from vijax.vae import event_tables
from vijax.vae.compression import bits_back
from vijax.vae.compression.bits_back import BitsBackSettings
from vijax.vae.event_tables import BinnedTable, ColumnScale, Table
from vijax.vae.models import likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams
from vijax.validate import check, is_whole, unmasked

IMAGES, TABLE = b"VXIM3", b"VXTB3"
CODED_BITS = 20  # of a bin's number that the model codes
REAL = ("gaussian", "continuous_bernoulli")
BATCH_SIZE, LATENT_STEP = 32, 2.0**-6


class _Header(NamedTuple):
    """What precedes the words in a file, besides the shape of one example."""

    num_rows: int
    params_crc: int  # of the parameters
    content_crc: int  # of what was coded, and of the columns' scales
    num_levels: int  # of a pixel; 0 for a table
    batch_size: int
    latent_step: float
    num_samples: int


_HEADER = struct.Struct("<IIIIHdH")
_CRC = struct.Struct("<I")  # of all that follows it


def encode_images(
    model: VAE,
    params: ModelParams,
    x: Any,
    *,
    num_levels: int = 2,
    batch_size: int = BATCH_SIZE,
    latent_step: float = LATENT_STEP,
    num_samples: int = 1,
) -> bytes:
    """Return a file of images that decodes to them exactly.

    Args:
        model: a VAE whose likelihood is one of levels: Bernoulli, discretised
            logistic, beta-binomial.
        params: its parameters.
        x: (n, *shape), multiples of 1 / (num_levels - 1) in [0, 1].
        num_levels: grey levels of a pixel.
        batch_size: images that the networks see at once; for speed.
        latent_step: step of the grid of z; keep it below the scales of q(z | x).
        num_samples: K, draws of z for each image; more make a smaller file, of the
            importance-weighted bound of K draws, and take longer in proportion.

    Raises:
        ValueError: a likelihood of real numbers, another shape, no image, pixels that
            are not such levels, a setting out of its range.

    References:
        Townsend, Bird & Barber (2019), arXiv:1901.04866.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> model = models.vae((2, 2), latent=1, hidden=())
        >>> params = models.init(model, jax.random.key(0))
        >>> x = np.array([[[0, 1], [1, 1]]], np.float32)
        >>> decode_images(model, params, encode_images(model, params, x)).tolist()
        [[[0.0, 1.0], [1.0, 1.0]]]
    """
    x = np.asarray(unmasked("x", x), np.float32)
    if model.likelihood.name in REAL:
        raise ValueError(
            f"the model's pixels are {model.likelihood.name}, real numbers: only a "
            "likelihood of levels codes without loss"
        )
    check(2 <= num_levels <= 2**16, "num_levels", num_levels, "give 2 to 65536")
    settings = _settings(model, x, batch_size, latent_step, num_samples)
    _check_params(params)
    likelihoods.check_support(model.likelihood, x)
    top = num_levels - 1
    symbols = np.rint(x * top).astype(np.int32)
    remedy = f"give multiples of 1/{top} in [0, 1]"
    check(np.abs(symbols / top - x) < 1e-6, "x", x, remedy)
    code = bits_back.level_code(model, params, settings, num_levels=num_levels)
    words = bits_back.encode_symbols(model, params, code, settings, symbols)
    header = _Header(len(x), _crc(params), _crc((symbols,)), num_levels, *settings)
    return _pack(IMAGES, header, model.shape, b"", words)


def decode_images(model: VAE, params: ModelParams, data: bytes) -> np.ndarray:
    """Return the images, float32 of (n, *shape); see `encode_images`.

    Args:
        model: the VAE that encoded.
        params: its parameters, the same to the bit.
        data: the file, undamaged: its checksum is looked at first.

    Raises:
        ValueError: not such a file, one that another model made, one that does not
            decode to what went in.
    """
    header, body = _unpack(IMAGES, model, params, data)
    if not 2 <= header.num_levels <= 2**16:
        raise ValueError("the file is damaged: its pixels have no levels")
    settings = _settings_in(header)
    code = bits_back.level_code(model, params, settings, num_levels=header.num_levels)
    symbols = _decode(model, params, code, settings, header, body, ())
    return (symbols / (header.num_levels - 1)).astype(np.float32)


def encode_table(
    model: VAE,
    params: ModelParams,
    table: Table,
    scale: ColumnScale,
    bound: Any,
    *,
    batch_size: int = BATCH_SIZE,
    latent_step: float = LATENT_STEP,
    num_samples: int = 1,
) -> bytes:
    """Return a file of a table; each number comes back within its column's bound.

    Args:
        model: a VAE with a Gaussian likelihood.
        params: its parameters, trained on scaled events.
        table: (events, features).
        scale: of the columns, from `event_tables.fit_scale`.
        bound: greatest error of each column, or one for all: absolute, or relative
            where the column is scaled by its logarithm. Below ½ it keeps whole numbers.
        batch_size: events that the networks see at once; for speed.
        latent_step: step of the grid of z; keep it below the scales of q(z | x).
        num_samples: K, draws of z for each event; more make a smaller file, of the
            importance-weighted bound of K draws, and take longer in proportion.

    Raises:
        ValueError: another likelihood, another shape, no event, NaN or infinities, a
            bound that is not positive or needs more than 2^31 bins, a setting out of
            its range.

    Example:
        >>> from vijax.vae.models import autoencoders as models
        >>> gaussian = likelihoods.gaussian(None)
        >>> model = models.vae((1,), latent=1, hidden=(), likelihood=gaussian)
        >>> params = models.init(model, jax.random.key(0))
        >>> table = np.array([[1.0], [2.5], [3.7]])
        >>> scale = event_tables.fit_scale(table)
        >>> data = encode_table(model, params, table, scale, 0.1)
        >>> bool(np.all(np.abs(decode_table(model, params, data) - table) <= 0.1))
        True
    """
    if model.likelihood.name != "gaussian":
        raise ValueError(
            f"the model's likelihood is {model.likelihood.name}: give a VAE with a "
            "Gaussian one"
        )
    table = np.asarray(unmasked("table", table), float)
    settings = _settings(model, table, batch_size, latent_step, num_samples)
    _check_params(params)
    symbols, lower, step = event_tables.to_bins(table, scale, bound)
    num_bins = symbols.max(axis=0).astype(int) + 1
    bins = BinnedTable(symbols, lower, step)
    code, plain = _coded_bins(model, params, settings, bins, num_bins)
    leading = (symbols >> plain).astype(np.int32)
    words = bits_back.encode_symbols(model, params, code, settings, leading)
    columns = np.stack([*scale, lower, step, num_bins]).astype("<f8")
    header = _Header(len(table), _crc(params), _crc((columns, symbols)), 0, *settings)
    extra = columns.tobytes() + _plain_bytes(symbols, plain)
    return _pack(TABLE, header, model.shape, extra, words)


def decode_table(model: VAE, params: ModelParams, data: bytes) -> Table:
    """Return the table, float64, with errors within the bounds it was made with.

    Args:
        model: the VAE that encoded.
        params: its parameters, the same to the bit.
        data: the file, from `encode_table`.

    Raises:
        ValueError: not such a file, one that another model made, one that does not
            decode to what went in.
    """
    header, body = _unpack(TABLE, model, params, data)
    features = model.shape[0]
    if len(body) < 48 * features:
        raise ValueError("the file is damaged: its columns are cut short")
    columns = np.frombuffer(body[: 48 * features], "<f8").reshape(6, features)
    loc, spread, logarithm, lower, step, num_bins = columns
    if not (np.isfinite(columns).all() and (step > 0).all() and (num_bins >= 1).all()):
        raise ValueError("the file is damaged: its columns make no sense")
    if (num_bins > event_tables.MAX_BINS).any():
        raise ValueError("the file is damaged: its columns make no sense")
    settings = _settings_in(header)
    bins = BinnedTable(np.zeros((0, features), np.int32), lower, step)
    code, plain = _coded_bins(model, params, settings, bins, num_bins.astype(int))
    rest = body[48 * features :]
    low, rest = _plain_bits(rest, header.num_rows, plain)
    symbols = _decode(
        model, params, code, settings, header, rest, (columns,), (plain, low)
    )
    return event_tables.from_bins(
        BinnedTable(symbols, lower, step),
        ColumnScale(loc, spread, logarithm.astype(bool)),
    )


def _coded_bins(
    model: VAE,
    params: ModelParams,
    settings: BitsBackSettings,
    bins: BinnedTable,
    num_bins: Int[np.ndarray, " features"],
) -> tuple[bits_back.SymbolCode, Int[np.ndarray, " features"]]:
    """Return the code of the bins' leading bits, and how many bits stay of each."""
    lengths = np.array([int(n - 1).bit_length() for n in num_bins])
    plain = np.maximum(lengths - CODED_BITS, 0)
    wide = 2**plain  # bins that share their leading bits; the model sees their middle
    code = bits_back.bin_code(
        model,
        params,
        settings,
        lower=bins.lower + bins.step * (wide - 1) / 2,
        step=bins.step * wide,
        num_bins=(num_bins - 1) // wide + 1,
    )
    return code, plain


def _plain_bytes(symbols: np.ndarray, plain: Int[np.ndarray, " features"]) -> bytes:
    """Return the bits that stay as they are, filled up to whole words."""
    bits = [(symbols[:, i, None] >> np.arange(n)) & 1 for i, n in enumerate(plain) if n]
    if not bits:
        return b""
    packed = np.packbits(np.concatenate([part.ravel() for part in bits]).astype(bool))
    return packed.tobytes() + bytes(-len(packed) % 4)


def _plain_bits(
    body: bytes, rows: int, plain: Int[np.ndarray, " features"]
) -> tuple[Int[np.ndarray, "rows features"], bytes]:
    """Undo `_plain_bytes`: return what the bits are, with zeros above, and the rest."""
    low = np.zeros((rows, len(plain)), np.int32)
    total = rows * int(plain.sum())
    length = -(-total // 32) * 4
    if length > len(body):
        raise ValueError("the file is damaged: its columns are cut short")
    bits = np.unpackbits(np.frombuffer(body[:length], np.uint8), count=total)
    start = 0
    for column, n in enumerate(plain):
        own = bits[start : start + rows * n].reshape(rows, n).astype(np.int32)
        low[:, column] = (own << np.arange(n)).sum(axis=1)
        start += rows * n
    return low, body[length:]


def _settings(
    model: VAE, x: np.ndarray, batch_size: int, latent_step: float, num_samples: int
) -> BitsBackSettings:
    if x.shape[1:] != model.shape or not len(x):
        shape = ", ".join(["n", *map(str, model.shape)])
        raise ValueError(f"the data have shape {x.shape}: give ({shape}), n >= 1")
    check(1 <= batch_size < 2**16, "batch_size", batch_size, "give 1 to 65535")
    low = bits_back.MIN_STEP
    check(low <= latent_step <= 1, "latent_step", latent_step, f"give {low} to 1")
    whole = is_whole(num_samples) and 1 <= num_samples < 2**16
    check(whole, "num_samples", num_samples, "give 1 to 65535")
    return BitsBackSettings(batch_size, latent_step, num_samples)


def _settings_in(header: _Header) -> BitsBackSettings:
    return BitsBackSettings(
        *(getattr(header, name) for name in BitsBackSettings._fields)
    )


def _check_params(params: ModelParams) -> None:
    """Refuse what the entropy coder would panic at."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = f"params{jax.tree_util.keystr(path)}"
        check(np.isfinite(leaf), name, leaf, "give finite numbers")


def _pack(
    magic: bytes,
    header: _Header,
    shape: tuple[int, ...],
    extra: bytes,
    words: np.ndarray,
) -> bytes:
    sizes = struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    rest = _HEADER.pack(*header) + sizes + extra + words.astype("<u4").tobytes()
    return magic + _CRC.pack(zlib.crc32(rest)) + rest


def _unpack(
    magic: bytes, model: VAE, params: ModelParams, data: bytes
) -> tuple[_Header, bytes]:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(f"data are {type(data).__name__}: give bytes")
    data, sizes = bytes(data), struct.Struct(f"<B{len(model.shape)}I")
    head = len(magic) + _CRC.size
    start = head + _HEADER.size
    if data[: len(magic)] != magic and data[:4] == magic[:4]:
        version = data[4:5].decode("latin-1")
        raise ValueError(
            f"the file is of format {version!r}, this vijax reads and writes "
            f"{magic[4:].decode()!r}: decode it with the version that wrote it"
        )
    if not data.startswith(magic) or len(data) < start + sizes.size:
        raise ValueError("this is no such file of vijax, or it is cut short")
    if _CRC.unpack_from(data, len(magic)) != (zlib.crc32(data[head:]),):
        raise ValueError("the file is damaged: it is not what was written")
    header = _Header(*_HEADER.unpack_from(data, head))
    if header.params_crc != _crc(params):
        raise ValueError("the file was made with other parameters: decode with those")
    body = data[start + sizes.size :]
    fits = sizes.unpack_from(data, start) == (len(model.shape), *model.shape)
    numbers = header.num_rows, header.batch_size, header.num_samples
    sensible = min(numbers) > 0 and len(body) % 4 == 0
    step = header.latent_step
    if not (fits and sensible and bits_back.MIN_STEP <= step <= 1):
        raise ValueError("the file is damaged: its header makes no sense")
    return header, body


def _decode(
    model: VAE,
    params: ModelParams,
    code: bits_back.SymbolCode,
    settings: BitsBackSettings,
    header: _Header,
    body: bytes,
    columns: tuple[np.ndarray, ...],
    plain: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    words = np.frombuffer(body, "<u4")
    symbols = bits_back.decode_symbols(
        model, params, code, settings, words, header.num_rows
    )
    if symbols is not None and plain is not None:
        symbols = ((symbols << plain[0]) | plain[1]).astype(np.int32)
    if symbols is None or _crc((*columns, symbols)) != header.content_crc:
        raise ValueError(
            "the file does not decode to what went in: it is damaged, or this machine "
            "computes the model's floats differently from the one that encoded"
        )
    return symbols


def _crc(tree: Any) -> int:
    """Return a checksum of all numbers in a pytree."""
    crc = 0
    for leaf in jax.tree.leaves(tree):
        crc = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), crc)
    return crc
