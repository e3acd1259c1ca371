"""Weighted means and sds of draws, and what their finite number leaves open."""

from typing import Any

from vijax.array_module import array_module
from vijax.vi.engine.noise import can_be_whitened


def weighted_moments(x: Any, eps: Any, weights: Any) -> tuple[Any, Any, Any, Any]:
    r"""Return weighted means, sds and their delta-method standard errors.

    The noise has mean 0 and covariance I exactly, so what is linear in ε costs no
    accuracy in a mean, nor its square in an sd: both are taken out of the errors.

    Args:
        x: draws, (parts, samples, *shape), each part made from the same noise.
        eps: the whitened noise they were made from, (samples, dim); where there is too
            much of it to be whitened, nothing is taken out.
        weights: of mean 1, (parts · samples,), or each entry's own, with a last axis.
    """
    xp = array_module(x, weights)
    shape, x = x.shape[2:], xp.reshape(x, (*x.shape[:2], -1))
    w = xp.reshape(weights, (*x.shape[:2], -1))
    mean = xp.mean(xp.where(w > 0, w * x, 0.0), axis=(0, 1))
    centred = xp.where(w > 0, x - mean, 0.0)  # x may be infinite where p is not
    square = centred**2
    variance = xp.mean(w * square, axis=(0, 1))
    sd = xp.sqrt(variance)
    # Draws of the same noise are one draw: what each adds is averaged first.
    linear = 0.0
    if _free(eps):
        linear = eps @ (eps.T @ xp.mean(centred, axis=0) / len(eps))
    mean_se = _error(xp.mean(w * centred, axis=0), eps, linear)
    variance_parts = xp.mean(w * (square - variance), axis=0)
    variance_se = _error(variance_parts, eps, linear**2)
    sd_se = 0.5 * variance_se / xp.where(sd > 0, sd, 1.0)
    found = [xp.reshape(column, shape) for column in (mean, sd, mean_se, sd_se)]
    return found[0], found[1], found[2], found[3]


def _error(parts: Any, eps: Any, control: Any) -> Any:
    """Return the standard error of the mean of what ε and the control leave over."""
    xp = array_module(parts, eps)
    number, free = len(eps), _free(eps)
    if free:
        control = control - xp.mean(control, axis=0)
        size = xp.sum(control**2, axis=0)
        share = xp.sum(parts * control, axis=0) / xp.where(size > 0, size, 1.0)
        parts = parts - share * control
        parts = parts - eps @ (eps.T @ parts / number)
    rest = parts - xp.mean(parts, axis=0)
    spread = xp.sum(rest**2, axis=0) / (free or number - 1)
    return xp.sqrt(spread / number)


def _free(eps: Any) -> int:
    """Return the draws that are left free where the noise has exact moments, else 0."""
    number, dim = eps.shape
    return max(0, number - dim - 2) if can_be_whitened(number, dim) else 0
