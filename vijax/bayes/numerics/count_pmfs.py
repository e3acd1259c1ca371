"""Log probabilities of counts under conjugate priors, exact from tiny to 10^12 counts.

All terms that grow with the counts are deviances, which never cancel: see `log_gamma`.
The relative error is below 1e-12 in x64 for counts up to 1e12 and parameters from 1e-8
to 1e12. In float32 it is below 1e-5, or 1e-5 absolute where log p is smaller than 1.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.bayes.numerics.log_gamma import deviance, excess, log_gamma_cross
from vijax.bayes.validation import Numbers, value_checks


def poisson_log_pmf(count: Numbers, mean: Numbers) -> Float[Array, "..."]:
    """Return log(mean^k exp(-mean) / k!) for mean >= 0.

    Example:
        >>> print(f"{poisson_log_pmf(0.0, 3.0):.4f}")
        -3.0000
    """
    return -deviance(count, mean) - excess(count)


def multinomial_log_pmf(
    counts: Float[Array, "... categories"], probs: Float[Array, "... categories"]
) -> Float[Array, "..."]:
    """Return log(n! Π p_j^k_j / k_j!) for counts and probabilities on the last axis.

    Example:
        >>> value = multinomial_log_pmf(jnp.ones(2), jnp.array([0.5, 0.5]))  # ln(1 / 2)
        >>> print(f"{value:.4f}")
        -0.6931
    """
    total = counts.sum(axis=-1, keepdims=True)
    terms = deviance(counts, total * probs) + excess(counts)
    return excess(total[..., 0]) - terms.sum(axis=-1)


def dirichlet_multinomial_log_pmf(
    counts: Float[Array, "... categories"],
    concentration: Float[Array, "... categories"],
) -> Float[Array, "..."]:
    """Return the log probability of counts whose probabilities are Dirichlet.

    With A = Σ α_j, N = Σ n_j and pooled shares p_j = (α_j + n_j) / (A + N), all that
    grows with N is the deviance of n_j and of α_j from what the pooled shares expect.

    Example:
        >>> counts = jnp.array([4.0, 0.0, 2.0])
        >>> value = dirichlet_multinomial_log_pmf(counts, jnp.ones(3))  # -ln 28
        >>> print(f"{value:.4f}")
        -3.3322
    """
    strength, total, pooled = _pool(counts, concentration)
    misfit = deviance(concentration, strength * pooled)
    misfit += deviance(counts, total * pooled) + excess(counts)
    log_pmf = excess(total[..., 0]) - misfit.sum(axis=-1)
    log_pmf += _log_curvature(counts, concentration)
    return _unless_one_category(counts, concentration, log_pmf)


def log_dirichlet_ratio(
    counts: Float[Array, "... categories"],
    concentration: Float[Array, "... categories"],
) -> Float[Array, "..."]:
    """Return log B(α + n) - log B(α): the evidence of one sequence of outcomes.

    Example:
        >>> value = log_dirichlet_ratio(jnp.array([1.0, 2.0]), jnp.ones(2))  # -ln 12
        >>> print(f"{value:.4f}")
        -2.4849
    """
    strength, _, pooled = _pool(counts, concentration)
    misfit = deviance(concentration, strength * pooled)
    # log(share) of the share next to 1 from what is missing to 1, or digits are lost.
    after = concentration + counts
    index = jnp.arange(counts.shape[-1])
    is_largest = index == jnp.argmax(after, axis=-1, keepdims=True)
    rest = jnp.where(is_largest, 0.0, pooled).sum(axis=-1, keepdims=True)
    by_rest = is_largest & (rest < 0.5)
    log_pooled = jnp.where(
        by_rest,
        jnp.log1p(-jnp.where(by_rest, rest, 0.0)),
        jnp.log(jnp.where(by_rest, 1.0, pooled)),
    )
    log_ratio = (counts * log_pooled - misfit).sum(axis=-1)
    log_ratio += _log_curvature(counts, concentration)
    return _unless_one_category(counts, concentration, log_ratio)


def _pool(counts: Array, concentration: Array) -> tuple[Array, Array, Array]:
    strength = concentration.sum(axis=-1, keepdims=True)
    total = counts.sum(axis=-1, keepdims=True)
    return strength, total, (concentration + counts) / (strength + total)


def _log_curvature(counts: Numbers, concentration: Numbers) -> Float[Array, "..."]:
    """Return what of log B(α + n) - log B(α) is left beside the deviances."""
    after = concentration + counts
    terms = excess(after) - jnp.log(after) - excess(concentration)
    terms += jnp.log(concentration)
    strength = concentration.sum(axis=-1)
    total = strength + counts.sum(axis=-1)
    return (
        terms.sum(axis=-1)
        - excess(total)
        + jnp.log(total)
        + excess(strength)
        - jnp.log(strength)
    )


def _unless_one_category(
    counts: Array, concentration: Array, general: Array
) -> Float[Array, "..."]:
    """Replace what cancels where all counts are in one category: log p may be tiny."""
    index = jnp.arange(counts.shape[-1])
    chosen = index == jnp.argmax(counts, axis=-1, keepdims=True)
    own = jnp.where(chosen, concentration, 0.0).sum(axis=-1)
    others = jnp.where(chosen, 0.0, concentration).sum(axis=-1)
    log_pmf = -log_gamma_cross(own, others, counts.sum(axis=-1))
    mixed = jnp.where(chosen, 0.0, counts).sum(axis=-1) > 0
    return jnp.where(mixed, general, log_pmf)


def log_split(counts: Float[Array, "... categories"]) -> Float[Array, ""]:
    """Return log p(data | its totals) of binomial or multinomial counts.

    Given the totals over all leading axes, which of the data fell into which category
    does not depend on the probabilities: Π_i C(n_i; k_i) / C(Σn; Σk). 0 for one datum.

    Example:
        >>> print(f"{log_split(jnp.ones((2, 2))):.4f}")  # ln(2 · 2 / 6)
        -0.4055
    """
    totals = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    shares = totals / jnp.maximum(totals.sum(), 1)
    log_each = multinomial_log_pmf(counts, shares)
    return log_each.sum() - multinomial_log_pmf(totals, shares)


def gamma_poisson_log_pmf(
    count: Numbers,
    concentration: Numbers,
    rate: Numbers,
    exposure: Numbers,
) -> Float[Array, "..."]:
    """Return the log probability of a Poisson count whose rate is Gamma distributed.

    Example:
        >>> print(f"{gamma_poisson_log_pmf(3.0, 1.0, 1.0, 1.0):.4f}")  # -4 ln 2
        -2.7726
    """
    concentration = value_checks.as_float(concentration)
    after = concentration + count
    share = rate / (rate + exposure)  # of what is seen, what the prior pretends
    misfit = deviance(concentration, after * share)
    misfit += deviance(count, after * (exposure / (rate + exposure)))
    curvature = excess(after) - jnp.log(after)
    curvature -= excess(concentration) - jnp.log(concentration)
    log_pmf = curvature - excess(count) - misfit
    none = -concentration * jnp.log1p(exposure / rate)
    return jnp.where(count > 0, log_pmf, none)
