"""Names for the types that every module shares."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree

Key = jax.Array  # a typed key: jax.random.key(seed)
Scalar = Float[Array, ""]
Params = PyTree[Any]
LogDensity = Callable[[Params], Scalar]  # unnormalised, in nats
LossFn = Callable[..., tuple[Scalar, Any]]  # (params, key, batch) -> (loss, metrics)
