"""Neural networks as pairs of pure functions; the only module that knows Flax.

    network.init(key) -> params
    network.apply(params, x) -> y        (…, *inputs) -> (…, *outputs)

The shapes of one input and one output are given when the network is made; any number
of batch axes may stand before them. A pair of functions of your own, from NNX, Equinox
or Haiku, is as good a `Network` as these. Constructors are memoised: the same arguments
return the same object, so that compiled functions are found again.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.vae.models import convolutions
from vijax.vae.models.memoize import Recipe, cached, reduced
from vijax.validate import check, is_whole

Shape = tuple[int, ...]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
    "identity": lambda x: x,
}


class Network(NamedTuple):
    """A neural network: how to draw its parameters, and how to apply them."""

    init: Callable[[Key], Params]
    apply: Callable[[Params, Float[Array, "..."]], Float[Array, "..."]]
    recipe: Recipe | None = None  # how it was made, for a file

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how pickle makes it again."""
        return reduced(self)


@cached
def mlp(
    inputs: Shape,
    outputs: Shape,
    *,
    hidden: tuple[int, ...] = (512, 256),
    activation: str = "gelu",
    dtype: str | None = None,
) -> Network:
    """Return a multilayer perceptron between two shapes, both flattened inside.

    Args:
        inputs: shape of one input, (28, 28) for an image or (10,) for a table's row.
        outputs: shape of one output; the last layer is linear.
        hidden: width of each hidden layer; () gives a linear map.
        activation: a name in `ACTIVATIONS`.
        dtype: of the matrix products, "bfloat16" for speed on accelerators; by
            default the parameters' own. Parameters are float32, results as inputs.

    Raises:
        ValueError: a size is not whole and positive, a name is not known.

    Example:
        >>> network = mlp((28, 28), (2,), hidden=(64,))
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, jnp.zeros((5, 28, 28))).shape
        (5, 2)
    """
    check_shapes(inputs=inputs, outputs=outputs)
    _check_widths(hidden=hidden)
    _check_dtype(dtype)
    module = _MLP(hidden, prod(outputs), _activation(activation), dtype)
    return _network(module, inputs, (prod(inputs),), outputs)


@cached
def conv_encoder(
    inputs: Shape,
    outputs: Shape,
    *,
    channels: tuple[int, ...] = (32, 64),
    hidden: tuple[int, ...] = (256,),
    activation: str = "gelu",
    dtype: str | None = None,
) -> Network:
    """Return 3 × 3 convolutions, each halving the image, then a perceptron.

    Args:
        inputs: (height, width) or (height, width, colours), of any size.
        outputs: shape of one output.
        channels: of each convolution.
        hidden: widths of the layers after them.
        activation: a name in `ACTIVATIONS`.
        dtype: as for `mlp`.

    Raises:
        ValueError: the inputs are no image, or a size is not whole and positive.

    Example:
        >>> network = conv_encoder((9, 7), (2,), channels=(4,), hidden=())
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, jnp.zeros((5, 9, 7))).shape
        (5, 2)
    """
    check_shapes(inputs=inputs, outputs=outputs)
    check_image(inputs)
    _check_widths(channels=channels, hidden=hidden)
    _check_dtype(dtype)
    act = _activation(activation)
    head = _MLP(hidden, prod(outputs), act, dtype)
    image = (*inputs[:2], prod(inputs[2:]))
    return _network(_ConvEncoder(channels, head, act, dtype), inputs, image, outputs)


@cached
def conv_decoder(
    inputs: Shape,
    outputs: Shape,
    *,
    channels: tuple[int, ...] = (64, 32),
    hidden: tuple[int, ...] = (256,),
    activation: str = "gelu",
    dtype: str | None = None,
) -> Network:
    """Return a perceptron, then transposed convolutions, each doubling the image.

    Args:
        inputs: shape of one input.
        outputs: (height, width, …), of any size: a larger image is made and cut.
        channels: of each doubled image, the last of which a convolution turns into
            the outputs.
        hidden: widths of the layers before them.
        activation: a name in `ACTIVATIONS`.
        dtype: as for `mlp`.

    Raises:
        ValueError: the outputs are no image, or a size is not whole and positive.

    Example:
        >>> network = conv_decoder((2,), (9, 7, 1), channels=(4,), hidden=())
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, jnp.zeros((5, 2))).shape
        (5, 9, 7, 1)
    """
    check_shapes(inputs=inputs, outputs=outputs)
    check_image(outputs)
    _check_widths(channels=channels, hidden=hidden)
    _check_dtype(dtype)
    act = _activation(activation)
    half = 2 ** len(channels)
    start = (-(-outputs[0] // half), -(-outputs[1] // half), channels[0])
    head = _MLP(hidden, prod(start), act, dtype)
    size = (*outputs[:2], prod(outputs[2:]))
    module = _ConvDecoder(channels, head, start, size, act, dtype)
    return _network(module, inputs, (prod(inputs),), outputs)


@cached
def conv_block(
    inputs: Shape,
    outputs: Shape,
    *,
    width: int,
    activation: str = "silu",
    dtype: str | None = None,
) -> Network:
    """Return convolutions of 1 × 1, 3 × 3 and 1 × 1, each behind an activation.

    Args:
        inputs: (height, width, channels) of the maps.
        outputs: the same height and width, other channels.
        width: channels in between.
        activation: a name in `ACTIVATIONS`.
        dtype: as for `mlp`.

    Raises:
        ValueError: shapes of other sizes, or as `mlp`.

    References:
        He et al. (2016), arXiv:1603.05027 (activations first, a bottleneck).

    Example:
        >>> network = conv_block((4, 3, 8), (4, 3, 2), width=4)
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, jnp.zeros((5, 4, 3, 8))).shape
        (5, 4, 3, 2)
    """
    check_shapes(inputs=inputs, outputs=outputs)
    if len(inputs) != 3 or inputs[:2] != outputs[:2] or len(outputs) != 3:
        raise ValueError(
            f"inputs = {inputs} and outputs = {outputs} are not maps of one size: "
            "give (height, width, channels) of each"
        )
    check_shapes(width=(width,))
    _check_dtype(dtype)
    sizes = ((width, 1), (width, 3), (outputs[-1], 1))
    module = _ConvBlock(sizes, _activation(activation), dtype)
    return _network(module, inputs, inputs, outputs)


class _MLP(nn.Module):
    hidden: tuple[int, ...]
    outputs: int
    activation: Callable[[Array], Array]
    dtype: str | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for width in self.hidden:
            x = self.activation(nn.Dense(width, dtype=self.dtype)(x))
        return nn.Dense(self.outputs, dtype=self.dtype, name="output")(x)


class _ConvEncoder(nn.Module):
    channels: tuple[int, ...]
    head: _MLP
    activation: Callable[[Array], Array]
    dtype: str | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        batch = x.shape[:-3]
        for i, width in enumerate(self.channels):
            name = f"Conv_{i}"
            conv = _Convolution(width, 3, stride=2, dtype=self.dtype, name=name)
            x = self.activation(conv(x))
        return self.head(x.reshape(*batch, -1))


class _ConvDecoder(nn.Module):
    channels: tuple[int, ...]
    head: _MLP
    start: Shape
    size: Shape
    activation: Callable[[Array], Array]
    dtype: str | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        batch = x.shape[:-1]
        x = self.activation(self.head(x)).reshape(*batch, *self.start)
        for i, width in enumerate(self.channels):
            name = f"ConvTranspose_{i}"
            conv = _Convolution(width, 4, None, self.dtype, name=name)
            x = self.activation(conv(x))
        height, width, outputs = self.size
        last = _Convolution(outputs, 3, stride=1, dtype=self.dtype, name="output")
        return last(x[..., :height, :width, :])


class _ConvBlock(nn.Module):
    sizes: tuple[tuple[int, int], ...]  # channels and size of each kernel
    activation: Callable[[Array], Array]
    dtype: str | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i, (channels, size) in enumerate(self.sizes):
            conv = _Convolution(channels, size, 1, self.dtype, name=f"Conv_{i}")
            x = conv(self.activation(x))
        return x


class _Convolution(nn.Module):
    """Flax's Conv, or its ConvTranspose of stride 2: its parameters and numbers."""

    outputs: int
    size: int
    stride: int | None  # None is transposed
    dtype: str | None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.size, self.size, x.shape[-1], self.outputs)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        if self.stride is None:
            return convolutions.convolve_transposed(x, kernel) + bias
        return convolutions.convolve(x, kernel, stride=self.stride) + bias


def _network(module: nn.Module, inputs: Shape, inner: Shape, outputs: Shape) -> Network:
    """Put a Flax module of (batch, *inner) behind the interface."""

    @jax.jit  # one compilation instead of one for each operation
    def init(key: Key) -> Params:
        start = partial(module.init, x=jnp.zeros((1, *inner)))
        return _lecun_normal(key, jax.eval_shape(start, key)["params"])

    def apply(params: Params, x: Float[Array, "..."]) -> Float[Array, "..."]:
        batch = x.shape[: x.ndim - len(inputs)]
        if x.shape[len(batch) :] != inputs:
            raise ValueError(f"x has shape {x.shape}: its last axes must be {inputs}")
        # One batch axis: a gradient that sums over two makes copies.
        flat = x.reshape(prod(batch), *inner)
        try:
            y = jnp.asarray(module.apply({"params": params}, flat))
        except flax.errors.FlaxError as error:
            reason = str(error).split(" (http")[0]
            raise ValueError(f"params are not this network's: {reason}") from error
        return y.reshape(*batch, *outputs).astype(jnp.promote_types(x.dtype, "float32"))

    return Network(init, apply)


# One draw for all layers compiles many times faster than Flax's one for each.
def _lecun_normal(key: Key, shapes: Any) -> Params:
    """Draw kernels with variance 1 / inputs, cut at two sd; biases are zero."""
    leaves, structure = jax.tree.flatten(shapes)
    sizes = [prod(leaf.shape) if leaf.ndim > 1 else 0 for leaf in leaves]
    ends = list(accumulate(sizes))
    noise = jax.random.truncated_normal(key, -2.0, 2.0, (ends[-1],)) / _SD_CUT

    def fill(leaf: jax.ShapeDtypeStruct, end: int) -> Array:
        if leaf.ndim < 2:
            return jnp.zeros(leaf.shape, leaf.dtype)
        *inputs, _ = leaf.shape
        values = noise[end - prod(leaf.shape) : end].reshape(leaf.shape)
        return (values / math.sqrt(prod(inputs))).astype(leaf.dtype)

    return jax.tree.unflatten(structure, map(fill, leaves, ends))


# sqrt(1 - 2·2 φ(2) / (2Φ(2) - 1)), of a standard normal cut at ± 2
_SD_CUT = 0.87962566103423978


def check_shapes(**shapes: Shape) -> None:
    """Raise a ValueError that names a shape whose sizes are not whole and positive."""
    for name, shape in shapes.items():
        if not isinstance(shape, tuple) or not all(map(is_whole, shape)):
            raise ValueError(f"{name} = {shape!r} is not a shape: give sizes, (28, 28)")
        check(min(shape, default=0) >= 1, name, shape, "give sizes of 1 or more")


def _check_widths(**widths: tuple[int, ...]) -> None:
    for name, width in widths.items():
        if not isinstance(width, tuple) or not all(map(is_whole, width)):
            raise ValueError(
                f"{name} = {width!r} is not valid: give widths, (512, 256)"
            )
        check(min(width, default=1) >= 1, name, width, "give widths of 1 or more")


def check_image(shape: Shape) -> None:
    """Raise a ValueError if the shape is not an image's."""
    if len(shape) < 2:
        raise ValueError(
            f"shape = {shape}: convolutions are for images (height, width), give "
            "channels=() for anything else"
        )


def _check_dtype(dtype: str | None) -> None:
    try:
        jnp.dtype(dtype or "float32")
    except TypeError as error:
        raise ValueError(
            f"dtype = {dtype!r} is not known: give None or 'bfloat16'"
        ) from error


def _activation(name: str) -> Callable[[Array], Array]:
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation = {name!r} is not known: choose from {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]
