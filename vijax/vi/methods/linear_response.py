r"""Linear response: the posterior's covariance from how a fitted q answers a tilt.

With log p + tᵀu in the place of log p the optimum's mean moves by Cov t. In the
coordinates of q, u = m + L v, q's mean a and its symmetric scale I + E see

    F = ½ aᵀ A a + ‖E‖² + Σ_ijk B_ijk a_i E_jk,    B = E_q[−∇³log p]

to second order (the ‖E‖² is exact where the posterior is normal), so that with E at
its best for every a

    Cov = L (A − ½ B Bᵀ)⁻¹ Lᵀ,    (B Bᵀ)_il = Σ_jk B_ijk B_ljk

By Stein's lemma B_ijk = −E[g_i (ε_j ε_k − δ_jk)] asks for gradients only. A mean field
has j = k alone. The first term repairs the sds that a mean field has too small, exactly
so where the posterior is normal; the second those of a scale that other unknowns
depend on: for the flat regression it turns the N of log σ's variance 1/2N into the
N − p − 1 of the exact posterior.

References:
    Giordano, Broderick & Jordan (2018), JMLR 19(51), arXiv:1709.02536.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

MAX_FULL = 20  # unknowns of a full rank; above, B's d³ numbers are left out


def covariance(
    root: Float[Array, "dim dim"],
    eigenvalues: Float[Array, " dim"],
    vectors: Float[Array, "dim dim"],
    third: Float[Array, "dim products"],
    noise: Float[Array, "dim dim"],
) -> Float[Array, "dim dim"]:
    """Return L (A − ½ B Bᵀ)⁻¹ Lᵀ; the second term may at most double an sd.

    Args:
        root: L.
        eigenvalues: of A.
        vectors: of A.
        third: B, its last two axes as one.
        noise: what the draws' noise adds to B Bᵀ.
    """
    half = vectors / jnp.sqrt(jnp.maximum(eigenvalues, 1e-6))
    tilt = half.T @ third
    share, axes = jnp.linalg.eigh(0.5 * (tilt @ tilt.T - half.T @ noise @ half))
    root = root @ half @ (axes / jnp.sqrt(1 - jnp.clip(share, 0.0, 0.75)))
    return root @ root.T


def num_products(dim: int, diagonal: bool) -> int:
    """Return how many pairs (j, k) of a scale's entries the response runs over."""
    full = dim * dim if dim <= MAX_FULL else 0
    return dim if diagonal else full


def products(eps: Array, number: int) -> Array:
    """Return ε_j ε_k − δ_jk, (draws, products)."""
    dim = eps.shape[1]
    if number == dim:
        return eps**2 - 1
    if number == 0:
        return eps[:, :0]
    outer = eps[:, :, None] * eps[:, None, :] - jnp.eye(dim, dtype=eps.dtype)
    return outer.reshape(-1, number)


def third_noise(rest: Array, eps: Array, number: int) -> Array:
    """Return the mean of B Bᵀ that a batch of noise alone would give."""
    half = rest.shape[0] // 2
    pairs = 0.5 * (rest[:half] + rest[half:])
    size = jnp.sum(products(eps[:half], number) ** 2, axis=1, keepdims=True)
    return pairs.T @ (pairs * size) / half**2
