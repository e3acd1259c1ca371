r"""KL[q ‖ p] = E_q[log q(z) − log p(z)] in nats: closed form, on a grid, by sampling.

Every function takes q first: the distribution that the expectation is under. The
other direction is the same function with the arguments swapped,

    kl_beta(2.0, 3.0, 1.0, 1.0)   KL[Beta(2, 3) ‖ Beta(1, 1)]
    kl_beta(1.0, 1.0, 2.0, 3.0)   KL[Beta(1, 1) ‖ Beta(2, 3)]

and differs from it: KL[q ‖ p] punishes a q with mass where p has none (q, fitted by
it, hides inside one mode of p), KL[p ‖ q] one that misses mass of p (q covers p).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import digamma, gammaln, logsumexp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.validate import check, seen, where_valid


def kl_normal_standard(
    loc: Float[ArrayLike, "..."], log_scale: Float[ArrayLike, "..."]
) -> Scalar:
    r"""KL[N(loc, diag(scale²)) ‖ N(0, I)] in nats, summed over all entries.

    KL = ½ Σ_j (loc_j² + scale_j² − 1 − 2 log scale_j)

    References:
        Kingma & Welling (2014), arXiv:1312.6114, appendix B.

    Example:
        >>> kl_normal_standard(jnp.zeros(3), jnp.zeros(3)).item()
        0.0
        >>> round(kl_normal_standard(1.0, jnp.log(2.0)).item(), 6)
        1.306853
    """
    loc, log_scale = jnp.asarray(loc), jnp.asarray(log_scale)
    # expm1(2s) - 2s keeps the digits that exp(2s) - 1 - 2s cancels near s = 0.
    return 0.5 * jnp.sum(loc**2 + jnp.expm1(2 * log_scale) - 2 * log_scale)


def kl_normal(
    q_loc: ArrayLike, q_log_scale: ArrayLike, p_loc: ArrayLike, p_log_scale: ArrayLike
) -> Scalar:
    r"""KL[N(q_loc, diag(q_scale²)) ‖ N(p_loc, diag(p_scale²))] in nats, summed.

    With δ = (q_loc − p_loc) / p_scale and r = log(q_scale / p_scale):
    KL = ½ Σ_j (δ_j² + exp(2 r_j) − 1 − 2 r_j)

    Example:
        >>> round(kl_normal(0.0, 0.0, 1.0, jnp.log(2.0)).item(), 6)
        0.443147
        >>> round(kl_normal(1.0, jnp.log(2.0), 0.0, 0.0).item(), 6)
        1.306853
    """
    p_log_scale = jnp.asarray(p_log_scale)
    distance = (jnp.asarray(q_loc) - p_loc) * jnp.exp(-p_log_scale)
    return kl_normal_standard(distance, q_log_scale - p_log_scale)


def kl_multivariate_normal(
    q_loc: Float[ArrayLike, " dim"],
    q_scale_tril: Float[ArrayLike, "dim dim"],
    p_loc: Float[ArrayLike, " dim"],
    p_scale_tril: Float[ArrayLike, "dim dim"],
) -> Scalar:
    r"""KL[N(q_loc, L_q L_qᵀ) ‖ N(p_loc, L_p L_pᵀ)] in nats, L lower triangular.

    With M = L_p⁻¹ L_q and δ = L_p⁻¹ (q_loc − p_loc):
    KL = ½ (δᵀδ + ‖M‖² − dim − 2 Σ_j log M_jj)

    Example:
        >>> eye = jnp.eye(2)
        >>> round(kl_multivariate_normal(jnp.ones(2), eye, jnp.zeros(2), eye).item(), 6)
        1.0
    """
    q_scale_tril, p_scale_tril = jnp.asarray(q_scale_tril), jnp.asarray(p_scale_tril)
    distance = solve_triangular(
        p_scale_tril, jnp.asarray(q_loc) - jnp.asarray(p_loc), lower=True
    )
    ratio = solve_triangular(p_scale_tril, q_scale_tril, lower=True)
    # M is triangular: its diagonal is the diagonal problem, the rest is added.
    log_scale = jnp.log(jnp.diag(q_scale_tril)) - jnp.log(jnp.diag(p_scale_tril))
    lower = jnp.sum(jnp.tril(ratio, -1) ** 2)
    return kl_normal_standard(distance, log_scale) + 0.5 * lower


def kl_beta(q_a: ArrayLike, q_b: ArrayLike, p_a: ArrayLike, p_b: ArrayLike) -> Array:
    r"""KL[Beta(q_a, q_b) ‖ Beta(p_a, p_b)] in nats, element by element.

    KL = log B(p_a, p_b) − log B(q_a, q_b) + (q_a − p_a) ψ(q_a) + (q_b − p_b) ψ(q_b)
         + (p_a + p_b − q_a − q_b) ψ(q_a + q_b)

    Example:
        >>> round(kl_beta(11.0, 5.0, 1.0, 1.0).item(), 4)
        0.7846
    """
    valid = _positive(q_a=q_a, q_b=q_b, p_a=p_a, p_b=p_b)
    q_a, q_b, p_a, p_b = (jnp.asarray(x, float) for x in (q_a, q_b, p_a, p_b))
    # Not jax.scipy.special.betaln: it errs by 5e-7 in float64.
    kl = _log_beta(p_a, p_b) - _log_beta(q_a, q_b)
    kl += (q_a - p_a) * (digamma(q_a) - digamma(q_a + q_b))
    kl += (q_b - p_b) * (digamma(q_b) - digamma(q_a + q_b))
    return where_valid(valid, kl)


def kl_gamma(
    q_concentration: ArrayLike,
    q_rate: ArrayLike,
    p_concentration: ArrayLike,
    p_rate: ArrayLike,
) -> Array:
    r"""KL[Gamma(q) ‖ Gamma(p)] in nats, element by element; rates, not scales.

    KL = (a_q − a_p) ψ(a_q) − log Γ(a_q) + log Γ(a_p) + a_p log(b_q / b_p)
         + a_q (b_p / b_q − 1)

    Example:
        >>> round(kl_gamma(2.0, 1.0, 1.0, 2.0).item(), 5)
        1.72964
    """
    valid = _positive(
        q_concentration=q_concentration,
        q_rate=q_rate,
        p_concentration=p_concentration,
        p_rate=p_rate,
    )
    a_q, b_q, a_p, b_p = (
        jnp.asarray(x, float)
        for x in (q_concentration, q_rate, p_concentration, p_rate)
    )
    kl = (a_q - a_p) * digamma(a_q) - gammaln(a_q) + gammaln(a_p)
    kl += a_p * (jnp.log(b_q) - jnp.log(b_p)) + a_q * (b_p - b_q) / b_q
    return where_valid(valid, kl)


def kl_quadrature(
    q_log_density: Callable[[Array], Array],
    p_log_density: Callable[[Array], Array],
    grid: Float[ArrayLike, " points"],
) -> Scalar:
    r"""KL[q ‖ p] in nats of two densities on a line, by the trapezoidal rule.

    Both densities may be unnormalised: they are normalised on the grid, which must
    therefore hold all the mass of both. The error is that of the rule: for smooth
    densities that vanish at both ends it falls faster than any power of the step.

    Args:
        q_log_density: log q at an array of points; −inf where q is zero.
        p_log_density: log p at an array of points.
        grid: increasing points.

    Example:
        >>> grid = jnp.linspace(-12.0, 12.0, 1001)
        >>> import numpyro.distributions as dist
        >>> q, p = dist.Normal(0.0, 1.0), dist.Normal(1.0, 2.0)
        >>> round(kl_quadrature(q.log_prob, p.log_prob, grid).item(), 4)
        0.4431
    """
    grid = jnp.asarray(grid)
    points = seen(grid)
    check(points[1:] > points[:-1], "grid", grid, "give increasing points")
    return _kl_on_grid(q_log_density(grid), p_log_density(grid), grid)


@jax.jit
def _kl_on_grid(log_q: Array, log_p: Array, grid: Array) -> Scalar:
    step = jnp.diff(grid)
    width = 0.5 * (jnp.pad(step, (0, 1)) + jnp.pad(step, (1, 0)))
    log_q -= logsumexp(log_q, b=width)
    log_p -= logsumexp(log_p, b=width)
    q = jnp.exp(log_q)
    # Where q = 0 the integrand is 0, also where log q − log p is inf or NaN.
    return jnp.sum(width * jnp.where(q > 0, q * (log_q - log_p), 0.0))


def kl_monte_carlo(
    key: Key, q: Any, p: Any, *, num_samples: int
) -> tuple[Scalar, Scalar]:
    r"""KL[q ‖ p] in nats as a mean over draws of q, with its standard error.

    KL ≈ (1/S) Σ_s (log q(z_s) − log p(z_s)), z_s ~ q; unbiased.

    Args:
        key: for the draws.
        q: a NumPyro distribution, or what has its `sample` and `log_prob`.
        p: likewise.
        num_samples: S, 2 or more.

    Raises:
        ValueError: `num_samples` is below 2.

    Example:
        >>> import jax
        >>> import numpyro.distributions as dist
        >>> q, p = dist.Normal(0.0, 1.0), dist.Normal(1.0, 2.0)
        >>> kl, error = kl_monte_carlo(jax.random.key(0), q, p, num_samples=10_000)
        >>> bool(abs(kl - 0.443147) < 3 * error), bool(error < 0.01)
        (True, True)
    """
    check(num_samples >= 2, "num_samples", num_samples, "give at least 2")
    z = q.sample(key, (num_samples,))
    ratio = (q.log_prob(z) - p.log_prob(z)).reshape(num_samples, -1).sum(1)
    return jnp.mean(ratio), jnp.std(ratio, ddof=1) / jnp.sqrt(num_samples)


def _log_beta(a: Array, b: Array) -> Array:
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def _positive(**parameters: ArrayLike) -> ArrayLike:
    valid: ArrayLike = True
    for name, value in parameters.items():
        one = jnp.asarray(value) > 0
        valid = check(one, name, value, "give a positive number") & jnp.asarray(valid)
    return valid
