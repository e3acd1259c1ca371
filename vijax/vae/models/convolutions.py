r"""Convolutions that are fast on CPU inside compiled loops: products and shifts.

    convolve(x, kernel, stride=2)          as flax.linen.Conv, padding "SAME"
    convolve_transposed(x, kernel)         as flax.linen.ConvTranspose, stride 2

x is (batch, height, width, channels), a kernel (size, size, channels, outputs). XLA's
own convolution takes up to a hundred times as long inside a compiled loop on CPU as
outside (https://github.com/jax-ml/jax/issues/12868), and a training is such a loop. A
convolution is a sum over shifts of matrix products, Σ_t x[i + t] K_t, which can be had
in three ways: shifts side by side before one product; one product with all K_t, whose
parts are shifted and added, where there are few outputs; or a sum of small products,
which was fastest for transposed convolutions. Other devices have fast convolutions of
their own, and use them.
"""

from itertools import product

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Maps = Float[Array, "batch height width channels"]
Outputs = Float[Array, "batch _ _ outputs"]
Kernel = Float[Array, "size size channels outputs"]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def convolve(x: Maps, kernel: Kernel, *, stride: int) -> Outputs:
    """Return the convolution with zeros around the image, of size ⌈size / stride⌉.

    Example:
        >>> x = jnp.arange(4.0).reshape(1, 1, 4, 1)
        >>> kernel = jnp.ones((3, 3, 1, 1))
        >>> convolve(x, kernel, stride=1).ravel().tolist()
        [1.0, 3.0, 6.0, 5.0]
    """
    if kernel.shape[0] == stride == 1:
        return x @ kernel[0, 0]
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, k: _by_products(x, k, stride),
        default=lambda x, k: jax.lax.conv_general_dilated(
            x, k, (stride, stride), "SAME", dimension_numbers=LAYOUT
        ),
    )


def convolve_transposed(x: Maps, kernel: Kernel) -> Outputs:
    """Return the transposed convolution of stride 2, for kernels of 4 × 4: twice x.

    Along each axis, y[2i] = x[i-1] K₀ + x[i] K₂ and y[2i+1] = x[i] K₁ + x[i+1] K₃.

    Example:
        >>> x, kernel = jnp.ones((1, 2, 2, 1)), jnp.ones((4, 4, 1, 1))
        >>> convolve_transposed(x, kernel)[0, :, 0, 0].tolist()
        [1.0, 2.0, 2.0, 1.0]
    """
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=_transposed_by_products,
        default=lambda x, k: jax.lax.conv_transpose(
            x, k, (2, 2), "SAME", dimension_numbers=LAYOUT
        ),
    )


def _by_products(x: Maps, kernel: Kernel, stride: int) -> Outputs:
    size, _, channels, outputs = kernel.shape
    if stride == 1 and 2 * outputs <= channels:
        return _product_first(x, kernel)
    height, width = x.shape[1:3]
    rows, columns = -(-height // stride), -(-width // stride)
    padding = [
        _same(n, out, size, stride) for n, out in ((height, rows), (width, columns))
    ]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))

    def shifted(maps: Array, i: int, j: int) -> Array:
        last_i, last_j = i + stride * (rows - 1) + 1, j + stride * (columns - 1) + 1
        return maps[:, i:last_i:stride, j:last_j:stride]

    shifts = list(product(range(size), repeat=2))
    patches = jnp.concatenate([shifted(x, i, j) for i, j in shifts], axis=-1)
    return patches @ kernel.reshape(-1, outputs)


def _product_first(x: Maps, kernel: Kernel) -> Outputs:
    """Return the convolution of stride 1, its taps along the leading axes."""
    batch, height, width, channels = x.shape
    size, _, _, outputs = kernel.shape
    taps = kernel.transpose(0, 1, 3, 2).reshape(-1, channels)
    many = jax.lax.dot_general(
        taps, x.reshape(-1, channels), (((1,), (1,)), ((), ()))
    ).reshape(size, size, outputs, batch, height, width)
    around = [_same(n, n, size, 1) for n in (height, width)]
    many = jnp.pad(many, (*4 * [(0, 0)], *around))
    total = sum(
        many[i, j, :, :, i : i + height, j : j + width]
        for i, j in product(range(size), repeat=2)
    )
    return jnp.moveaxis(jnp.asarray(total), 0, -1)


def _transposed_by_products(x: Maps, kernel: Kernel) -> Outputs:
    batch, height, width, channels = x.shape
    outputs = kernel.shape[-1]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = {
        (i, j): x[:, i : i + height, j : j + width].reshape(-1, channels)
        for i, j in product(range(3), repeat=2)
    }
    # Of each axis: (tap, shift) of an even output, and of an odd one.
    taps = (((0, 0), (2, 1)), ((1, 1), (3, 2)))
    parts = [
        sum(
            shifted[i, j] @ kernel[s, t] for (s, i), (t, j) in product(taps[a], taps[b])
        )
        for a, b in product(range(2), repeat=2)
    ]
    grid = jnp.stack(parts, axis=-2).reshape(batch, height, width, 2, 2, outputs)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, 2 * height, 2 * width, outputs
    )


def _same(length: int, out: int, size: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after, as "SAME" counts them."""
    total = max((out - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
