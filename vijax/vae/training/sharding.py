"""Training on many devices: the data and parameters everywhere, each batch in parts.

The compiler sees that a batch is split, and adds the sums over devices that a mean over
the batch needs. Random numbers do not depend on how arrays are split. So the same seed
gives the same run on any mesh, except for rounding, since sums are taken in another
order.

    mesh = jax.make_mesh((jax.device_count(),), ("data",))
"""

from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float

T = TypeVar("T")


def automatic(mesh: Mesh) -> Mesh:
    """Return the mesh with axes whose use the compiler decides."""
    return Mesh(mesh.devices, mesh.axis_names)


def replicate(mesh: Mesh, tree: T) -> T:
    """Put a pytree of arrays, equal in all processes, on every device of a mesh.

    Example:
        >>> mesh = automatic(jax.make_mesh((1,), ("data",)))
        >>> replicate(mesh, np.arange(3)).sharding.is_fully_replicated
        True
    """
    everywhere = NamedSharding(mesh, PartitionSpec())

    def put(leaf: ArrayLike) -> Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(
            values.shape, everywhere, lambda index: values[index]
        )

    return jax.tree.map(put, tree)


def split_batch(mesh: Mesh, batch: Float[Array, "..."]) -> Float[Array, "..."]:
    """Split (batch_size, …) along its first axis over the mesh's first."""
    spec = PartitionSpec(mesh.axis_names[0])
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, spec))
