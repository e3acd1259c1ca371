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

from typing import Any

from vijax.array_module import array_module, eigh

MAX_FULL = 20  # unknowns of a full rank; above, B's d³ numbers are left out


def covariance(
    root: Any,
    eigenvalues: Any,
    vectors: Any,
    third: Any,
    noise: Any,
) -> Any:
    """Return L (A − ½ B Bᵀ)⁻¹ Lᵀ; the second term may at most double an sd.

    Args:
        root: L.
        eigenvalues: of A.
        vectors: of A.
        third: B, its last two axes as one.
        noise: what the draws' noise adds to B Bᵀ.
    """
    xp = array_module(root, eigenvalues, vectors, third, noise)
    half = vectors / xp.sqrt(xp.maximum(eigenvalues, 1e-6))
    tilt = half.T @ third
    share, axes = eigh(0.5 * (tilt @ tilt.T - half.T @ noise @ half))
    root = root @ half @ (axes / xp.sqrt(1 - xp.clip(share, 0.0, 0.75)))
    return root @ root.T


def num_products(dim: int, diagonal: bool) -> int:
    """Return how many pairs (j, k) of a scale's entries the response runs over."""
    full = dim * dim if dim <= MAX_FULL else 0
    return dim if diagonal else full


def products(eps: Any, number: int) -> Any:
    """Return ε_j ε_k − δ_jk, (draws, products)."""
    xp = array_module(eps)
    dim = eps.shape[1]
    if number == dim:
        return eps**2 - 1
    if number == 0:
        return eps[:, :0]
    outer = eps[:, :, None] * eps[:, None, :] - xp.eye(dim, dtype=eps.dtype)
    return outer.reshape(-1, number)


def third_noise(rest: Any, eps: Any, number: int) -> Any:
    """Return the mean of B Bᵀ that a batch of noise alone would give."""
    xp = array_module(rest, eps)
    half = rest.shape[0] // 2
    pairs = 0.5 * (rest[:half] + rest[half:])
    size = xp.sum(products(eps[:half], number) ** 2, axis=1, keepdims=True)
    return pairs.T @ (pairs * size) / half**2
