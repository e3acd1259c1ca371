"""Names for the types that every module shares."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jaxtyping import Array, Float

Key = jax.Array  # a typed key: jax.random.key(seed)
Scalar = Float[Array, ""]
Params: TypeAlias = Any  # a pytree of arrays
LogDensity = Callable[[Params], Scalar]  # unnormalised, in nats
LossFn = Callable[..., tuple[Scalar, Any]]  # (params, key, batch) -> (loss, metrics)
