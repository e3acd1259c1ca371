r"""Linear regression under flat priors: the exact posterior, and the best normal q.

The model is y ~ N(X β, σ), flat in β and in σ > 0. With N rows, p columns, residual sum
of squares S and ν = N − p − 1, the posterior is exactly

    σ² = S / χ²_ν,  β | σ ~ N(β̂, σ² (XᵀX)⁻¹),  so that β ~ t_ν

Of all normal distributions of (β, log σ) the one with the largest ELBO has

    log σ ~ N(½ log(S/ν) + s², s²),  s² = 1 / (2 (N − 1)),  β ~ N(β̂, S/ν (XᵀX)⁻¹)

independent of each other. (With A = E_q[σ⁻²], R = S + tr(XᵀX C) and C the covariance
of β, ELBO = (1 − N) m − ½ A R + log s + ½ log det C + const, A = exp(2 s² − 2 m): its
derivatives vanish where A R = N − 1, 2 s² (N − 1) = 1 and A C XᵀX = 1, so A S = ν.)

Whatever the optimiser, a normal q of (β, log σ) is off by this much: the sd of each
coefficient is too small by the factor √((ν − 2)/ν), and that of log σ, which is
½ √ψ′(ν/2) ≈ 1/√(2 (ν − 1)), by about √((ν − 1)/(N − 1)).
"""

import numpy as np
from scipy import special

Moments = tuple[np.ndarray, np.ndarray]  # means and sds of β and then σ


def exact_moments(features: np.ndarray, targets: np.ndarray) -> Moments:
    """Return the posterior's moments."""
    beta, rest, unit_sd, freedom = _sufficient(features, targets)
    half = 0.5 * freedom
    ratio = np.exp(special.gammaln(half - 0.5) - special.gammaln(half))
    variance, sigma = rest / (freedom - 2), np.sqrt(rest / 2) * ratio
    sds = np.append(np.sqrt(variance) * unit_sd, np.sqrt(variance - sigma**2))
    return np.append(beta, sigma), sds


def best_normal_moments(features: np.ndarray, targets: np.ndarray) -> Moments:
    """Return the moments of the normal q that the ELBO prefers."""
    beta, rest, unit_sd, freedom = _sufficient(features, targets)
    variance = 0.5 / (len(targets) - 1)
    sigma = np.sqrt(rest / freedom) * np.exp(1.5 * variance)  # exp(m + s²/2)
    sds = np.append(
        np.sqrt(rest / freedom) * unit_sd, sigma * np.sqrt(np.expm1(variance))
    )
    return np.append(beta, sigma), sds


def _sufficient(
    features: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, int]:
    """Return β̂, S, √diag (XᵀX)⁻¹ and ν."""
    number, columns = features.shape
    _, factor = np.linalg.qr(features)
    beta, *_ = np.linalg.lstsq(features, targets)
    rest = float(np.sum((targets - features @ beta) ** 2))
    unit_sd = np.sqrt(np.sum(np.linalg.inv(factor) ** 2, axis=1))
    return beta, rest, unit_sd, number - columns - 1
