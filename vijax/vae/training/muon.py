"""Muon: a step of equal length along every singular direction of a weight matrix.

With the momentum of a weight matrix written as M = U S Vᵀ, Muon's step is U Vᵀ
(roughly, see `orthogonalise`). So directions in which the gradient is small are learned
as fast as the others. Parameters that are not matrices, such as biases, take Adam's
step. On the networks of `experiments.beyond.iwae`, at batches of 1,000, one epoch of
Muon is worth several of Adam.

`optax.contrib.muon(beta=0.9)` takes the same steps of the matrices. It is not used
because it iterates on whole matrices, not on their small squares: of 14 epochs in turn
on two CPU cores its median took 1.32 times as long for a 784-400-20 VAE at batches of
500, and 1.43 times for 784-200-200-40 at batches of 1,000, at the same losses after 15
epochs (180.22 and optax's 180.23; 202.2 and 202.1).

References:
    Jordan et al. (2024), kellerjordan.github.io/posts/muon.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

# Jordan's quintic: it lifts small singular values as fast as it can, and leaves all of
# them between 0.7 and 1.2 instead of at 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NUM_STEPS = 5


class MuonState(NamedTuple):
    """The state of `scale_by_muon`."""

    step: Array
    momentum: Any  # as the parameters: of gradients
    second: Any  # of their squares; a zero for each matrix, which needs none


def scale_by_muon(
    *, beta: float = 0.9, beta2: float = 0.999, vectors: float = 0.1, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Return the transformation of gradients to steps, uphill and of unit rate.

    Args:
        beta: decay of the momentum, which is Nesterov's for matrices.
        beta2: decay of the squares for what is not a matrix.
        vectors: Adam's learning rate for those, as a fraction of the matrices'.
        eps: keeps Adam's division finite.
    """

    def init(params: Any) -> MuonState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        second = jax.tree.map(
            lambda p: jnp.zeros((), p.dtype) if _matrix(p) else p, zeros
        )
        return MuonState(jnp.zeros((), jnp.int32), zeros, second)

    def update(
        updates: Any, state: MuonState, params: Any = None
    ) -> tuple[Any, MuonState]:
        step = state.step + 1
        momentum = jax.tree.map(
            lambda m, g: beta * m + (1 - beta) * g, state.momentum, updates
        )
        second = jax.tree.map(
            lambda v, g: v if _matrix(g) else beta2 * v + (1 - beta2) * g**2,
            state.second,
            updates,
        )

        def vector_step(g: Array, m: Array, v: Array) -> Array:
            if _matrix(g):
                return beta * m + (1 - beta) * g
            m, v = m / (1 - beta**step), v / (1 - beta2**step)
            return (vectors * m / (jnp.sqrt(v) + eps)).astype(g.dtype)

        steps = jax.tree.map(vector_step, updates, momentum, second)
        leaves, structure = jax.tree.flatten(steps)
        steps = jax.tree.unflatten(structure, _matrix_steps(leaves))
        return steps, MuonState(step, momentum, second)

    return optax.GradientTransformation(init, update)


def orthogonalise(matrix: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """Return U f(S) Vᵀ of a matrix U S Vᵀ, f near 1 but where S is below 1e-3 of |S|.

    The iteration X ← (a + b X Xᵀ + c (X Xᵀ)²) X has a factor that commutes with X Xᵀ.
    So it runs on that small square alone, and the long side of the matrix is met twice,
    not fifteen times.

    Example:
        >>> steps = orthogonalise(jnp.diag(jnp.array([3.0, 0.3])))
        >>> bool(jnp.all(jnp.abs(jnp.diag(steps) - 1) < 0.35))
        True
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalise(matrix.T).T
    a, b, c = COEFFICIENTS
    # A zero matrix stays zero.
    x = matrix / (jnp.linalg.norm(matrix) + jnp.finfo(matrix.dtype).tiny)
    gram = x @ x.T
    identity = jnp.eye(len(gram), dtype=gram.dtype)
    total = identity
    for step in range(NUM_STEPS):
        factor = a * identity + b * gram + c * gram @ gram
        total = factor @ total if step else factor
        if step < NUM_STEPS - 1:
            gram = factor @ gram @ factor
    return total @ x


def _matrix_steps(leaves: list[Array]) -> list[Array]:
    """Return the leaves, matrices orthogonalised: those of one shape all together."""
    places: dict[tuple[int, ...], list[int]] = {}
    for i, leaf in enumerate(leaves):
        if _matrix(leaf):
            places.setdefault(leaf.shape, []).append(i)
    found = list(leaves)
    for equal in places.values():
        if len(equal) == 1:
            found[equal[0]] = _matrix_step(leaves[equal[0]])
            continue
        steps = jax.vmap(_matrix_step)(jnp.stack([leaves[i] for i in equal]))
        for i, own in zip(equal, steps, strict=True):
            found[i] = own
    return found


def _matrix_step(m: Array) -> Array:
    """Orthogonalise inputs × outputs; a convolution's inputs are its patches."""
    matrix = m.reshape(-1, m.shape[-1])
    rows, columns = matrix.shape
    # A step changes an output of unit size by the same amount at any width.
    return (math.sqrt(max(1, columns / rows)) * orthogonalise(matrix)).reshape(m.shape)


def _matrix(leaf: Array) -> bool:
    return leaf.ndim >= 2
