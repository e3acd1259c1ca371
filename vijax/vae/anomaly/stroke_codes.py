r"""What a binary image costs, in nats, in codes that know strokes but no digits.

Both codes predict each pixel from neighbours that come before it. `complexity` knows no
training data: it learns from the image itself while it is read. `local_code` has
learned from training images what a pixel's neighbours say, and nothing beyond them.
Subtract such a code from a model's -log p(x), and what the model alone knows is left.
Both run on the host, in NumPy: they count patterns of whole numbers.

References:
    Serrà et al. (2020), Input complexity and out-of-distribution detection with
    likelihood-based generative models, arXiv:1909.11480; Ren et al. (2019),
    Likelihood ratios for out-of-distribution detection, arXiv:1906.02845.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import betaln

from vijax.validate import check


def complexity(x: Any) -> Float[Array, " examples"]:
    r"""Return what binary images cost without a model of them, in nats.

    Each pixel is predicted from the four neighbours that come before it: left, and the
    three above. Nothing is known beforehand about any of their 16 patterns c. Pixels
    after one pattern are Bernoulli draws under a Beta(½, ½) prior, so the cost is minus
    the log evidence of 16 coins:

        -log p(x) = -Σ_c log B(n_c1 + ½, n_c0 + ½) / B(½, ½)

    Args:
        x: (n, height, width), 0 or 1.

    Raises:
        ValueError: another number of axes, no image, pixels that are not 0 or 1.

    Example:
        >>> blank, noise = jnp.zeros((8, 8)), jnp.arange(64.0).reshape(8, 8) * 7 % 5 % 2
        >>> [round(v, 1) for v in complexity(jnp.stack([blank, noise])).tolist()]
        [2.7, 24.9]
    """
    x = _binary(x)
    # Numbered image by image, so that all are counted at once.
    patterns = _patterns(x, 4) + 16 * np.arange(len(x))[:, None, None]
    black, every = (
        np.bincount(numbers.ravel(), minlength=16 * len(x)).reshape(-1, 16)
        for numbers in (patterns[x == 1], patterns)
    )
    nats = betaln(black + 0.5, every - black + 0.5) - betaln(0.5, 0.5)
    return jnp.asarray(-nats.sum(axis=1), jnp.float32)


# Rows down and columns right of a pixel, in the order of their distance from it.
NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-1, 2))


def count_patterns(
    x: Any, *, num_neighbours: int = 8
) -> Int[np.ndarray, "patterns colours"]:
    """Return how often a pixel is 0 and 1 after each pattern of its neighbours.

    Args:
        x: (n, height, width), 0 or 1: training images. Counts of parts add up.
        num_neighbours: how many of the pixels that come before a pixel, 1 to 8.

    Raises:
        ValueError: another number of axes, no image, pixels that are not 0 or 1, a
            number of neighbours outside 1 to 8.

    Example:
        >>> count_patterns(np.ones((1, 1, 3)), num_neighbours=1).tolist()
        [[0, 1], [0, 2]]
    """
    remedy = f"give 1 to {len(NEIGHBOURS)}"
    within = 1 <= num_neighbours <= len(NEIGHBOURS)
    check(within, "num_neighbours", num_neighbours, remedy)
    x = _binary(x)
    index = 2 * _patterns(x, num_neighbours) + x
    counts = np.bincount(index.ravel(), minlength=2 << num_neighbours)
    return counts.reshape(-1, 2)


def local_code(
    counts: Int[np.ndarray, "patterns colours"], x: Any
) -> Float[Array, " examples"]:
    """Return what binary images cost in a code of pixels given neighbours, in nats.

        -log p(x) = -Σ_pixels log (n_cx + ½) / (n_c + 1),    c a pixel's neighbours

    Args:
        counts: from `count_patterns`, of training images.
        x: (n, height, width), 0 or 1.

    Raises:
        ValueError: counts that are not from `count_patterns`, another number of axes,
            no image, pixels that are not 0 or 1.

    Example:
        >>> counts = count_patterns(np.ones((1, 1, 3)), num_neighbours=1)
        >>> cost = local_code(counts, np.ones((1, 1, 2)))  # 1.5 / 2 · 2.5 / 3
        >>> round(float(np.exp(-cost[0])), 4)
        0.625
    """
    x = _binary(x)
    counts = np.asarray(counts)
    if counts.shape not in [(2**k, 2) for k in range(1, len(NEIGHBOURS) + 1)]:
        raise ValueError(
            f"counts have shape {counts.shape}: give the result of count_patterns"
        )
    check(counts >= 0, "counts", counts, "give numbers of 0 or more")
    num_neighbours = len(counts).bit_length() - 1
    log_p = np.log(counts + 0.5) - np.log(counts.sum(axis=1, keepdims=True) + 1.0)
    index = 2 * _patterns(x, num_neighbours) + x
    return jnp.asarray(-log_p.ravel()[index].sum(axis=(1, 2)), jnp.float32)


def _binary(x: Any) -> Int[np.ndarray, "n height width"]:
    x = np.asarray(x)
    if x.ndim != 3 or not x.size:
        raise ValueError(f"x has shape {x.shape}: give (n, height, width), none empty")
    check((x == 0) | (x == 1), "x", x, "give binary images: binarise them")
    return x.astype(np.int32)


def _patterns(x: np.ndarray, num_neighbours: int) -> Int[np.ndarray, "n height width"]:
    """Return each pixel's neighbours read as a binary number; 0 beyond the edges."""
    _, height, width = x.shape
    around = np.pad(x, ((0, 0), (2, 0), (2, 2)))
    parts = (
        around[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width] << k
        for k, (down, right) in enumerate(NEIGHBOURS[:num_neighbours])
    )
    return np.stack(list(parts)).sum(axis=0, dtype=np.int32)
