"""Dirichlet prior, multinomial counts: p ~ Dirichlet(α), n_i ~ Multinomial(N_i, p)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import streaming
from vijax.bayes.conjugate.distributions.count_distributions import DirichletMultinomial
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid


class Statistics(NamedTuple):
    """What the posterior depends on; exact counts, so sums are bitwise the same."""

    counts: Float[Array, "... categories"]

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the statistics of both data sets together."""
        return streaming.add(self, other)


def posterior(prior: dist.Dirichlet, counts: Sample) -> dist.Dirichlet:
    r"""Return Dirichlet(α + Σ_i n_i).

    Args:
        prior: Dirichlet(α), shape (..., categories).
        counts: one row of counts (categories,), or several (..., categories), which
            are one data set.

    Raises:
        ValueError: a prior of another family, a negative or fractional count, an
            improper prior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 3.4.

    Example:
        >>> posterior(dist.Dirichlet(jnp.ones(3)), [4, 0, 2]).concentration.tolist()
        [5.0, 1.0, 3.0]
    """
    return update(prior, sufficient_statistics(counts))


def sufficient_statistics(counts: Sample) -> Statistics:
    """Return the counts summed over all rows.

    Data and source as in `posterior`; shape (categories,), counts that add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([[4, 0, 2], [1, 1, 0]]).counts.tolist()
        [5.0, 1.0, 2.0]
    """
    counts, valid = value_checks.counts("counts", counts)
    if counts.ndim == 0:
        raise ValueError(f"counts = {counts} is one number: give a row of them")
    totals = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    return where_valid(value_checks.all_of(valid), Statistics(totals))


def update(prior: dist.Dirichlet, data: Statistics) -> dist.Dirichlet:
    """Return the posterior from sufficient statistics.

    Dirichlet(α + counts); batches and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([4, 0, 2])
        >>> update(dist.Dirichlet(jnp.ones(3)), data).concentration.tolist()
        [5.0, 1.0, 3.0]
    """
    shape_checks.of_type("prior", prior, dist.Dirichlet)
    shape_checks.last_axis("counts", data.counts, jnp.shape(prior.concentration)[-1])
    concentration = prior.concentration + data.counts
    valid = value_checks.parameters(concentration=prior.concentration)
    valid &= value_checks.proper_posterior(concentration=concentration)
    valid = valid.all(axis=-1, keepdims=True)
    return dist.Dirichlet(where_valid(valid, concentration))


def log_evidence(prior: dist.Dirichlet, counts: Sample) -> Float[Array, "..."]:
    r"""Return log p(n) = Σ_i log(N_i! / Π_j n_ij!) + log B(α + Σ n_i) - log B(α).

    In nats, with the multinomial coefficients. Relative error below 1e-10 in x64 for
    counts up to 1e12 and α from 1e-8.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> prior = dist.Dirichlet(jnp.ones(3))
        >>> print(f"{log_evidence(prior, [4, 0, 2]):.4f}")  # -ln 28
        -3.3322
    """
    shape_checks.of_type("prior", prior, dist.Dirichlet)
    counts, valid = value_checks.counts("counts", counts)
    shape_checks.last_axis("counts", counts, jnp.shape(prior.concentration)[-1])
    totals = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    prior_valid = value_checks.proper(concentration=prior.concentration)
    # p(data) = p(totals) p(data | totals): the second factor knows no prior.
    of_totals = count_pmfs.dirichlet_multinomial_log_pmf(totals, prior.concentration)
    result = of_totals + count_pmfs.log_split(counts)
    return where_valid(prior_valid.all(axis=-1) & value_checks.all_of(valid), result)


def predictive(posterior: dist.Dirichlet, total_count: int = 1) -> DirichletMultinomial:
    """Return the distribution of the next row of `total_count` counts.

    P(n) = N! / Π n_j! · B(α + n) / B(α), N = `total_count` >= 0.

    Returns:
        The distribution, in the shape of the posterior's batch. Rows (categories,).

    Example:
        >>> after = dist.Dirichlet(jnp.array([5.0, 1.0, 3.0]))
        >>> next_count = jnp.array([1, 0, 0])
        >>> print(f"{predictive(after).log_prob(next_count):.4f}")  # ln(5 / 9)
        -0.5878
    """
    return DirichletMultinomial(posterior.concentration, total_count=total_count)


def model(prior: dist.Dirichlet, counts: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `probs`.

    Without counts one single outcome is drawn.

    p ~ Dirichlet(α), n_i ~ Multinomial(N_i, p); arguments as in `posterior`.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Dirichlet(jnp.ones(2)), {"counts": jnp.array([1, 1])}
        >>> values = {"probs": jnp.array([0.5, 0.5])}
        >>> value = log_density(model, (prior,), data, values)[0]  # ln(1 / 2)
        >>> print(f"{value:.4f}")
        -0.6931
    """
    probs = numpyro.sample("probs", prior)
    totals = 1 if counts is None else jnp.sum(counts, axis=-1)
    numpyro.sample("counts", dist.Multinomial(totals, probs), obs=counts)
