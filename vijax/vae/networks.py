"""Neural networks as pairs of pure functions; the only module that knows Flax.

    network.init(key) -> params
    network.apply(params, x) -> y        (…, *inputs) -> (…, *outputs)

The shapes of one input and one output are given when the network is made, any
number of batch axes may stand before them. Constructors are cached: the same
arguments return the same object, so that compiled functions are found again.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Key, Params
from vijax.validate import check

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


@lru_cache
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
            default the parameters' own. Parameters are float32.

    Example:
        >>> import jax
        >>> network = mlp((28, 28), (2,), hidden=(64,))
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, jnp.zeros((5, 28, 28))).shape
        (5, 2)
    """
    _check_shapes(inputs, outputs)
    check(min(hidden, default=1) >= 1, "hidden", hidden, "give widths of 1 or more")
    module = _MLP(hidden, prod(outputs), _activation(activation), dtype)
    return _network(module, inputs, outputs, flatten=True)


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


def _network(
    module: nn.Module, inputs: Shape, outputs: Shape, flatten: bool
) -> Network:
    """Put a Flax module behind the interface, and the batch axes where they belong."""
    event = (prod(inputs),) if flatten else inputs

    def init(key: Key) -> Params:
        return module.init(key, jnp.zeros((1, *event)))["params"]

    def apply(params: Params, x: Float[Array, "..."]) -> Float[Array, "..."]:
        batch = x.shape[: x.ndim - len(inputs)]
        if x.shape[len(batch) :] != inputs:
            raise ValueError(f"x has shape {x.shape}: its last axes must be {inputs}")
        y = jnp.asarray(module.apply({"params": params}, x.reshape(*batch, *event)))
        return y.reshape(*batch, *outputs)

    return Network(init, apply)


def _check_shapes(inputs: Shape, outputs: Shape) -> None:
    for name, shape in (("inputs", inputs), ("outputs", outputs)):
        check(min(shape, default=0) >= 1, name, shape, "give sizes of 1 or more")


def _activation(name: str) -> Callable[[Array], Array]:
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation = {name!r} is not known: choose from {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]
