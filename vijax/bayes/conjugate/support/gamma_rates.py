"""What families with a Gamma prior of a rate share: the update, and Γ functions."""

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import shape_checks, value_checks
from vijax.validate import where_valid


def updated(prior: dist.Gamma, number: Array, total: Array) -> dist.Gamma:
    """Return Gamma(a + number, b + total).

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> updated(dist.Gamma(1.0, 2.0), jnp.array(3.0), jnp.array(2.0)).rate.item()
        4.0
    """
    shape_checks.of_type("prior", prior, dist.Gamma)
    concentration, rate = prior.concentration + number, prior.rate + total
    valid = value_checks.parameters(concentration=prior.concentration, rate=prior.rate)
    valid &= value_checks.proper_posterior(concentration=concentration, rate=rate)
    return dist.Gamma(*where_valid(valid, (concentration, rate)))


def log_mean_density(
    prior: dist.Gamma, number: Array, total: Array
) -> Float[Array, "..."]:
    r"""Return the log of ∫ Gamma(λ; a, b) λ^number exp(−λ total) dλ; NaN: improper.

    log Γ(a + number) / Γ(a) · b^a / (b + total)^(a + number).

    Raises:
        ValueError: a prior of another family, or one that is not proper.

    Example:
        >>> value = log_mean_density(dist.Gamma(1.0, 1.0), jnp.array(1.0), jnp.array(1))
        >>> print(f"{value:.4f}")  # -2 ln 2
        -1.3863
    """
    shape_checks.of_type("prior", prior, dist.Gamma)
    valid = value_checks.proper(concentration=prior.concentration, rate=prior.rate)
    value = log_gamma.log_gamma_ratio(prior.concentration, number)
    value -= prior.concentration * jnp.log1p(total / prior.rate)
    value -= number * jnp.log(prior.rate + total)
    return where_valid(valid, value)
