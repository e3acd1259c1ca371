"""Names for the types that every module shares."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
from jaxtyping import Array, Float

Key = jax.Array  # a typed key: jax.random.key(seed)
Scalar = Float[Array, ""]
Params: TypeAlias = Any  # a pytree of arrays
LogDensity = Callable[[Params], Scalar]  # unnormalised, in nats
LossFn = Callable[..., tuple[Scalar, Any]]  # (params, key, batch) -> (loss, metrics)


@runtime_checkable
class GradientTransformation(Protocol):
    """An optimiser of Optax, by what it does: a fit that needs none loads no Optax."""

    def init(self, params: Params, /) -> Any:
        """Return the state before the first step."""

    def update(
        self, updates: Params, state: Any, params: Params | None = None, /
    ) -> tuple[Params, Any]:
        """Return the step that a gradient gives, and the next state."""
