"""How far a posterior moves where its draws are weighed anew: distances and shifts."""

import math

import numpy as np

from vijax.vi.importance_weights import psis


def distances(
    entries: np.ndarray, log_weights: np.ndarray, log_power: np.ndarray, power: float
) -> np.ndarray:
    """Return the distance of each entry's marginal per unit of log₂ α.

    Args:
        entries: of draws, (draws, entries).
        log_weights: of the draws for the posterior.
        log_power: log density of what is raised to a power, at each draw.
        power: α; both it and its inverse are looked at.
    """
    weights = np.exp(psis(log_weights).log_weights)
    total = np.zeros(entries.shape[1])
    for alpha in (power, 1 / power):
        scaled = np.exp(psis(log_weights + (alpha - 1) * log_power).log_weights)
        total = total + np.array(
            [
                max(
                    cumulative_distance(x, weights, scaled),
                    cumulative_distance(-x, weights, scaled),
                )
                for x in entries.T
            ]
        )
    return total / (2 * math.log2(power))


def cumulative_distance(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    r"""Return the cumulative Jensen–Shannon distance of two weightings of draws.

        √((D(P, Q) + D(Q, P)) / ∫ (P + Q) dx)
        D(P, Q) = ∫ P log₂(2P / (P + Q)) dx + ∫ (Q − P) dx / (2 log 2)

    with P and Q the two distribution functions; between 0 and 1.

    Args:
        x: draws.
        first: weights of P.
        second: weights of Q.

    References:
        Nguyen & Vreeken (2015), ECML PKDD, section 3.

    Example:
        >>> x = np.array([0.0, 1.0, 2.0])
        >>> cumulative_distance(x, np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0]))
        0.0
    """
    order = np.argsort(x)
    width = np.diff(x[order])
    p, q = (np.cumsum(w[order] / np.sum(w))[:-1] for w in (first, second))
    middle = 0.5 * (p + q)

    def one_way(p: np.ndarray, q: np.ndarray) -> float:
        ratio = np.where(p > 0, p, 1.0) / np.where(p > 0, middle, 1.0)
        return float(width @ (p * np.log2(ratio) + 0.5 * (q - p) / math.log(2)))

    bound = float(width @ (p + q))
    both = one_way(p, q) + one_way(q, p)
    return math.sqrt(max(both, 0.0) / bound) if bound > 0 else 0.0


def shifts(
    entries: np.ndarray, log_weights: np.ndarray, log_power: np.ndarray
) -> np.ndarray:
    """Return how far each mean moves per doubling of α, in sds: Cov(θ, log p) log 2."""
    weights = np.exp(psis(log_weights).log_weights)
    used = weights > 0
    weights, entries, log_power = weights[used], entries[used], log_power[used]
    centred = entries - weights @ entries
    slope = weights @ (centred * (log_power - weights @ log_power)[:, None])
    sd = np.sqrt(weights @ centred**2)
    return math.log(2) * slope / np.where(sd > 0, sd, 1.0)
